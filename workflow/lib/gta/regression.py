"""Ridge regressions in closed form: from normal equations, and with a penalty of its own for each block of columns."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.linalg.blas import dsyrk
from scipy.linalg.lapack import dtrtri

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
#: A block is narrow if it has fewer columns than this share of the rows.
NARROW = 0.35
#: Rows or columns that are standardised at once.
PART = 1024


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
        strengths: The strength of each block.
        out_of_fold: (n,) prediction of each row by the regression on the other folds, with the strengths chosen on all of them;
            None if it was not asked for.
    """

    centre: np.ndarray
    scale: np.ndarray
    weight: np.ndarray
    bias: float
    strengths: list[float]
    out_of_fold: np.ndarray | None


def block_ridge(
    inputs: np.ndarray,
    sizes: Sequence[int],
    response: np.ndarray,
    folds: Sequence[np.ndarray],
    strengths: Sequence[float] | None = None,
    out_of_fold: bool = True,
    common_scale: Sequence[int] = (),
) -> BlockRidge:
    """Fit a ridge regression with a penalty for each block of columns, chosen by cross-validation.

    Columns are standardised, and the kernel of a block is the mean over its columns, so that a strength means the same for
    blocks of any width. Strengths are chosen one block after the other by the squared error out of fold; of equal errors the
    smallest strength wins. With several blocks this is banded ridge regression (Nunez-Elizalde et al., NeuroImage 2019).

    Predictions out of fold follow from one regression on all rows (see `_without_folds`). The system that is solved has as many
    equations as there are rows, or columns of blocks with a strength above 0, whichever are fewer. Inputs are standardised part
    by part: memory is that of one square matrix of this size in addition to the inputs. On one core 11,000 rows and 10,000
    columns take about a minute (docs/aligner.md).

    Args:
        inputs: (n, N) float32 or float64, n >= 2; sums are float64.
        sizes: Columns of each block, in order; they sum to N.
        response: (n,) float64.
        folds: A partition of the rows, as arrays of indices.
        strengths: The strength of each block; None: they are chosen.
        out_of_fold: Whether predictions out of fold are returned.
        common_scale: Numbers of the blocks whose columns are not standardised one by one, but divided by one number, so that
            columns that vary more have more weight.
    """
    borders = list(itertools.pairwise(np.cumsum([0, *sizes]).tolist()))
    parts = [
        (centred_together if number in common_scale else standardisation)(inputs[:, start:end])
        for number, (start, end) in enumerate(borders)
    ]
    centre, scale = (np.concatenate(values) for values in zip(*parts, strict=True))
    bias, noise = float(response.mean()), float(response.std()) or 1.0
    target = (response - bias) / noise
    if strengths is None:
        strengths = _choose_strengths(inputs, borders, centre, scale, target, folds)
    prior = np.repeat([np.sqrt(s / max(1, size)) for s, size in zip(strengths, sizes, strict=True)], sizes)
    used = np.flatnonzero(prior)
    columns = _Columns(inputs, used, centre[used], prior[used] / scale[used])
    solve = _solve_primal if len(used) < len(target) else _solve_dual
    coefficients, predicted = solve(columns, target, folds if out_of_fold else None)
    weight = np.zeros(len(prior))
    weight[used] = noise * prior[used] * coefficients
    return BlockRidge(centre, scale, weight, bias, list(strengths), None if predicted is None else bias + noise * predicted)


