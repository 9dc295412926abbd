"""Ridge regressions in closed form, with penalties chosen by cross-validation over folds of genes."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

#: Penalties that are tried, per row of the regression and for features of variance 1.
PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
#: Smallest scale of a feature, as a share of the median one. A motif that hardly varies among the training individuals, or by
#: rounding alone, would otherwise be scaled up to variance 1 and dominate the prediction of a gene in which it does vary.
SMALLEST_SCALE = 0.1
#: Strengths of a block that are tried: the variance of what it adds to the prediction, over that of the response. 0 leaves the
#: block out.
STRENGTHS = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
#: Strength of every block to start from.
FIRST_STRENGTH = 0.1
#: Passes over the blocks at the most, each strength chosen with the others held.
PASSES = 3
#: With more rows than this, strengths are chosen on a part of them, evenly spaced; the solution uses all rows.
MAX_ROWS_TO_CHOOSE = 1500


@dataclass(frozen=True)
class FoldedRidge:
    """A ridge regression whose penalty was chosen by cross-validation over folds.

    Attributes:
        coefficients: (D,) float64, of the features as given.
        penalty: The penalty chosen, per row and for features of variance 1.
        error: Its squared error out of fold over that of predicting 0, to compare other features of the same rows with.
    """

    coefficients: np.ndarray
    penalty: float
    error: float


def folded_ridge(
    normal: np.ndarray, rows: int, strength: np.ndarray | float = 1.0, penalties: Sequence[float] = PENALTIES
) -> FoldedRidge:
    """Solve a ridge regression from the normal equations of each fold.

    Features are brought to variance 1, or less if their scale is below SMALLEST_SCALE; neither they nor the response are centred.
    A feature that is 0 throughout gets the coefficient 0.

    Args:
        normal: (folds, D + 1, D + 1) float64: of each fold (X, y)'(X, y).
        rows: Number of rows of all folds.
        strength: Square root of the prior variance of the coefficients, (D,) or one number; 0 leaves a feature out.
        penalties: Those to try; of equal errors the largest penalty wins.
    """
    total = normal.sum(axis=0)
    spread = np.sqrt(np.diag(total)[:-1] / rows)
    smallest = SMALLEST_SCALE * np.median(spread[spread > 0]) if spread.any() else 1.0
    scale = np.append(np.broadcast_to(strength, spread.shape) / np.maximum(spread, smallest), 1.0)
    scaled = normal * np.outer(scale, scale)
    total = scaled.sum(axis=0)

    def solve(matrix: np.ndarray, penalty: float) -> np.ndarray:
        return _solve(matrix[:-1, :-1] / (rows * penalty), matrix[:-1, -1] / (rows * penalty))

    def error(penalty: float) -> float:
        squares = 0.0
        for fold in scaled:
            residual = np.append(-solve(total - fold, penalty), 1.0)
            squares += float(residual @ fold @ residual)
        return squares / max(float(total[-1, -1]), np.finfo(float).tiny)

    errors = {penalty: error(penalty) for penalty in sorted(penalties, reverse=True)}
    best = min(errors, key=lambda penalty: round(errors[penalty], 10))
    return FoldedRidge(scale[:-1] * solve(total, best), best, errors[best])


@dataclass(frozen=True)
class BlockRidge:
    """A ridge regression in which every block of columns has a penalty of its own.

    The prediction for a row x is `bias + ((x - centre) / scale) @ weight`.

    Attributes:
        centre: (N,) mean of each column.
        scale: (N,) its standard deviation; infinity for a column that does not vary, which so has no effect.
        weight: (N,) float64.
        bias: Mean of the response.
        strengths: The strength chosen for each block.
        out_of_fold: (n,) prediction of each row by the regression on the other folds, with the strengths chosen on all of them.
    """

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: float
    strengths: list[float]
    out_of_fold: np.ndarray


def block_ridge(inputs: np.ndarray, sizes: Sequence[int], response: np.ndarray, folds: Sequence[np.ndarray]) -> BlockRidge:
    """Fit a ridge regression with a penalty for each block of columns, chosen by cross-validation.

    Columns are standardised, and the kernel of a block is the mean over its columns, so that a strength means the same for
    blocks of any width. Strengths are chosen one block after the other by the squared error out of fold; of equal errors the
    smallest strength wins. With several blocks this is banded ridge regression (Nunez-Elizalde et al., NeuroImage 2019).

    Cost: about 100 to 300 solutions of a system of n equations; O(n^3) each, n at most MAX_ROWS_TO_CHOOSE but for the last.

    Args:
        inputs: (n, N) float64, n >= 2.
        sizes: Columns of each block, in order; they sum to N.
        response: (n,) float64.
        folds: Indices of the rows of each fold.
    """
    centre, spread = inputs.mean(axis=0), inputs.std(axis=0)
    scale = np.where(spread > 1e-6 * np.maximum(1.0, np.abs(centre)), spread, np.inf)
    columns = (inputs - centre) / scale
    borders = np.cumsum([0, *sizes])
    blocks = [columns[:, start:end] for start, end in itertools.pairwise(borders)]
    bias, noise = float(response.mean()), float(response.std()) or 1.0
    target = (response - bias) / noise
    kernels = [block @ block.T / max(1, block.shape[1]) for block in blocks]
    strengths = _choose(kernels, target, folds)
    kernel = sum(strength * each for strength, each in zip(strengths, kernels, strict=True)) + np.zeros((len(target),) * 2)
    dual = _solve(kernel, target)
    weight = [
        noise * strength / max(1, block.shape[1]) * (block.T @ dual) for strength, block in zip(strengths, blocks, strict=True)
    ]
    return BlockRidge(centre, scale, np.concatenate(weight), bias, strengths, bias + noise * _out_of_fold(kernel, target, folds))


def _choose(kernels: list[np.ndarray], target: np.ndarray, folds: Sequence[np.ndarray]) -> list[float]:
    """The strength of each block with the least error out of fold."""
    if len(target) > MAX_ROWS_TO_CHOOSE:
        rows = np.unique(np.linspace(0, len(target) - 1, MAX_ROWS_TO_CHOOSE).astype(int))
        kernels, target = [kernel[np.ix_(rows, rows)] for kernel in kernels], target[rows]
        folds = [np.flatnonzero(np.isin(rows, fold)) for fold in folds]

    def error(strengths: list[float]) -> float:
        kernel = sum(strength * each for strength, each in zip(strengths, kernels, strict=True)) + np.zeros((len(target),) * 2)
        return float(((_out_of_fold(kernel, target, folds) - target) ** 2).mean())

    strengths = [FIRST_STRENGTH] * len(kernels)
    for _ in range(PASSES):
        before = list(strengths)
        for number in range(len(kernels)):
            tried = [[*strengths[:number], strength, *strengths[number + 1 :]] for strength in STRENGTHS]
            strengths = tried[int(np.argmin(np.round([error(each) for each in tried], 10)))]
        if strengths == before:
            break
    return strengths


def _out_of_fold(kernel: np.ndarray, target: np.ndarray, folds: Sequence[np.ndarray]) -> np.ndarray:
    """Prediction of every row from the rows of the other folds."""
    predicted = np.zeros(len(target))
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(target)), fold)
        if len(fold) and len(rest):
            mean = target[rest].mean()
            predicted[fold] = mean + kernel[np.ix_(fold, rest)] @ _solve(kernel[np.ix_(rest, rest)], target[rest] - mean)
    return predicted


def _solve(kernel: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(K + 1)^-1 y: the dual weights of a ridge regression whose noise has variance 1."""
    return cho_solve(cho_factor(kernel + np.eye(len(target)), check_finite=False), target, check_finite=False)
