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
    result = across_people.estimate(observed, predicted, orders, QUICK, seed=1)
    assert result["mean_spearman"].value == pytest.approx(-0.1 / 3)
    assert result["median_spearman"].value == pytest.approx(0.0)
    assert result["share_negative"].value == pytest.approx(1 / 3)
    assert result["mean_spearman"].n_constant == 1
    spearman, pearson, p = across_people.gene_correlations(observed, predicted[0])
    assert spearman[:2] == pytest.approx([0.9, -1.0])
    assert np.isnan([spearman[2], pearson[2], p[2]]).all()


def test_seeds_are_scored_apart_and_averaged() -> None:
    observed = np.tile(np.arange(5.0), (3, 1))
    predicted = np.stack([observed, -observed])
    orders = permutations_within(["unknown"] * 5, QUICK.permutations, generator(1, 0))
    result = across_people.estimate(observed, predicted, orders, QUICK, seed=1)
    assert result["mean_spearman"].value == pytest.approx(0.0)
    assert result["share_negative"].value == pytest.approx(0.5)


def test_across_genes_by_hand() -> None:
    # levels over people are 1, 2, 3, 4; predicted levels 1, 3, 2, 4: 1 - 6 * 2 / (4 * 15) = 0.8
    observed = np.array([[0, 2], [1, 3], [2, 4], [3, 5]], dtype=float)
    predicted = np.array([[[1, 1], [3, 3], [2, 2], [4, 4]]], dtype=float)
    result = across_genes.estimate(observed, predicted, QUICK, seed=1)
    assert result["spearman"].value == pytest.approx(0.8)
    assert result["median_person_spearman"].value == pytest.approx(0.8)
    assert result["pearson"].value == pytest.approx(np.corrcoef([1, 2, 3, 4], [1, 3, 2, 4])[0, 1])
    spearman, _ = across_genes.person_correlations(observed, predicted[0])
    assert spearman == pytest.approx([0.8, 0.8])


def test_level_draws_agree_with_the_estimate() -> None:
    rng = np.random.default_rng(5)
    observed, predicted = rng.normal(size=(30, 6)), rng.normal(size=(2, 30, 6))
    value, draws = across_genes.level_draws(observed, predicted, QUICK, seed=3)
    estimate = across_genes.estimate(observed, predicted, QUICK, seed=3)["spearman"]
    assert value == estimate.value
    assert draws.tolist() == estimate.draws.tolist()


def test_a_constant_level_is_counted_and_scores_zero() -> None:
    observed = np.random.default_rng(0).normal(size=(6, 4))
    result = across_genes.estimate(observed, np.full((1, 6, 4), 0.1), QUICK, seed=1)
    assert {name: estimate.value for name, estimate in result.items()} == dict.fromkeys(across_genes.METRICS, 0.0)
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
    p_values = []
    for replicate in range(200):
        rng = np.random.default_rng([11, replicate])
        observed = _structured(rng, 15, populations)
        # predictions share the differences between populations: that alone must not look like skill
        predicted = _structured(rng, 15, populations) + 2.0 * np.array([[0.0], [1.0]])[populations].T
        observed = observed + 2.0 * np.array([[0.0], [1.0]])[populations].T
        orders = permutations_within(list(populations), tests.permutations, generator(replicate, 0))
        estimate = across_people.estimate(observed, predicted[None], orders, tests, seed=replicate)["mean_spearman"]
        p_values.append(estimate.row("mean_spearman", tests)["p_value"])
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.09


def test_null_across_genes_is_uniform() -> None:
    tests = EvaluationSettings(bootstraps=20, permutations=99)
    p_values: dict[str, list[float]] = {metric: [] for metric in across_genes.METRICS}
    for replicate in range(200):
        rng = np.random.default_rng([12, replicate])
        level = rng.normal(size=(12, 1))
        observed = level + 0.1 * rng.normal(size=(12, 5))
        predicted = rng.normal(size=(1, 12, 1)) + 0.1 * rng.normal(size=(1, 12, 5))
        for metric, estimate in across_genes.estimate(observed, predicted, tests, seed=replicate).items():
            p_values[metric].append(float(estimate.row(metric, tests)["p_value"]))
    for metric, values in p_values.items():
        assert stats.kstest(values, "uniform").pvalue > 0.01, metric


def test_few_negative_correlations_are_the_good_end() -> None:
    rng = np.random.default_rng(1)
    observed = rng.normal(size=(40, 12))
    orders = permutations_within(["unknown"] * 12, QUICK.permutations, generator(1, 0))
    good = across_people.estimate(observed, observed[None] + 0.1, orders, QUICK, seed=1)["share_negative"]
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
    row = across_people.estimate(observed, predicted, orders, tests, seed=1)["mean_spearman"].row("mean_spearman", tests)
    correlations = across_people.spearman(observed, predicted)[0]
    error = 1.96 * correlations.std() / np.sqrt(200)
    assert row["ci_low"] == pytest.approx(correlations.mean() - error, abs=0.1 * error)
    assert row["ci_high"] == pytest.approx(correlations.mean() + error, abs=0.1 * error)


def test_paired_difference_by_hand() -> None:
    first = np.array([[0.5, 0.3, 0.1], [0.7, 0.3, 0.3]])  # two seeds: 0.6, 0.3, 0.2
    second = np.array([[0.1, 0.2, 0.4]])
    result = across_people.difference(first, second, QUICK, seed=1)
    assert result["mean_difference"][0] == pytest.approx((0.5 + 0.1 - 0.2) / 3)
    assert result["median_difference"][0] == pytest.approx(0.1)
    assert set(np.round(result["median_difference"][1], 6)) <= {0.5, 0.1, -0.2}
