"""The mean of training: the prediction that knows neither the sequence nor the person."""

import numpy as np
import pandas as pd

from gta.baselines.predictions import mean_only_table, prediction_table
from gta.cohort.tables import Cohort


def predict_cohort(cohort: Cohort) -> pd.DataFrame:
    """Every training gene is predicted at its mean over the training people, every other gene at the mean of those means.

    The prediction is the same for all people, so no correlation across people exists; what is left is R2 and pooled errors.

    Args:
        cohort: The cohort.

    Returns:
        Predictions: `gene person mean deviation predicted`, of all genes. Without deviations in a reference study.
    """
    level = cohort.expression[:, cohort.people_numbers("train")].mean(axis=1)
    seen = cohort.gene_numbers("train")
    predicted = np.full(len(level), level[seen].mean())
    predicted[seen] = level[seen]
    people = cohort.people_names
    if cohort.reference_study:
        return mean_only_table(cohort.gene_names, people, predicted)
    return prediction_table(cohort.gene_names, people, predicted, np.zeros((len(level), len(people))))
