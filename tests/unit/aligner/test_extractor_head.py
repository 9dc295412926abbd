"""The prediction of a trained extractor in the read-out of mean expression."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from gta.aligner.model import Aligner
from gta.aligner.solve import mean_inputs
from gta.cnn.network import CnnConfig, SharedHead
from toy_cohort import FEATURES, TILES, make_cohort, make_language_model, make_store, make_training


def test_the_read_out_reads_what_the_head_says_of_the_features(tmp_path: Path) -> None:
    config = CnnConfig(
        upstream=16 * TILES // 2,
        downstream=16 * TILES // 2,
        tile_length=16,
        networks=2,
        channels=4,
        tile_channels=FEATURES,
        dropout=0.3,
        seed=3,
        target_mean=1.0,
        target_sd=2.0,
    )
    store = replace(make_store(), head=asdict(config))
    cohort = make_cohort(store)
    training = make_training(cohort, store, make_language_model())
    aligner = training.setup.aligner
    assert next(iter(aligner.mean_readout.blocks)) == "head"
    genes = cohort.gene_numbers("train")
    head = SharedHead(config).eval()
    for row, gene in zip(mean_inputs(training.setup, genes), genes, strict=True):
        entry = store.gene(cohort.gene_names[gene])
        order = np.argsort(entry.tile_distance, kind="stable")
        expected = head(torch.from_numpy(entry.haplotype(0)[order])[None])
        np.testing.assert_allclose(row[0], expected.item(), rtol=1e-4, atol=1e-5)
    aligner.save_pretrained(tmp_path)
    again = Aligner.from_pretrained(tmp_path)
    assert again.config.extractor_head == asdict(config) and again.extractor_head is not None
    assert torch.equal(again.extractor_head.dense, aligner.extractor_head.dense)
    # Random features mean nothing to the head.
    assert (
        "head" not in make_training(cohort, store, make_language_model(), random_features=True).setup.aligner.mean_readout.blocks
    )
