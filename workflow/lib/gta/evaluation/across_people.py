"""Regimes across people: for one gene, are people who were not in training put in the right order?

The correlation is taken gene by gene across the held-out people, then summarised over genes. Genes are those of training
(`seen_genes_unseen_people`) or those of the test split (`unseen_genes_unseen_people`).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gta.evaluation.correlation import Floats, constant_rows, dot_rows, p_values, unit_ranks, unit_rows
from gta.evaluation.estimates import Estimate
from gta.evaluation.resampling import bootstrap_indices, generator, permuted_correlations
from gta.evaluation.settings import EvaluationSettings

#: Purposes of random streams, apart from those of other regimes. The permutations are the same for every model.
_BOOTSTRAP, PERMUTATION = (1, 0), (1, 1)


def _share_negative(correlations: Floats) -> Floats:
    """Share of negative correlations along the last axis; a constant prediction's 0 is not negative."""
    return np.asarray((correlations < -1e-12).mean(axis=-1))


def _median(correlations: Floats) -> Floats:
    return np.asarray(np.median(correlations, axis=-1))


def _mean(correlations: Floats) -> Floats:
    return np.asarray(correlations.mean(axis=-1))


#: Summaries over genes: (..., genes) to (...).
METRICS: dict[str, Callable[[Floats], Floats]] = {
    "mean_spearman": _mean,
    "median_spearman": _median,
    "share_negative": _share_negative,
}


def gene_correlations(observed: Floats, predicted: Floats) -> tuple[Floats, Floats, Floats]:
    """Spearman correlation, Pearson correlation and two-sided p-value of the former across people, gene by gene.

    Args:
        observed: (genes, people).
        predicted: (genes, people).

    Returns:
        Three arrays (genes,); NaN where the correlation is undefined because a side is constant. The p-value is that of
        `scipy.stats.spearmanr`, see `gta.evaluation.correlation.p_values`.
    """
    undefined = constant_rows(observed) | constant_rows(predicted)
    spearman = dot_rows(unit_ranks(observed), unit_ranks(predicted))
    pearson = dot_rows(unit_rows(observed), unit_rows(predicted))
    p = p_values(spearman, observed.shape[1])
    return np.where(undefined, np.nan, spearman), np.where(undefined, np.nan, pearson), np.where(undefined, np.nan, p)


def spearman(observed: Floats, predicted: Floats) -> Floats:
    """Spearman correlation across people by seed and gene: (genes, people) and (seeds, genes, people) to (seeds, genes)."""
    return dot_rows(unit_ranks(observed), unit_ranks(predicted))


def estimate(
    observed: Floats, predicted: Floats, orders: NDArray[np.intp], settings: EvaluationSettings, seed: int
) -> dict[str, Estimate]:
    """The metrics of a regime across people, with bootstrap over genes and a null of permuted people.

    Args:
        observed: (genes, people), natural-log units.
        predicted: (seeds, genes, people).
        orders: (permutations, people), from `gta.evaluation.resampling.permutations_within`: the same for all genes, so that the
            null keeps the correlation between genes, and within populations, so that it keeps differences between populations.
        settings: Number of resamples.
        seed: Of the bootstrap.

    Returns:
        `mean_spearman`, `median_spearman` and `share_negative` over genes, computed for each seed and averaged over seeds. A
        constant prediction counts as a correlation of 0.
    """
    true_ranks, ranks = unit_ranks(observed), unit_ranks(predicted)
    null = np.concatenate(
        [
            [metric(correlations).mean(axis=1) for metric in METRICS.values()]
            for correlations in permuted_correlations(true_ranks, ranks, orders)
        ],
        axis=1,
    )
    correlations = dot_rows(true_ranks, ranks)
    blocks = [
        [metric(correlations[:, drawn]).mean(axis=0) for metric in METRICS.values()]
        for drawn in bootstrap_indices(len(observed), settings.bootstraps, generator(seed, *_BOOTSTRAP))
    ]
    draws = np.concatenate(blocks, axis=1)
    n_constant = int((constant_rows(observed) | constant_rows(predicted)).sum(axis=-1).max())
    return {
        name: Estimate(float(metric(correlations).mean()), draws[index], null[index], n_constant)
        for index, (name, metric) in enumerate(METRICS.items())
    }


def difference(first: Floats, second: Floats, settings: EvaluationSettings, seed: int) -> dict[str, tuple[float, Floats]]:
    """Paired difference of two models' correlations over the same genes: value and bootstrap draws over genes.

    Args:
        first: (seeds, genes) Spearman correlations across people.
        second: The same of the other model; its number of seeds may differ.
        settings: Number of resamples.
        seed: Of the bootstrap.

    Returns:
        `median_difference` and `mean_difference` of (mean over seeds of first) - (mean over seeds of second).
    """
    differences = first.mean(axis=0) - second.mean(axis=0)
    blocks = [
        differences[drawn] for drawn in bootstrap_indices(len(differences), settings.bootstraps, generator(seed, *_BOOTSTRAP))
    ]
    return {
        "mean_difference": (float(_mean(differences)), np.concatenate([_mean(block) for block in blocks])),
        "median_difference": (float(_median(differences)), np.concatenate([_median(block) for block in blocks])),
    }
