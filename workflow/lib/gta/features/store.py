"""The feature store: features of distinct tiles, and which of them make up each haplotype."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from gta.errors import UserError
from gta.tensors import ArrayFile, new_arrays

#: The small arrays of a store's file, which are read at once, and those that are read window by window.
SMALL = ("scale", "row_counts", "full_counts", "haplotype_counts", "carriers", "tile_distance", "tracks")
LARGE = ("full", "differences", "index")
#: The differences of a feature are scaled by a power of two such that the greatest lies between half of this and this: far from
#: the smallest numbers of float16, near which it is coarse.
GREATEST_DIFFERENCE = 2.0**15


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


class Windows(Mapping[str, GeneFeatures]):
    """Windows by gene, each of which is made or read when it is asked for, and not kept."""

    def __init__(
        self,
        genes: Iterable[str],
        read: Callable[[str], GeneFeatures],
        layout: Callable[[str], tuple[np.ndarray, np.ndarray]],
    ):
        """The windows of these genes.

        Args:
            genes: Names.
            read: Gives the window of a gene.
            layout: Gives its `carriers` and `tile_distance` without reading the rest.
        """
        self._genes = dict.fromkeys(genes)
        self._read = read
        self.layout = layout

    def __getitem__(self, gene: str) -> GeneFeatures:
        """The window of a gene."""
        if gene not in self._genes:
            raise KeyError(gene)
        return self._read(gene)

    def __contains__(self, gene: object) -> bool:
        """Whether there is such a window; nothing is read."""
        return gene in self._genes

    def __iter__(self) -> Iterator[str]:
        """The genes in order."""
        return iter(self._genes)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._genes)


@dataclass(frozen=True)
class FeatureStore:
    """The features of all windows of one contig, or of several contigs together.

    Attributes:
        people: Names, in the order of `GeneFeatures.carriers`.
        feature_names: (id, name, pool) of each of the F features; the id is that of the matrix for motifs.
        tile_length: Length of a tile, bp; of the shortest, if they differ.
        extractor: Name of the feature extractor.
        by_gene: The windows, by gene. Those of a file are read from it whenever they are asked for.
        tile_lengths: Lengths of the T tiles in the gene's direction, bp; empty if all are `tile_length`.
        weights: Fingerprint of the extractor's weights; empty if it has none.
        track_names: Names of the K predictions that the extractor makes of its own.
        tracks: (H, K) float32 by gene: these predictions for each distinct haplotype; no gene if there are none.
        sha256: Of the windows in a file, see `digest`; empty if they come from none.
        head: What turns the features of all tiles into the extractor's prediction, if it was trained on the study: the fields of
            `gta.cnn.network.CnnConfig`; empty otherwise.
    """

    people: list[str]
    feature_names: list[tuple[str, str, str]]
    tile_length: int
    extractor: str
    by_gene: Mapping[str, GeneFeatures]
    tile_lengths: list[int] = field(default_factory=list)
    weights: str = ""
    track_names: list[str] = field(default_factory=list)
    tracks: dict[str, np.ndarray] = field(default_factory=dict)
    sha256: str = ""
    head: dict[str, Any] = field(default_factory=dict)

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

    def layout(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """`carriers` and `tile_distance` of a gene's window; its features are not read for them.

        Raises:
            UserError: if the store has no such gene.
        """
        if isinstance(self.by_gene, Windows) and name in self.by_gene:
            return self.by_gene.layout(name)
        entry = self.gene(name)
        return entry.carriers, entry.tile_distance

    def digest(self) -> str:
        """SHA-256 of all windows: of their features, of who carries what, and of where the tiles stand."""
        if self.sha256:
            return self.sha256
        digest = hashlib.sha256(b"float32")
        for entry in self.by_gene.values():
            _digest(digest, entry)
        return digest.hexdigest()

    def tile_bounds(self, gene: str, tss: int, strand: str) -> np.ndarray:
        """Where the tiles of a gene's window stand.

        Args:
            gene: Name of the gene.
            tss: Position of its TSS base, bp, 0-based.
            strand: `+` or `-`.

        Returns:
            (T, 2) int64, start and end of each tile on the reference, bp, 0-based half-open, in reference order.
        """
        distance = self.layout(gene)[1].astype(np.float64)
        lengths = np.array(self.tile_lengths or [self.tile_length] * len(distance))
        if strand == "-":
            distance, lengths = -distance, lengths[::-1]
        start = np.rint(tss + distance - (lengths - 1) / 2).astype(np.int64)
        return np.stack([start, start + lengths], axis=1)

    def save(self, path: Path | str, precision: str = "float32") -> None:
        """Write the store as one safetensors file.

        Args:
            path: The file.
            precision: `float32`, or `float16`: the tiles of the reference haplotype are kept in float32, all others as scaled
                differences from the reference tile at their place in float16. What differs between people is so known to
                0.05 % of the difference, however small it is beside the feature itself.
        """
        if not self.by_gene:
            raise UserError("There is no window to store features of.")
        # Twice window by window, for not all of them need fit into memory: first how large it all becomes.
        digest, counts, greatest = hashlib.sha256(precision.encode()), [], np.zeros(0, np.float32)
        highest = 0
        for entry in self.by_gene.values():
            _digest(digest, entry)
            base, other = _bases(entry, precision)
            counts.append((len(entry.rows), int((~other).sum()), len(entry.index)))
            differences = np.abs(entry.rows[other] - entry.rows[base[other]]).max(axis=0, initial=0.0)
            greatest = np.maximum(greatest, differences) if len(greatest) else differences
            highest = max(highest, int(entry.index.max()))
        _, exponent = np.frexp(greatest / GREATEST_DIFFERENCE)
        scale = np.where(greatest > 0, np.ldexp(np.float32(1), exponent), 1).astype(np.float32)
        rows, full, haplotypes = (sum(numbers) for numbers in zip(*counts, strict=True))
        genes, tiles = len(self.by_gene), entry.index.shape[1]
        # Two bytes suffice for nearly every window.
        shapes: dict[str, tuple[type[np.generic], tuple[int, ...]]] = {
            "full": (np.float32, (full, len(scale))),
            "differences": (np.float16, (rows - full, len(scale))),
            "scale": (np.float32, scale.shape),
            "row_counts": (np.int64, (genes,)),
            "full_counts": (np.int64, (genes,)),
            "index": (np.uint16 if highest < 2**16 else np.int32, (haplotypes, tiles)),
            "haplotype_counts": (np.int64, (genes,)),
            "carriers": (np.int32, (genes, *entry.carriers.shape)),
            "tile_distance": (np.float32, (genes, tiles)),
            "tracks": (np.float32, (haplotypes, len(self.track_names))),
        }
        about = {
            "genes": self.genes,
            "people": self.people,
            "feature_names": self.feature_names,
            "tile_length": self.tile_length,
            "tile_lengths": self.tile_lengths,
            "extractor": self.extractor,
            "weights": self.weights,
            "track_names": self.track_names,
            "head": self.head,
            "precision": precision,
            "sha256": digest.hexdigest(),
        }
        with new_arrays(path, shapes, about) as arrays:
            arrays["scale"][:] = scale
            arrays["row_counts"][:], arrays["full_counts"][:], arrays["haplotype_counts"][:] = zip(*counts, strict=True)
            at = {"full": 0, "differences": 0, "index": 0, "tracks": 0}
            for number, entry in enumerate(self.by_gene.values()):
                base, other = _bases(entry, precision)
                parts = {
                    "full": entry.rows[~other],
                    "differences": ((entry.rows[other] - entry.rows[base[other]]) / scale).astype(np.float16),
                    "index": entry.index,
                    "tracks": self.tracks.get(entry.gene, np.empty((len(entry.index), 0), dtype=np.float32)),
                }
                for name, part in parts.items():
                    arrays[name][at[name] : at[name] + len(part)] = part
                    at[name] += len(part)
                arrays["carriers"][number], arrays["tile_distance"][number] = entry.carriers, entry.tile_distance

    @classmethod
    def load(cls, path: Path | str) -> "FeatureStore":
        """Open a store. Its windows are read when they are asked for; features come out in float32.

        Raises:
            UserError: if the file is absent, truncated or no feature store.
        """
        file = ArrayFile(path, "feature store", (*SMALL, *LARGE))
        about, small = file.about, {name: file.whole(name) for name in SMALL}
        number = {gene: i for i, gene in enumerate(about["genes"])}
        start = {
            name: np.concatenate([[0], np.cumsum(small[name])]) for name in ("row_counts", "full_counts", "haplotype_counts")
        }

        def read(gene: str) -> GeneFeatures:
            i = number[gene]
            row, full, haplotype = (start[name][i : i + 2] for name in ("row_counts", "full_counts", "haplotype_counts"))
            index = file.part("index", *haplotype).astype(np.int32)
            rows = np.empty((row[1] - row[0], file.shape("full")[1]), dtype=np.float32)
            gene_features = GeneFeatures(gene, rows, index, small["carriers"][i], small["tile_distance"][i])
            base, other = _bases(gene_features, about["precision"])
            rows[~other] = file.part("full", *full)
            rows[other] = rows[base[other]] + file.part("differences", *(row - full)) * small["scale"]
            return gene_features

        names = [(identity, name, pool) for identity, name, pool in about["feature_names"]]
        tracks = {}
        if about["track_names"]:
            tracks = dict(zip(about["genes"], np.split(small["tracks"], start["haplotype_counts"][1:-1]), strict=True))
        return cls(
            about["people"],
            names,
            about["tile_length"],
            about["extractor"],
            Windows(about["genes"], read, lambda gene: (small["carriers"][number[gene]], small["tile_distance"][number[gene]])),
            about["tile_lengths"],
            about["weights"],
            about["track_names"],
            tracks,
            about["sha256"],
            about.get("head", {}),
        )

    @classmethod
    def load_all(cls, paths: list[Path] | list[str]) -> "FeatureStore":
        """Read the stores of several contigs as one.

        Raises:
            UserError: if they disagree in people, features, weights or tiles.
        """
        stores = [cls.load(path) for path in paths]
        for path, store in zip(paths, stores, strict=True):
            if store._kind != stores[0]._kind:
                raise UserError(
                    f"The feature stores {paths[0]} and {path} differ in people, features or tile length: compute both again."
                )
        return cls.merge(stores)

    @classmethod
    def merge(cls, stores: list["FeatureStore"]) -> "FeatureStore":
        """Stores of the same people and kind of features, but different genes, as one."""
        owner = {gene: store for store in stores for gene in store.by_gene}
        return replace(
            stores[0],
            by_gene=Windows(owner, lambda gene: owner[gene].by_gene[gene], lambda gene: owner[gene].layout(gene)),
            sha256=_joined([store.sha256 for store in stores]),
            tracks={gene: tracks for store in stores for gene, tracks in store.tracks.items()},
        )

    @property
    def _kind(self) -> tuple[object, ...]:
        """What stores must have in common to be read as one."""
        return (self.people, self.feature_names, self.tile_length, self.tile_lengths, self.extractor, self.weights, self.head)


def _bases(entry: GeneFeatures, precision: str) -> tuple[np.ndarray, np.ndarray]:
    """From which row of a window each row is stored as a difference.

    Args:
        entry: The window; of its features the number alone counts.
        precision: `float16`: the row of the reference haplotype's tile at the same place; `float32`: none.

    Returns:
        (R,) int64, the row itself where it is stored whole; (R,) bool, whether it is a difference.
    """
    own = np.arange(len(entry.rows))
    base = own.copy()
    if precision == "float16":
        base[entry.index.ravel()] = np.broadcast_to(entry.index[0], entry.index.shape).ravel()
        base[entry.index[0]] = entry.index[0]
    return base, base != own


def _joined(digests: list[str]) -> str:
    """The checksum of several stores by their own; empty, so that it is computed when it is asked for, if one has none."""
    return hashlib.sha256("".join(digests).encode()).hexdigest() if all(digests) else ""


def _digest(digest: "hashlib._Hash", entry: GeneFeatures) -> None:
    """Add a window, its name included, to a checksum."""
    digest.update(entry.gene.encode())
    for array in (entry.rows, entry.index, entry.carriers, entry.tile_distance):
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
