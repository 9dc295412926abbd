"""Windows read whole: each distinct haplotype sequence once."""

import numpy as np
import pandas as pd
import torch

from gta.errors import UserError
from gta.features.extractor import GeneExtractor, WindowExtractor
from gta.features.passes import Passes
from gta.features.sequences import reverse_complement
from gta.features.tiles import BuiltWindow, distinct, has_indels
from gta.haplotypes import Panel, PanelSet, Reference

#: Longest tiles by which haplotypes are told apart, bp.
COARSEST = 4096


class RememberingReference(Reference):
    """A reference that keeps the last interval it read: all haplotypes of a window are made from the same one."""

    _last: tuple[tuple[str, int, int], np.ndarray] | None = None

    def fetch(self, contig: str, start: int, end: int) -> np.ndarray:
        """Bases of an interval, as `Reference.fetch` gives them; not to be written to."""
        key = (contig, start, end)
        if self._last is None or self._last[0] != key:
            self._last = (key, super().fetch(contig, start, end))
        return self._last[1]


class WindowWork:
    """How an extractor that reads one long sequence goes about windows.

    Attributes:
        extractor: The extractor.
        length: Length of what it reads, bp.
        tile_length: Length of its shortest tile, bp.
        tile_lengths: Lengths of its tiles in the gene's direction, bp; empty if they are equal.
        track_names: Names of its own predictions.
        head: What turns its features into its prediction; empty if it was not trained on the study.
    """

    def __init__(self, extractor: WindowExtractor, panels: PanelSet, reference: Reference, length: int):
        # The TSS base stands at half of the window; on the minus strand up and down change places.
        before, behind = length // 2, length - length // 2
        up, down = extractor.upstream, extractor.downstream
        wanted = [(up, down), (down - 1, up + 1)] if extractor.gene_direction else [(up, down)]
        if any(left > before or right > behind for left, right in wanted):
            needed = 2 * max(max(left, right) for left, right in wanted)
            raise UserError(
                f"features.extractor: {extractor.name} reads {up} bp before the TSS and {down} bp from it on, which the window of"
                f" {length} bp does not hold; choose a cohort.window_length of at least {needed} bp."
            )
        self.extractor = extractor
        self.length = up + down
        lengths = np.diff(extractor.tile_edges)
        self.tile_length = int(lengths.min())
        self.tile_lengths = [] if (lengths == self.tile_length).all() else lengths.tolist()
        self.track_names = extractor.track_names
        self.head = extractor.head if isinstance(extractor, GeneExtractor) else {}
        self._panels = panels
        self._reference = RememberingReference(reference.path)
        self._middle = before
        self._grain = max(part for part in range(1, min(length, COARSEST) + 1) if length % part == 0)

    def _alike(self, panel: Panel, start: int) -> tuple[np.ndarray, np.ndarray]:
        """Haplotypes that are alike where the extractor reads: the first of each kind, and the kind of each.

        They are told apart by the tiles there, which is quicker than by their sequences. With insertions and deletions what
        stands there depends on the way from the TSS, too, and all haplotypes are taken for different.
        """
        if has_indels(panel):
            every = np.arange(max(1, int(panel.carriers.max()) + 1))
            return every, every
        _, index = panel.tiles(self._reference, self._grain)
        return distinct(index[:, start // self._grain : -(-(start + self.length) // self._grain)])

    def _sequences(self, gene: pd.Series) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distinct sequences as the extractor reads them, the one of each haplotype, and the carriers of the haplotypes."""
        panel = self._panels.panel(str(gene["gene"]))
        reversed_ = self.extractor.gene_direction and gene["strand"] == "-"
        start = self._middle - (self.extractor.downstream - 1 if reversed_ else self.extractor.upstream)
        first, kind = self._alike(panel, start)
        numbers: dict[bytes, int] = {}
        of_kind = np.empty(len(first), dtype=np.int64)
        for number, haplotype in enumerate(first.tolist()):
            sequence = panel.sequence(haplotype, self._reference)[start : start + self.length]
            of_kind[number] = numbers.setdefault(sequence.tobytes(), len(numbers))
        index = of_kind[kind]
        sequences = np.frombuffer(b"".join(numbers), dtype=np.uint8).reshape(len(numbers), self.length)
        if reversed_:
            sequences = reverse_complement(torch.tensor(sequences)).numpy()
        return sequences, index, panel.carriers

    def count(self, gene: pd.Series) -> tuple[int, int, int, int]:
        """Passes of a window with and without de-duplication, its distinct tiles (at the most), and the entries of its index."""
        sequences, index, carriers = self._sequences(gene)
        tiles = len(self.extractor.tile_edges) - 1
        return len(sequences), int((carriers >= 0).sum()), len(sequences) * tiles, len(index) * tiles

    def read(self, genes: list[pd.Series], passes: Passes) -> list[BuiltWindow]:
        """Features of windows, their sequences read in common batches.

        Args:
            genes: Rows of `cohort/genes.tsv`.
            passes: Runs the batches.
        """
        windows = [self._sequences(gene) for gene in genes]
        features, tracks = passes.run(self.extractor.read, np.concatenate([sequences for sequences, _, _ in windows]))
        built = []
        at = 0
        for gene, (sequences, index, carriers) in zip(genes, windows, strict=True):
            own = slice(at, at + len(sequences))
            at += len(sequences)
            of_gene = features[own], tracks[own]
            if isinstance(self.extractor, GeneExtractor):
                of_gene = self.extractor.of_gene(str(gene["gene"]), features[own])
            rows, tile_index = self._rows(of_gene[0].numpy(), index, bool(gene["strand"] == "-"))
            of_haplotype = of_gene[1].numpy()[index] if self.track_names else None
            distance = self._distances(str(gene["strand"]))
            built.append(BuiltWindow(rows, tile_index, carriers, distance, sequences.size, of_haplotype))
        return built

    def _rows(self, features: np.ndarray, index: np.ndarray, minus: bool) -> tuple[np.ndarray, np.ndarray]:
        """Distinct tiles of a window and their index, in reference order.

        Features of a tile that are equal in several sequences are stored once: most networks see a variant nearby only.
        """
        if minus and self.extractor.gene_direction:
            features = features[:, ::-1]
        rows: list[np.ndarray] = []
        tile_index = np.empty((len(index), features.shape[1]), dtype=np.int32)
        total = 0
        for tile in range(features.shape[1]):
            first, inverse = distinct(features[:, tile])
            rows.append(features[first, tile])
            tile_index[:, tile] = inverse[index] + total
            total += len(first)
        return np.concatenate(rows), tile_index

    def _distances(self, strand: str) -> np.ndarray:
        """Signed distance from the TSS to each tile's centre in the gene's direction, tiles in reference order; float32, bp."""
        edges = self.extractor.tile_edges
        centres = (edges[:-1] + edges[1:] - 1) / 2 - self.extractor.upstream
        if strand == "-":
            centres = centres[::-1] if self.extractor.gene_direction else -centres
        return centres.astype(np.float32)
