"""Building the feature store of one contig: one pass of the extractor per distinct tile sequence."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from gta.errors import UserError
from gta.features.motifs import MotifExtractor, load_motifs
from gta.features.settings import FeatureSettings
from gta.features.store import FeatureStore, GeneFeatures
from gta.haplotypes import PanelSet, Reference


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


def scan(extractor: MotifExtractor, sequences: np.ndarray, batch_tiles: int) -> np.ndarray:
    """Features of distinct tile sequences, in batches.

    Args:
        extractor: The feature extractor.
        sequences: (R, T + 2 * margin) uint8.
        batch_tiles: Tiles per batch.

    Returns:
        (R, F) float32.
    """
    parts = [extractor(sequences[at : at + batch_tiles]) for at in range(0, len(sequences), batch_tiles)]
    return np.concatenate(parts)


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
        The store, and a table of how many passes of the extractor de-duplication saved, per gene.

    Raises:
        UserError: if the tile length does not divide the windows' length.
    """
    length = int(genes["window_end"].iloc[0] - genes["window_start"].iloc[0])
    if length % settings.tile_length:
        raise UserError(
            f"features.tile_length: {settings.tile_length} bp does not divide the window of {length} bp; choose a divisor of it."
        )
    tiles = length // settings.tile_length
    extractor = MotifExtractor(load_motifs(settings.jaspar_release, settings.factors))
    by_gene: dict[str, GeneFeatures] = {}
    account = []
    for gene in tqdm(genes.itertuples(), total=len(genes), desc="windows", file=sys.stderr, mininterval=5):
        panel = panels.panel(str(gene.gene))
        sequences, index = panel.tiles(reference, settings.tile_length, extractor.margin)
        rows = scan(extractor, sequences, settings.batch_tiles)
        distance = tile_distances(int(gene.window_start), int(gene.tss), str(gene.strand), tiles, settings.tile_length)
        by_gene[panel.gene] = GeneFeatures(panel.gene, rows, index, panel.carriers, distance)
        carried = int((panel.carriers >= 0).sum())
        account.append(
            {
                "gene": panel.gene,
                "n_haplotypes": carried,
                "n_distinct_haplotypes": len(np.unique(panel.carriers[panel.carriers >= 0])),
                "n_tiles": tiles,
                "tile_length": settings.tile_length,
                "n_distinct_tiles": len(sequences),
                "passes_without_deduplication": carried * tiles,
            }
        )
    store = FeatureStore(list(panels.people), extractor.feature_names, settings.tile_length, extractor.name, by_gene)
    return store, pd.DataFrame(account)


def write_feature_names(store: FeatureStore, path: Path) -> None:
    """Write what each feature column is, as TSV."""
    names = pd.DataFrame(store.feature_names, columns=["matrix_id", "name", "pool"])
    names.insert(0, "feature", np.arange(len(names)))
    names.to_csv(path, sep="\t", index=False)
