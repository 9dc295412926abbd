"""A split of genes that does not leak: whole blocks of neighbours, and no overlap of windows between two splits."""

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from gta.cohort.settings import CohortSettings
from gta.errors import UserError

#: How many random assignments of blocks are compared.
N_DRAWS = 200

TRAIN, VALID, TEST = 0, 1, 2
SPLITS = ("train", "valid", "test")
#: Split of the genes that have no expression: they are predicted, and take no part in training and evaluation.
UNMEASURED = "unmeasured"


def cut_into_blocks(contigs: pd.Series, n_blocks: int) -> npt.NDArray[np.int64]:
    """Cut sorted genes into contiguous blocks of about equal number; no block spans two contigs.

    Each contig gets one block; each further block goes to the contig whose blocks are the largest.

    Args:
        contigs: Contig of each gene, sorted by contig and TSS.
        n_blocks: How many; more if there are more contigs, fewer if there are fewer genes.

    Returns:
        Block of each gene, from 0, ascending.
    """
    sizes = contigs.groupby(contigs, sort=False).size().to_numpy()
    n_of = np.ones(len(sizes), dtype=np.int64)
    while n_of.sum() < min(n_blocks, len(contigs)):
        n_of[np.argmax(np.where(n_of < sizes, sizes / n_of, 0))] += 1
    lengths = [len(part) for size, n in zip(sizes, n_of, strict=True) for part in np.array_split(np.empty(size), n)]
    return np.repeat(np.arange(len(lengths)), lengths)


def overlaps(
    contigs: npt.NDArray[np.int64], tss: npt.NDArray[np.int64], others: npt.NDArray[np.bool_], window_length: int
) -> npt.NDArray[np.bool_]:
    """Which genes' windows overlap the window of one of `others`.

    Windows of one length overlap where their TSS are less than that length apart, on one contig.

    Args:
        contigs: Number of each gene's contig.
        tss: Position of each gene's TSS.
        others: Which genes they are compared with.
        window_length: Length of every window in bp.
    """
    # Contigs are laid out one behind the other, a window apart, so that one sorted search serves them all.
    places = contigs * (tss.max(initial=0) + window_length + 1) + tss
    theirs = np.sort(places[others])
    if not len(theirs):
        return np.zeros(len(places), dtype=bool)
    after = np.searchsorted(theirs, places)
    right = theirs[np.minimum(after, len(theirs) - 1)]
    left = theirs[np.maximum(after - 1, 0)]
    return np.minimum(np.abs(right - places), np.abs(left - places)) < window_length


def _draw(sizes: npt.NDArray[np.int64], targets: dict[int, float], generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Assign blocks in random order: to test, then to valid, as long as that brings the split nearer to its number of genes."""
    assigned = np.full(len(sizes), TRAIN)
    n_genes = dict.fromkeys(targets, 0)
    for block in generator.permutation(len(sizes)):
        for split, target in targets.items():
            if not n_genes[split] or abs(n_genes[split] + sizes[block] - target) <= abs(n_genes[split] - target):
                assigned[block] = split
                n_genes[split] += sizes[block]
                break
    return assigned


def _draws(
    sizes: npt.NDArray[np.int64], targets: dict[int, float], generator: np.random.Generator
) -> list[npt.NDArray[np.int64]]:
    """The distinct ones of `N_DRAWS` assignments, in the order of drawing; none where there are fewer blocks than splits.

    Args:
        sizes: Genes of each block.
        targets: Genes wanted in each split but train.
        generator: Draws the order of the blocks.
    """
    if len(sizes) < len(targets) + 1:
        return []
    draws = (_draw(sizes, targets, generator) for _ in range(N_DRAWS))
    return list({assigned.tobytes(): assigned for assigned in draws}.values())


def _leaks(
    split: npt.NDArray[np.int64], contigs: npt.NDArray[np.int64], tss: npt.NDArray[np.int64], window_length: int
) -> npt.NDArray[np.bool_]:
    """Which genes are dropped: valid ones whose window overlaps that of a test gene, train ones that overlap either's."""
    test = split == TEST
    leaks = (split == VALID) & overlaps(contigs, tss, test, window_length)
    held_out = test | ((split == VALID) & ~leaks)
    return leaks | ((split == TRAIN) & overlaps(contigs, tss, held_out, window_length))


def _best_split(
    splits: Iterable[npt.NDArray[np.int64]],
    leaks_of: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.bool_]],
    missed: Callable[[npt.NDArray[np.int64]], float],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]] | None:
    """The split that loses the fewest genes, leaking or missed, of those that leave genes everywhere; the first of equal ones.

    Args:
        splits: (genes,) split of each gene.
        leaks_of: Gives the genes that a split drops.
        missed: Gives by how many genes the splits miss their fractions, from the number of genes in each.

    Returns:
        The split and the genes that it drops; None if there is none.
    """
    best: tuple[float, npt.NDArray[np.int64], npt.NDArray[np.bool_]] | None = None
    for split in splits:
        leaks = leaks_of(split)
        counts = np.bincount(split[~leaks], minlength=len(SPLITS))
        if not counts.all():
            continue
        lost = leaks.sum() + missed(counts)
        if best is None or lost < best[0]:
            best = (lost, split, leaks)
    return None if best is None else best[1:]


