"""What features are aligned with, how many tokens they become, and what is written about a model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gta.aligner import predict, setup
from gta.aligner.data import with_random_features
from gta.aligner.model import Aligner
from gta.aligner.predict import load_trained
from gta.aligner.tokens import pool_content, token_edges
from gta.cohort.tables import Cohort
from gta.features.store import FeatureStore
from toy_cohort import TILES, make_cohort, make_language_model, make_store, make_training


def test_token_borders_by_hand() -> None:
    assert token_edges(4, 4, 4) == [0, 3, 4, 5, 8]
    assert token_edges(6, 2, 4) == [0, 4, 5, 6, 8]  # three of four tokens upstream, where three quarters of the tiles are
    assert token_edges(0, 5, 2) == [0, 1, 5]
    assert token_edges(4, 4, 8) == token_edges(4, 4, None) == []


@given(st.integers(1, 500), st.integers(1, 500), st.integers(2, 64))
def test_tokens_hold_every_tile_once_and_single_ones_at_the_tss(upstream: int, downstream: int, tokens: int) -> None:
    edges = token_edges(upstream, downstream, tokens)
    if not edges:
        assert tokens >= upstream + downstream
        return
    lengths = np.diff(edges)
    at = edges.index(upstream)
    assert edges[0] == 0 and edges[-1] == upstream + downstream and len(lengths) <= tokens and lengths.min() >= 1
    assert lengths[at] == 1 or at == len(lengths) - 1
    assert (np.diff(lengths[at:]) >= -1).all()  # ever coarser, but for rounding


def test_pooled_content_is_the_mean_and_changes_are_summed() -> None:
    content = torch.tensor([[[1.0], [3.0], [8.0]]])
    change = torch.tensor([[[0.0], [5.0], [-1.0]]])
    assert pool_content(content, change, [0, 2, 3]).tolist() == [[[2.0 + 5.0], [8.0 - 1.0]]]


@pytest.mark.parametrize(
    "settings", [{"alignment": "linear"}, {"alignment": "none"}, {"aligned_tokens": 4}, {"random_features": True}]
)
def test_trained_saved_and_read_back_it_predicts_the_same(
    settings: dict[str, object], store: FeatureStore, tmp_path: Path
) -> None:
    cohort, model = make_cohort(store), make_language_model()
    training = make_training(cohort, store, model, **settings)
    first = {name: tensor.clone() for name, tensor in training.aligner.state_dict().items()}
    history = training.run()
    # Pooling is a plain mean here, and the bias of the read-out the mean of the training genes from the start.
    fixed = {"pool_mean.weight", "pool_mean.bias", "mean_readout.bias"}
    trained = {name for name, _ in training.aligner.named_parameters()} - fixed
    unused = {name for name in trained if torch.equal(first[name], training.aligner.state_dict()[name])}
    assert not unused, "every weight is trained"
    training.save(history, tmp_path / "trained")
    model.save_pretrained(tmp_path / "lm")
    assert training.setup.reader.prompts is not None
    training.setup.reader.prompts.save(tmp_path / "cache.safetensors")
    loaded = load_trained([tmp_path / "trained"], cohort, store, tmp_path / "lm", tmp_path / "cache.safetensors")[0]
    people = np.arange(len(cohort.people))
    for gene in (0, 1, 11):
        expected = training.setup.predict([gene], people)
        found = predict.predict_people(loaded.aligner, loaded.data, loaded.reader, [gene], people)
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_linear_prototypes_are_a_map_over_the_vocabulary(cohort: Cohort, store: FeatureStore, tmp_path: Path, capsys) -> None:
    model = make_language_model()
    training = make_training(cohort, store, model, alignment="linear")
    assert "trains" not in capsys.readouterr().err  # 40 words
    state = training.aligner.state_dict()
    words = model.get_input_embeddings().weight
    expected = state["prototype_map.weight"] @ words + state["prototype_map.bias"][:, None]
    torch.testing.assert_close(training.aligner.text_prototypes(), expected)
    training.aligner.save_pretrained(tmp_path)
    kept = Aligner.from_pretrained(tmp_path).state_dict()
    torch.testing.assert_close(kept["prototypes"], expected)
    assert not [name for name in kept if "map" in name or "words" in name]


def test_much_memory_for_linear_prototypes_is_warned_of(
    cohort: Cohort, store: FeatureStore, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "LARGE", 5 * 4 * 7 * 40 / 1e9 - 1e-9)
    make_training(cohort, store, make_language_model(), alignment="linear")
    assert "linear trains 280 weights over the 40 words of the vocabulary" in capsys.readouterr().err


def test_random_features_tell_tiles_apart_and_nothing_else() -> None:
    store = make_store()
    rows = store.gene("G0").rows
    store.gene("G1").rows[3] = rows[2]  # the same tile in another gene
    random = with_random_features(store, 1)
    assert np.array_equal(random.gene("G1").rows[3], random.gene("G0").rows[2])
    assert len(np.unique(random.gene("G0").rows, axis=0)) == len(np.unique(rows, axis=0))
    before = np.concatenate([gene.rows for gene in store.by_gene.values()])
    after = np.concatenate([gene.rows for gene in random.by_gene.values()])
    assert after.dtype == np.float32 and abs(after.mean()) < 0.1 and abs(after.std() - 1) < 0.1
    assert abs(np.corrcoef(before.ravel(), after.ravel())[0, 1]) < 0.1
    assert not np.array_equal(with_random_features(store, 2).gene("G0").rows, random.gene("G0").rows)
    assert np.array_equal(random.gene("G0").index, store.gene("G0").index)


def test_fewer_tokens_are_what_the_language_model_reads(cohort: Cohort, store: FeatureStore) -> None:
    training = make_training(cohort, store, make_language_model(), aligned_tokens=4)
    batch = training.setup.data.batch([(0, np.array([0, 1]))])
    assert batch.features.shape[1] == TILES and training.aligner.align(batch).shape == (2, 4, 16)
    assert training.aligner.config.token_edges == [0, 2, 3, 4, 6]


def test_the_card_tells_data_splits_validation_and_language_model(cohort: Cohort, store: FeatureStore, tmp_path: Path) -> None:
    training = make_training(cohort, store, make_language_model(), seed=7, random_features=True)
    history = training.run()
    for name in ("one", "two"):
        training.save(history, tmp_path / name)
    card = (tmp_path / "one" / "model" / "README.md").read_text()
    assert card == (tmp_path / "two" / "model" / "README.md").read_text()
    for text in ("| train | 26 | 8 |", "| test | 8 | 2 |", "Seed 7.", "x (40)", "rebuild from the abstract", "random numbers"):
        assert text in card
    assert training.setup.language_model_sha256 in card
    best = history.loc[history["valid_loss"].idxmin()]
    assert f"| {best['valid_spearman_people']:.4f} |" in card and f"epoch {best['epoch']:.0f} (the best)" in card
