"""Ridge regression over genes, with every choice made by cross-validation over contiguous folds of training genes.

The sums that a ridge regression needs are added up once per fold. A fit without one fold, or without two, is then a subtraction
and one eigendecomposition, which serves all penalties at once. So nested cross-validation over F folds costs
1 + F + F (F - 1) / 2 eigendecompositions per candidate: 56 for ten folds. On one core a candidate with 12,000 genes and 576
dimensions takes 3 s, of which 62 (31 layers, two poolings) take less than three minutes; with 2,048 dimensions, of which
`COMPONENTS` are kept, it takes 10 s.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD

from gta.errors import UserError
from gta.evaluation.correlation import spearman
from gta.regression import PENALTIES

#: Features with more dimensions are projected on as many leading components of the training genes.
COMPONENTS = 600
#: Fewest training genes of a regression whose choices are cross-validated: the two that are left without a fold have one each.
FEWEST_GENES = 3


@dataclass(frozen=True)
class Fit:
    """Ridge regressions of all penalties on the same genes.

    Attributes:
        centre: (D,) mean of the features.
        level: Mean of the response.
        coefficients: (D, penalties).
    """

    centre: np.ndarray
    level: float
    coefficients: np.ndarray

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Predict genes with features (n, D); return (n, penalties)."""
        return (features - self.centre) @ self.coefficients + self.level


class FoldedRidge:
    """Ridge regressions of one response on one matrix of features, with any of the folds left out."""

    def __init__(self, features: np.ndarray, response: np.ndarray, folds: Sequence[np.ndarray]) -> None:
        """Add up what every fold contributes.

        Args:
            features: (n, D) float64.
            response: (n,) float64.
            folds: A partition of the n genes, as arrays of indices.
        """
        self.features, self.response, self.folds = features, response, folds
        self._sizes = np.array([len(fold) for fold in folds], dtype=np.float64)
        self._sums = np.stack([features[fold].sum(axis=0) for fold in folds])
        self._grams = np.stack([features[fold].T @ features[fold] for fold in folds])
        self._moments = np.stack([features[fold].T @ response[fold] for fold in folds])
        self._totals = np.array([response[fold].sum() for fold in folds])
        variance, square = (values.mean() if values.size else 0.0 for values in (features.var(axis=0), features**2))
        # Features that are the same for all genes differ by rounding alone.
        self.unit = float(variance) if variance > 1e-12 * square else 1.0

    def fit(self, left_out: Sequence[int] = ()) -> Fit:
        """Fit on the genes of all folds but some."""
        others = np.setdiff1d(np.arange(len(self.folds)), left_out)
        size, total = self._sizes[others].sum(), self._totals[others].sum()
        centre, level = self._sums[others].sum(axis=0) / size, float(total / size)
        gram = self._grams[others].sum(axis=0) - size * np.outer(centre, centre)
        moment = self._moments[others].sum(axis=0) - total * centre
        values, vectors = np.linalg.eigh(gram)
        # Penalties are per gene, for features of mean variance 1.
        shrunken = (vectors.T @ moment)[:, None] / (np.maximum(values, 0)[:, None] + size * self.unit * PENALTIES)
        return Fit(centre, level, vectors @ shrunken)

    def nested(self) -> tuple["OutOfFold", list["OutOfFold"]]:
        """Predict every gene by fits without its fold, and without its fold and one other.

        Returns:
            The predictions of each gene by the fit without its fold; and for each fold the same within the genes of the other
            folds, NaN for its own.
        """
        outer, *inner = (OutOfFold.empty(len(self.response)) for _ in range(len(self.folds) + 1))
        for number, fold in enumerate(self.folds):
            outer.put(fold, self.fit([number]), self.features[fold])
        for first, second in itertools.combinations(range(len(self.folds)), 2):
            fit = self.fit([first, second])
            for without, predicted in ((first, second), (second, first)):
                fold = self.folds[predicted]
                inner[without].put(fold, fit, self.features[fold])
        return outer, inner


@dataclass(frozen=True)
class OutOfFold:
    """Predictions of genes by fits that did not use them.

    Attributes:
        predicted: (n, penalties).
        levels: (n,) mean response of the genes that the fit used.
    """

    predicted: np.ndarray
    levels: np.ndarray

    @classmethod
    def empty(cls, n: int) -> "OutOfFold":
        """Return predictions of n genes that are still to be made."""
        return cls(np.full((n, len(PENALTIES)), np.nan), np.full(n, np.nan))

    def put(self, genes: np.ndarray, fit: Fit, features: np.ndarray) -> None:
        """Predict some of the genes."""
        self.predicted[genes], self.levels[genes] = fit.predict(features), fit.level

    def best_penalty(self, genes: np.ndarray, response: np.ndarray) -> tuple[int, float, float]:
        """Return the penalty with the smallest squared error for some genes, its error, and its Spearman correlation.

        The level of each fit is subtracted before predictions are ranked: it is low where the genes left out are high, so that a
        constant prediction would seem to be worse than chance.
        """
        predicted, truth = self.predicted[genes], response[genes]
        errors = ((predicted - truth[:, None]) ** 2).mean(axis=0)
        penalty = int(np.argmin(errors))
        # Rounded, so that ties are ties.
        correlation = round(spearman(np.round(predicted[:, penalty] - self.levels[genes], 9), truth), 9)
        return penalty, float(errors[penalty]), correlation


