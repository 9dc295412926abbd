"""Elastic net on cis genotypes, one model per gene: the PrediXcan baseline (Gamazon et al., Nat Genet 2015).

How well a gene can be predicted from its genotypes at all, `cv_r2`, is estimated by nested cross-validation: the penalty is
chosen anew without the fold that is predicted, so that the choice does not flatter it.
"""

import itertools
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path
from sklearn.model_selection import KFold
from tqdm import tqdm

from gta.baselines.genotypes import GeneGenotypes, gene_genotypes, require_genotypes
from gta.baselines.predictions import prediction_table
from gta.baselines.settings import ElasticNetSettings
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.haplotypes import PanelSet

#: The weakest penalty that is tried, as a share of the one at which the model is empty. Weaker ones over-fit and hardly converge.
WEAKEST = 0.05
#: Of the coordinate descent; ten times the default of scikit-learn, which costs twice the time for the same predictions.
TOLERANCE = 1e-3
MOST_ROUNDS = 20_000

WEIGHT_COLUMNS = ["gene", "contig", "pos", "ref", "alt", "weight", "cv_r2", "n_variants"]
GENE_COLUMNS = ["gene", "n_variants", "n_weights", "cv_r2"]


@dataclass(frozen=True)
class GeneModel:
    """The model of one gene.

    Attributes:
        weights: (V,) change of expression per ALT allele, natural log; all 0 if no variant helps.
        cv_r2: Share of the variance among training people that is predicted in nested cross-validation, against the mean of the
            other folds; negative if it is worse than that mean, 0 without variants.
        converged: False if the coordinate descent stopped early at some penalty.
    """

    weights: np.ndarray
    cv_r2: float
    converged: bool


@dataclass(frozen=True)
class _Path:
    """Weights (V, penalties) of standardised dosages, and the means that they are relative to."""

    weights: np.ndarray
    means: np.ndarray
    level: float
    converged: bool

    def predict(self, dosage: np.ndarray) -> np.ndarray:
        """(n, V) to (n, penalties)."""
        return self.level + (dosage - self.means) @ self.weights


def _fit_path(dosage: np.ndarray, response: np.ndarray, penalties: np.ndarray, l1_ratio: float) -> _Path:
    """The models of all penalties, from the strongest on."""
    means, level = dosage.mean(axis=0), float(response.mean())
    _, weights, _, rounds = enet_path(
        np.asfortranarray(dosage - means),
        response - level,
        l1_ratio=l1_ratio,
        alphas=penalties,
        max_iter=MOST_ROUNDS,
        tol=TOLERANCE,
        return_n_iter=True,
    )
    return _Path(weights, means, level, max(rounds) < MOST_ROUNDS)


def fit_gene(dosage: np.ndarray, response: np.ndarray, settings: ElasticNetSettings, seed: int) -> GeneModel:
    """Fit one gene on training people.

    Args:
        dosage: (n, V) ALT dosages of the training people; every variant varies.
        response: (n,) expression, natural log.
        settings: The settings.
        seed: Seed of the folds.
    """
    if dosage.shape[1] == 0:
        return GeneModel(np.zeros(0), 0.0, True)
    scale = dosage.std(axis=0)
    standardised = (dosage - dosage.mean(axis=0)) / scale
    centred = response - response.mean()
    # At this penalty the first weight leaves 0 (Friedman et al., J Stat Softw 2010, section 2.5).
    strongest = np.abs(standardised.T @ centred).max() / (len(centred) * settings.l1_ratio)
    if strongest < np.finfo(float).eps:
        return GeneModel(np.zeros(dosage.shape[1]), 0.0, True)
    penalties = np.geomspace(strongest, WEAKEST * strongest, settings.penalties)
    fold_of = np.empty(len(centred), dtype=np.intp)
    for fold, (_, test) in enumerate(KFold(settings.folds, shuffle=True, random_state=seed).split(centred)):
        fold_of[test] = fold

    def without(*folds: int) -> _Path:
        kept = ~np.isin(fold_of, folds)
        return _fit_path(standardised[kept], centred[kept], penalties, settings.l1_ratio)

    def errors(path: _Path, fold: int) -> np.ndarray:
        held = fold_of == fold
        return np.asarray(((path.predict(standardised[held]) - centred[held, None]) ** 2).mean(axis=0))

    outer = [without(fold) for fold in range(settings.folds)]
    chosen = int(np.argmin(np.mean([errors(path, fold) for fold, path in enumerate(outer)], axis=0)))
    # The fit without two folds serves the inner cross-validation of both.
    inner = np.zeros((settings.folds, settings.folds, len(penalties)))
    converged = all(path.converged for path in outer)
    for one, other in itertools.combinations(range(settings.folds), 2):
        path = without(one, other)
        inner[one, other], inner[other, one] = errors(path, other), errors(path, one)
        converged &= path.converged
    predicted, mean = np.empty(len(centred)), np.empty(len(centred))
    for fold, path in enumerate(outer):
        held = fold_of == fold
        predicted[held] = path.predict(standardised[held])[:, int(np.argmin(inner[fold].sum(axis=0)))]
        mean[held] = path.level
    final = _fit_path(standardised, centred, penalties[: chosen + 1], settings.l1_ratio)
    cv_r2 = 1 - ((centred - predicted) ** 2).sum() / ((centred - mean) ** 2).sum()
    return GeneModel(final.weights[:, -1] / scale, float(cv_r2), converged and final.converged)


