"""Long context through memory tokens, and compressors that are trained with the aligner."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from gta.aligner.context import Pieces, compress_context, divide
from gta.aligner.predict import load_trained, predict_cohort
from gta.aligner.reading import prompt_memory, read_after
from gta.aligner.record import prompt_bytes
from gta.aligner.settings import AlignerSettings, check
from gta.cohort.tables import Cohort
from gta.compressor.encoder import AttentionOnlyCompressor, CompressorConfig
from gta.compressor.prompts import compress_prompts
from gta.errors import UserError
from gta.evaluation.correlation import spearman
from gta.features.store import FeatureStore
from gta.language.cache import read_prompts
from gta.language.prompts import Prompt
from gta.processes import Workers
from toy_cohort import make_cohort, make_language_model, make_prompts, make_store, make_training

#: Six tiles: the two next to the TSS are read, the two on either side of them are compressed to one memory token each.
CONTEXT = {"context": "aoc", "context_near": 2, "context_chunk": 2, "context_memory_tokens": 1}


@pytest.mark.parametrize(
    ("sides", "near", "chunk", "edges", "number"),
    [
        ((24, 24), 16, 8, [0, 8, 16, 32, 40, 48], 2),
        ((10, 7), 4, 5, [0, 3, 8, 12, 17], 2),  # the outermost upstream piece is shorter
        ((1, 9), 4, 4, [0, 3, 7, 10], 0),  # hardly anything upstream
        ((9, 1), 4, 4, [0, 3, 7, 10], 2),
        ((2, 2), 4, 4, [0, 4], 0),  # all is near
    ],
)
def test_pieces_by_hand(sides: tuple[int, int], near: int, chunk: int, edges: list[int], number: int) -> None:
    pieces = divide(*sides, near, chunk)
    assert (pieces.edges, pieces.near) == (edges, number)
    first, last = pieces.uncompressed
    assert first <= sides[0] <= last
    every = sorted([*pieces.distal, pieces.uncompressed])
    assert [start for start, _ in every] == edges[:-1] and [end for _, end in every] == edges[1:]


def gpt2() -> PreTrainedModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=40, n_positions=64)).requires_grad_(False).eval()


@pytest.mark.parametrize("make_model", [make_language_model, gpt2], ids=["rotary positions", "learned positions"])
def test_every_piece_is_compressed_as_if_it_were_alone(make_model) -> None:
    """Against one run of the compressor and the language model per sample, without any padding, at positions by hand."""
    model = make_model()
    compressor = AttentionOnlyCompressor(model, CompressorConfig(memory_tokens=2)).eval()
    prompts = read_prompts(model, [Prompt("a", "", [1, 2, 3, 4, 5], 0), Prompt("b", "", [6, 7], 0)], "")
    tokens = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(1))
    pieces = Pieces([0, 1, 4, 6, 9], 2)
    with torch.no_grad():
        near, before = compress_context(
            compressor, model, tokens, pieces, prompt_memory(model, prompts, prompts.rows, tokens.device)
        )
        read = read_after(model, near, before)
        assert read.shape == (2, 2, 16)
        for sample, length in enumerate((5, 2)):
            row = torch.tensor([sample])
            alone = prompt_memory(model, prompts, row, tokens.device)
            for number, (start, end) in enumerate(((0, 1), (1, 4), (6, 9))):
                piece = tokens[row, start:end]
                at = torch.tensor([length + 2 * number])
                alone = alone.then(compressor(model, piece, torch.ones(1, end - start).long(), at))
            assert alone.next_positions.tolist() == [length + 6]
            torch.testing.assert_close(read[row], read_after(model, tokens[row, 4:6], alone), atol=1e-5, rtol=1e-5)


def test_what_is_far_reaches_the_prediction_through_the_memory_alone(cohort: Cohort, store: FeatureStore) -> None:
    training = make_training(cohort, store, make_language_model(), additive=False, **CONTEXT)
    aligner, reader = training.aligner, training.setup.reader
    batch = training.setup.data.batch([(0, np.array([1]))])
    batch.features.requires_grad_()
    _, deviation = aligner(batch, reader.language_model, reader.prompts, reader.rows)
    (gradient,) = torch.autograd.grad(deviation.sum(), batch.features)
    assert (gradient.abs().sum(dim=2) > 0).all()
    assert aligner.positions(6, 5) == 5 + 2 * 1 + 2
    # The language model reads two tokens.
    tokens = aligner.align(batch)
    assert aligner.read(tokens, reader.language_model, reader.prompts, reader.rows[:1]).shape == (1, 2, 16)


@pytest.mark.parametrize("encoder", ["aoc", "lora_r2"])
def test_a_planted_rule_is_learnt_through_memory(encoder: str) -> None:
    store = make_store()
    cohort = make_cohort(store)
    settings = CONTEXT | {"context": encoder, "additive": False, "epochs": 25, "patience": 25, "learning_rate": 1e-2}
    training = make_training(cohort, store, make_language_model(), **settings)
    training.run()
    test = cohort.people_numbers("test")
    found = [
        spearman(training.setup.predict([int(gene)], test)[1][0].numpy(), cohort.expression[gene, test])
        for gene in cohort.gene_numbers("train")
    ]
    assert np.mean(found) > 0.6


@pytest.mark.parametrize("encoder", ["aoc", "attention", "lora_r2"])
def test_saved_and_resumed_with_its_trained_weights_alone(encoder: str, store: FeatureStore, tmp_path: Path) -> None:
    cohort, model = make_cohort(store), make_language_model()
    settings = CONTEXT | {"context": encoder, "epochs": 3}
    training = make_training(cohort, store, model, **settings)
    training.save(training.run(), tmp_path / "trained")
    model.save_pretrained(tmp_path / "lm")
    training.setup.reader.prompts.save(tmp_path / "cache.safetensors")
    saved = load_file(tmp_path / "trained" / "model" / "model.safetensors")
    of_compressor = {name for name in saved if name.startswith("context_compressor.")}
    trained = training.aligner.context_compressor.trained_weights()
    assert of_compressor == {f"context_compressor.{name}" for name in trained}
    assert not any(".mlp." in name for name in saved)
    (read,) = load_trained([tmp_path / "trained"], cohort, store, tmp_path / "lm", tmp_path / "cache.safetensors")
    table = predict_cohort(read, cohort)
    mean = training.setup.predict([0], np.arange(len(cohort.people)))[0][0]
    np.testing.assert_allclose(table["mean"][table["gene"] == "G0"], mean.detach(), rtol=1e-5)
    # Broken off in the second epoch.
    broken = make_training(cohort, store, model, **settings)
    step, seen = broken.step, []

    def interrupted(*arguments: object) -> object:
        seen.append(1)
        if len(seen) > broken.steps + 1:
            raise KeyboardInterrupt
        return step(*arguments)

    broken.step = interrupted
    with pytest.raises(KeyboardInterrupt):
        broken.run(tmp_path / "running")
    again = make_training(cohort, store, model, **settings)
    again.run(tmp_path / "running")
    assert all(torch.equal(weight, again.aligner.state_dict()[name]) for name, weight in training.aligner.state_dict().items())


def test_the_bytes_of_prompts_are_those_that_are_read_with_a_gene(store: FeatureStore) -> None:
    cohort, model = make_cohort(store), make_language_model()
    prompts = make_prompts(model)
    assert prompts.keys is not None
    slot = 2 * prompts.keys[0, :, :, 0].numel() * 4
    full = make_training(cohort, store, model).setup
    assert prompt_bytes(full) == pytest.approx(slot * np.mean([3 + gene % 4 for gene in range(len(prompts.genes))]))
    compressor = AttentionOnlyCompressor(
        model, CompressorConfig(memory_tokens=2, language_model_sha256=full.language_model_sha256)
    )
    tuned = make_training(cohort, store, model, tuned=compressor, compressor="aoc", tune_compressor=True, memory_tokens=2)
    assert prompt_bytes(tuned.setup) == 2 * slot
    for other in ("none", "attention"):
        assert prompt_bytes(make_training(cohort, store, model, language_model=other).setup) == 0


def test_a_compressor_of_prompts_begins_where_it_was_and_is_trained_further(store: FeatureStore, tmp_path: Path) -> None:
    cohort, model = make_cohort(store), make_language_model()
    sha256 = make_training(cohort, store, model).setup.language_model_sha256
    config = CompressorConfig(memory_tokens=2, seed=3, language_model_sha256=sha256)
    compressor = AttentionOnlyCompressor(model, config).eval()
    before = {name: weight.detach().clone() for name, weight in compressor.trained_weights().items()}
    training = make_training(
        cohort, store, model, tuned=compressor, compressor="aoc", tune_compressor=True, memory_tokens=2, epochs=2
    )
    cached = make_prompts(model)
    texts = [[token for token in row if token >= 0] for row in cached.tokens.tolist()]
    frozen = compress_prompts(model, [Prompt(name, "", texts[row], 0) for row, name in enumerate(cached.genes)], compressor, "")
    rows = torch.tensor([3, 0, 3])
    made = training.aligner.prompt_memory(
        model, training.setup.reader.prompts, training.setup.reader.rows[rows], torch.device("cpu")
    )
    expected = prompt_memory(model, frozen, frozen.rows[rows], torch.device("cpu"))
    for one, other in ((made.keys, expected.keys), (made.values, expected.values)):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert made.next_positions.tolist() == expected.next_positions.tolist() == [2, 2, 2]

    # Each distinct prompt of a batch is compressed once, and all that is read of it is the same.
    setup, calls = training.setup, []
    requests = [(gene, np.arange(3)) for gene in (0, 1, 0)]
    batch = setup.data.batch(requests)
    reader = (model, setup.reader.prompts, setup.reader.rows)
    hook = training.aligner.prompt_compressor.register_forward_hook(lambda _, given, __: calls.append(len(given[1])))
    with torch.no_grad():
        training.aligner.eval()
        together = training.aligner(batch, *reader)
        inputs = training.aligner.mean_inputs(batch, *reader)
        assert calls == [2, 2]
        hidden, states = training.aligner.hidden(batch, *reader), training.aligner.prompt_states(batch, *reader)
        apart = training.aligner.read_out(hidden, batch, states)
    hook.remove()
    assert all(torch.equal(one, other) for one, other in zip(together, apart, strict=True))
    assert torch.equal(inputs[:, -states.shape[1] :], states)

    training.save(training.run(), tmp_path / "trained")
    after = training.aligner.prompt_compressor.trained_weights()
    assert all(not torch.equal(weight, before[name]) for name, weight in after.items())
    assert all(torch.equal(weight, before[name]) for name, weight in compressor.trained_weights().items())
    model.save_pretrained(tmp_path / "lm")
    training.setup.reader.prompts.save(tmp_path / "cache.safetensors")
    (read,) = load_trained([tmp_path / "trained"], cohort, store, tmp_path / "lm", tmp_path / "cache.safetensors")
    np.testing.assert_allclose(
        predict_cohort(read, cohort)["mean"][:40], training.setup.predict([0], np.arange(40))[0][0], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"compressor": "zip"}, "compressor: 'zip' is neither none"),
        ({"compressor": "aoc", "prompt": "blank"}, "compressor: only full prompts"),
        ({"compressor": "aoc", "language_model": "random"}, "compressor: only full prompts"),
        ({"tune_compressor": True}, "tune_compressor: only a compressor of prompts that was trained"),
        ({"tune_compressor": True, "compressor": "mean_pool"}, "tune_compressor: only a compressor of prompts that was trained"),
        ({"tune_compressor": True, "compressor": "icae"}, "tune_compressor: only a compressor of prompts that was trained"),
        ({"context": "aoc", "context_near": 3}, "context_near: 3 cannot be halved by the TSS"),
        ({"context": "mean_pool"}, "context: 'mean_pool' is neither none nor an encoder"),
        ({"context": "aoc_embeds"}, "context: 'aoc_embeds' is neither none nor an encoder"),
        ({"context": "aoc", "language_model": "none"}, "context: memory is read by a causal language model"),
    ],
)
def test_what_cannot_be_compressed(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        check(AlignerSettings(**settings))  # type: ignore[arg-type]


def test_windows_without_anything_distal_are_refused(cohort: Cohort, store: FeatureStore) -> None:
    with pytest.raises(UserError, match=r"context_near: all 6 aligned tokens of a window are near"):
        make_training(cohort, store, make_language_model(), context="aoc", context_near=6)


@pytest.mark.parametrize(
    ("positions", "room", "enough"),
    # Prompts of up to 6 tokens in front of which a beginning is put, 2 memory tokens, 6 aligned tokens.
    [("prefix", 9, True), ("prefix", 8, False), ("continued", 15, True), ("continued", 14, False)],
)
def test_learned_positions_suffice_or_it_is_said(
    positions: str, room: int, enough: bool, cohort: Cohort, store: FeatureStore
) -> None:
    """At the limit a language model with learned positions reads everything; one less would be an index out of range."""
    torch.manual_seed(0)
    config = GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=40, n_positions=room, bos_token_id=0)
    model = GPT2LMHeadModel(config).requires_grad_(False).eval()
    given = CompressorConfig(memory_tokens=2, positions=positions)
    settings = {"compressor": "aoc", "tune_compressor": True, "memory_tokens": 2}
    make = partial(make_training, cohort, store, model, tuned=AttentionOnlyCompressor(model, given), **settings)
    if enough:
        make().setup.predict([3], np.arange(4))
    else:
        with pytest.raises(UserError, match=rf"take {room + 1} positions, but the language model has {room}"):
            make()


def test_another_compressor_than_the_settings_name_is_refused(cohort: Cohort, store: FeatureStore) -> None:
    model = make_language_model()
    given = AttentionOnlyCompressor(model, CompressorConfig(memory_tokens=2))
    with pytest.raises(UserError, match=r"aoc with 7 memory tokens is to be tuned, but .* is aoc with 2"):
        make_training(cohort, store, model, tuned=given, compressor="aoc", tune_compressor=True, memory_tokens=7)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_several_seeds_that_share_the_language_model_predict_in_their_precision(
    precision: str, store: FeatureStore, tmp_path: Path
) -> None:
    cohort, model = make_cohort(store), make_language_model()
    settings = CONTEXT | {"context": "lora_r2", "epochs": 1, "precision": precision}
    expected = []
    for seed in (1, 2):
        training = make_training(cohort, store, make_language_model(), seed=seed, **settings)
        training.save(training.run(), tmp_path / f"seed{seed}")
        expected.append(training.setup.predict([0], np.arange(5))[0][0])
    model.save_pretrained(tmp_path / "lm")
    make_prompts(model).save(tmp_path / "cache.safetensors")
    folders = [tmp_path / "seed1", tmp_path / "seed2"]
    both = load_trained(folders, cohort, store, tmp_path / "lm", tmp_path / "cache.safetensors", Workers("cpu", precision))
    rotary = both[0].reader.language_model.base_model.rotary_emb.inv_freq
    assert rotary.dtype == torch.float32
    for trained, means in zip(both, expected, strict=True):
        found = predict_cohort(trained, cohort)["mean"][:5]
        np.testing.assert_allclose(found, means, atol=1e-5 if precision == "float32" else 2e-2)


def test_the_compressor_to_be_tuned_must_be_given(cohort: Cohort, store: FeatureStore, language_model: PreTrainedModel) -> None:
    with pytest.raises(UserError, match=r"tune_compressor: a trained compressor is given if, and only if"):
        make_training(cohort, store, language_model, compressor="aoc", tune_compressor=True)


@pytest.mark.parametrize("encoder", ["aoc", "attention"])
def test_a_compressor_of_prompts_is_tuned_in_bfloat16(store: FeatureStore, encoder: str) -> None:
    cohort, model = make_cohort(store), make_language_model()
    sha256 = make_training(cohort, store, model).setup.language_model_sha256
    config = CompressorConfig(encoder=encoder, memory_tokens=2, seed=3, language_model_sha256=sha256)
    settings = {"compressor": encoder, "tune_compressor": True, "memory_tokens": 2, "precision": "bfloat16", "epochs": 1}
    training = make_training(cohort, store, model, tuned=AttentionOnlyCompressor(model, config), **settings)
    assert np.isfinite(training.run()["valid_loss"]).all()
