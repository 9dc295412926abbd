"""Folds of genes are contiguous along the genome, whatever the order of the table."""

import numpy as np
import pandas as pd

from gta.cohort.folds import contiguous_folds


def test_folds_are_contiguous_and_hold_every_gene_once() -> None:
    genes = pd.DataFrame({"contig": ["2", "1", "2", "1", "1", "2"], "tss": [50, 9, 10, 100, 20, 30]})
    numbers = np.array([5, 1, 2, 3, 4])
    folds = contiguous_folds(genes, numbers, 2)
    # Along the genome: 1:9 (row 1), 1:20 (row 4), 1:100 (row 3), 2:10 (row 2), 2:30 (row 5).
    assert [set(numbers[fold].tolist()) for fold in folds] == [{1, 4, 3}, {2, 5}]


def test_there_are_no_more_folds_than_genes() -> None:
    genes = pd.DataFrame({"contig": ["1"] * 3, "tss": [1, 2, 3]})
    assert [fold.tolist() for fold in contiguous_folds(genes, np.arange(3), 10)] == [[0], [1], [2]]
