"""Bootstrap over genes and permutations within populations, drawn so that the same seed gives the same numbers."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from gta.evaluation.correlation import Floats

#: Of which there are many, and six digits are enough: draws of resamples, and counts of items in them.
Singles = NDArray[np.float32]

#: Values of one block of resamples held in memory at a time (float64: 16 MB).
_BLOCK = 2_000_000

#: Values of one block of resampled ranks (float32: 2 MB), so that it stays in the cache of a core.
_CACHED = 500_000


def generator(seed: int, *purpose: int) -> np.random.Generator:
    """A random generator for one purpose: streams of different purposes are independent, whatever is drawn from the others."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))


def bootstrap_indices(n: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Bootstrap resamples of n items, in blocks of shape (up to `resamples`, n): indices drawn with replacement."""
    rows = max(1, _BLOCK // n)
    for start in range(0, resamples, rows):
        yield rng.integers(0, n, size=(min(rows, resamples - start), n))


def bootstrap_counts(n: int, resamples: int, rng: np.random.Generator) -> Singles:
    """The resamples of `bootstrap_indices` as counts: (n, resamples) float32, how often each item was drawn."""
    counts = np.empty((n, resamples), dtype=np.float32)
    done = 0
    for drawn in bootstrap_indices(n, resamples, rng):
        offset = np.arange(len(drawn))[:, None] * n
        block = np.bincount((drawn + offset).ravel(), minlength=drawn.size).reshape(drawn.shape)
        counts[:, done : done + len(drawn)] = block.T
        done += len(drawn)
    return counts


def _resampled_ranks(values: Floats, counts: Singles) -> Singles:
    """Ranks of the items, minus their mean, in each resample: (n,) and (n, B) to (n, B).

    An item drawn c times, after k smaller ones, has the average rank k + (c + 1) / 2; tied items count as one. Sums of counts and
    their halves are exact in float32 up to 2^23 items.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    below = np.zeros((len(values) + 1, counts.shape[1]), dtype=np.float32)
    # Row by row: twice as fast as `cumsum`, which walks down each column.
    for place, item in enumerate(order.tolist()):
        np.add(below[place], counts[item], out=below[place + 1])
    ranks = below[np.searchsorted(ordered, values, "left")]
    ranks += below[np.searchsorted(ordered, values, "right")]
    ranks -= below[-1]
    ranks *= np.float32(0.5)
    return ranks


def resampled_spearman(observed: Floats, predicted: Floats, counts: Singles) -> Singles:
    """Spearman correlations of rows in each bootstrap resample of the columns, without sorting each resample anew.

    Args:
        observed: (R, n), float64.
        predicted: (M, R, n), float64: M predictions of the same rows.
        counts: (n, B), how often each column was drawn.

    Returns:
        (M, R, B) float32, to about six digits; 0 where a resample holds one value only of a row.
    """
    n, resamples = counts.shape
    size = max(64, _CACHED // n)
    out = np.zeros((*predicted.shape[:2], resamples), dtype=np.float32)
    for start in range(0, resamples, size):
        block = np.ascontiguousarray(counts[:, start : start + size])
        for row, truth in enumerate(observed):
            true_ranks = _resampled_ranks(truth, block)
            weighted = true_ranks * block
            square = np.einsum("nb,nb->b", weighted, true_ranks)
            for model, guess in enumerate(predicted[:, row]):
                ranks = _resampled_ranks(guess, block)
                scale = np.sqrt(square * np.einsum("nb,nb,nb->b", ranks, ranks, block))
                covariance = np.einsum("nb,nb->b", weighted, ranks)
                np.divide(covariance, scale, out=out[model, row, start : start + size], where=scale > 0)
    return out


def resampled_moments(observed: Floats, predicted: Floats, counts: Singles, level: bool) -> tuple[Floats, Floats]:
    """Pearson correlation and share of explained variance of rows in each bootstrap resample of the columns.

    Args:
        observed: (R, n), float64.
        predicted: (R, n), float64.
        counts: (n, B), how often each column was drawn.
        level: Whether a wrong mean of the predictions counts as an error; if not, both sides are taken from their means first.

    Returns:
        Two arrays (R, B): Pearson correlations, and R2 as by `gta.evaluation.correlation.explained`; 0 where a resample holds one
        value only of a row that has to vary.
    """
    total, centre = counts.sum(axis=0), observed.mean(axis=1, keepdims=True)
    x, y = observed - centre, predicted - predicted.mean(axis=1, keepdims=True)
    y[np.ptp(predicted, axis=1) == 0] = 0.0
    sum_x, sum_y = x @ counts, y @ counts
    square_x, square_y = (x * x) @ counts, (y * y) @ counts
    within_x, within_y = square_x - sum_x**2 / total, square_y - sum_y**2 / total
    # A resample of one repeated item differs from its mean by rounding alone.
    varies_x, varies_y = within_x > 1e-9 * square_x, within_y > 1e-9 * square_y
    product = (x * y) @ counts - sum_x * sum_y / total
    scale = np.sqrt(np.where(varies_x & varies_y, within_x * within_y, 1.0))
    pearson = np.where(varies_x & varies_y, product / scale, 0.0)
    difference = predicted - observed if level else y - x
    error = (difference**2) @ counts
    if not level:
        error -= (difference @ counts) ** 2 / total
    r2 = np.where(varies_x, 1.0 - error / np.where(varies_x, within_x, 1.0), 0.0)
    return np.clip(pearson, -1.0, 1.0), r2


def interval(draws: Floats, confidence: float) -> tuple[float, float]:
    """Percentile interval of bootstrap draws (B,) at a level such as 0.95."""
    low, high = np.quantile(draws, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return float(low), float(high)


def permutations(n: int, draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Random orders of n items: (draws, n)."""
    return rng.permuted(np.tile(np.arange(n), (draws, 1)), axis=1)


def permutations_within(groups: Sequence[Hashable], draws: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Random orders that exchange items of the same group only (people of one population): (draws, n)."""
    orders = np.tile(np.arange(len(groups)), (draws, 1))
    for members in pd.Series(range(len(groups))).groupby(list(groups), sort=True).indices.values():
        orders[:, members] = rng.permuted(orders[:, members], axis=1)
    return orders


def permuted_correlations(observed: Floats, predicted: Floats, orders: NDArray[np.intp]) -> Floats:
    """Correlations of rows after the columns of `observed` are permuted, in the same way for all rows.

    Permuting all genes' people jointly keeps the correlation between genes, without which the null would be too narrow.

    Args:
        observed: (R, C), rows from `unit_rows` or `unit_ranks`.
        predicted: (M, R, C), the same of M predictions.
        orders: (draws, C).

    Returns:
        (M, R, draws).
    """
    out = np.empty((len(predicted), len(observed), len(orders)))
    for row, truth in enumerate(observed):
        out[:, row] = (truth[orders] @ predicted[:, row].T).T
    return out


def permuted_sums(observed: Floats, predicted: Floats, orders: NDArray[np.intp]) -> Floats:
    """Sum of products of all entries of two matrices after the columns of the first are permuted: (R, C), (R, C) to (draws,).

    All that matters of the rows is the (C, C) matrix of their sums of products.
    """
    products = observed.T @ predicted
    return np.asarray(products[orders, np.arange(orders.shape[1])].sum(axis=1))


def one_sided_p(value: float, null: Floats, less_is_better: bool = False) -> float:
    """(1 + number of null values at least as good) / (1 + number of null values).

    The added ones keep the p-value of a test by random permutations valid (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585).
    """
    signed = -1.0 if less_is_better else 1.0
    return float(one_sided_ps(np.array([signed * value]), signed * null[None])[0])


def one_sided_ps(values: Floats, null: Floats) -> Floats:
    """The p-values of `one_sided_p`, large is good, of many values: (R,) and (R, draws) to (R,)."""
    # A permutation that changes nothing gives the value itself but for the order of summation.
    as_good = null >= values[:, None] - 1e-12
    return np.asarray((1 + as_good.sum(axis=1)) / (1 + null.shape[1]))


def q_values(p: Floats) -> Floats:
    """p-values adjusted for their number (Benjamini and Hochberg 1995): (R,) to (R,); NaN stays NaN and is not counted."""
    adjusted = np.full_like(p, np.nan)
    known = ~np.isnan(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return adjusted
