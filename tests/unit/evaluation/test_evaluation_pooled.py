"""All pairs in one correlation: by scipy, resample by resample."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from gta.evaluation import pooled
from gta.evaluation.resampling import bootstrap_counts, generator, permutations


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    observed = rng.normal(size=(25, 1)) + rng.normal(size=(25, 30))
    return observed, np.round(observed + 2 * rng.normal(size=(25, 30)), 1)  # with ties


def test_values_are_those_of_all_pairs(pair: tuple[np.ndarray, np.ndarray]) -> None:
    observed, predicted = pair
    draws = [bootstrap_counts(n, 20, generator(1, n)) for n in observed.shape]
    result = pooled.estimate(observed, predicted, *draws, permutations(30, 20, generator(1, 0)), "people")
    x, y = observed.ravel(), predicted.ravel()
    assert result["pooled_spearman"].value == pytest.approx(stats.spearmanr(x, y).statistic)
    assert result["pooled_pearson"].value == pytest.approx(stats.pearsonr(x, y).statistic)
    assert result["pooled_r2"].value == pytest.approx(r2_score(x, y))


@pytest.mark.parametrize("over", ["over_genes", "over_people"])
def test_every_resample_is_the_metric_of_the_repeated_rows(pair: tuple[np.ndarray, np.ndarray], over: str) -> None:
    observed, predicted = pair
    draws = [bootstrap_counts(n, 20, generator(1, n)) for n in observed.shape]
    result = pooled.estimate(observed, predicted, *draws, permutations(30, 20, generator(1, 0)), "people")
    axis = 0 if over == "over_genes" else 1
    for draw in range(5):
        times = draws[axis][:, draw].astype(int)
        x, y = (np.repeat(values, times, axis=axis).ravel() for values in pair)
        # 64 bins instead of ranks
        assert getattr(result["pooled_spearman"], over)[draw] == pytest.approx(stats.spearmanr(x, y).statistic, abs=2e-3)
        assert getattr(result["pooled_pearson"], over)[draw] == pytest.approx(stats.pearsonr(x, y).statistic)
        assert getattr(result["pooled_r2"], over)[draw] == pytest.approx(r2_score(x, y))


@pytest.mark.parametrize("permuted", ["genes", "people"])
def test_every_value_of_the_null_is_the_metric_of_permuted_data(pair: tuple[np.ndarray, np.ndarray], permuted: str) -> None:
    observed, predicted = pair
    draws = [bootstrap_counts(n, 20, generator(1, n)) for n in observed.shape]
    orders = permutations(25 if permuted == "genes" else 30, 4, generator(1, 0))
    result = pooled.estimate(observed, predicted, *draws, orders, permuted)
    for draw, order in enumerate(orders):
        x, y = (observed[order] if permuted == "genes" else observed[:, order]).ravel(), predicted.ravel()
        assert result["pooled_spearman"].null[draw] == pytest.approx(stats.spearmanr(x, y).statistic)
        assert result["pooled_pearson"].null[draw] == pytest.approx(stats.pearsonr(x, y).statistic)
        assert result["pooled_r2"].null[draw] == pytest.approx(r2_score(x, y))


def test_a_constant_prediction_scores_zero(pair: tuple[np.ndarray, np.ndarray]) -> None:
    observed, _ = pair
    draws = [bootstrap_counts(n, 20, generator(1, n)) for n in observed.shape]
    mean = np.full_like(observed, observed.mean())
    result = pooled.estimate(observed, mean, *draws, permutations(30, 20, generator(1, 0)), "people")
    for metric in pooled.METRICS:
        assert result[metric].value == pytest.approx(0.0, abs=1e-12)
        assert result[metric].n_constant == 1
    assert (result["pooled_pearson"].over_people == 0).all()
    assert (result["pooled_spearman"].over_genes == 0).all()
