"""The three regimes: numbers by hand, and nulls that are what they claim to be."""

import numpy as np
import pytest
from scipy import stats

from gta.evaluation import across_genes, across_people
from gta.evaluation.resampling import generator, permutations_within
from gta.evaluation.settings import EvaluationSettings

QUICK = EvaluationSettings(bootstraps=100, permutations=99)


def test_across_people_by_hand() -> None:
    observed = np.array([[1, 2, 3, 4, 5], [1, 2, 3, 4, 5], [5, 1, 4, 2, 3]], dtype=float)
    # one exchange of neighbours: 1 - 6 * 2 / (5 * 24) = 0.9; the reverse order: -1; no prediction: undefined, counts as 0
    predicted = np.array([[[1, 2, 3, 5, 4], [5, 4, 3, 2, 1], [7, 7, 7, 7, 7]]], dtype=float)
    orders = permutations_within(["unknown"] * 5, QUICK.permutations, generator(1, 0))
    result = across_people.score(observed, predicted, orders, QUICK, seed=1).estimates
    assert result["mean_spearman"].value == pytest.approx(-0.1 / 3)
    assert result["median_spearman"].value == pytest.approx(0.0)
    assert result["share_negative"].value == pytest.approx(1 / 3)
    assert result["mean_spearman"].n_constant == 1
    # errors of the first gene are 1 and -1, of the second 4, 2, 0, -2, -4, around variances of 10; the third predicts its mean
    assert result["mean_r2"].value == pytest.approx(((1 - 2 / 10) + (1 - 40 / 10) + 0) / 3)
    spearman, pearson, r2, p = across_people.gene_correlations(observed, predicted[0])
    assert spearman[:2] == pytest.approx([0.9, -1.0])
    assert r2[:2] == pytest.approx([0.8, -3.0])
    assert np.isnan([spearman[2], pearson[2], r2[2], p[2]]).all()


def test_seeds_are_scored_apart_and_averaged() -> None:
    observed = np.tile(np.arange(5.0), (3, 1))
    predicted = np.stack([observed, -observed])
    orders = permutations_within(["unknown"] * 5, QUICK.permutations, generator(1, 0))
    result = across_people.score(observed, predicted, orders, QUICK, seed=1).estimates
    assert result["mean_spearman"].value == pytest.approx(0.0)
    assert result["share_negative"].value == pytest.approx(0.5)


def test_across_genes_by_hand() -> None:
    # levels over people are 1, 2, 3, 4; predicted levels 1, 3, 2, 4: 1 - 6 * 2 / (4 * 15) = 0.8
    observed = np.array([[0, 2], [1, 3], [2, 4], [3, 5]], dtype=float)
    predicted = np.array([[[1, 1], [3, 3], [2, 2], [4, 4]]], dtype=float)
    result = across_genes.score(observed, predicted, QUICK, seed=1)
    assert result["spearman"].value == pytest.approx(0.8)
    assert result["median_person_spearman"].value == pytest.approx(0.8)
    assert result["pearson"].value == pytest.approx(np.corrcoef([1, 2, 3, 4], [1, 3, 2, 4])[0, 1])
    spearman, _, _ = across_genes.person_correlations(observed, predicted[0])
    assert spearman == pytest.approx([0.8, 0.8])


def test_the_difference_of_a_model_from_a_constant_is_its_own_estimate() -> None:
    rng = np.random.default_rng(5)
    observed, predicted = rng.normal(size=(30, 6)), rng.normal(size=(2, 30, 6))
    difference = across_genes.difference(observed, predicted, np.zeros((1, 30, 6)), QUICK, seed=3)
    estimate = across_genes.score(observed, predicted, QUICK, seed=3)["spearman"]
    assert difference.value == pytest.approx(estimate.value)
    assert difference.over_genes == pytest.approx(estimate.over_genes)
    assert difference.over_people == pytest.approx(estimate.over_people)


def test_a_constant_level_is_counted_and_scores_zero() -> None:
    observed = np.random.default_rng(0).normal(size=(6, 4))
    result = across_genes.score(observed, np.full((1, 6, 4), 0.1), QUICK, seed=1)
    correlations = [name for name in across_genes.METRICS if not name.endswith("r2")]
    assert {name: result[name].value for name in correlations} == dict.fromkeys(correlations, 0.0)
    assert result["r2"].value == pytest.approx(1 - ((observed.mean(axis=1) - 0.1) ** 2).sum() / (6 * observed.mean(axis=1).var()))
    assert result["spearman"].n_constant == 1
    assert result["median_person_spearman"].n_constant == 4
    assert result["spearman"].row("spearman", QUICK)["p_value"] == 1.0


def _structured(rng: np.random.Generator, n_genes: int, populations: np.ndarray) -> np.ndarray:
    """Expression without any link to predictions: factors shared between genes, and levels that differ by population."""
    people = len(populations)
    factors = rng.normal(size=(n_genes, 2)) @ rng.normal(size=(2, people))
    by_population = rng.normal(size=(n_genes, populations.max() + 1))[:, populations]
    return factors + by_population + 0.5 * rng.normal(size=(n_genes, people))


