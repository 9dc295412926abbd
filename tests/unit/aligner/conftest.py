"""The toy cohort as fixtures."""

import pytest
from transformers import PreTrainedModel

from gta.cohort.tables import Cohort
from gta.features.store import FeatureStore
from toy_cohort import make_cohort, make_language_model, make_store


@pytest.fixture
def store() -> FeatureStore:
    return make_store()


@pytest.fixture
def cohort(store: FeatureStore) -> Cohort:
    return make_cohort(store)


@pytest.fixture
def language_model() -> PreTrainedModel:
    return make_language_model()
