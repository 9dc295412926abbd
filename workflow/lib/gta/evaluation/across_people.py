"""Regimes across people: for one gene, are people who were not in training put in the right order?

The correlation is taken gene by gene across the held-out people, then summarised over genes. Genes are those of training
(`seen_genes_unseen_people`) or those of the test split (`unseen_genes_unseen_people`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gta.evaluation import pooled
from gta.evaluation.correlation import Floats, centred_rows, constant_rows, dot_rows, explained, p_values, unit_ranks, unit_rows
from gta.evaluation.estimates import Estimate, over_seeds
from gta.evaluation.resampling import (
    Singles,
    bootstrap_counts,
    bootstrap_indices,
    generator,
    one_sided_ps,
    permuted_correlations,
    permuted_sums,
    q_values,
    resampled_moments,
    resampled_spearman,
)
from gta.evaluation.settings import EvaluationSettings

#: Purposes of random streams, apart from those of other regimes. The permutations are the same for every model.
_BOOTSTRAP, PERMUTATION, _PEOPLE = (1, 0), (1, 1), (1, 2)


def _share_negative(correlations: Floats) -> Floats:
    """Share of negative correlations along the last axis; a constant prediction's 0 is not negative."""
    return np.asarray((correlations < -1e-12).mean(axis=-1))


def _median(correlations: Floats) -> Floats:
    return np.asarray(np.median(correlations, axis=-1))


def _mean(correlations: Floats) -> Floats:
    return np.asarray(correlations.mean(axis=-1))


#: Summaries of Spearman correlations over genes: (..., genes) to (...).
_SUMMARIES: dict[str, Callable[[Floats], Floats]] = {
    "mean_spearman": _mean,
    "median_spearman": _median,
    "share_negative": _share_negative,
}

METRICS = (*_SUMMARIES, "mean_pearson", "mean_r2", *pooled.METRICS)