def test_null_across_people_is_uniform_in_spite_of_correlated_genes_and_populations() -> None:
    populations = np.repeat([0, 1], 10)
    tests = EvaluationSettings(bootstraps=20, permutations=99)
    p_values: dict[str, list[float]] = {}
    of_genes = []
    for replicate in range(200):
        rng = np.random.default_rng([11, replicate])
        observed = _structured(rng, 15, populations)
        # predictions share the differences between populations: that alone must not look like skill
        predicted = _structured(rng, 15, populations) + 2.0 * np.array([[0.0], [1.0]])[populations].T
        observed = observed + 2.0 * np.array([[0.0], [1.0]])[populations].T
        orders = permutations_within(list(populations), tests.permutations, generator(replicate, 0))
        scores = across_people.score(observed, predicted[None], orders, tests, seed=replicate)
        for metric, estimate in scores.estimates.items():
            p_values.setdefault(metric, []).append(float(estimate.row(metric, tests)["p_value"]))
        of_genes.append(scores.p_permutation[0])
    for metric, values in p_values.items():
        if metric != "share_negative":  # it takes few values, so its p-values are too large: conservative
            assert stats.kstest(values, "uniform").pvalue > 0.01, metric
        assert 0.01 <= np.mean(np.array(values) <= 0.05) <= 0.09, metric
    # genes of one replicate share people, so the first gene alone is independent of replicate to replicate
    assert stats.kstest(np.array(of_genes)[:, 0], "uniform").pvalue > 0.01
    assert np.mean(of_genes) == pytest.approx(0.5, abs=0.03)


def test_null_across_genes_is_uniform() -> None:
    tests = EvaluationSettings(bootstraps=20, permutations=99)
    p_values: dict[str, list[float]] = {metric: [] for metric in across_genes.METRICS}
    for replicate in range(200):
        rng = np.random.default_rng([12, replicate])
        level = rng.normal(size=(12, 1))
        observed = level + 0.1 * rng.normal(size=(12, 5))
        predicted = rng.normal(size=(1, 12, 1)) + 0.1 * rng.normal(size=(1, 12, 5))
        for metric, estimate in across_genes.score(observed, predicted, tests, seed=replicate).items():
            p_values[metric].append(float(estimate.row(metric, tests)["p_value"]))
    for metric, values in p_values.items():
        assert stats.kstest(values, "uniform").pvalue > 0.01, metric


def test_few_negative_correlations_are_the_good_end() -> None:
    rng = np.random.default_rng(1)
    observed = rng.normal(size=(40, 12))
    orders = permutations_within(["unknown"] * 12, QUICK.permutations, generator(1, 0))
    good = across_people.score(observed, observed[None] + 0.1, orders, QUICK, seed=1).estimates["share_negative"]
    row = good.row("share_negative", QUICK)
    assert row["value"] == 0.0
    assert row["p_value"] == pytest.approx(1 / 100)
    assert row["null_high"] < row["null_mean"]


def test_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    rng = np.random.default_rng(2)
    observed = rng.normal(size=(200, 10))
    predicted = (observed + rng.normal(size=(200, 10)))[None]
    tests = EvaluationSettings(bootstraps=2000, permutations=20)
    orders = permutations_within(["unknown"] * 10, 20, generator(1, 0))
    scores = across_people.score(observed, predicted, orders, tests, seed=1)
    row, correlations = scores.estimates["mean_spearman"].row("mean_spearman", tests), scores.spearman[0]
    error = 1.96 * correlations.std() / np.sqrt(200)
    assert row["ci_low"] == pytest.approx(correlations.mean() - error, abs=0.1 * error)
    assert row["ci_high"] == pytest.approx(correlations.mean() + error, abs=0.1 * error)


def test_interval_over_people_of_a_gene_covers_the_correlation_of_the_population() -> None:
    # normal pairs of Pearson correlation 0.5 have a Spearman correlation of 6 / pi * asin(0.25)
    rng = np.random.default_rng(8)
    observed = rng.normal(size=(400, 60))
    predicted = 0.5 * observed + np.sqrt(0.75) * rng.normal(size=(400, 60))
    tests = EvaluationSettings(bootstraps=400, permutations=20)
    orders = permutations_within(["unknown"] * 60, 20, generator(1, 0))
    scores = across_people.score(observed, predicted[None], orders, tests, seed=1)
    truth = 6 / np.pi * np.arcsin(0.25)
    covered = ((scores.low[0] <= truth) & (truth <= scores.high[0])).mean()
    assert 0.90 <= covered <= 0.97  # a percentile interval of 60 people covers a little less than 95 %


def test_paired_difference_by_hand() -> None:
    first, second = np.array([0.6, 0.3, 0.2]), np.array([0.1, 0.2, 0.4])
    draws = np.tile(np.array([[0.5], [0.0], [0.0]], dtype=np.float32), (1, QUICK.bootstraps))
    result = across_people.difference(first, second, draws, np.zeros_like(draws), QUICK, seed=1)
    assert result["mean_difference"].value == pytest.approx((0.5 + 0.1 - 0.2) / 3)
    assert result["median_difference"].value == pytest.approx(0.1)
    assert set(np.round(result["median_difference"].over_genes, 6)) <= {0.5, 0.1, -0.2}
    assert result["mean_difference"].over_people == pytest.approx(np.full(QUICK.bootstraps, 0.5 / 3))


def test_two_models_that_differ_by_chance_have_an_interval_around_zero_and_paired_people_make_it_narrow() -> None:
    rng = np.random.default_rng(9)
    observed = rng.normal(size=(50, 40))
    shared = 0.5 * observed + rng.normal(size=(50, 40))
    orders = permutations_within(["unknown"] * 40, 20, generator(1, 0))
    a, b = (across_people.score(observed, (shared + 0.1 * rng.normal(size=(50, 40)))[None], orders, QUICK, 1) for _ in range(2))
    result = across_people.difference(a.mean_spearman, b.mean_spearman, a.draws, b.draws, QUICK, seed=1)["mean_difference"]
    low, high = np.quantile(result.over_people, [0.025, 0.975])
    assert low < 0 < high
    assert high - low < 0.3 * np.ptp(np.quantile(a.estimates["mean_spearman"].over_people, [0.025, 0.975]))
