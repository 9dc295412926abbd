"""Ridge regression on the features that GTA reads: what the features hold without a language model."""

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gta.baselines.predictions import mean_only_table, prediction_table, require_people
from gta.baselines.settings import RidgeSettings
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore, GeneFeatures
from gta.haplotypes.carriers import pairs
from gta.regression import PENALTIES, ridge_by_gcv


def zones(distance: np.ndarray, settings: RidgeSettings) -> np.ndarray:
    """The zone of each tile.

    Args:
        distance: (T,) distance from the TSS to the tile's centre, bp.
        settings: Bounds of the zones, bp.

    Returns:
        (T,) int64: 0 promoter, 1 proximal, 2 distal.
    """
    return np.searchsorted([settings.promoter, settings.proximal], np.abs(distance), side="left")


def zone_sums(gene: GeneFeatures, settings: RidgeSettings) -> np.ndarray:
    """Features of every haplotype, summed over the tiles of each zone.

    Args:
        gene: Features of one window: H haplotypes, F features.
        settings: Bounds of the zones, bp.

    Returns:
        (H, 3 * F) float64, zones outermost.
    """
    haplotypes = len(gene.index)
    rows = gene.rows.astype(np.float64)
    parts = []
    zone_of = zones(gene.tile_distance, settings)
    for zone in range(3):
        columns = gene.index[:, zone_of == zone]
        pointer = np.arange(haplotypes + 1) * columns.shape[1]
        counts = csr_array((np.ones(columns.size), columns.ravel(), pointer), shape=(haplotypes, len(rows)))
        parts.append(counts @ rows)
    return np.concatenate(parts, axis=1)


def level_features(gene: GeneFeatures, settings: RidgeSettings) -> np.ndarray:
    """Features of the reference haplotype, averaged over the tiles of each zone; 0 in a zone without tiles.

    Returns:
        (3 * F,) float64.
    """
    reference = GeneFeatures(gene.gene, gene.rows, gene.index[:1], gene.carriers, gene.tile_distance)
    tiles = np.bincount(zones(gene.tile_distance, settings), minlength=3)
    return zone_sums(reference, settings)[0] / np.repeat(np.maximum(tiles, 1), gene.rows.shape[1])


def reference_features(store: FeatureStore, names: list[str], settings: RidgeSettings) -> np.ndarray:
    """Features of the reference haplotypes of genes: averages by zone, and the extractor's own predictions, if it makes any.

    Args:
        store: Features of all genes.
        names: The G genes.
        settings: Bounds of the zones, bp.

    Returns:
        (G, 3 * F + K) float64.
    """
    tracks = [store.tracks[name][0] if store.track_names else np.zeros(0) for name in names]
    zoned = [level_features(store.gene(name), settings) for name in names]
    return np.column_stack([np.stack(zoned), np.stack(tracks)])


def deviation_features(gene: GeneFeatures, training: np.ndarray, settings: RidgeSettings) -> np.ndarray:
    """How each person's features, averaged over the haplotypes, differ from those of the training people.

    Args:
        gene: Features of one window: P people, F features.
        training: Numbers of the training people.
        settings: Bounds of the zones, bp.

    Returns:
        (P, 3 * F) float64: sums over the tiles of each zone, zones outermost.
    """
    sums = zone_sums(gene, settings)
    first, second = pairs(gene.carriers).T
    person = (sums[first] + sums[second]) / 2
    return person - person[training].mean(axis=0)


def predict_levels(features: np.ndarray, levels: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Levels of all genes, from those of the training genes.

    Args:
        features: (G, D) features of the genes.
        levels: (G,) mean expression over the training people, natural log.
        training: Numbers of the training genes.

    Returns:
        (G,) predicted levels.
    """
    model = make_pipeline(StandardScaler(), RidgeCV(alphas=len(training) * PENALTIES))
    model.fit(features[training], levels[training])
    return model.predict(features)


def fit_cohort(cohort: Cohort, store: FeatureStore, settings: RidgeSettings) -> pd.DataFrame:
    """Fit on the training genes and people, and predict all genes and people.

    Args:
        cohort: The cohort.
        store: Features of all genes.
        settings: The settings.

    Returns:
        Predictions: `gene person mean deviation predicted`. Without deviations in a reference study.

    Raises:
        UserError: if the features are of other people or lack a gene, or there are too few training genes.
    """
    require_people(cohort, store.people, "The features")
    genes, people = cohort.gene_numbers("train"), cohort.people_numbers("train")
    if len(genes) < 3:
        raise UserError(f"The cohort has {len(genes)} training genes, too few for a regression: choose more genes.")
    levels = cohort.expression[:, people].mean(axis=1)
    names = cohort.gene_names
    predicted_levels = predict_levels(reference_features(store, names, settings), levels, genes)
    if cohort.reference_study:
        return mean_only_table(names, cohort.people_names, predicted_levels)
    width = 3 * len(store.feature_names)
    normal = np.zeros((width + 1, width + 1))
    for number in genes.tolist():
        features = deviation_features(store.gene(names[number]), people, settings)[people]
        response = cohort.expression[number, people] - levels[number]
        rows = np.column_stack([features, response])
        normal += rows.T @ rows
    coefficients = ridge_by_gcv(normal, len(genes) * len(people)).coefficients
    deviations = np.stack([deviation_features(store.gene(name), people, settings) @ coefficients for name in names])
    return prediction_table(names, cohort.people_names, predicted_levels, deviations)
