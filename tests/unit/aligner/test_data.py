"""Batches: scaling by hand, order of tiles, means over haplotypes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gta.aligner.data import AlignerData, Scaling
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore, GeneFeatures, Windows
from toy_cohort import TILES


def test_scaling_by_hand() -> None:
    rows = np.array([[1.0, 5.0], [3.0, 5.0], [7.0, 5.0], [99.0, 9.0]], dtype=np.float32)
    gene = GeneFeatures(
        "g",
        rows,
        np.array([[0, 1], [2, 1], [0, 3]], np.int32),
        np.array([[0, 1], [1, -1], [0, 2]], np.int32),
        np.array([-1.0, 1.0], np.float32),
    )
    store = FeatureStore([], [], 1, "", {"g": gene})
    scaling = Scaling.fit(store, ["g"], np.array([0, 1]))
    # The third haplotype is carried by the third person only, who is not of training.
    # Reference tiles 1 and 3: mean 2, sd 1. A feature that is constant keeps the scale 1. The only difference is 7 - 1 = 6.
    assert scaling.mean.tolist() == [2.0, 5.0] and scaling.sd.tolist() == [1.0, 1.0]
    assert scaling.difference_sd.tolist() == [6.0, 1.0]


def test_tiles_run_in_the_gene_direction_and_differences_are_from_the_reference(cohort: Cohort, store: FeatureStore) -> None:
    scaling = Scaling.fit(store, ["G0"], np.arange(40))
    data = AlignerData(cohort, store, scaling)
    for number in (0, 1):  # on the minus and the plus strand
        gene = store.gene(f"G{number}")
        batch = data.batch([(number, np.array([0, 3]))])
        order = slice(None, None, -1) if gene.tile_distance[0] > 0 else slice(None)
        expected = (torch.from_numpy(gene.haplotype(3)[order].copy()) - scaling.mean) / scaling.sd
        torch.testing.assert_close(batch.features[1], expected)
        assert (batch.position[0].diff() > 0).all()
        assert not batch.difference[0].any()
        changed = batch.difference[1].abs().sum(dim=1).nonzero().ravel().tolist()
        assert changed == [TILES - 1 - 2 if gene.tile_distance[0] > 0 else 2]


def test_scaling_gene_by_gene_is_that_of_all_tiles_together(store: FeatureStore) -> None:
    scaling = Scaling.fit(store, store.genes, np.arange(40))
    together = np.concatenate([gene.haplotype(0) for gene in store.by_gene.values()]).astype(np.float64)
    np.testing.assert_allclose(scaling.mean, together.mean(axis=0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(scaling.sd, together.std(axis=0), rtol=1e-6)


def test_windows_that_do_not_fit_into_memory_are_read_anew(
    cohort: Cohort, store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(tmp_path / "a.safetensors")
    stored = FeatureStore.load(tmp_path / "a.safetensors")
    read = []
    counted = replace(stored, by_gene=Windows(stored.genes, lambda gene: read.append(gene) or stored.gene(gene), stored.layout))  # type: ignore[func-returns-value]
    scaling = Scaling.fit(store, store.genes, np.arange(40))
    data, roomy = AlignerData(cohort, counted, scaling), AlignerData(cohort, store, scaling)
    requests = [(0, np.array([0, 3])), (1, np.array([1, 2])), (0, np.array([2]))]
    one = sum(part.nbytes for part in data._window(0))
    for kept, expected in ((int(1.5 * one), ["G1", "G0"]), (10 * one, ["G1"])):
        monkeypatch.setattr("gta.aligner.data.KEPT_BYTES", kept)
        read.clear()
        batch, same = data.batch(requests), roomy.batch(requests)
        assert read == expected
        assert torch.equal(batch.features, same.features) and torch.equal(batch.difference, same.difference)


def test_person_means_of_two_one_and_equal_haplotypes(cohort: Cohort, store: FeatureStore) -> None:
    gene = store.gene("G0")
    gene.carriers[:3] = [[2, 5], [4, -1], [5, 5]]
    data = AlignerData(cohort, store, Scaling.fit(store, ["G0"], np.arange(40)))
    people = np.array([0, 1, 2])
    haplotypes = data.haplotypes(0, people)
    assert haplotypes.tolist() == [2, 4, 5]
    means = data.person_means(0, people, haplotypes, torch.tensor([20.0, 40.0, 50.0]))
    assert means.tolist() == [35.0, 40.0, 50.0]


def test_features_of_other_people_are_refused(cohort: Cohort, store: FeatureStore) -> None:
    store.people.reverse()
    with pytest.raises(UserError, match="other people"):
        AlignerData(cohort, store, Scaling.fit(store, ["G0"], np.arange(40)))
