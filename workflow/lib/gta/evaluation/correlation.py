"""Correlations of many rows at once.

A correlation is the dot product of two rows that were brought to mean 0 and length 1; Spearman's is the same on ranks. Ranking
and scaling once, then multiplying, makes a thousand permutations cheap.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def unit_rows(values: Floats) -> Floats:
    """Rows shifted to mean 0 and scaled to length 1.

    Args:
        values: (..., n), float64.

    Returns:
        (..., n). A constant row becomes zeros, so that every correlation with it is 0: the convention of the field for a model
        that predicts no difference at all.
    """
    centred = centred_rows(values)
    length = np.sqrt(np.einsum("...i,...i->...", centred, centred))[..., None]
    return np.divide(centred, length, out=np.zeros_like(centred), where=length > 0)


def unit_ranks(values: Floats) -> Floats:
    """Ranks along the last axis (ties share their average rank) as by `unit_rows`. Shape as given."""
    # Here and below: figures import this module for its names alone, and scipy.stats takes a second.
    from scipy.stats import rankdata

    return unit_rows(rankdata(values, axis=-1).astype(np.float64))


def dot_rows(first: Floats, second: Floats) -> Floats:
    """Correlations of the rows of two arrays made by `unit_rows` or `unit_ranks`: (..., n) and (..., n) to (...)."""
    return np.clip(np.einsum("...i,...i->...", first, second), -1.0, 1.0)


def spearman(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return the Spearman correlation of two arrays (n,); 0 where one of them is constant, for then nothing was predicted."""
    if len(first) < 2:
        return 0.0
    return float(dot_rows(unit_ranks(np.asarray(first, dtype=np.float64)), unit_ranks(np.asarray(second, dtype=np.float64))))


def constant_rows(values: Floats) -> NDArray[np.bool_]:
    """Which rows of (..., n) hold one value only, so that a correlation with them is undefined."""
    return np.asarray(np.ptp(values, axis=-1) == 0)


def centred_rows(values: Floats) -> Floats:
    """Values along the last axis minus their mean; exactly 0 in a constant row."""
    centred = values - values.mean(axis=-1, keepdims=True)
    # The mean of equal numbers need not be that number in floating point, so constancy is seen on the values themselves.
    centred[constant_rows(values)] = 0.0
    return np.asarray(centred)


def explained(observed: Floats, predicted: Floats) -> Floats:
    """R2 along the last axis: 1 - (sum of squared errors) / (sum of squared deviations of the observed from their mean).

    Unlike a squared correlation it is negative for a prediction that is worse than the observed mean, and it depends on the scale
    of the prediction. 0 where the observed do not vary. (..., n) and (..., n) to (...).
    """
    error = ((observed - predicted) ** 2).sum(axis=-1)
    total = (centred_rows(observed) ** 2).sum(axis=-1)
    return np.asarray(1.0 - np.divide(error, total, out=np.ones_like(error), where=total > 0))


def p_values(spearman: Floats, n: int) -> Floats:
    """Two-sided p-values of Spearman correlations of n pairs from Student's t with n - 2 degrees of freedom.

    The approximation of `scipy.stats.spearmanr`: it takes the pairs as independent, which people of one population structure are
    not. Conclusions rest on the permutation nulls of the summary.
    """
    from scipy.stats import t as student

    degrees = n - 2
    with np.errstate(divide="ignore"):
        t = spearman * np.sqrt(degrees / ((1.0 - spearman) * (1.0 + spearman)))
    return np.asarray(2.0 * student.sf(np.abs(t), degrees))
