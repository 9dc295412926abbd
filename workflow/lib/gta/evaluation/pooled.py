"""All pairs of gene and person in one correlation: a number that published work quotes, and that says little by itself.

With levels in it, it repeats the correlation across genes; so across people each gene's mean is removed first.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from gta.evaluation.correlation import Floats, centred_rows, explained, unit_rows
from gta.evaluation.estimates import Estimate
from gta.evaluation.resampling import Singles, permuted_sums

METRICS = ("pooled_spearman", "pooled_pearson", "pooled_r2")

#: Quantile bins per variable behind the intervals of `pooled_spearman`: a million pairs cannot be ranked anew in every resample.
#: 64 bins change a correlation by less than one part in a thousand.
BINS = 64


def estimate(
    observed: Floats, predicted: Floats, genes: Singles, people: Singles, orders: NDArray[np.intp], permuted: str
) -> dict[str, Estimate]:
    """Correlations and R2 of all pairs, with bootstraps over genes and over people and a null of permutations.

    Args:
        observed: (G, P), natural-log units.
        predicted: (G, P).
        genes: (G, bootstraps), how often each gene was drawn.
        people: (P, bootstraps), how often each person was drawn.
        orders: (permutations, G) or (permutations, P).
        permuted: What the orders permute, `genes` or `people`.

    Returns:
        `pooled_spearman`, `pooled_pearson` and `pooled_r2`.
    """
    x, y = observed.ravel(), predicted.ravel()
    n_constant = int(np.ptp(x) == 0 or np.ptp(y) == 0)
    ranks_x, ranks_y = (stats.rankdata(values).reshape(observed.shape) for values in (x, y))
    null_spearman, null_pearson, null_r2 = _null(observed, predicted, ranks_x, ranks_y, orders, permuted)
    spearman = float(unit_rows(ranks_x.ravel()) @ unit_rows(ranks_y.ravel()))
    pearson = float(unit_rows(x) @ unit_rows(y))
    moments = [_moments(observed, predicted, genes), _moments(observed.T, predicted.T, people)]
    bins = [np.minimum(((ranks - 0.5) / ranks.size * BINS).astype(np.intp), BINS - 1) for ranks in (ranks_x, ranks_y)]
    binned = [_binned_spearman(bins[0], bins[1], genes), _binned_spearman(bins[0].T, bins[1].T, people)]
    return {
        "pooled_spearman": Estimate(spearman, binned[0], binned[1], null_spearman, n_constant),
        "pooled_pearson": Estimate(pearson, moments[0][0], moments[1][0], null_pearson, n_constant),
        "pooled_r2": Estimate(float(explained(x, y)), moments[0][1], moments[1][1], null_r2, n_constant),
    }


def _null(
    observed: Floats, predicted: Floats, ranks_x: Floats, ranks_y: Floats, orders: NDArray[np.intp], permuted: str
) -> tuple[Floats, Floats, Floats]:
    """The three metrics on permuted data; permutations leave everything but the sum of products as it is."""

    def sums(first: Floats, second: Floats) -> Floats:
        return permuted_sums(first, second, orders) if permuted == "people" else permuted_sums(first.T, second.T, orders)

    def flat(function: Callable[[Floats], Floats], values: Floats) -> Floats:
        return function(values.ravel()).reshape(values.shape)

    spearman = sums(flat(unit_rows, ranks_x), flat(unit_rows, ranks_y))
    pearson = sums(flat(unit_rows, observed), flat(unit_rows, predicted))
    x, y = flat(centred_rows, observed), predicted - observed.mean()
    total = (x * x).sum()
    error = total + (y * y).sum() - 2.0 * sums(x, y)
    return spearman, pearson, 1.0 - (error / total if total > 0 else np.ones_like(error))


def _moments(observed: Floats, predicted: Floats, counts: Singles) -> tuple[Floats, Floats]:
    """Pearson correlation and R2 of all entries of matrices (R, C) in each resample (R, B) of their rows."""
    x, y = observed - observed.mean(), predicted - predicted.mean()
    n = counts.sum(axis=0) * observed.shape[1]

    def total(values: Floats) -> Floats:
        return values.sum(axis=1) @ counts

    within_x, within_y = total(x * x) - total(x) ** 2 / n, total(y * y) - total(y) ** 2 / n
    scale = np.sqrt(np.maximum(within_x * within_y, 0.0))
    # Constant predictions differ from their mean by rounding alone.
    varies = scale > 1e-12 * n
    product = total(x * y) - total(x) * total(y) / n
    pearson = np.divide(product, scale, out=np.zeros_like(scale), where=varies)
    error = total((observed - predicted) ** 2)
    return pearson, 1.0 - np.divide(error, within_x, out=np.ones_like(error), where=within_x > 1e-12 * n)


def _binned_spearman(x: NDArray[np.intp], y: NDArray[np.intp], counts: Singles) -> Floats:
    """Spearman correlation of all entries of matrices of bins (R, C) in each resample (R, B) of their rows."""
    pairs = x * BINS + y
    resamples = counts.shape[1]
    joint = np.zeros((BINS * BINS, resamples), dtype=np.float32)
    for start in range(0, len(pairs), 512):
        block = pairs[start : start + 512]
        offset = np.arange(len(block))[:, None] * BINS * BINS
        table = np.bincount((block + offset).ravel(), minlength=len(block) * BINS * BINS).reshape(len(block), -1)
        joint += table.T.astype(np.float32) @ counts[start : start + 512]
    cells = joint.reshape(BINS, BINS, resamples)
    ranks, squares = [], []
    for axis in (1, 0):
        margin = cells.sum(axis=axis, dtype=np.float64)
        rank = np.cumsum(margin, axis=0) - (margin + margin.sum(axis=0)) / 2.0
        ranks.append(rank)
        squares.append((margin * rank**2).sum(axis=0))
    covariance = (np.einsum("xyb,yb->xb", cells, ranks[1]) * ranks[0]).sum(axis=0)
    scale = np.sqrt(squares[0] * squares[1])
    return np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