def leading_components(features: Any, training: np.ndarray) -> np.ndarray:
    """Rotate features so that at most `COMPONENTS` dimensions are left.

    With up to `COMPONENTS` training genes nothing is lost: a ridge regression lies in the space that its genes span.

    Args:
        features: (G, D), a NumPy array or a SciPy sparse array.
        training: Numbers of the training genes, which alone decide the components.

    Returns:
        (G, r) float64, r <= `COMPONENTS`.
    """
    rows = features[training]
    if len(training) <= COMPONENTS and features.shape[1] > len(training):
        products, all_products = (_dense(matrix @ rows.T) for matrix in (rows, features))
        values, vectors = np.linalg.eigh(products)
        used = values > len(values) * np.finfo(float).eps * max(values[-1], np.finfo(float).tiny)
        return np.asarray(all_products @ (vectors[:, used] / np.sqrt(values[used])))
    if features.shape[1] <= COMPONENTS:
        return _dense(features)
    return np.asarray(TruncatedSVD(COMPONENTS, random_state=0).fit(rows).transform(features), dtype=np.float64)


def _dense(matrix: Any) -> np.ndarray:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix, dtype=np.float64)


@dataclass(frozen=True)
class CrossValidated:
    """A ridge regression whose features and penalty were chosen by cross-validation.

    Attributes:
        predicted: (G,) prediction of all genes by the fit on all training genes.
        out_of_fold: (n,) prediction of each training gene by a fit without its fold; features and penalty were chosen without
            that fold, too.
        candidates: One row per candidate: its columns, `penalty`, and `r2` and `spearman` (see `OutOfFold.best_penalty`) of its
            out-of-fold predictions over all training genes; `chosen` is `yes` for one of them.
    """

    predicted: np.ndarray
    out_of_fold: np.ndarray
    candidates: pd.DataFrame


def cross_validated_ridge(
    candidates: Iterable[tuple[dict[str, object], Any]], response: np.ndarray, training: np.ndarray, folds: Sequence[np.ndarray]
) -> CrossValidated:
    """Choose among matrices of features and penalties, and predict.

    Each candidate gets the penalty with the smallest squared error out of fold; of the candidates the one with the largest
    Spearman correlation out of fold is chosen, the first of equal ones. For out-of-fold predictions both are repeated without the
    fold.

    Args:
        candidates: Columns of the candidate's row, and features (G, D) of all genes, array or sparse array; one at a time.
        response: (n,) of the training genes.
        training: (n,) numbers of the training genes, rows of the features.
        folds: A partition of the n training genes, as arrays of indices into `training`.

    Returns:
        Predictions of all genes, out-of-fold predictions of the training genes, and the table of candidates.

    Raises:
        UserError: if there are fewer than `FEWEST_GENES` training genes.
    """
    require_enough_genes(len(training))
    rows: list[dict[str, object]] = []
    best, best_without = -np.inf, np.full(len(folds), -np.inf)
    predicted, out_of_fold, chosen = np.empty(0), np.full(len(training), np.nan), 0
    variance = float(np.mean((response - response.mean()) ** 2))
    for number, (columns, features) in enumerate(candidates):
        components = leading_components(features, training)
        ridge = FoldedRidge(components[training], response, folds)
        outer, inner = ridge.nested()
        penalty, error, correlation = outer.best_penalty(np.arange(len(training)), response)
        r2 = 1 - error / variance if variance > 0 else 0.0
        rows.append({**columns, "penalty": PENALTIES[penalty], "r2": r2, "spearman": correlation})
        if correlation > best:
            best, chosen, predicted = correlation, number, ridge.fit().predict(components)[:, penalty]
        for fold, genes in enumerate(folds):
            others = np.setdiff1d(np.arange(len(training)), genes)
            penalty, _, correlation = inner[fold].best_penalty(others, response)
            if correlation > best_without[fold]:
                best_without[fold], out_of_fold[genes] = correlation, outer.predicted[genes, penalty]
    table = pd.DataFrame(rows)
    table["chosen"] = np.where(np.arange(len(table)) == chosen, "yes", "no")
    return CrossValidated(predicted, out_of_fold, table)


def require_enough_genes(n: int) -> None:
    """Make sure that there are enough training genes.

    Raises:
        UserError: if there are fewer than `FEWEST_GENES`.
    """
    if n < FEWEST_GENES:
        raise UserError(
            f"The cohort has {n} training genes, and the baselines that read text need {FEWEST_GENES}: choose more genes."
        )
