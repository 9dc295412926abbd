"""Folds of genes: within the training genes, and of the whole study."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from gta.cohort.blocks import cut_into_blocks, split_around
from gta.cohort.settings import CohortSettings, FoldSettings
from gta.errors import UserError

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


def chromosome_folds(contigs: pd.Series, number: int, seed: int) -> pd.Series:
    """Assign whole chromosomes to folds of about equal numbers of genes.

    The chromosome with the most genes comes first, and each goes to the fold with the fewest genes; the seed orders chromosomes
    of equal size.

    Args:
        contigs: Contig of each gene.
        number: Number of folds.
        seed: Seed of the order.

    Returns:
        Fold of each gene, from 1, int64, with the index of `contigs`.

    Raises:
        UserError: if there are fewer chromosomes with genes than folds.
    """
    sizes = contigs.value_counts().sort_index()
    if len(sizes) < number:
        raise UserError(
            f"folds: the genes of the cohort are on {len(sizes)} chromosomes, too few for {number} folds of whole chromosomes:"
            " lower cohort.folds.number, or name more contigs."
        )
    order = np.random.default_rng([seed, 3]).permutation(len(sizes))
    order = order[np.argsort(-sizes.to_numpy()[order], kind="stable")]
    load = np.zeros(number, dtype=np.int64)
    fold_of = {}
    for contig in order.tolist():
        fold = int(np.argmin(load))
        load[fold] += sizes.iloc[contig]
        fold_of[sizes.index[contig]] = fold + 1
    return contigs.map(fold_of).astype(np.int64)


def split_folds(
    genes: pd.DataFrame, settings: CohortSettings, folds: FoldSettings, fold: int | None, seed: int, log: Callable[[str], None]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Split genes for a cross-validation: of the whole study, where every gene is held out, or of one of its folds.

    Args:
        genes: `gene contig tss`, sorted by contig and TSS.
        settings: Settings of the cohort.
        folds: Settings of the folds.
        fold: The fold, from 1; None: the whole study, all of whose genes are of the split test.
        seed: Seed of the assignment; the same in all folds.
        log: Takes a line of progress.

    Returns:
        The genes that are kept, with `block`, `split` and `fold` (in which the gene is held out); gene -> reason of the others.

    Raises:
        UserError: if there are too few chromosomes, no such fold, or too few genes outside of it.
    """
    assigned = chromosome_folds(genes["contig"], folds.number, seed)
    if fold is None:
        for each, members in genes["contig"].groupby(assigned):
            log(f"fold {each}: {len(members)} genes of {', '.join(dict.fromkeys(members))}")
        block = cut_into_blocks(genes["contig"], settings.gene_blocks)
        return genes.assign(block=block, split="test", fold=assigned), {}
    if not 1 <= fold <= folds.number:
        raise UserError(f"--fold is {fold}, and there are {folds.number} folds, from 1: name one of them.")
    return split_around(genes.assign(fold=assigned), (assigned == fold).to_numpy(), settings, seed, log)
