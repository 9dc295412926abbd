"""The feature store: features of distinct tiles, and which of them make up each haplotype."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gta.errors import UserError
from gta.files import atomic_path, require_file


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
        tensors = {
            "rows": np.concatenate([entry.rows for entry in entries]),
            "row_counts": np.array([len(entry.rows) for entry in entries], dtype=np.int64),
            "index": np.concatenate([entry.index for entry in entries]),
            "haplotype_counts": np.array([len(entry.index) for entry in entries], dtype=np.int64),
            "carriers": np.stack([entry.carriers for entry in entries]),
            "tile_distance": np.stack([entry.tile_distance for entry in entries]),
        }
        metadata = {
            "genes": json.dumps(self.genes),
            "people": json.dumps(self.people),
            "feature_names": json.dumps(self.feature_names),
            "tile_length": str(self.tile_length),
            "extractor": self.extractor,
        }
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata=metadata)

    @classmethod
    def load(cls, path: Path | str) -> "FeatureStore":
        """Read a store.

        Raises:
            UserError: if the file is absent, truncated or no feature store.
        """
        path = require_file(path, "feature store")
        try:
            with safe_open(path, framework="numpy") as handle:
                metadata = handle.metadata() or {}
                tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (not a mapping)
            genes = json.loads(metadata["genes"])
            rows = np.split(tensors["rows"], np.cumsum(tensors["row_counts"])[:-1])
            index = np.split(tensors["index"], np.cumsum(tensors["haplotype_counts"])[:-1])
            return cls(
                people=json.loads(metadata["people"]),
                feature_names=[tuple(name) for name in json.loads(metadata["feature_names"])],
                tile_length=int(metadata["tile_length"]),
                extractor=metadata["extractor"],
                by_gene={
                    gene: GeneFeatures(gene, rows[i], index[i], tensors["carriers"][i], tensors["tile_distance"][i])
                    for i, gene in enumerate(genes)
                },
            )
        except (SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{path} is no complete feature store ({error}): remove it and run again.") from error

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
