"""Folds of genes for cross-validation within the training genes."""

import numpy as np
import pandas as pd

#: Folds of a cross-validation over training genes, where nothing else is asked for.
FOLDS = 10


def contiguous_folds(genes: pd.DataFrame, numbers: np.ndarray, folds: int = FOLDS) -> list[np.ndarray]:
    """Divide genes into folds that are contiguous along the genome.

    The windows of neighbouring genes overlap, and neighbours are often regulated together: at random they would be on both sides
    of a split.

    Args:
        genes: `cohort/genes.tsv`, with the columns `contig` and `tss`.
        numbers: (n,) numbers of the genes to divide, rows of `genes`.
        folds: Number of folds; as many as genes, if these are fewer.

    Returns:
        The fold of each gene, as arrays of indices into `numbers`, ascending; every index is in one of them.
    """
    chosen = genes.iloc[numbers].reset_index(drop=True)
    order = chosen.sort_values(["contig", "tss"], kind="stable").index.to_numpy()
    return [np.sort(part) for part in np.array_split(order, min(folds, len(numbers)))]
