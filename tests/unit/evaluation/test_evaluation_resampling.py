"""Bootstrap and permutations against the long way round."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn.metrics import r2_score

from gta.evaluation.correlation import dot_rows, unit_ranks
from gta.evaluation.resampling import (
    bootstrap_counts,
    bootstrap_indices,
    generator,
    interval,
    one_sided_p,
    permutations,
    permutations_within,
    permuted_correlations,
    permuted_sums,
    q_values,
    resampled_moments,
    resampled_spearman,
)


@settings(max_examples=150, deadline=None)
@given(
    arrays(np.float64, (2, 10), elements=st.integers(0, 4).map(float)),
    arrays(np.int64, (1, 10), elements=st.integers(0, 3)).filter(lambda counts: counts.sum() > 1),
)
def test_weighted_correlation_is_that_of_the_repeated_items(pair: np.ndarray, counts: np.ndarray) -> None:
    first, second = (np.repeat(values, counts[0]) for values in pair)
    columns = counts.T.astype(np.float32)
    spearman = resampled_spearman(pair[:1], pair[None, 1:], columns)[0, 0]
    pearson, r2 = (value[0] for value in resampled_moments(pair[:1], pair[1:], columns, level=True))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        assert spearman == [0.0]
        assert pearson == [0.0]
    else:
        assert spearman == pytest.approx([stats.spearmanr(first, second).statistic], abs=1e-6)
        assert pearson == pytest.approx([stats.pearsonr(first, second).statistic], abs=1e-9)
        assert r2 == pytest.approx([r2_score(first, second)], abs=1e-9)
        _, deviations = resampled_moments(pair[:1], pair[1:], columns, level=False)
        assert deviations[0] == pytest.approx([r2_score(first - first.mean(), second - second.mean())], abs=1e-9)


def test_ranks_do_not_depend_on_how_resamples_are_cut_into_blocks() -> None:
    # 9,000 items make blocks of 64 resamples; each has to be the correlation of its own resample.
    rng = np.random.default_rng(4)
    first = rng.normal(size=9000)
    second = first + rng.normal(size=9000)
    counts = bootstrap_counts(9000, 130, generator(1, 0))
    ours = resampled_spearman(first[None], second[None, None], counts)[0, 0]
    for draw in (0, 63, 64, 129):
        repeated = [np.repeat(values, counts[:, draw].astype(int)) for values in (first, second)]
        assert ours[draw] == pytest.approx(stats.spearmanr(*repeated).statistic, abs=1e-5)


def test_counts_are_those_of_the_indices() -> None:
    (indices,) = bootstrap_indices(7, 50, generator(1, 0))
    counts = bootstrap_counts(7, 50, generator(1, 0))
    assert [np.bincount(row, minlength=7).tolist() for row in indices] == counts.T.tolist()


def test_large_resamples_come_in_blocks_and_are_complete() -> None:
    blocks = list(bootstrap_indices(300_000, 15, generator(1, 0)))
    assert [block.shape for block in blocks] == [(6, 300_000), (6, 300_000), (3, 300_000)]


def test_streams_of_different_purposes_differ() -> None:
    one, same, other = (generator(1, *purpose).random(4).tolist() for purpose in ((0, 0), (0, 0), (0, 1)))
    assert one == same
    assert one != other


def test_people_stay_in_their_population() -> None:
    groups = ["A", "B", "A", "C", "B", "A", "B"]
    orders = permutations_within(groups, 200, generator(1, 0))
    assert (np.array(groups)[orders] == np.array(groups)).all()
    assert (np.sort(orders, axis=1) == np.arange(7)).all()
    assert (orders[:, 3] == 3).all(), "the only person of C has nowhere to go"
    # three people of A have 6 orders, three of B 6: all 36 together should turn up
    assert len({tuple(order) for order in orders.tolist()}) == 36


def test_permuted_correlations_are_those_of_permuted_people() -> None:
    rng = np.random.default_rng(0)
    observed, predicted = rng.normal(size=(6, 9)), rng.normal(size=(2, 6, 9))
    orders = permutations(9, 4, rng)
    block = permuted_correlations(unit_ranks(observed), unit_ranks(predicted), orders)
    assert block.shape == (2, 6, 4)
    sums = permuted_sums(unit_ranks(observed), unit_ranks(predicted[0]), orders)
    for draw, order in enumerate(orders):
        expected = dot_rows(unit_ranks(observed[:, order]), unit_ranks(predicted))
        assert block[..., draw] == pytest.approx(expected)
        assert sums[draw] == pytest.approx(expected[0].sum())


def test_interval_by_hand() -> None:
    low, high = interval(np.arange(101.0), 0.9)
    assert (low, high) == pytest.approx((5.0, 95.0))


def test_one_sided_p_by_hand() -> None:
    null = np.array([0.1, 0.2, 0.3, 0.4])
    assert one_sided_p(0.3, null) == pytest.approx(3 / 5)  # 0.3 and 0.4 are at least as good, plus the value itself
    assert one_sided_p(0.5, null) == pytest.approx(1 / 5)
    assert one_sided_p(0.1, null, less_is_better=True) == pytest.approx(2 / 5)


def test_q_values_by_hand() -> None:
    # sorted: 0.01 * 4 / 1, 0.02 * 4 / 2, 0.03 * 4 / 3, 0.9 * 4 / 4; each not above the next
    p = np.array([0.02, 0.9, np.nan, 0.01, 0.03])
    assert q_values(p) == pytest.approx(np.array([0.04, 0.9, np.nan, 0.04, 0.04]), nan_ok=True)
    assert np.isnan(q_values(np.array([np.nan]))).all()
