"""Training the extractor cnn: it finds a motif, never learns from a gene that it predicts out of fold, and can be resumed."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gta.cnn import train as training
from gta.cnn.network import PromoterNetworks
from gta.cnn.settings import CnnSettings, check
from gta.cnn.train import read_sequences, train
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.correlation import spearman
from gta.features.cnn import CnnExtractor
from gta.features.extractor import GeneExtractor
from gta.features.sequences import one_hot
from gta.features.settings import FeatureSettings
from gta.haplotypes import Reference


def predict(networks: PromoterNetworks, sequences: torch.Tensor) -> np.ndarray:
    """The prediction from the average features of all networks."""
    with torch.no_grad():
        return networks.predict(networks(one_hot(sequences)).mean(dim=1)).numpy()


@pytest.fixture(scope="module")
def trained(promoters: tuple[Cohort, Reference], small: CnnSettings, tile_length: int) -> training.TrainedNetworks:
    """Networks trained once."""
    return train(*promoters, small, tile_length, seed=1)


def test_sequences_are_in_the_direction_of_the_gene(promoters: tuple[Cohort, Reference]) -> None:
    cohort, reference = promoters
    sequences = read_sequences(reference, cohort.genes, 96, 32).numpy()
    level = cohort.expression.mean(axis=1)
    at_motif = [bytes(row[56:68]).decode() for row in sequences]
    assert all((word == "TTGACGCAATCG") == (value > 1) for word, value in zip(at_motif, level, strict=True))


def test_held_out_genes_are_ranked(promoters: tuple[Cohort, Reference], trained: training.TrainedNetworks) -> None:
    cohort, reference = promoters
    genes = cohort.gene_numbers("test")
    sequences = read_sequences(reference, cohort.genes.iloc[genes], 96, 32)
    # Half of the genes have the motif: a perfect classifier reaches a Spearman correlation of about .87.
    assert spearman(predict(trained.networks, sequences), cohort.expression[genes].mean(axis=1)) > 0.6


def test_out_of_fold_predictions_do_not_know_the_gene(
    promoters: tuple[Cohort, Reference], small: CnnSettings, tile_length: int
) -> None:
    cohort, reference = promoters
    generator = np.random.default_rng(3)
    noise = Cohort(cohort.people, cohort.genes, np.repeat(generator.standard_normal((240, 1)), 4, axis=1))
    genes = noise.gene_numbers("train")
    found = train(noise, reference, dataclasses.replace(small, epochs=40), tile_length, seed=1)
    assert found.out_of_fold["gene"].tolist() == [noise.gene_names[gene] for gene in genes]
    level = noise.expression[genes, 0]
    inside = predict(found.networks, read_sequences(reference, noise.genes.iloc[genes], 96, 32))
    # Networks that memorised noise show it on what they learnt from, and not on what they left out (160 genes: SD .08).
    assert spearman(inside, level) > 0.5
    assert abs(spearman(found.out_of_fold["mean"].to_numpy(), level)) < 0.25


def test_other_genes_and_test_individuals_change_nothing(
    promoters: tuple[Cohort, Reference], small: CnnSettings, tile_length: int
) -> None:
    cohort, reference = promoters
    short = dataclasses.replace(small, epochs=1)
    changed = cohort.expression.copy()
    changed[cohort.gene_numbers("test")] = 9.0
    changed[:, 3] = -5.0
    one = train(cohort, reference, short, tile_length, seed=1)
    two = train(Cohort(cohort.people, cohort.genes, changed), reference, short, tile_length, seed=1)
    pd.testing.assert_frame_equal(one.out_of_fold, two.out_of_fold)
    other = train(cohort, reference, short, tile_length, seed=2)
    assert not np.allclose(one.out_of_fold["mean"], other.out_of_fold["mean"])


def test_a_killed_training_goes_on(
    promoters: tuple[Cohort, Reference],
    small: CnnSettings,
    tile_length: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    short = dataclasses.replace(small, epochs=3, masked_bases=0.1)
    whole = train(*promoters, short, tile_length, seed=1)
    saved, epochs = training.save_checkpoint, []

    def killed(*arguments: object) -> None:
        saved(*arguments)  # type: ignore[arg-type]
        epochs.append(1)
        if len(epochs) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(training, "save_checkpoint", killed)
    with pytest.raises(KeyboardInterrupt):
        train(*promoters, short, tile_length, seed=1, checkpoints=tmp_path)
    resumed = train(*promoters, short, tile_length, seed=1, checkpoints=tmp_path)
    assert len(epochs) == 6  # the four before, and two more
    pd.testing.assert_frame_equal(whole.out_of_fold, resumed.out_of_fold)
    for name, weight in whole.networks.state_dict().items():
        assert torch.equal(weight, resumed.networks.state_dict()[name]), name


def test_the_extractor_reads_what_was_saved(trained: training.TrainedNetworks, tile_length: int, tmp_path: Path) -> None:
    trained.save(tmp_path)
    settings = FeatureSettings(extractor="cnn", weights=str(tmp_path), tile_length=tile_length)
    extractor = CnnExtractor(settings, torch.device("cpu"))
    assert isinstance(extractor, GeneExtractor)
    letters = torch.randint(0, 4, (3, 128), generator=torch.Generator().manual_seed(1))
    sequences = torch.tensor([65, 67, 71, 84], dtype=torch.uint8)[letters]
    read, _ = extractor.read(sequences)
    features, tracks = extractor.of_gene("a gene of no training", read)
    assert features.shape == (3, 4, len(extractor.feature_names)) == (3, 4, 4)
    np.testing.assert_allclose(tracks[:, 0].numpy(), predict(trained.networks, sequences), rtol=1e-5)
    assert extractor.tile_edges.tolist() == [0, 32, 64, 96, 128]
    with pytest.raises(UserError, match="trained with tiles of 32 bp, not 64"):
        CnnExtractor(dataclasses.replace(settings, tile_length=64), torch.device("cpu"))


def test_training_genes_are_read_by_the_network_that_left_them_out(
    promoters: tuple[Cohort, Reference], trained: training.TrainedNetworks, tile_length: int, tmp_path: Path
) -> None:
    cohort, reference = promoters
    trained.save(tmp_path)
    settings = FeatureSettings(extractor="cnn", weights=str(tmp_path), tile_length=tile_length)
    extractor = CnnExtractor(settings, torch.device("cpu"))
    genes = cohort.gene_numbers("train")
    read, _ = extractor.read(read_sequences(reference, cohort.genes.iloc[genes], 96, 32))
    tracks = [extractor.of_gene(cohort.gene_names[gene], read[[row]])[1].item() for row, gene in enumerate(genes)]
    np.testing.assert_allclose(tracks, trained.out_of_fold["mean"], rtol=1e-4, atol=1e-5)


def test_a_damaged_folder_is_refused(trained: training.TrainedNetworks, tmp_path: Path) -> None:
    trained.save(tmp_path)
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match="holds no whole set of networks of gta cnn"):
        PromoterNetworks.load(tmp_path)


@pytest.mark.parametrize(
    ("change", "tile", "message"),
    [({"upstream": 100}, 32, "cnn.upstream: 100 bp are not a whole number"), ({}, 40, "a multiple of 16 is needed, not 40")],
)
def test_lengths_that_do_not_fit_are_refused(small: CnnSettings, change: dict[str, int], tile: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(dataclasses.replace(small, **change), tile)


def test_too_few_genes_are_refused(promoters: tuple[Cohort, Reference], small: CnnSettings, tile_length: int) -> None:
    cohort, reference = promoters
    few = Cohort(cohort.people, cohort.genes.iloc[:20].reset_index(drop=True), cohort.expression[:20])
    with pytest.raises(UserError, match="20 training genes are too few"):
        train(few, reference, small, tile_length, seed=1)