def split_genes(
    genes: pd.DataFrame, settings: CohortSettings, seed: int, log: Callable[[str], None]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Split genes into train, valid and test by whole blocks, and drop what would leak.

    A train gene whose window overlaps the window of a valid or test gene is dropped, and so is a valid gene whose window
    overlaps that of a test gene. Of `N_DRAWS` random assignments of blocks, the one is taken that loses the fewest genes, where
    every gene by which the valid or the test split misses its fraction counts as lost too.

    Args:
        genes: `gene contig tss`, sorted by contig and TSS.
        settings: `window_length gene_blocks valid_genes test_genes`.
        seed: Seed of the draws.
        log: Takes a line of progress.

    Returns:
        The genes that are kept, with `block` and `split`; and gene -> reason of the others.

    Raises:
        UserError: if there is no assignment that leaves genes in every split.
    """
    block = cut_into_blocks(genes["contig"], settings.gene_blocks)
    sizes = np.bincount(block)
    contigs, tss = pd.factorize(genes["contig"])[0].astype(np.int64), genes["tss"].to_numpy(dtype=np.int64)
    fractions = {TEST: settings.test_genes, VALID: settings.valid_genes}
    targets = {which: fraction * len(genes) for which, fraction in fractions.items()}
    generator = np.random.default_rng([seed, 2])
    best = _best_split(
        (assigned[block] for assigned in _draws(sizes, targets, generator)),
        lambda split: _leaks(split, contigs, tss, settings.window_length),
        lambda counts: sum(abs(counts[which] - fraction * counts.sum()) for which, fraction in fractions.items()),
    )
    if best is None:
        raise UserError(
            f"{len(genes)} genes in {len(sizes)} blocks cannot be split into train, valid and test with windows of"
            f" {settings.window_length} bp that do not overlap between them: change gene_blocks (at least 3),"
            " lower window_length, or add genes."
        )
    split, leaks = best
    kept = _kept(genes, block, split, leaks, len(sizes), log)
    return kept, _leak_reasons(genes["gene"], contigs, tss, split, leaks, settings.window_length)


def split_around(
    genes: pd.DataFrame, held_out: npt.NDArray[np.bool_], settings: CohortSettings, seed: int, log: Callable[[str], None]
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Split the genes outside of a fold into train and valid by whole blocks; the genes of the fold are the split test.

    Genes are dropped as by `split_genes`, and the assignment of blocks is chosen as there; test genes are never dropped.

    Args:
        genes: `gene contig tss`, sorted by contig and TSS.
        held_out: (genes,), which genes the fold holds out.
        settings: `window_length gene_blocks valid_genes`; `valid_genes` is a fraction of the genes outside of the fold.
        seed: Seed of the draws.
        log: Takes a line of progress.

    Returns:
        The genes that are kept, with `block` (the same in every fold) and `split`; and gene -> reason of the others.

    Raises:
        UserError: if there is no assignment that leaves genes for training and for validation.
    """
    block = cut_into_blocks(genes["contig"], settings.gene_blocks)
    contigs, tss = pd.factorize(genes["contig"])[0].astype(np.int64), genes["tss"].to_numpy(dtype=np.int64)
    others, place = np.unique(block[~held_out], return_inverse=True)

    def around(assigned: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        split = np.full(len(genes), TEST)
        split[~held_out] = assigned[place]
        return split

    draws = _draws(np.bincount(place), {VALID: settings.valid_genes * len(place)}, np.random.default_rng([seed, 2]))
    best = _best_split(
        map(around, draws),
        lambda split: _leaks(split, contigs, tss, settings.window_length),
        lambda counts: abs(counts[VALID] - settings.valid_genes * (counts[TRAIN] + counts[VALID])),
    )
    if best is None:
        raise UserError(
            f"The {len(place)} genes outside of a fold, in {len(others)} blocks, cannot be split into train and valid with"
            f" windows of {settings.window_length} bp that do not overlap between them: raise gene_blocks, lower the number of"
            " folds or window_length, or add genes."
        )
    split, leaks = best
    kept = _kept(genes, block, split, leaks, int(block.max()) + 1, log)
    return kept, _leak_reasons(genes["gene"], contigs, tss, split, leaks, settings.window_length)


def _kept(
    genes: pd.DataFrame,
    block: npt.NDArray[np.int64],
    split: npt.NDArray[np.int64],
    leaks: npt.NDArray[np.bool_],
    n_blocks: int,
    log: Callable[[str], None],
) -> pd.DataFrame:
    """The genes that do not leak, with `block` and `split`; their numbers are told."""
    kept = genes.assign(block=block, split=np.array(SPLITS)[split])[~leaks].reset_index(drop=True)
    n_of = {name: int((kept["split"] == name).sum()) for name in SPLITS}
    log(
        f"genes: {n_blocks} blocks; "
        + ", ".join(f"{n} {name} ({n / len(kept):.0%})" for name, n in n_of.items())
        + f"; {leaks.sum()} dropped because their windows overlap those of another split"
    )
    return kept


def _leak_reasons(
    names: pd.Series,
    contigs: npt.NDArray[np.int64],
    tss: npt.NDArray[np.int64],
    split: npt.NDArray[np.int64],
    leaks: npt.NDArray[np.bool_],
    window_length: int,
) -> dict[str, str]:
    """gene -> which split its window overlaps; test is named before valid."""
    by_test = overlaps(contigs, tss, split == TEST, window_length)
    return {
        name: f"{SPLITS[own]} gene whose window overlaps that of a {'test' if test else 'valid'} gene"
        for name, own, test in zip(names[leaks], split[leaks], by_test[leaks], strict=True)
    }
