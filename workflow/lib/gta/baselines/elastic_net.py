"""Elastic net on cis genotypes, one model per gene: the PrediXcan baseline (Gamazon et al., Nat Genet 2015)."""

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import ElasticNetCV
from sklearn.model_selection import KFold
from tqdm import tqdm

from gta.baselines.predictions import prediction_table, require_people
from gta.baselines.settings import ElasticNetSettings
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.haplotypes import PanelSet, dosages

#: The weakest penalty that is tried, as a share of the one at which the model is empty. Weaker ones over-fit and hardly converge.
WEAKEST = 0.05
#: Of the coordinate descent; ten times the default of scikit-learn, which costs twice the time for the same predictions.
TOLERANCE = 1e-3
MOST_ROUNDS = 20_000


@dataclass(frozen=True)
class GeneModel:
    """The model of one gene.

    Attributes:
        weights: (V,) change of expression per ALT allele, natural log; all 0 if no variant helps.
        cv_r2: Share of the variance that the chosen penalty explains in cross-validation, against the mean of the other folds;
            negative if it is worse than that mean.
        converged: False if the coordinate descent stopped early at some penalty.
    """

    weights: np.ndarray
    cv_r2: float
    converged: bool


def fit_gene(dosage: np.ndarray, response: np.ndarray, settings: ElasticNetSettings, seed: int, threads: int = 1) -> GeneModel:
    """Fit one gene on training people.

    Args:
        dosage: (n, V) ALT dosages of the training people; every variant varies.
        response: (n,) expression, natural log.
        settings: The settings.
        seed: Seed of the folds.
        threads: Folds fitted at the same time.
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
    folds = list(KFold(settings.folds, shuffle=True, random_state=seed).split(centred))
    model = ElasticNetCV(
        l1_ratio=settings.l1_ratio,
        alphas=np.geomspace(strongest, WEAKEST * strongest, settings.penalties),
        cv=folds,
        max_iter=MOST_ROUNDS,
        tol=TOLERANCE,
        n_jobs=threads,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(standardised, centred)
    null = np.mean([np.mean((centred[test] - centred[train].mean()) ** 2) for train, test in folds])
    return GeneModel(
        weights=model.coef_ / scale,
        cv_r2=float(1 - model.mse_path_.mean(axis=-1).min() / null),
        converged=not any(issubclass(warning.category, ConvergenceWarning) for warning in caught),
    )


def fit_cohort(
    cohort: Cohort, panels: Sequence[PanelSet], settings: ElasticNetSettings, seed: int, threads: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit every training gene on the training people, and predict everybody.

    Args:
        cohort: The cohort.
        panels: Haplotype panels of all contigs.
        settings: The settings.
        seed: Seed of the folds.
        threads: Folds fitted at the same time.

    Returns:
        Predictions (`gene person mean deviation predicted`) and weights (`gene contig pos ref alt weight cv_r2 n_variants`).

    Raises:
        UserError: if the panels are of other people or lack a gene, or there are too few training people.
    """
    for panel_set in panels:
        require_people(cohort, panel_set.people, f"The haplotypes of {panel_set.contig}")
    training = cohort.people_numbers("train")
    if len(training) < 2 * settings.folds:
        raise UserError(
            f"The cohort has {len(training)} training people, too few for {settings.folds} folds of at least two: "
            "lower baselines.elastic_net.folds or choose more people."
        )
    home = {gene: panel_set for panel_set in panels for gene in panel_set.genes}
    names, means, deviations, weights = [], [], [], []
    numbers = cohort.gene_numbers("train")
    for number in tqdm(numbers.tolist(), desc="genes", file=sys.stderr, mininterval=5):
        gene = cohort.gene_names[number]
        if gene not in home:
            raise UserError(f"No haplotypes are given of gene {gene}: give those of all contigs, made for this cohort.")
        found = dosages(home[gene].panel(gene), settings.min_maf, training)
        response = cohort.expression[number, training]
        # A variant may be frequent and yet the same in everybody: all heterozygous, or any frequency if min_maf is 0.
        varying = np.flatnonzero(found.counts[training].std(axis=0) > 0)
        dosage = found.counts[:, varying].astype(np.float64)
        model = fit_gene(dosage[training], response, settings, seed, threads)
        if not model.converged:
            print(f"{gene}: coordinate descent stopped after {MOST_ROUNDS} rounds at some penalty", file=sys.stderr)
        score = dosage @ model.weights
        names.append(gene)
        means.append(response.mean())
        deviations.append(score - score[training].mean())
        for variant in np.flatnonzero(model.weights).tolist():
            place = int(varying[variant])
            weights.append(
                {
                    "gene": gene,
                    "contig": home[gene].contig,
                    "pos": int(found.positions[place]),
                    "ref": found.refs[place].decode(),
                    "alt": found.alts[place].decode(),
                    "weight": model.weights[variant],
                    "cv_r2": model.cv_r2,
                    "n_variants": len(varying),
                }
            )
    people = cohort.people_names
    table = prediction_table(names, people, np.array(means), np.array(deviations).reshape(len(names), len(people)))
    columns = ["gene", "contig", "pos", "ref", "alt", "weight", "cv_r2", "n_variants"]
    return table, pd.DataFrame(weights, columns=columns)
