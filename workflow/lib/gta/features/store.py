"""The feature store: features of distinct tiles, and which of them make up each haplotype."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gta.errors import UserError
from gta.tensors import load_arrays, save_arrays

#: The arrays of a store's file.
ARRAYS = ("rows", "row_counts", "index", "haplotype_counts", "carriers", "tile_distance")


@dataclass(frozen=True)
class GeneFeatures:
    """Features of one gene's window.

    Attributes:
        gene: Name of the gene.
        rows: (R, F) float32, features of the distinct tile sequences.
        index: (H, T) int32, for each distinct haplotype and tile the row of `rows`; haplotype 0 is the reference.
        carriers: (P, 2) int32, the two haplotypes of each person; -1 where there is no second one.
        tile_distance: (T,) float32, signed distance in bp from the TSS to the tile's centre, in the gene's direction
            (negative upstream).
    """

    gene: str
    rows: np.ndarray
    index: np.ndarray
    carriers: np.ndarray
    tile_distance: np.ndarray

    def haplotype(self, number: int) -> np.ndarray:
        """Features of one haplotype, (T, F) float32, tiles in reference order."""
        return self.rows[self.index[number]]


@dataclass(frozen=True)
class FeatureStore:
    """The features of all windows of one contig, or of several contigs together.

    Attributes:
        people: Names, in the order of `GeneFeatures.carriers`.
        feature_names: (matrix id, name, pool) of each of the F features.
        tile_length: Length of a tile, bp.
        extractor: Name of the feature extractor.
        by_gene: The windows, by gene.
    """

    people: list[str]
    feature_names: list[tuple[str, str, str]]
    tile_length: int
    extractor: str
    by_gene: dict[str, GeneFeatures]

    @property
    def genes(self) -> list[str]:
        """Names of the genes, in the order of the cohort."""
        return list(self.by_gene)

    def gene(self, name: str) -> GeneFeatures:
        """The features of one gene's window.

        Raises:
            UserError: if the store has no such gene.
        """
        if name not in self.by_gene:
            raise UserError(f"The features hold no gene {name}: compute them again for the present cohort.")
        return self.by_gene[name]

    def save(self, path: Path | str) -> None:
        """Write the store as one safetensors file."""
        entries = list(self.by_gene.values())
        if not entries:
            raise UserError("There is no window to store features of.")
        arrays = {
            "rows": np.concatenate([entry.rows for entry in entries]),
            "row_counts": np.array([len(entry.rows) for entry in entries], dtype=np.int64),
            "index": np.concatenate([entry.index for entry in entries]),
            "haplotype_counts": np.array([len(entry.index) for entry in entries], dtype=np.int64),
            "carriers": np.stack([entry.carriers for entry in entries]),
            "tile_distance": np.stack([entry.tile_distance for entry in entries]),
        }
        about = {
            "genes": self.genes,
            "people": self.people,
            "feature_names": self.feature_names,
            "tile_length": self.tile_length,
            "extractor": self.extractor,
        }
        save_arrays(path, arrays, about)

    @classmethod
    def load(cls, path: Path | str) -> "FeatureStore":
        """Read a store.

        Raises:
            UserError: if the file is absent, truncated or no feature store.
        """
        arrays, about = load_arrays(path, "feature store", ARRAYS)
        rows = np.split(arrays["rows"], np.cumsum(arrays["row_counts"])[:-1])
        index = np.split(arrays["index"], np.cumsum(arrays["haplotype_counts"])[:-1])
        by_gene = {
            gene: GeneFeatures(gene, rows[i], index[i], arrays["carriers"][i], arrays["tile_distance"][i])
            for i, gene in enumerate(about["genes"])
        }
        names = [(matrix, name, pool) for matrix, name, pool in about["feature_names"]]
        return cls(about["people"], names, about["tile_length"], about["extractor"], by_gene)

    @classmethod
    def load_all(cls, paths: list[Path] | list[str]) -> "FeatureStore":
        """Read the stores of several contigs as one.

        Raises:
            UserError: if they disagree in people, features or tiles.
        """
        stores = [cls.load(path) for path in paths]
        first = stores[0]
        for path, store in zip(paths, stores, strict=True):
            if (store.people, store.feature_names, store.tile_length) != (
                first.people,
                first.feature_names,
                first.tile_length,
            ):
                raise UserError(
                    f"The feature stores {paths[0]} and {path} differ in people, features or tile length: compute both again."
                )
        merged = {gene: entry for store in stores for gene, entry in store.by_gene.items()}
        return cls(first.people, first.feature_names, first.tile_length, first.extractor, merged)
