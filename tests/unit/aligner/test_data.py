"""Batches: scaling by hand, order of tiles, means over haplotypes."""

import numpy as np
import pytest
import torch

from gta.aligner.data import AlignerData, Scaling
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore, GeneFeatures
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
    scaling = Scaling.fit([gene], np.array([0, 1]))
    # The third haplotype is carried by the third person only, who is not of training.
    # Reference tiles 1 and 3: mean 2, sd 1. A feature that is constant keeps the scale 1. The only difference is 7 - 1 = 6.
    assert scaling.mean.tolist() == [2.0, 5.0] and scaling.sd.tolist() == [1.0, 1.0]
    assert scaling.difference_sd.tolist() == [6.0, 1.0]


def test_tiles_run_in_the_gene_direction_and_differences_are_from_the_reference(cohort: Cohort, store: FeatureStore) -> None:
    scaling = Scaling.fit([store.gene("G0")], np.arange(40))
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


def test_person_means_of_two_one_and_equal_haplotypes(cohort: Cohort, store: FeatureStore) -> None:
    gene = store.gene("G0")
    gene.carriers[:3] = [[2, 5], [4, -1], [5, 5]]
    data = AlignerData(cohort, store, Scaling.fit([gene], np.arange(40)))
    people = np.array([0, 1, 2])
    haplotypes = data.haplotypes(0, people)
    assert haplotypes.tolist() == [2, 4, 5]
    means = data.person_means(0, people, haplotypes, torch.tensor([20.0, 40.0, 50.0]))
    assert means.tolist() == [35.0, 40.0, 50.0]


def test_features_of_other_people_are_refused(cohort: Cohort, store: FeatureStore) -> None:
    store.people.reverse()
    with pytest.raises(UserError, match="other people"):
        AlignerData(cohort, store, Scaling.fit([store.gene("G0")], np.arange(40)))
