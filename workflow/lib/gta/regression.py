"""Ridge regressions in closed form: from normal equations, and with a penalty of its own for each block of columns."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve

#: Penalties that are tried, per row of the regression and for features of variance 1.
PENALTIES = np.geomspace(1e-4, 1e4, 33)
#: Penalties that are tried where each needs solutions of its own.
FEW_PENALTIES = (0.1, 1.0)
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
class Ridge:
    """A ridge regression whose penalty was chosen by the data.

    Attributes:
        coefficients: (D,) float64, of the features as given.
        error: The error that chose the penalty, to compare other features of the same rows with.
    """

    coefficients: np.ndarray
    error: float


def ridge_by_gcv(normal: np.ndarray, rows: int) -> Ridge:
    """Solve a ridge regression from the normal equations, with the penalty of the least generalised cross-validation error.

    Golub, Heath & Wahba, Technometrics 1979: rows * RSS / (rows - trace of the hat matrix)^2. Features are brought to variance
    1, or less if their scale is below SMALLEST_SCALE; neither they nor the response are centred. A feature that is 0 throughout
    gets the coefficient 0.

    Args:
        normal: (D + 1, D + 1) float64, (X, y)'(X, y).
        rows: Number of rows of X.
    """
    inverse = _inverse_scale(normal, rows)
    values, vectors = np.linalg.eigh(normal[:-1, :-1] * np.outer(inverse, inverse))
    values = np.maximum(values, 0)
    rotated = vectors.T @ (normal[:-1, -1] * inverse)
    shrunken = rotated / (values + rows * PENALTIES[:, None])
    residual = normal[-1, -1] - 2 * shrunken @ rotated + (shrunken**2) @ values
    freedom = rows - (values / (values + rows * PENALTIES[:, None])).sum(axis=1)
    errors = rows * residual / np.maximum(freedom, np.finfo(float).tiny) ** 2
    best = int(np.argmin(errors))
    return Ridge(inverse * (vectors @ shrunken[best]), float(errors[best]))


def ridge_by_folds(normal: np.ndarray, rows: int, strength: np.ndarray | float = 1.0) -> Ridge:
    """Solve a ridge regression from the normal equations of each fold, with the penalty of the best predictions out of fold.

    The error is 1 minus the correlation of the predictions of all folds with the response, uncentred; scale does not count.
    Features are scaled as in `ridge_by_gcv`; of equal errors the largest penalty wins.

    Args:
        normal: (folds, D + 1, D + 1) float64, of each fold (X, y)'(X, y).
        rows: Number of rows of all folds.
        strength: Square root of the prior variance of the coefficients, (D,) or one number; 0 leaves a feature out.
    """
    scale = np.append(strength * _inverse_scale(normal.sum(axis=0), rows), 1.0)
    scaled = normal * np.outer(scale, scale)
    total = scaled.sum(axis=0)

    def solve(matrix: np.ndarray, penalty: float) -> np.ndarray:
        return _solve(matrix[:-1, :-1] / (rows * penalty), matrix[:-1, -1] / (rows * penalty))

    def error(penalty: float) -> float:
        products = np.zeros(2)
        for fold in scaled:
            weight = solve(total - fold, penalty)
            products += weight @ fold[:-1, -1], weight @ fold[:-1, :-1] @ weight
        size = float(products[1] * total[-1, -1])
        return 1 - float(products[0] / np.sqrt(size)) if size > 0 else 1.0

    errors = {penalty: error(penalty) for penalty in reversed(FEW_PENALTIES)}
    best = min(errors, key=lambda penalty: round(errors[penalty], 10))
    return Ridge(scale[:-1] * solve(total, best), errors[best])


def _inverse_scale(normal: np.ndarray, rows: int) -> np.ndarray:
    """(D,) what brings features to variance 1, or less if their scale is far below that of the others."""
    spread = np.sqrt(np.diag(normal)[:-1] / rows)
    smallest = SMALLEST_SCALE * np.median(spread[spread > 0]) if spread.any() else 1.0
    return 1 / np.maximum(spread, smallest)


@dataclass(frozen=True)
class BlockRidge:
    """A ridge regression in which every block of columns has a penalty of its own.

    The prediction for a row x is `bias + ((x - centre) / scale) @ weight`.

    Attributes:
        centre: (N,) mean of each column.
        scale: (N,) its standard deviation, see `standardisation`; infinity for a column without effect.
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

    Cost: up to passes x blocks x strengths x folds solutions of a system of n equations (1,361 for five blocks and ten folds),
    O(n^3) each, n at most MAX_ROWS_TO_CHOOSE but for the last ones. Memory: three times the inputs, and a kernel (n, n) for each
    block.

    Args:
        inputs: (n, N) float64, n >= 2.
        sizes: Columns of each block, in order; they sum to N.
        response: (n,) float64.
        folds: Indices of the rows of each fold.
    """
    borders = np.cumsum([0, *sizes])
    parts = [standardisation(inputs[:, start:end]) for start, end in itertools.pairwise(borders)]
    centre, scale = (np.concatenate(values) for values in zip(*parts, strict=True))
    columns = (inputs - centre) / scale
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


def standardisation(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each column and its divisor: its standard deviation, or more if that is far below the others'.

    A column that varies in few rows, and by little, would otherwise dominate the prediction of a row in which it is large.

    Args:
        columns: (n, N) of one kind.

    Returns:
        Two (N,); infinity in the second for a column that does not vary.
    """
    centre, spread = columns.mean(axis=0), columns.std(axis=0)
    varies = spread > 1e-6 * np.maximum(1.0, np.abs(centre))
    smallest = SMALLEST_SCALE * np.median(spread[varies]) if varies.any() else 1.0
    return centre, np.where(varies, np.maximum(spread, smallest), np.inf)


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