def gene_correlations(observed: Floats, predicted: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Spearman correlation, Pearson correlation, R2 and two-sided p-value of the first across people, gene by gene.

    Args:
        observed: (genes, people).
        predicted: (genes, people).

    Returns:
        Four arrays (genes,); NaN where the correlation is undefined because a side is constant. R2 is of the deviations from the
        gene's mean, see `gta.evaluation.correlation.explained`. The p-value is that of `scipy.stats.spearmanr`, see
        `gta.evaluation.correlation.p_values`.
    """
    undefined = constant_rows(observed) | constant_rows(predicted)
    spearman = dot_rows(unit_ranks(observed), unit_ranks(predicted))
    pearson = dot_rows(unit_rows(observed), unit_rows(predicted))
    r2 = explained(centred_rows(observed), centred_rows(predicted))
    values = (spearman, pearson, r2, p_values(spearman, observed.shape[1]))
    first, second, third, fourth = (np.where(undefined, np.nan, value) for value in values)
    return first, second, third, fourth


@dataclass(frozen=True)
class GeneScores:
    """What a model scores on every gene of a regime, for each of its seeds.

    Attributes:
        spearman: (seeds, genes); NaN where undefined, as all below.
        pearson: (seeds, genes).
        r2: (seeds, genes).
        p_value: (seeds, genes), of scipy.
        p_permutation: (seeds, genes), one-sided, from permutations of people.
        q_value: (seeds, genes), the same by Benjamini and Hochberg over the genes.
        low: (seeds, genes), lower bound of the bootstrap interval of the Spearman correlation over people.
        high: (seeds, genes), its upper bound.
        draws: (genes, bootstraps) float32, Spearman correlation in each resample of the people, meaned over seeds.
        null: (genes, permutations) float32, the same for each permutation of the people.
        estimates: The metrics of the regime.
    """

    spearman: Floats
    pearson: Floats
    r2: Floats
    p_value: Floats
    p_permutation: Floats
    q_value: Floats
    low: Floats
    high: Floats
    draws: Singles
    null: Singles
    estimates: dict[str, Estimate]

    @property
    def mean_spearman(self) -> Floats:
        """(genes,): Spearman correlation meaned over seeds, an undefined one as 0."""
        return np.asarray(np.nan_to_num(self.spearman).mean(axis=0))


def score(observed: Floats, predicted: Floats, orders: NDArray[np.intp], settings: EvaluationSettings, seed: int) -> GeneScores:
    """Score every gene, and summarise over genes.

    Args:
        observed: (genes, people), natural-log units.
        predicted: (seeds, genes, people).
        orders: (permutations, people), from `gta.evaluation.resampling.permutations_within`: the same for all genes, so that the
            null keeps the correlation between genes, and within populations, so that it keeps differences between populations.
        settings: Number of resamples.
        seed: Of the bootstraps. Models that are scored on the same genes and people meet the same resamples.

    Returns:
        Scores of the genes, and the metrics: `mean_spearman`, `median_spearman`, `share_negative`, `mean_pearson` and `mean_r2`
        over genes, and those of `gta.evaluation.pooled` on deviations from each gene's mean. They are computed for each seed and
        averaged over seeds. A constant prediction counts as a correlation of 0.
    """
    genes, people = observed.shape
    drawn_people = bootstrap_counts(people, settings.bootstraps, generator(seed, *_PEOPLE))
    drawn_genes = bootstrap_counts(genes, settings.bootstraps, generator(seed, *_BOOTSTRAP))
    columns, estimates = [], []
    mean_draws = np.zeros((genes, settings.bootstraps), dtype=np.float32)
    mean_null = np.zeros((genes, len(orders)), dtype=np.float32)
    for guess in predicted:
        draws = resampled_spearman(observed, guess[None], drawn_people)[0]
        null = permuted_correlations(unit_ranks(observed), unit_ranks(guess)[None], orders)[0]
        spearman, pearson, r2, p_value = gene_correlations(observed, guess)
        p = np.where(np.isnan(spearman), np.nan, one_sided_ps(np.nan_to_num(spearman), null))
        margin = (1.0 - settings.confidence) / 2.0
        low, high = np.where(np.isnan(spearman), np.nan, np.quantile(draws, [margin, 1.0 - margin], axis=1))
        columns.append((spearman, pearson, r2, p_value, p, q_values(p), low, high))
        estimates.append(_estimates(observed, guess, draws, null, drawn_genes, drawn_people, orders, settings, seed))
        mean_draws += draws / np.float32(len(predicted))
        mean_null += null.astype(np.float32) / np.float32(len(predicted))
    spearman, pearson, r2, p_value, p, q, low, high = np.array(columns).swapaxes(0, 1)
    return GeneScores(spearman, pearson, r2, p_value, p, q, low, high, mean_draws, mean_null, over_seeds(estimates))


def _estimates(
    observed: Floats,
    guess: Floats,
    draws: Singles,
    null: Floats,
    drawn_genes: Singles,
    drawn_people: Singles,
    orders: NDArray[np.intp],
    settings: EvaluationSettings,
    seed: int,
) -> dict[str, Estimate]:
    """The metrics of one seed; `guess` (genes, people), `draws` (genes, bootstraps), `null` (genes, permutations)."""
    spearman = dot_rows(unit_ranks(observed), unit_ranks(guess))
    resampled = np.concatenate(
        [
            [summary(spearman[drawn]) for summary in _SUMMARIES.values()]
            for drawn in bootstrap_indices(len(observed), settings.bootstraps, generator(seed, *_BOOTSTRAP))
        ],
        axis=1,
    )
    n_constant = int((constant_rows(observed) | constant_rows(guess)).sum())
    estimates = {
        name: Estimate(float(summary(spearman)), over_genes, summary(draws.T.astype(np.float64)), summary(null.T), n_constant)
        for (name, summary), over_genes in zip(_SUMMARIES.items(), resampled, strict=True)
    }
    x, y = centred_rows(observed), centred_rows(guess)
    pearson, r2 = dot_rows(unit_rows(x), unit_rows(y)), explained(x, y)
    pearson_draws, r2_draws = resampled_moments(x, y, drawn_people, level=False)
    # The mean over genes is linear in the sums of products, so the null needs no pass over genes.
    null_pearson = permuted_sums(unit_rows(x), unit_rows(y), orders) / len(x)
    total = np.where(constant_rows(observed), np.inf, (x * x).sum(axis=1))
    null_r2 = (2.0 * permuted_sums(x / total[:, None], y, orders) - ((y * y).sum(axis=1) / total).sum()) / len(x)
    share = drawn_genes / np.float32(len(x))
    estimates["mean_pearson"] = Estimate(
        float(pearson.mean()), pearson @ share, pearson_draws.mean(axis=0), null_pearson, n_constant
    )
    estimates["mean_r2"] = Estimate(float(r2.mean()), r2 @ share, r2_draws.mean(axis=0), null_r2, n_constant)
    return estimates | pooled.estimate(x, y, drawn_genes, drawn_people, orders, "people")


@dataclass(frozen=True)
class Difference:
    """A difference between two models: its value, and its bootstrap draws over genes and over people."""

    value: float
    over_genes: Floats
    over_people: Floats


def difference(
    first: Floats, second: Floats, first_draws: Singles, second_draws: Singles, settings: EvaluationSettings, seed: int
) -> dict[str, Difference]:
    """Paired difference of two models' correlations over the same genes and people.

    Args:
        first: (genes,) Spearman correlations across people, meaned over seeds.
        second: The same of the other model.
        first_draws: (genes, bootstraps), the same in each resample of the people.
        second_draws: The same of the other model, in the same resamples.
        settings: Number of resamples.
        seed: Of the bootstrap over genes.

    Returns:
        `mean_difference` and `median_difference` over genes of first - second.
    """
    differences, by_people = first - second, (first_draws - second_draws).T.astype(np.float64)
    blocks = [
        differences[drawn] for drawn in bootstrap_indices(len(differences), settings.bootstraps, generator(seed, *_BOOTSTRAP))
    ]
    return {
        name: Difference(
            float(summary(differences)),
            np.concatenate([summary(block) for block in blocks]),
            summary(by_people),
        )
        for name, summary in (("mean_difference", _mean), ("median_difference", _median))
    }
