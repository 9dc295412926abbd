"""Building the feature store of one contig: each distinct piece of sequence is scanned once."""

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from gta.errors import UserError
from gta.features.motifs import MotifExtractor, load_motifs
from gta.features.settings import FeatureSettings
from gta.features.store import FeatureStore, GeneFeatures
from gta.haplotypes import PanelSet, Reference

#: Length of the blocks in which sequence is scanned and de-duplicated, bp. Shorter ones are more often equal between people but
#: scan more context: 128 was fastest on real and simulated windows.
BLOCK = 128
#: Blocks scanned at once; more do not fit a core's cache.
BATCH = 256


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


def tile_features(
    extractor: MotifExtractor, blocks: np.ndarray, block_index: np.ndarray, tile_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """Features of the distinct tiles of a window, from its distinct blocks.

    Args:
        extractor: The feature extractor.
        blocks: (B, L + 2 * margin) uint8, the distinct block sequences.
        block_index: (H, N) int32, for each haplotype and block of the window the row of `blocks`.
        tile_length: Length of a tile, bp.

    Returns:
        Features (R, F) float32 of the distinct tiles, and the index (H, T) int32 of each haplotype's tiles in them.
    """
    block_length = blocks.shape[1] - 2 * extractor.margin
    per_tile = tile_length // block_length
    scanned = torch.cat([extractor.scan(blocks[at : at + BATCH]) for at in range(0, len(blocks), BATCH)])
    patterns = block_index.reshape(len(block_index), -1, per_tile)
    rows: list[np.ndarray] = []
    index = np.empty(patterns.shape[:2], dtype=np.int32)
    total = 0
    for tile in range(patterns.shape[1]):
        distinct, inverse = np.unique(patterns[:, tile], axis=0, return_inverse=True)
        rows.append(extractor.combine(scanned[torch.from_numpy(distinct.astype(np.int64))], block_length))
        index[:, tile] = inverse.ravel() + total
        total += len(distinct)
    return np.concatenate(rows), index


def build_store(
    panels: PanelSet, genes: pd.DataFrame, reference: Reference, settings: FeatureSettings
) -> tuple[FeatureStore, pd.DataFrame]:
    """The feature store of a contig's windows, and its account.

    Args:
        panels: Haplotype panels of the contig.
        genes: Rows of `cohort/genes.tsv` of this contig.
        reference: Reader of the reference sequence.
        settings: The stage's settings.

    Returns:
        The store, and a table of how much scanning de-duplication saved, per gene.

    Raises:
        UserError: if there is no window, or the tile length does not divide the windows' length.
    """
    if genes.empty:
        raise UserError(f"The cohort has no gene on contig {panels.contig} as it was given: check --contig and --haplotypes.")
    length = int(genes["window_end"].iloc[0] - genes["window_start"].iloc[0])
    if length % settings.tile_length:
        raise UserError(
            f"features.tile_length: {settings.tile_length} bp does not divide the window of {length} bp; choose a divisor of it."
        )
    extractor = MotifExtractor(load_motifs(settings.jaspar_release, settings.factors))
    by_gene: dict[str, GeneFeatures] = {}
    account = []
    for gene in tqdm(genes.itertuples(), total=len(genes), desc="windows", file=sys.stderr, mininterval=5):
        panel = panels.panel(str(gene.gene))
        # Blocks are walked from their own left edges: with indels they would not add up to the tile.
        has_indels = any(len(alt) != len(ref) for ref, alts in zip(panel.refs, panel.alts, strict=True) for alt in alts)
        block_length = settings.tile_length if has_indels else math.gcd(settings.tile_length, BLOCK)
        blocks, block_index = panel.tiles(reference, block_length, extractor.margin)
        rows, index = tile_features(extractor, blocks, block_index, settings.tile_length)
        tiles = index.shape[1]
        distance = tile_distances(int(gene.window_start), int(gene.tss), str(gene.strand), tiles, settings.tile_length)
        by_gene[panel.gene] = GeneFeatures(panel.gene, rows, index, panel.carriers, distance)
        carried = panel.carriers[panel.carriers >= 0]
        account.append(
            {
                "gene": panel.gene,
                "n_haplotypes": len(carried),
                "n_distinct_haplotypes": len(np.unique(carried)),
                "n_tiles": tiles,
                "tile_length": settings.tile_length,
                "n_distinct_tiles": len(rows),
                "tiles_without_deduplication": len(carried) * tiles,
                "scanned_kb": len(blocks) * block_length / 1000,
                "scanned_kb_without_deduplication": len(carried) * length / 1000,
            }
        )
    store = FeatureStore(list(panels.people), extractor.feature_names, settings.tile_length, extractor.name, by_gene)
    return store, pd.DataFrame(account)


def write_feature_names(store: FeatureStore, path: Path) -> None:
    """Write what each feature column is, as TSV."""
    names = pd.DataFrame(store.feature_names, columns=["matrix_id", "name", "pool"])
    names.insert(0, "feature", np.arange(len(names)))
    names.to_csv(path, sep="\t", index=False)
