"""Correlations against scipy, ties and constants included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from gta.evaluation.correlation import constant_rows, dot_rows, p_values, unit_ranks, unit_rows

# Few distinct values, so that ties are the rule.
tied = arrays(np.float64, (2, 12), elements=st.integers(-3, 3).map(float))


@settings(max_examples=200, deadline=None)
@given(tied)
def test_spearman_is_scipys_with_ties(pair: np.ndarray) -> None:
    ours = dot_rows(unit_ranks(pair[0]), unit_ranks(pair[1]))
    if constant_rows(pair).any():
        assert ours == 0.0
    else:
        theirs = stats.spearmanr(pair[0], pair[1])
        assert ours == pytest.approx(theirs.statistic, abs=1e-12)
        if abs(ours) < 1 - 1e-9:  # at exactly 1 rounding decides between 0 and the smallest numbers
            assert p_values(ours, 12) == pytest.approx(theirs.pvalue, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(arrays(np.float64, (2, 9), elements=st.floats(-1e3, 1e3, width=32)))
def test_pearson_is_scipys(pair: np.ndarray) -> None:
    if np.ptp(pair, axis=1).min() > 1e-3:
        expected = stats.pearsonr(pair[0], pair[1]).statistic
        assert dot_rows(unit_rows(pair[0]), unit_rows(pair[1])) == pytest.approx(expected, abs=1e-6)


def test_rows_are_correlated_independently() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=(2, 5, 7, 20))
    ours = dot_rows(unit_ranks(first), unit_ranks(second))
    assert ours.shape == (5, 7)
    assert ours[4, 2] == pytest.approx(stats.spearmanr(first[4, 2], second[4, 2]).statistic)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e6 + 0.1, -7.3])
def test_a_constant_row_is_zero_although_its_mean_is_rounded(value: float) -> None:
    # The mean of ten times 0.1 is not 0.1 in floating point; the remainder must not become a direction.
    assert (unit_rows(np.full((1, 10), value)) == 0).all()
    assert constant_rows(np.full((1, 10), value)).all()


def test_perfect_correlation_has_p_value_zero() -> None:
    assert p_values(np.array([1.0, -1.0]), 10).tolist() == [0.0, 0.0]
