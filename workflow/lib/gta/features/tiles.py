"""Windows read tile by tile: each distinct block of sequence once."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from gta.errors import UserError
from gta.features.extractor import TileExtractor
from gta.features.passes import Passes
from gta.haplotypes import Panel, PanelSet, Reference


@dataclass(frozen=True)
class BuiltWindow:
    """Features of one window.

    Attributes:
        rows: (R, F) float32, features of the distinct tiles.
        index: (H, T) int32, the row of each haplotype and tile, in reference order.
        carriers: (P, 2) int32, the haplotypes of each person.
        tile_distance: (T,) float32, signed distance from the TSS to each tile's centre in the gene's direction, bp.
        read_bases: Bases that the extractor read, without margins.
        tracks: (H, K) float32, the extractor's own predictions; None if it makes none.
    """

    rows: np.ndarray
    index: np.ndarray
    carriers: np.ndarray
    tile_distance: np.ndarray
    read_bases: int
    tracks: np.ndarray | None = None


def tile_distances(window_start: int, tss: int, strand: str, tiles: int, tile_length: int) -> np.ndarray:
    """Signed distance from the TSS to the centre of each tile, in the gene's direction.

    Args:
        window_start: First base of the window, bp, 0-based.
        tss: Position of the TSS base, bp, 0-based.
        strand: `+` or `-`.
        tiles: Number of tiles, T.
        tile_length: Length of a tile, bp.

    Returns:
        (T,) float32, bp; negative upstream of the gene.
    """
    centres = window_start + np.arange(tiles) * tile_length + (tile_length - 1) / 2
    return ((centres - tss) * (1 if strand == "+" else -1)).astype(np.float32)


def distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rows of a table, as bytes.

    Args:
        rows: (N, W), of any type.

    Returns:
        The number of the first of each kind, and for each row its kind.
    """
    contiguous = np.ascontiguousarray(rows)
    keys = contiguous.view(np.dtype((np.void, contiguous.dtype.itemsize * contiguous.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first, inverse.ravel()


def has_indels(panel: Panel) -> bool:
    """Does a window have an allele whose length is not that of the reference?"""
    return any(len(alt) != len(ref) for ref, alts in zip(panel.refs, panel.alts, strict=True) for alt in alts)


class TileWork:
    """How an extractor that reads tile by tile goes about windows.

    Attributes:
        extractor: The extractor.
        length: Length of a window, bp.
        tile_length: Length of a tile, bp.
        tile_lengths: Empty: all tiles are equally long.
        track_names: Empty: such an extractor makes no prediction of its own.
        head: Empty for the same reason.
    """

    def __init__(self, extractor: TileExtractor, panels: PanelSet, reference: Reference, length: int, tile_length: int):
        if length % tile_length:
            raise UserError(
                f"features.tile_length: {tile_length} bp does not divide the window of {length} bp; choose a divisor of it."
            )
        self.extractor = extractor
        self.length = length
        self.tile_length = tile_length
        self.tile_lengths: list[int] = []
        self.track_names: list[str] = []
        self.head: dict[str, Any] = {}
        self._panels = panels
        self._reference = reference

    def _block_length(self, panel: Panel) -> int:
        # Blocks are walked from their own left edges: with indels they would not add up to the tile.
        return self.tile_length if has_indels(panel) else self.extractor.block_length(self.tile_length)

    def _blocks(self, panel: Panel) -> tuple[np.ndarray, np.ndarray]:
        """Distinct blocks, (B, block length + 2 * margin), and the block of each haplotype and place."""
        return panel.tiles(self._reference, self._block_length(panel), self.extractor.margin)

    def _patterns(self, index: np.ndarray) -> np.ndarray:
        """The blocks of each haplotype and tile, (H, T, blocks per tile)."""
        return index.reshape(len(index), self.length // self.tile_length, -1)

    def count(self, gene: pd.Series) -> tuple[int, int, int, int]:
        """Passes of a window with and without de-duplication, its distinct tiles, and the entries of its index."""
        panel = self._panels.panel(str(gene["gene"]))
        blocks, index = self._blocks(panel)
        patterns = self._patterns(index)
        rows = sum(len(distinct(patterns[:, tile])[0]) for tile in range(patterns.shape[1]))
        entries = len(index) * patterns.shape[1]
        return len(blocks), int((panel.carriers >= 0).sum()) * index.shape[1], rows, entries

    def read(self, genes: list[pd.Series], passes: Passes) -> list[BuiltWindow]:
        """Features of windows, their blocks read in common batches.

        Args:
            genes: Rows of `cohort/genes.tsv`.
            passes: Runs the batches.
        """
        panels = [self._panels.panel(str(gene["gene"])) for gene in genes]
        blocks, indices = zip(*(self._blocks(panel) for panel in panels), strict=True)
        scanned: list[torch.Tensor] = [torch.empty(0)] * len(genes)
        for width in {part.shape[1] for part in blocks}:
            members = [number for number, part in enumerate(blocks) if part.shape[1] == width]
            (result,) = passes.run(
                lambda batch: (self.extractor.scan(batch),), np.concatenate([blocks[number] for number in members])
            )
            for number, part in zip(members, result.split([len(blocks[number]) for number in members]), strict=True):
                scanned[number] = part
        built = []
        for gene, panel, part, own, index in zip(genes, panels, blocks, scanned, indices, strict=True):
            block_length = part.shape[1] - 2 * self.extractor.margin
            rows, tile_index = self._combine(own, index, block_length)
            distance = tile_distances(
                int(gene["window_start"]), int(gene["tss"]), str(gene["strand"]), tile_index.shape[1], self.tile_length
            )
            built.append(BuiltWindow(rows, tile_index, panel.carriers, distance, len(part) * block_length))
        return built

    @torch.inference_mode()
    def _combine(self, scanned: torch.Tensor, index: np.ndarray, block_length: int) -> tuple[np.ndarray, np.ndarray]:
        """Features of the distinct tiles of a window, (R, F) float32, and each haplotype's tiles in them, (H, T) int32."""
        patterns = self._patterns(index)
        rows: list[np.ndarray] = []
        tile_index = np.empty(patterns.shape[:2], dtype=np.int32)
        total = 0
        for tile in range(patterns.shape[1]):
            first, inverse = distinct(patterns[:, tile])
            chosen = torch.from_numpy(patterns[first, tile].astype(np.int64))
            rows.append(self.extractor.combine(scanned[chosen], block_length).numpy())
            tile_index[:, tile] = inverse + total
            total += len(first)
        return np.concatenate(rows), tile_index
