"""Baselines in a study without genotypes: mean expression alone, and nothing of genotypes."""

import dataclasses

import numpy as np
import pytest

from gta.baselines import elastic_net, mean, ridge, top_eqtl, track
from gta.baselines.settings import ElasticNetSettings, RidgeSettings, TopEqtlSettings
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore

SPLITS = ["train"] * 30 + ["test"] * 10


@pytest.fixture
def study(make_cohort, store: FeatureStore) -> tuple[Cohort, FeatureStore]:
    """The cohort with one individual, who has the reference in every window."""
    cohort = make_cohort(np.random.default_rng(3).normal(size=(40, 120)), SPLITS)
    one = dataclasses.replace(cohort, people=cohort.people.iloc[:1], expression=cohort.expression[:, :1])
    by_gene = {
        name: dataclasses.replace(gene, index=gene.index[:1], carriers=np.zeros((1, 2), dtype=np.int32))
        for name, gene in store.by_gene.items()
    }
    return one, dataclasses.replace(store, people=one.people_names, by_gene=by_gene)


def test_ridge_predicts_the_means_that_it_predicts_with_genotypes(study, make_cohort, store: FeatureStore) -> None:
    cohort, reference = study
    table = ridge.fit_cohort(cohort, reference, RidgeSettings())
    assert table["deviation"].isna().all() and (table["predicted"] == table["mean"]).all() and len(table) == 40
    # Means come from the reference sequence: with the same mean expression they are the same for individuals who differ.
    many = make_cohort(np.tile(cohort.expression, (1, 120)), SPLITS)
    with_genotypes = ridge.fit_cohort(many, store, RidgeSettings())
    np.testing.assert_allclose(table["mean"], with_genotypes.groupby("gene", sort=False)["mean"].first(), rtol=1e-9)


def test_the_mean_of_training_has_no_deviation(study) -> None:
    cohort, _ = study
    table = mean.predict_cohort(cohort)
    assert table["deviation"].isna().all()
    assert table["predicted"].tolist()[:30] == cohort.expression[:30, 0].tolist()
    assert set(table["predicted"][30:]) == {cohort.expression[:30, 0].mean()}


def test_the_extractors_track_is_that_of_the_reference(study) -> None:
    cohort, store = study
    tracks = {gene: np.full((1, 1), number, dtype=np.float32) for number, gene in enumerate(store.genes)}
    table = track.predict_cohort(cohort, dataclasses.replace(store, track_names=["cage"], tracks=tracks))
    assert table["predicted"].tolist() == list(range(40)) and table["deviation"].isna().all()


def test_baselines_on_genotypes_are_refused(study, panels) -> None:
    cohort, _ = study
    for fit in (
        lambda: elastic_net.fit_cohort(cohort, [panels], ElasticNetSettings(), 1),
        lambda: top_eqtl.fit_cohort(cohort, [panels], TopEqtlSettings()),
    ):
        with pytest.raises(UserError, match=r"made without genotypes .* there is nothing to fit: make a cohort with genotypes"):
            fit()
