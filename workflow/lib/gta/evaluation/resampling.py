"""Bootstrap over genes and permutations within populations, drawn so that the same seed gives the same numbers."""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gta.evaluation.correlation import Floats

#: Values of one block of resamples held in memory at a time (float64: 16 MB).
_BLOCK = 2_000_000


def generator(seed: int, *purpose: int) -> np.random.Generator:
    """A random generator for one purpose: streams of different purposes are independent, whatever is drawn from the others."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=purpose))


def bootstrap_indices(n: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Bootstrap resamples of n items, in blocks of shape (up to `resamples`, n): indices drawn with replacement."""
    rows = max(1, _BLOCK // n)
    for start in range(0, resamples, rows):
        yield rng.integers(0, n, size=(min(rows, resamples - start), n))


def bootstrap_counts(n: int, resamples: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """The resamples of `bootstrap_indices` as counts: (up to `resamples`, n), how often each item was drawn."""
    for drawn in bootstrap_indices(n, resamples, rng):
        offset = np.arange(len(drawn))[:, None] * n
        yield np.bincount((drawn + offset).ravel(), minlength=drawn.size).reshape(drawn.shape)


def _centred_ranks(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """Ranks of the items, minus their mean, in each resample: (n,) and (B, n) to (B, n).

    An item drawn c times, after k smaller ones, has the average rank k + (c + 1) / 2; tied items count as one.
    """
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    in_group = np.add.reduceat(counts[:, order], starts, axis=1)
    ranks = np.cumsum(in_group, axis=1) - (in_group - 1) / 2.0
    return ranks[:, group] - (counts.sum(axis=1, keepdims=True) + 1) / 2.0


def _centred_values(values: Floats, counts: NDArray[np.int64]) -> Floats:
    """Values of the items minus their mean in each resample: (n,) and (B, n) to (B, n)."""
    shifted = values - values[0]  # so that equal numbers have exactly their own mean
    return shifted - np.einsum("bn,n->b", counts, shifted)[:, None] / counts.sum(axis=1, keepdims=True)


def _weighted_correlation(x: Floats, y: Floats, counts: NDArray[np.int64]) -> Floats:
    """Correlations (B,) of centred values (B, n), each taken `counts` times; 0 where one of the two does not vary."""
    weighted = x * counts
    covariance = np.einsum("bn,bn->b", weighted, y)
    scale = np.sqrt(np.einsum("bn,bn->b", weighted, x) * np.einsum("bn,bn,bn->b", y, y, counts))
    return np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)


def resampled_spearman(first: Floats, second: Floats, counts: NDArray[np.int64]) -> Floats:
    """Spearman correlation of two variables in each bootstrap resample, without sorting each resample anew.

    Args:
        first: (n,), float64.
        second: (n,), float64.
        counts: (B, n), how often each item was drawn.

    Returns:
        (B,); 0 where a resample holds one value only of a variable.
    """
    return _weighted_correlation(_centred_ranks(first, counts), _centred_ranks(second, counts), counts)


def resampled_pearson(first: Floats, second: Floats, counts: NDArray[np.int64]) -> Floats:
    """Pearson correlation of two variables in each bootstrap resample; shapes as `resampled_spearman`."""
    return _weighted_correlation(_centred_values(first, counts), _centred_values(second, counts), counts)


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


def permuted_correlations(observed: Floats, predicted: Floats, orders: NDArray[np.intp]) -> Iterator[Floats]:
    """Correlations of rows after the columns of `observed` are permuted, in the same way for all rows.

    Permuting all genes' people jointly keeps the correlation between genes, without which the null would be too narrow.

    Args:
        observed: (R, C), rows from `unit_rows` or `unit_ranks`.
        predicted: (M, R, C), the same of M predictions.
        orders: (draws, C).

    Yields:
        Blocks of shape (up to `draws`, M, R), in the order of `orders`.
    """
    # With columns first, a permutation moves whole rows of memory.
    rows = np.ascontiguousarray(observed.T)
    stacked = np.ascontiguousarray(predicted.transpose(0, 2, 1))
    size = max(1, _BLOCK // rows.size)
    for start in range(0, len(orders), size):
        yield np.einsum("mcr,bcr->bmr", stacked, rows[orders[start : start + size]])


def one_sided_p(value: float, null: Floats, less_is_better: bool = False) -> float:
    """(1 + number of null values at least as good) / (1 + number of null values).

    The added ones keep the p-value of a test by random permutations valid (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585).
    """
    # A permutation that changes nothing gives the value itself but for the order of summation.
    slack = 1e-12
    as_good = null <= value + slack if less_is_better else null >= value - slack
    return float((1 + as_good.sum()) / (1 + len(null)))
