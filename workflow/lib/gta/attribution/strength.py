"""Which genes an attribution is shown of first."""

import pandas as pd


def gene_strength(tiles: pd.DataFrame) -> pd.Series:
    """Return how much a model tells individuals apart by each gene or, if it does not, how much tiles change its prediction.

    Args:
        tiles: `gene personal deletion`, one row per tile.

    Returns:
        Gene to the sum of `personal` or, if that is 0 in all genes, of absolute `deletion`.
    """
    measure = "personal" if tiles["personal"].any() else "deletion"
    return tiles[measure].abs().groupby(tiles["gene"], sort=False).sum()
