"""The strongest single variant of each gene: what one eQTL alone predicts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from gta.baselines.genotypes import gene_genotypes, require_genotypes
from gta.baselines.predictions import prediction_table
from gta.baselines.settings import TopEqtlSettings
from gta.cohort.tables import Cohort
from gta.haplotypes import PanelSet

COLUMNS = ["gene", "contig", "pos", "ref", "alt", "distance", "slope", "r", "p_value", "n_variants"]


def strongest(dosage: np.ndarray, response: np.ndarray) -> tuple[int, float, float, float]:
    """The variant that is most correlated with expression, by simple linear regression.

    Args:
        dosage: (n, V) ALT dosages, V > 0; every variant varies.
        response: (n,) expression, natural log.

    Returns:
        Its number (of equal ones the first), the slope per ALT allele, the correlation, and the two-sided p-value of the slope
        (Student's t with n - 2 degrees of freedom), for this variant alone: not corrected for the number of variants.
    """
    x, y = dosage - dosage.mean(axis=0), response - response.mean()
    covariance, squares, square = x.T @ y, (x * x).sum(axis=0), float(y @ y)
    correlation = covariance / np.sqrt(squares * square) if square > 0 else np.zeros(len(covariance))
    # Variants in perfect linkage differ by rounding alone: the first of them is taken on any machine.
    best = int(np.argmax(np.round(np.abs(correlation), 12)))
    r, degrees = float(np.clip(correlation[best], -1, 1)), len(y) - 2
    with np.errstate(divide="ignore"):
        t = r * np.sqrt(degrees / np.float64((1 - r) * (1 + r)))
    return best, float(covariance[best] / squares[best]), r, float(2 * stats.t.sf(abs(t), degrees))


def fit_cohort(cohort: Cohort, panels: Sequence[PanelSet], settings: TopEqtlSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Find every gene's strongest variant among the training people, and predict everybody's expression of the training genes.

    Args:
        cohort: The cohort.
        panels: Haplotype panels of all contigs.
        settings: The settings.

    Returns:
        Predictions (`gene person mean deviation predicted`) of the training genes, and the variants of all genes (`COLUMNS`;
        genes without a usable variant have no row; `distance` from the TSS in bp, positive in the gene's direction).

    Raises:
        UserError: if the panels are of other people or lack a gene.
    """
    require_genotypes(cohort)
    training, seen = cohort.people_numbers("train"), set(cohort.gene_numbers("train").tolist())
    names, means, deviations, rows = [], [], [], []
    for gene in gene_genotypes(cohort, panels, settings.min_maf):
        name, response = cohort.gene_names[gene.number], cohort.expression[gene.number, training]
        deviation = np.zeros(len(cohort.people_names))
        if len(gene.positions):
            best, slope, r, p_value = strongest(gene.dosage[training], response)
            about = cohort.genes.iloc[gene.number]
            distance = (int(gene.positions[best]) - int(about["tss"])) * (-1 if about["strand"] == "-" else 1)
            place = (int(gene.positions[best]), gene.refs[best], gene.alts[best])
            rows.append((name, gene.contig, *place, distance, slope, r, p_value, len(gene.positions)))
            deviation = slope * (gene.dosage[:, best] - gene.dosage[training, best].mean())
        if gene.number in seen:
            names.append(name)
            means.append(response.mean())
            deviations.append(deviation)
    people = cohort.people_names
    table = prediction_table(names, people, np.array(means), np.array(deviations).reshape(len(names), len(people)))
    return table, pd.DataFrame(rows, columns=COLUMNS)
