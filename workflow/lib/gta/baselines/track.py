"""The feature extractor's own prediction: what the pretrained network says without any training on the cohort."""

import numpy as np
import pandas as pd

from gta.baselines.predictions import mean_only_table, prediction_table, require_people
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore
from gta.haplotypes.carriers import pairs


def predict_cohort(cohort: Cohort, store: FeatureStore) -> pd.DataFrame:
    """The extractor's first track as a prediction of all genes and people.

    A person's prediction is the mean over the haplotypes. The level of a gene is the mean over the training people, and is not
    brought to the scale of measured expression: ranks are all that is compared.

    Args:
        cohort: The cohort.
        store: Features of all genes, with tracks.

    Returns:
        Predictions: `gene person mean deviation predicted`. Without deviations in a reference study.

    Raises:
        UserError: if the extractor makes no prediction of its own, or the features are of other people or lack a gene.
    """
    require_people(cohort, store.people, "The features")
    if not store.track_names:
        raise UserError(f"The extractor {store.extractor} makes no prediction of its own: choose one that does.")
    training = cohort.people_numbers("train")
    predicted = np.stack([_of_people(store, gene) for gene in cohort.gene_names])
    level = predicted[:, training].mean(axis=1)
    if cohort.reference_study:
        return mean_only_table(cohort.gene_names, cohort.people_names, level)
    return prediction_table(cohort.gene_names, cohort.people_names, level, predicted - level[:, None])


def _of_people(store: FeatureStore, gene: str) -> np.ndarray:
    """Mean over the haplotypes of each person, (P,) float64."""
    first, second = pairs(store.layout(gene)[0]).T
    track = store.tracks[gene][:, 0].astype(np.float64)
    mean: np.ndarray = (track[first] + track[second]) / 2
    return mean
