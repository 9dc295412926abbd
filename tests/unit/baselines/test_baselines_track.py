"""The extractor's own prediction as a baseline."""

import dataclasses

import numpy as np
import pytest

from gta.baselines.track import predict_cohort
from gta.cli import main
from gta.errors import UserError
from gta.features.store import FeatureStore

SPLITS = ["train"] * 30 + ["test"] * 10


def test_mean_over_haplotypes_and_deviation_from_the_training_people(make_cohort, store: FeatureStore, tmp_path) -> None:
    rng = np.random.default_rng(3)
    cohort = make_cohort(rng.normal(size=(40, 120)), SPLITS)
    tracks = {gene: rng.normal(size=(30, 1)).astype(np.float32) for gene in store.genes}
    tracked = dataclasses.replace(store, track_names=["cage"], tracks=tracks)
    tracked.save(tmp_path / "c.safetensors", "float16")
    table = predict_cohort(cohort, FeatureStore.load(tmp_path / "c.safetensors"))
    gene, person = table["gene"].iloc[0], cohort.people_names[3]
    row = table[(table["gene"] == gene) & (table["person"] == person)].iloc[0]
    carriers, track = store.gene(gene).carriers, tracks[gene][:, 0].astype(float)
    assert carriers[3, 1] == -1
    assert row["predicted"] == pytest.approx(track[carriers[3, 0]])
    first = table[table["gene"] == gene]["predicted"].to_numpy()
    assert first[4] == pytest.approx(track[carriers[4]].mean())
    assert row["mean"] == pytest.approx(first[cohort.people_numbers("train")].mean())


def test_an_extractor_without_a_prediction_is_refused(make_cohort, store: FeatureStore) -> None:
    with pytest.raises(UserError, match="motif makes no prediction of its own"):
        predict_cohort(make_cohort(np.zeros((40, 120)), SPLITS), store)


def test_the_command_teaches(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["baselines", "track", "--help"])
    assert "ranks" in capsys.readouterr().out
