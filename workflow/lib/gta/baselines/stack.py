"""Stacks: predictions of mean expression by several models, combined by weights that are fitted on out-of-fold predictions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from gta.baselines.folded_ridge import FEWEST_GENES
from gta.baselines.predictions import read_mean_expression
from gta.baselines.ridge import predict_levels, reference_features
from gta.baselines.settings import RidgeSettings
from gta.baselines.text import training_levels
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore
from gta.inputs.tables import read_table

#: Columns of the table of weights.
COLUMNS = ["name", "seed", "part", "weight", "intercept"]


@dataclass(frozen=True)
class Part:
    """What one model contributes to a stack.

    Attributes:
        name: Name of the model.
        predicted: (G,) mean expression of all genes by the fit on all training genes, natural log.
        out_of_fold: (G,) predictions by fits that did not use the gene's expression; NaN for genes without such a prediction.
    """

    name: str
    predicted: np.ndarray
    out_of_fold: np.ndarray


@dataclass(frozen=True)
class Stack:
    """A non-negative linear combination of models.

    Attributes:
        parts: Names of the models.
        weights: (parts,), not negative.
        intercept: Natural log.
        predicted: (G,) mean expression of all genes.
    """

    parts: Sequence[str]
    weights: np.ndarray
    intercept: float
    predicted: np.ndarray

    def rows(self, name: str, seed: str = "") -> list[tuple[object, ...]]:
        """Return the rows of the table of weights, `COLUMNS`."""
        return [
            (name, seed, part, weight, self.intercept) for part, weight in zip(self.parts, self.weights.tolist(), strict=True)
        ]


def stack(parts: Sequence[Part], cohort: Cohort) -> Stack:
    """Fit the weights of some models, and combine their predictions.

    Args:
        parts: The models.
        cohort: The cohort. The weights are fitted on mean expression over the training individuals, of those training and
            validation genes that all parts predict out of fold.

    Raises:
        UserError: if these genes are fewer than `FEWEST_GENES`.
    """
    features = np.column_stack([part.out_of_fold for part in parts])
    usable = np.union1d(cohort.gene_numbers("train"), cohort.gene_numbers("valid"))
    genes = usable[~np.isnan(features[usable]).any(axis=1)]
    names = [part.name for part in parts]
    if len(genes) < FEWEST_GENES:
        raise UserError(
            f"{' and '.join(names)} have out-of-fold predictions of {len(genes)} genes in common, and the weights of a stack need"
            f" {FEWEST_GENES}: choose more genes."
        )
    levels = cohort.expression[genes][:, cohort.people_numbers("train")].mean(axis=1)
    model = LinearRegression(positive=True).fit(features[genes], levels)
    predicted = model.predict(np.column_stack([part.predicted for part in parts]))
    return Stack(names, np.asarray(model.coef_), float(model.intercept_), np.asarray(predicted))


def features_part(cohort: Cohort, store: FeatureStore, settings: RidgeSettings) -> Part:
    """Return the ridge regression on sequence features of the reference, refitted without each fold for its predictions.

    Raises:
        UserError: if the features lack a gene, or there are too few training genes.
    """
    training, levels, folds = training_levels(cohort)
    features = reference_features(store, cohort.gene_names, settings)
    response = np.zeros(len(features))
    response[training] = levels
    out_of_fold = np.full(len(features), np.nan)
    for fold in folds:
        others = np.delete(training, fold)
        out_of_fold[training[fold]] = predict_levels(features, response, others)[training[fold]]
    return Part("ridge", predict_levels(features, response, training), out_of_fold)


def read_part(name: str, predictions: Path, out_of_fold: Path, cohort: Cohort, valid_unused: bool = False) -> Part:
    """Read what a model predicted.

    Args:
        name: Name of the model.
        predictions: Its file in `predictions/`.
        out_of_fold: Table `gene mean` of predictions that did not use the gene's expression.
        cohort: The cohort.
        valid_unused: Whether the model made no use of validation genes, so that its predictions of them are out of fold.

    Returns:
        The part.

    Raises:
        UserError: if a file is broken, or the table has genes that are not of this cohort or are of its split test.
    """
    predicted = read_mean_expression(predictions, cohort)
    table = read_means(out_of_fold)
    number = {gene: row for row, gene in enumerate(cohort.gene_names)}
    test = set(cohort.genes.loc[cohort.genes["split"] == "test", "gene"])
    for gene in table:
        if gene not in number:
            raise UserError(f"{out_of_fold} has the gene {gene}, which is not in the cohort: make it again for this cohort.")
        if gene in test:
            raise UserError(f"{out_of_fold} has the gene {gene}, which is held out (split test): make it again without.")
    means = np.full(len(number), np.nan)
    if valid_unused:
        valid = cohort.gene_numbers("valid")
        means[valid] = predicted[valid]
    for gene, value in table.items():
        means[number[gene]] = value
    return Part(name, predicted, means)


def read_means(path: Path) -> dict[str, float]:
    """Read a table of out-of-fold predictions, `gene mean`.

    Raises:
        UserError: if the file is no such table.
    """
    table = read_table(path, ("gene", "mean"))
    values = pd.to_numeric(table["mean"], errors="coerce")
    if values.isna().any() or table["gene"].duplicated().any():
        raise UserError(f"{path} does not have one number for each gene: make it again.")
    return dict(zip(table["gene"], values.astype(np.float64), strict=True))


def means_table(genes: Iterable[str], means: np.ndarray) -> pd.DataFrame:
    """Return a table of out-of-fold predictions, `gene mean`, with nine significant digits."""
    return pd.DataFrame({"gene": list(genes), "mean": [f"{value:.9g}" for value in means]})


def weights_table(stacks: Mapping[tuple[str, str], Stack]) -> pd.DataFrame:
    """Return the table of weights (`COLUMNS`) of stacks by name and seed."""
    return pd.DataFrame([row for (name, seed), one in stacks.items() for row in one.rows(name, seed)], columns=COLUMNS)
