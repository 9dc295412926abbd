"""Predicting expression of people with a trained aligner."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from gta.aligner.data import AlignerData
from gta.aligner.model import Aligner
from gta.aligner.train import Reader, make_reader, predict_people
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore
from gta.language.cache import PromptCache
from gta.language.models import fingerprint, load_frozen


def predict_cohort(aligner: Aligner, data: AlignerData, reader: Reader, cohort: Cohort) -> pd.DataFrame:
    """Predictions for every gene and person of a cohort.

    Args:
        aligner: The trained aligner.
        data: The features of the cohort, scaled as in training.
        reader: Language model and prompts.
        cohort: The cohort.

    Returns:
        `gene person mean deviation predicted`, natural log. The deviation is centred on the training people, whose mean it is
        defined against.
    """
    everybody = np.arange(len(cohort.people))
    train = cohort.people_numbers("train")
    parts = []
    for number, gene in enumerate(tqdm(cohort.gene_names, desc="genes", file=sys.stderr, mininterval=5)):
        mean, deviation = (values.double().numpy() for values in predict_people(aligner, data, reader, number, everybody))
        deviation = deviation - deviation[train].mean()
        parts.append(
            pd.DataFrame(
                {
                    "gene": gene,
                    "person": cohort.people_names,
                    "mean": mean,
                    "deviation": deviation,
                    "predicted": mean[train].mean() + deviation,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def load_for_prediction(
    trained: Path, cohort_folder: Path, features: list[Path], language_model: Path, cache: Path
) -> tuple[Aligner, AlignerData, Reader, Cohort]:
    """Read a trained aligner and everything that it predicts from.

    Args:
        trained: Folder written by `gta aligner train`.
        cohort_folder: Folder written by `gta cohort`.
        features: Feature stores of all contigs.
        language_model: Folder of the language model.
        cache: Prompt cache.

    Raises:
        UserError: if the features or the language model are not those that the aligner was trained with.
    """
    aligner = Aligner.from_pretrained(trained / "model")
    cohort, store, model = Cohort.load(cohort_folder), FeatureStore.load_all(features), load_frozen(language_model)
    config, sha256 = aligner.config, fingerprint(model)
    if sha256 != config.language_model_sha256:
        raise UserError(f"{trained} was trained with another language model than {language_model}: give that one.")
    if (store.extractor, store.tile_length, len(store.feature_names)) != (
        config.extractor,
        config.tile_length,
        config.features,
    ):
        raise UserError(f"{trained} was trained on other features than those given: compute the features with the same settings.")
    data = AlignerData(cohort, store, aligner.scaling)
    prompts = PromptCache.load(cache)
    reader = make_reader(model, prompts, cohort.gene_names, data.tiles, config.language_model, config.prompt, config.seed, sha256)
    return aligner, data, reader, cohort