def fit_cohort(
    cohort: Cohort, panels: Sequence[PanelSet], settings: ElasticNetSettings, seed: int, threads: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Fit every gene on the training people, and predict everybody's expression of the training genes.

    Genes of the other splits are fitted for their `cv_r2` alone: predicted by their own genotypes they would not be unseen.

    Args:
        cohort: The cohort.
        panels: Haplotype panels of all contigs.
        settings: The settings.
        seed: Seed of the folds.
        threads: Genes fitted at the same time.

    Returns:
        Predictions (`gene person mean deviation predicted`) and weights (`WEIGHT_COLUMNS`) of the training genes; and what was
        found of every gene (`GENE_COLUMNS`).

    Raises:
        UserError: if the panels are of other people or lack a gene, or there are too few training people.
    """
    require_genotypes(cohort)
    training = cohort.people_numbers("train")
    if len(training) < 2 * settings.folds:
        raise UserError(
            f"The cohort has {len(training)} training people, too few for {settings.folds} folds of at least two: "
            "lower baselines.elastic_net.folds or choose more people."
        )

    def fit(gene: GeneGenotypes) -> GeneModel:
        return fit_gene(gene.dosage[training], cohort.expression[gene.number, training], settings, seed)

    seen = set(cohort.gene_numbers("train").tolist())
    names, means, deviations, weights, found = [], [], [], [], []
    genes = list(gene_genotypes(cohort, panels, settings.min_maf))
    # Filters of warnings are shared between threads; what does not converge is told by name.
    with ThreadPoolExecutor(threads) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        models = list(tqdm(pool.map(fit, genes), total=len(genes), desc="genes", file=sys.stderr, mininterval=5))
    for gene, model in zip(genes, models, strict=True):
        name, chosen = cohort.gene_names[gene.number], np.flatnonzero(model.weights).tolist()
        if not model.converged:
            print(f"{name}: coordinate descent stopped after {MOST_ROUNDS} rounds at some penalty", file=sys.stderr)
        found.append((name, len(gene.positions), len(chosen), model.cv_r2))
        if gene.number not in seen:
            continue
        score = gene.dosage @ model.weights
        names.append(name)
        means.append(cohort.expression[gene.number, training].mean())
        deviations.append(score - score[training].mean())
        for variant in chosen:
            place = (int(gene.positions[variant]), gene.refs[variant], gene.alts[variant])
            weights.append((name, gene.contig, *place, model.weights[variant], model.cv_r2, len(gene.positions)))
    people = cohort.people_names
    return (
        prediction_table(names, people, np.array(means), np.array(deviations).reshape(len(names), len(people))),
        pd.DataFrame(weights, columns=WEIGHT_COLUMNS),
        pd.DataFrame(found, columns=GENE_COLUMNS),
    )