def standardisation(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each column and its divisor: its standard deviation, or more if that is far below the others'.

    A column that varies in few rows, and by little, would otherwise dominate the prediction of a row in which it is large.

    Args:
        columns: (n, N) of one kind.

    Returns:
        Two (N,) float64; infinity in the second for a column that does not vary.
    """
    centre, spread, varies = _spread(columns)
    smallest = SMALLEST_SCALE * np.median(spread[varies]) if varies.any() else 1.0
    return centre, np.where(varies, np.maximum(spread, smallest), np.inf)


def centred_together(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of each column and, as the divisor of all, the root of their mean variance.

    Args:
        columns: (n, N) of one kind.

    Returns:
        Two (N,) float64; infinity in the second for a column that does not vary.
    """
    centre, spread, varies = _spread(columns)
    return centre, np.where(varies, np.sqrt((spread**2).mean()) if len(spread) else 1.0, np.inf)


def _spread(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean and the standard deviation of each column, (N,) float64, and whether it varies, (N,) bool."""
    centre, spread = np.empty(columns.shape[1]), np.empty(columns.shape[1])
    for start in range(0, columns.shape[1], PART):
        part = columns[:, start : start + PART].astype(np.float64)
        centre[start : start + PART], spread[start : start + PART] = part.mean(axis=0), part.std(axis=0)
    return centre, spread, spread > 1e-6 * np.maximum(1.0, np.abs(centre))


@dataclass(frozen=True)
class _Columns:
    """Columns of a matrix, each centred and multiplied by a factor; made part by part.

    Attributes:
        inputs: (n, N).
        used: (p,) numbers of the columns.
        centre: (p,) what is subtracted from each.
        factor: (p,) what it is then multiplied by.
    """

    inputs: np.ndarray
    used: np.ndarray
    centre: np.ndarray
    factor: np.ndarray

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows, (rows, p) float64."""
        part = self.inputs[np.ix_(rows, self.used)].astype(np.float64)
        part -= self.centre
        part *= self.factor
        return part

    def row_parts(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield all rows in parts."""
        for start in range(0, len(self.inputs), PART):
            place = slice(start, start + PART)
            yield place, self.rows(np.arange(len(self.inputs))[place])

    def column_parts(self) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield all columns in parts, (n, columns) float64."""
        for start in range(0, len(self.used), PART):
            place = slice(start, start + PART)
            part = self.inputs[:, self.used[place]].astype(np.float64)
            part -= self.centre[place]
            part *= self.factor[place]
            yield place, part


def _solve_primal(
    columns: _Columns, target: np.ndarray, folds: Sequence[np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Solve for the coefficients of p columns, fewer than rows; and predict out of fold, if folds are given.

    With S = 1 - Z (Z'Z + 1)^-1 Z', Z the columns: see `_without_folds`.
    """
    size = len(columns.used)
    gram, moment = np.asfortranarray(np.eye(size)), np.zeros(size)
    for place, part in columns.row_parts() if size else ():
        gram = dsyrk(1.0, part.T, beta=1.0, c=gram, lower=1, overwrite_c=1)
        moment += part.T @ target[place]
    factor = cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)
    coefficients = cho_solve(factor, moment, check_finite=False)
    if folds is None:
        return coefficients, None

    def residuals(fold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = columns.rows(fold)
        # Columns are centred, so that a constant stays what it is.
        products = np.column_stack([target[fold] - rows @ coefficients, np.ones(len(fold))])
        half = solve_triangular(factor[0], rows.T, lower=True, overwrite_b=True, check_finite=False) if size else rows.T
        return np.eye(len(fold)) - half.T @ half, products

    return coefficients, _without_folds(target, folds, residuals)


def _solve_dual(
    columns: _Columns, target: np.ndarray, folds: Sequence[np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Solve for the coefficients of p columns, as many as rows or more; and predict out of fold, if folds are given.

    With S = (Z Z' + 1)^-1, Z the columns: see `_without_folds`.
    """
    kernel = np.asfortranarray(np.eye(len(target)))
    for _, part in columns.column_parts():
        kernel = dsyrk(1.0, part.T, beta=1.0, c=kernel, trans=1, lower=1, overwrite_c=1)
    factor = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
    dual = cho_solve(factor, np.column_stack([target, np.ones(len(target))]), check_finite=False)
    coefficients = np.concatenate([part.T @ dual[:, 0] for _, part in columns.column_parts()])
    if folds is None:
        return coefficients, None
    inverse = _inverse_factor(factor[0])
    return coefficients, _without_folds(target, folds, lambda fold: (_block(inverse, fold), dual[fold]))


def _without_folds(
    target: np.ndarray, folds: Sequence[np.ndarray], residuals: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Predict every row from the rows of the other folds, by regressions around the mean of their response.

    With S = (K + 1)^-1, K the kernel of all rows, the rows f of a fold have the residuals y_f - K_fr (K_rr + 1)^-1 y_r =
    S_ff^-1 (S y)_f in the regression on the other rows r: the inverse of a matrix in blocks. So a single system of all rows
    serves all folds.

    Args:
        target: (n,) response.
        folds: Indices of the rows of each fold.
        residuals: Gives of a fold S_ff, and the rows f of S y and S 1, (f, 2).
    """
    predicted, total = np.zeros(len(target)), float(target.sum())
    for fold in folds:
        rest = len(target) - len(fold)
        if len(fold) and rest:
            matrix, products = residuals(fold)
            factor = cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
            response, constant = cho_solve(factor, products, check_finite=False).T
            predicted[fold] = target[fold] - response + constant * (total - float(target[fold].sum())) / rest
    return predicted


def _inverse_factor(factor: np.ndarray) -> np.ndarray:
    """Return the inverse of the lower triangle of a Cholesky factor, in its place; zeros above it."""
    inverse, status = dtrtri(factor, lower=1, overwrite_c=1)
    if status:
        raise np.linalg.LinAlgError("singular factor")
    for start in range(0, len(inverse), PART):
        end = min(start + PART, len(inverse))
        inverse[:start, start:end] = 0
        inverse[start:end, start:end] = np.tril(inverse[start:end, start:end])
    return inverse


def _block(inverse: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the rows and columns `rows` of a symmetric inverse, from the inverse of its lower Cholesky factor."""
    part = inverse[rows.min() :, rows]
    return part.T @ part


def _choose_strengths(
    inputs: np.ndarray,
    borders: list[tuple[int, int]],
    centre: np.ndarray,
    scale: np.ndarray,
    target: np.ndarray,
    folds: Sequence[np.ndarray],
) -> list[float]:
    """Choose the strength of each block by the error out of fold, on at most MAX_ROWS_TO_CHOOSE rows."""
    rows = np.arange(len(target))
    if len(target) > MAX_ROWS_TO_CHOOSE:
        rows = np.unique(np.linspace(0, len(target) - 1, MAX_ROWS_TO_CHOOSE).astype(int))
    folds = [np.flatnonzero(np.isin(rows, fold)) for fold in folds]
    blocks = []
    for start, end in borders:
        block = inputs[rows, start:end].astype(np.float64)
        block -= centre[start:end]
        block /= scale[start:end]
        blocks.append(block / np.sqrt(max(1, end - start)))
    return _Search(blocks, target[rows], folds).run()


class _Search:
    """The search for the strengths with the least error out of fold.

    All strengths of a narrow block are tried with a single inverse of the system without it, to which the block is added as an
    update of low rank; for a wide block every strength is a system of its own.
    """

    def __init__(self, blocks: list[np.ndarray], target: np.ndarray, folds: Sequence[np.ndarray]) -> None:
        """Make the kernels.

        Args:
            blocks: (n, size) of each block, divided by the root of its size.
            target: (n,) response.
            folds: A partition of the rows.
        """
        self.target, self.folds = target, folds
        self.products = np.column_stack([target, np.ones(len(target))])
        self.kernels = [block @ block.T for block in blocks]
        self.blocks = [block if block.shape[1] < NARROW * len(target) else None for block in blocks]
        self.errors: dict[tuple[float, ...], float] = {}

    def run(self) -> list[float]:
        """Return the strength of each block."""
        strengths = [FIRST_STRENGTH] * len(self.kernels)
        for _ in range(PASSES):
            before = list(strengths)
            for number in range(len(strengths)):
                tried = [(*strengths[:number], strength, *strengths[number + 1 :]) for strength in STRENGTHS]
                self._try(tried, number)
                strengths = list(tried[int(np.argmin(np.round([self.errors[each] for each in tried], 10)))])
            if strengths == before:
                break
        return strengths

    def _try(self, tried: list[tuple[float, ...]], number: int) -> None:
        """Find the errors of strengths that differ in one block."""
        unknown = [each for each in tried if each not in self.errors]
        block = self.blocks[number]
        if block is None:
            self.errors.update({each: self._direct(each) for each in unknown})
        elif unknown:
            others = tuple(0.0 if other == number else strength for other, strength in enumerate(unknown[0]))
            errors = self._updated(self._inverse(others), block, [each[number] for each in unknown])
            self.errors.update(zip(unknown, errors, strict=True))

    def _inverse(self, strengths: tuple[float, ...]) -> np.ndarray:
        """Return the inverse of the Cholesky factor of the system with these strengths."""
        kernel = np.asfortranarray(np.eye(len(self.target)))
        for strength, each in zip(strengths, self.kernels, strict=True):
            if strength:
                kernel += strength * each
        return _inverse_factor(cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)[0])

    def _error(self, residuals: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]) -> float:
        return float(((_without_folds(self.target, self.folds, residuals) - self.target) ** 2).mean())

    def _direct(self, strengths: tuple[float, ...]) -> float:
        """Return the error of one system."""
        inverse = self._inverse(strengths)
        products = inverse.T @ (inverse @ self.products)
        return self._error(lambda fold: (_block(inverse, fold), products[fold]))

    def _updated(self, inverse: np.ndarray, block: np.ndarray, strengths: list[float]) -> list[float]:
        """Return the error of every strength of a block that is added to a system (Woodbury's identity)."""
        half = inverse @ block
        values, vectors = np.linalg.eigh(half.T @ half)
        values = np.maximum(values, 0)
        rotated = inverse.T @ (half @ vectors)
        moments, products = rotated.T @ self.products, inverse.T @ (inverse @ self.products)
        own = {fold.tobytes(): _block(inverse, fold) for fold in self.folds if len(fold)}
        errors = []
        for strength in strengths:
            shrinkage = strength / (1 + strength * values)
            left = products - rotated @ (shrinkage[:, None] * moments)

            def residuals(
                fold: np.ndarray, shrinkage: np.ndarray = shrinkage, left: np.ndarray = left
            ) -> tuple[np.ndarray, np.ndarray]:
                return own[fold.tobytes()] - (rotated[fold] * shrinkage) @ rotated[fold].T, left[fold]

            errors.append(self._error(residuals))
        return errors


def _solve(kernel: np.ndarray, target: np.ndarray) -> np.ndarray:
    """(K + 1)^-1 y: the coefficients of a ridge regression whose noise has variance 1."""
    return cho_solve(cho_factor(kernel + np.eye(len(target)), check_finite=False), target, check_finite=False)
