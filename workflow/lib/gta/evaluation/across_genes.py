"""Regime across genes: are unseen genes put in the right order by their level?

Predicted and observed expression are averaged over the held-out people and correlated over the genes of the test split; and the
same for each person alone. This is the regime of published numbers near 0.6. It says little of the differences between people.
"""

import numpy as np

from gta.evaluation import pooled
from gta.evaluation.across_people import Difference
from gta.evaluation.correlation import Floats, constant_rows, dot_rows, explained, unit_ranks, unit_rows
from gta.evaluation.estimates import Estimate, over_seeds
from gta.evaluation.resampling import (
    Singles,
    bootstrap_counts,
    bootstrap_indices,
    generator,
    permutations,
    permuted_correlations,
    resampled_moments,
    resampled_spearman,
)
from gta.evaluation.settings import EvaluationSettings

#: Purposes of random streams, apart from those of other regimes.
_BOOTSTRAP, _PERMUTATION, _PEOPLE = (0, 0), (0, 1), (0, 2)

METRICS = ("spearman", "pearson", "r2", "median_person_spearman", *pooled.METRICS)


def person_correlations(observed: Floats, predicted: Floats) -> tuple[Floats, Floats, Floats]:
    """Spearman correlation, Pearson correlation and R2 over genes for each person.

    Args:
        observed: (genes, people).
        predicted: (genes, people).

    Returns:
        Three arrays (people,); NaN where the correlation is undefined because a side is constant.
    """
    truth, guess = observed.T, predicted.T
    undefined = constant_rows(truth) | constant_rows(guess)
    values = (
        dot_rows(unit_ranks(truth), unit_ranks(guess)),
        dot_rows(unit_rows(truth), unit_rows(guess)),
        explained(truth, guess),
    )
    first, second, third = (np.where(undefined, np.nan, value) for value in values)
    return first, second, third


def score(observed: Floats, predicted: Floats, settings: EvaluationSettings, seed: int) -> dict[str, Estimate]:
    """The metrics of the regime with bootstraps over genes and over people, and a null of permuted genes.

    Args:
        observed: (genes, people), natural-log units.
        predicted: (seeds, genes, people).
        settings: Numbers of resamples and permutations.
        seed: Of all random draws. Models that are scored on the same genes and people meet the same resamples.

    Returns:
        `spearman`, `pearson` and `r2` of the levels averaged over people; `median_person_spearman`, the median over people of
        each person's Spearman correlation; and the metrics of `gta.evaluation.pooled`. All are computed for each seed and
        averaged over seeds.
    """
    return over_seeds([_estimates(observed, guess, settings, seed) for guess in predicted])


def level_estimate(observed: Floats, guess: Floats, settings: EvaluationSettings, seed: int) -> dict[str, Estimate]:
    """`spearman`, `pearson` and `r2` of levels averaged over people, of one seed; `observed` and `guess` (genes, people)."""
    genes = bootstrap_counts(observed.shape[0], settings.bootstraps, generator(seed, *_BOOTSTRAP))
    people = bootstrap_counts(observed.shape[1], settings.bootstraps, generator(seed, *_PEOPLE))
    orders = permutations(len(observed), settings.permutations, generator(seed, *_PERMUTATION))
    level, guessed = observed.mean(axis=1)[None], guess.mean(axis=1)[None]
    constant = int((constant_rows(level) | constant_rows(guessed))[0])
    null_spearman = permuted_correlations(unit_ranks(level), unit_ranks(guessed)[None], orders)[0, 0]
    null_pearson = permuted_correlations(unit_rows(level), unit_rows(guessed)[None], orders)[0, 0]
    spearman, pearson, r2 = (
        float(value[0])
        for value in (
            dot_rows(unit_ranks(level), unit_ranks(guessed)),
            dot_rows(unit_rows(level), unit_rows(guessed)),
            explained(level, guessed),
        )
    )
    # Permutations change nothing of R2 but the correlation, which enters times the ratio of the standard deviations.
    spread = guessed.std() / level.std() if level.std() > 0 else 0.0
    null_r2 = r2 + 2.0 * spread * (null_pearson - pearson)
    moments = resampled_moments(level, guessed, genes, level=True)
    drawn = [_resampled_levels(values, people) for values in (observed, guess)]
    resampled = resampled_spearman(level, guessed[None], genes)[0, 0].astype(np.float64)
    return {
        "spearman": Estimate(spearman, resampled, dot_rows(*map(unit_ranks, drawn)), null_spearman, constant),
        "pearson": Estimate(pearson, moments[0][0], dot_rows(*map(unit_rows, drawn)), null_pearson, constant),
        "r2": Estimate(r2, moments[1][0], explained(*drawn), null_r2, constant),
    }


def _estimates(observed: Floats, guess: Floats, settings: EvaluationSettings, seed: int) -> dict[str, Estimate]:
    """The metrics of one seed; `observed` and `guess` (genes, people)."""
    genes = bootstrap_counts(observed.shape[0], settings.bootstraps, generator(seed, *_BOOTSTRAP))
    people = bootstrap_counts(observed.shape[1], settings.bootstraps, generator(seed, *_PEOPLE))
    orders = permutations(len(observed), settings.permutations, generator(seed, *_PERMUTATION))
    person = dot_rows(unit_ranks(observed.T), unit_ranks(guess.T))
    by_person = resampled_spearman(observed.T, guess.T[None], genes)[0]
    null = permuted_correlations(unit_ranks(observed.T), unit_ranks(guess.T)[None], orders)[0]
    drawn = bootstrap_indices(observed.shape[1], settings.bootstraps, generator(seed, *_PEOPLE))
    median = Estimate(
        float(np.median(person)),
        np.median(by_person, axis=0).astype(np.float64),
        np.concatenate([np.median(person[block], axis=1) for block in drawn]),
        np.median(null, axis=0),
        int((constant_rows(observed.T) | constant_rows(guess.T)).sum()),
    )
    levels = level_estimate(observed, guess, settings, seed)
    pairs = pooled.estimate(observed, guess, genes, people, orders, "genes")
    return {**levels, "median_person_spearman": median, **pairs}


def _resampled_levels(values: Floats, people: Singles) -> Floats:
    """Means over people in each resample of them: (genes, people) and (people, B) to (B, genes)."""
    return np.asarray((values @ people / people.sum(axis=0)).T)


def difference(observed: Floats, first: Floats, second: Floats, settings: EvaluationSettings, seed: int) -> Difference:
    """Paired difference of two models' Spearman correlations of levels over the same genes and people: first - second.

    Args:
        observed: (genes, people), natural-log units.
        first: (seeds, genes, people).
        second: The same of the other model; its number of seeds may differ.
        settings: Number of resamples.
        seed: Of the bootstraps.
    """
    a, b = (over_seeds([level_estimate(observed, guess, settings, seed) for guess in guesses]) for guesses in (first, second))
    one, other = a["spearman"], b["spearman"]
    return Difference(one.value - other.value, one.over_genes - other.over_genes, one.over_people - other.over_people)
