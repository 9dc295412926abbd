"""Regime across genes: are unseen genes put in the right order by their level?

Predicted and observed expression are averaged over the held-out people and correlated over the genes of the test split; and the
same for each person alone. This is the regime of published numbers near 0.6. It says little of the differences between people.
"""

import numpy as np
from numpy.typing import NDArray

from gta.evaluation.correlation import Floats, constant_rows, dot_rows, unit_ranks, unit_rows
from gta.evaluation.estimates import Estimate
from gta.evaluation.resampling import (
    bootstrap_counts,
    generator,
    permutations,
    permuted_correlations,
    resampled_pearson,
    resampled_spearman,
)
from gta.evaluation.settings import EvaluationSettings

#: Purposes of random streams, apart from those of other regimes.
_BOOTSTRAP, _PERMUTATION = (0, 0), (0, 1)

METRICS = ("spearman", "pearson", "median_person_spearman")


def profiles(values: Floats) -> Floats:
    """Levels over genes: the mean over people first, then each person: (..., genes, people) to (..., 1 + people, genes)."""
    people = np.swapaxes(values, -1, -2)
    return np.concatenate([people.mean(axis=-2, keepdims=True), people], axis=-2)


def person_correlations(observed: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Spearman and Pearson correlation over genes for each person.

    Args:
        observed: (genes, people).
        predicted: (genes, people).

    Returns:
        Two arrays (people,); NaN where the correlation is undefined because a side is constant.
    """
    truth, guess = observed.T, predicted.T
    undefined = constant_rows(truth) | constant_rows(guess)
    spearman = dot_rows(unit_ranks(truth), unit_ranks(guess))
    pearson = dot_rows(unit_rows(truth), unit_rows(guess))
    return np.where(undefined, np.nan, spearman), np.where(undefined, np.nan, pearson)


def estimate(observed: Floats, predicted: Floats, settings: EvaluationSettings, seed: int) -> dict[str, Estimate]:
    """The metrics of the regime with bootstrap over genes and a null of permuted genes.

    Args:
        observed: (genes, people), natural-log units.
        predicted: (seeds, genes, people).
        settings: Numbers of resamples and permutations.
        seed: Of all random draws.

    Returns:
        `spearman` and `pearson` of the levels averaged over people; `median_person_spearman`, the median over people of each
        person's Spearman correlation. All are computed for each seed and averaged over seeds.
    """
    truth, guess = profiles(observed), profiles(predicted)
    true_ranks, ranks = unit_ranks(truth), unit_ranks(guess)
    true_level, level = unit_rows(truth[:1]), unit_rows(guess[:, :1])

    orders = permutations(observed.shape[0], settings.permutations, generator(seed, *_PERMUTATION))
    by_rank = list(permuted_correlations(true_ranks, ranks, orders))
    null = {
        "spearman": np.concatenate([block[..., 0].mean(axis=1) for block in by_rank]),
        "pearson": np.concatenate([block[..., 0].mean(axis=1) for block in permuted_correlations(true_level, level, orders)]),
        "median_person_spearman": np.concatenate([np.median(block[..., 1:], axis=2).mean(axis=1) for block in by_rank]),
    }

    spearman = dot_rows(true_ranks, ranks)
    value = {
        "spearman": spearman[:, 0].mean(),
        "pearson": dot_rows(true_level, level).mean(),
        "median_person_spearman": np.median(spearman[:, 1:], axis=1).mean(),
    }
    undefined = constant_rows(truth) | constant_rows(guess)
    constant = {
        "spearman": undefined[:, 0].max(),
        "pearson": undefined[:, 0].max(),
        "median_person_spearman": undefined[:, 1:].sum(axis=1).max(),
    }
    draws = _draws(truth, guess, settings, seed)
    return {metric: Estimate(float(value[metric]), draws[metric], null[metric], int(constant[metric])) for metric in METRICS}


def _draws(truth: Floats, guess: Floats, settings: EvaluationSettings, seed: int) -> dict[str, Floats]:
    """Bootstrap draws (bootstraps,) of each metric; `truth` (1 + people, genes) and `guess` (seeds, 1 + people, genes)."""
    blocks: dict[str, list[Floats]] = {metric: [] for metric in METRICS}
    for counts in bootstrap_counts(truth.shape[-1], settings.bootstraps, generator(seed, *_BOOTSTRAP)):
        spearman = np.array([[resampled_spearman(x, y, counts) for x, y in zip(rows, truth, strict=True)] for rows in guess])
        blocks["spearman"].append(spearman[:, 0].mean(axis=0))
        blocks["median_person_spearman"].append(np.median(spearman[:, 1:], axis=1).mean(axis=0))
        blocks["pearson"].append(np.mean([resampled_pearson(rows[0], truth[0], counts) for rows in guess], axis=0))
    return {metric: np.concatenate(parts) for metric, parts in blocks.items()}


def level_draws(observed: Floats, predicted: Floats, settings: EvaluationSettings, seed: int) -> tuple[float, Floats]:
    """Spearman correlation of levels averaged over people, meaned over seeds: its value and its bootstrap draws.

    The draws of two models on the same genes are paired: the same resamples of the genes. Shapes as `estimate`.
    """
    truth, guess = observed.mean(axis=-1), predicted.mean(axis=-1)
    value = float(dot_rows(unit_ranks(truth), unit_ranks(guess)).mean())
    blocks: list[NDArray[np.float64]] = [
        np.mean([resampled_spearman(level, truth, counts) for level in guess], axis=0)
        for counts in bootstrap_counts(len(truth), settings.bootstraps, generator(seed, *_BOOTSTRAP))
    ]
    return value, np.concatenate(blocks)
