"""Corpora, training with resume, scores and summaries."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from gta import checkpoint
from gta.aligner.reading import prompt_memory, read_after
from gta.cli import main
from gta.compressor.corpus import divide, read_corpus
from gta.compressor.encoder import AttentionOnlyCompressor, CompressorConfig, config_of
from gta.compressor.memory import mean_pooled, untrained
from gta.compressor.prompts import bytes_per_gene, compress_prompts
from gta.compressor.regeneration import begin_embedding, embed_prompt, sample_texts
from gta.compressor.results import METRICS, read_runs, summarise
from gta.compressor.scores import text_metrics
from gta.compressor.settings import CompressorSettings, CompressorTrainingSettings, CorpusSettings, check
from gta.compressor.train import compress_texts, losses_of_texts, train, validate
from gta.errors import UserError
from gta.language.cache import read_prompts
from gta.language.models import fingerprint, given_cache
from gta.language.prompts import Prompt
from gta.processes import Workers

QUICK = CompressorTrainingSettings(steps=6, batch=4, warm_up=2, evaluate_every=2)


def random_texts() -> dict[str, list[list[int]]]:
    generator = np.random.default_rng(1)
    texts = [generator.integers(5, 40, size=generator.integers(2, 7)).tolist() for _ in range(30)]
    return {"train": texts[:20], "valid": texts[20:25], "test": texts[25:]}


def test_texts_are_divided_by_date_and_twins_are_dropped() -> None:
    corpus = pd.DataFrame(
        {
            "text": ["old", "old", "between", "new 1", "new 2", "new 3", "older", " "],
            "date": [*["2023-06-30"] * 2, "2023-09-01", *["2024-01-05"] * 3, "2001-01-01", "2001-01-01"],
        }
    )
    divided = divide(corpus, CorpusSettings(date_column="date"), seed=1)
    split = divided.set_index("text")["split"]
    assert sorted(split.index[split == "train"]) == ["old", "older"]
    assert split.value_counts().to_dict() == {"train": 2, "valid": 1, "test": 1}
    assert "between" not in split


def test_random_division_shares_no_text_between_splits() -> None:
    divided = divide(pd.DataFrame({"text": [f"text {i % 50}" for i in range(80)]}), CorpusSettings(), seed=1)
    assert divided["split"].value_counts().to_dict() == {"train": 40, "valid": 5, "test": 5}
    assert divided["text"].is_unique


def test_a_corpus_without_the_column_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("abstract\nx\n")
    with pytest.raises(UserError, match=r"no column 'text'.*abstract"):
        read_corpus(tmp_path / "a.tsv", CorpusSettings())
    with pytest.raises(UserError, match="ends in none of"):
        read_corpus(tmp_path / "a.txt", CorpusSettings())
    with pytest.raises(UserError, match="no texts are left for the split train"):
        divide(pd.DataFrame({"text": ["a", "b"], "date": ["2025-01-01"] * 2}), CorpusSettings(), seed=1)


def test_a_snapshot_of_arxiv_is_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An object per line, as arXiv publishes its metadata; dates and ids stay text."""
    monkeypatch.setattr("gta.compressor.corpus.LINES", 2)
    records = [{"id": f"0704.000{i}", "abstract": f" text\n{i} ", "update_date": f"2024-02-0{i + 1}"} for i in range(5)]
    path = tmp_path / "snapshot.json"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    corpus = read_corpus(path, CorpusSettings(text_column="abstract", date_column="update_date"))
    assert corpus["text"].tolist() == [f" text\n{i} " for i in range(5)]
    assert corpus["date"].tolist() == [f"2024-02-0{i + 1}" for i in range(5)]
    with pytest.raises(UserError, match=r"text_column: .* has no column 'text'; it has id, abstract, update_date"):
        read_corpus(path, CorpusSettings())
    path.write_text('{"abstract": null}\n{"abstract": "b"}\n{"title": "no text"}\n')
    assert read_corpus(path, CorpusSettings(text_column="abstract"))["text"].tolist() == ["b"]
    path.write_text("")
    with pytest.raises(UserError, match="holds no texts"):
        read_corpus(path, CorpusSettings(text_column="abstract"))
    for text in ('{"abstract": "cut', '[{"abstract": 1}'):
        path.write_text(text)
        with pytest.raises(UserError, match=r"snapshot\.json is no \.json file of texts"):
            read_corpus(path, CorpusSettings(text_column="abstract"))


def test_names_of_encoders() -> None:
    config = config_of("lora_aoc_identity_r8_embeds", 4, "prefix", 1, "")
    assert (config.encoder, config.mlp, config.lora_rank, config.hand_over) == ("lora_aoc", "identity", 8, "embeds")
    assert config_of("lora", 4, "prefix", 1, "").lora_rank == 64
    with pytest.raises(UserError, match="'lora_r0' is no encoder"):
        check(CompressorSettings(encoders=["aoc", "lora_r0"]))


def test_a_training_that_was_killed_ends_like_an_undisturbed_one(
    llama: PreTrainedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = CompressorConfig("lora", memory_tokens=2, lora_rank=2)  # LoRA has dropout, so chance must be kept too
    whole, history = train(llama, random_texts(), config, QUICK, 0.01)
    path = tmp_path / "state.safetensors"

    def killed(*arguments: object, **keywords: object) -> None:
        checkpoint.save_checkpoint(*arguments, **keywords)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("gta.compressor.train.save_checkpoint", killed)
        with pytest.raises(KeyboardInterrupt):
            train(llama, random_texts(), config, QUICK, 0.01, path)
    resumed, again = train(llama, random_texts(), config, QUICK, 0.01, path)
    assert again["step"].tolist() == history["step"].tolist() == [2, 4, 6]
    assert again["valid_loss"].tolist() == history["valid_loss"].tolist()
    for name, weight in whole.trained_weights().items():
        assert torch.equal(weight, resumed.trained_weights()[name]), name


def test_a_batch_in_parts_or_shared_by_two_processes_learns_the_same(llama: PreTrainedModel, tmp_path: Path) -> None:
    whole, history = train(llama, random_texts(), CompressorConfig(memory_tokens=2), QUICK, 0.01)
    parts = dataclasses.replace(QUICK, accumulation=3)
    in_parts, again = train(llama, random_texts(), CompressorConfig(memory_tokens=2), parts, 0.01)
    np.testing.assert_allclose(again["train_loss"], history["train_loss"], rtol=1e-5)
    torch.testing.assert_close(in_parts.memory, whole.memory, rtol=1e-3, atol=1e-5)

    llama.save_pretrained(tmp_path / "lm")
    words = " ".join(f"w{i}" for i in range(40))
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(words.split())}, unk_token="w0"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="w0").save_pretrained(tmp_path / "lm")
    texts = [" ".join(f"w{i}" for i in text) for texts in random_texts().values() for text in texts]
    split = ["train"] * 20 + ["valid"] * 5 + ["test"] * 5
    pd.DataFrame({"split": split, "text": texts}).to_csv(tmp_path / "texts.tsv", sep="\t", index=False)
    command = ["compressor", "train", "--model", tmp_path / "lm", "--texts", tmp_path / "texts.tsv", "--encoder", "aoc"]
    command += ["--length", 6, "--memory-tokens", 2, "--steps", 6, "--batch", 5, "--evaluate-every", 2, "--device", "cpu"]
    for name, processes in (("one", 1), ("two", 2)):
        assert main([str(word) for word in [*command, "--processes", processes, "--out", tmp_path / name]]) == 0
    one, two = (pd.read_csv(tmp_path / name / "history.tsv", sep="\t").drop(columns="seconds") for name in ("one", "two"))
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)


def test_bfloat16_learns_nearly_the_same_and_leaves_the_language_model_frozen() -> None:
    histories = []
    for precision in ("float32", "bfloat16"):
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, vocab_size=50)
        )
        model = model.requires_grad_(False).eval()
        workers = Workers("cpu", precision)
        compressor, history = train(model, random_texts(), CompressorConfig(memory_tokens=2), QUICK, 0.01, workers=workers)
        assert {weight.dtype for weight in compressor.trained_weights().values()} == {torch.float32}
        histories.append(history)
    assert next(model.parameters()).dtype == torch.bfloat16
    np.testing.assert_allclose(histories[1]["valid_loss"], histories[0]["valid_loss"], rtol=0.02)


def test_memory_that_runs_out_is_a_clear_message(llama: PreTrainedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("gta.compressor.train.compress_texts", full)
    with pytest.raises(UserError, match=r"^Memory ran out in a step: raise compressor\.accumulation"):
        train(llama, random_texts(), CompressorConfig(memory_tokens=2), QUICK, 0.01)


def test_the_weights_are_those_of_the_best_validation(llama: PreTrainedModel) -> None:
    texts = random_texts()
    few = {**texts, "train": texts["train"][:2]}
    settings = dataclasses.replace(QUICK, steps=40, evaluate_every=4)
    compressor, history = train(llama, few, CompressorConfig(memory_tokens=2), settings, 0.05)
    losses = history["valid_loss"].tolist()
    assert min(losses) < losses[-1], "two texts are learnt by heart"
    assert validate(llama, compressor, few["valid"], 4)[0] == pytest.approx(min(losses), abs=1e-5)


@pytest.mark.parametrize("where", ["training", "validation"])
def test_a_training_that_diverges_keeps_its_best_weights(
    where: str, llama: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One learning rate of a search that is too high does not end the search; a training that never had a number does."""
    config, texts, path = CompressorConfig(memory_tokens=2), random_texts(), tmp_path / "state.safetensors"
    undisturbed, _ = train(llama, texts, config, dataclasses.replace(QUICK, steps=2), 0.01)
    reads = iter(range(100))

    def diverging(*arguments: Any) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        total, right, number = losses_of_texts(*arguments)
        trains = torch.is_grad_enabled()
        # Two steps and the two batches of a validation go well.
        diverged = trains == (where == "training") and next(reads) >= 2
        return (total * float("nan") if diverged else total), right, number

    monkeypatch.setattr("gta.compressor.train.losses_of_texts", diverging)
    for _ in ("killed before it had written its results", "resumed"):
        kept, history = train(llama, texts, config, QUICK, 0.01, path)
        assert history["step"].tolist() == [2]
        assert torch.equal(kept.memory, undisturbed.memory)
        assert (
            "loss of the compressor became nan by step 4: lower compressor.learning_rates. The weights" in capsys.readouterr().err
        )
    with pytest.raises(UserError, match=r"loss of the compressor became nan by step 2: lower compressor\.learning_rates\.$"):
        train(llama, texts, config, QUICK, 0.01)


def test_the_state_of_another_run_is_not_taken(llama: PreTrainedModel, tmp_path: Path) -> None:
    config, path = CompressorConfig(memory_tokens=2), tmp_path / "state.safetensors"
    train(llama, random_texts(), config, QUICK, 0.01, path)
    other, _ = train(llama, random_texts(), config, dataclasses.replace(QUICK, steps=2), 0.002, path)
    fresh, _ = train(llama, random_texts(), config, dataclasses.replace(QUICK, steps=2), 0.002)
    assert torch.equal(other.memory, fresh.memory)


def test_validation_does_not_depend_on_the_batch(llama: PreTrainedModel) -> None:
    compressor = AttentionOnlyCompressor(llama, CompressorConfig(memory_tokens=2))
    texts = random_texts()["train"]
    assert validate(llama, compressor, texts, 3) == pytest.approx(validate(llama, compressor, texts, 20), abs=1e-6)


def test_metrics_by_hand() -> None:
    metrics = text_metrics("the cat sat", "the cat lay down")
    assert metrics["rouge1"] == pytest.approx(2 * 2 / 7)
    assert metrics["rouge2"] == pytest.approx(2 * 1 / 5)
    assert metrics["rougeL"] == pytest.approx(2 * 2 / 7)
    assert metrics["word_f1"] == pytest.approx(2 * 2 / 7)
    assert metrics["prefix_match"] == pytest.approx(len("the cat ") / len("the cat lay down"))
    assert metrics["exact"] == 0
    assert all(value == pytest.approx(1) for value in text_metrics("a b c d", "a b c d").values())
    longer = text_metrics("a b c d e", "a b c d")
    assert (longer["prefix_match"], longer["exact"]) == (1, 0)


def test_the_summary_takes_the_learning_rate_that_validation_chose_with_the_first_seed() -> None:
    cell = {"encoder": "aoc", "length": 16, "memory_tokens": 4, "trained_weights": 5, "encoder_weights": 6}
    cell |= {"diverged": False}
    runs = pd.DataFrame(
        [
            {**cell, "learning_rate": 0.1, "seed": 1, "valid_loss": 2.0, "run": 0},
            {**cell, "learning_rate": 0.1, "seed": 2, "valid_loss": 0.1, "run": 1},
            {**cell, "learning_rate": 0.2, "seed": 1, "valid_loss": 1.4, "run": 2},
            {**cell, "learning_rate": 0.2, "seed": 2, "valid_loss": 1.4, "diverged": True, "run": 3},
        ]
    )
    texts = pd.DataFrame(
        [{**dict.fromkeys(METRICS, 0.1 * run + text), "run": run, "text": text} for run in range(4) for text in range(2)]
    )
    row = summarise(runs, texts, seed=1).set_index("metric").loc["loss"]
    assert (row["learning_rate"], row["n_seeds"], row["n_diverged"], row["n_texts"], row["ratio"]) == (0.2, 2, 1, 2, 4)
    assert row["value"] == pytest.approx((0.2 + 0.3 + 1.2 + 1.3) / 4)
    assert row["seed_sd"] == pytest.approx(np.std([0.7, 0.8], ddof=1))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx((0.25, 1.25))


def test_baselines_are_tested_and_summarised_as_trainings_are(llama: PreTrainedModel, tmp_path: Path) -> None:
    llama.save_pretrained(tmp_path / "model")
    words = [f"w{number}" for number in range(40)]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(tmp_path / "model")
    texts = random_texts()
    rows = [(split, " ".join(words[token] for token in text)) for split, of_split in texts.items() for text in of_split]
    pd.DataFrame(rows, columns=["split", "text"]).to_csv(tmp_path / "texts.tsv", sep="\t", index=False)
    given = ["--model", tmp_path / "model", "--texts", tmp_path / "texts.tsv", "--length", 6, "--out", tmp_path / "out"]
    for memory_tokens in (2, 7):
        main(list(map(str, ["compressor", "baselines", *given, "--memory-tokens", memory_tokens])))
    folders = sorted((tmp_path / "out").iterdir())
    assert [folder.name for folder in folders] == ["mean_pool.n6.m2", "mean_pool.n6.m7", "truncate.n6.m2", "truncate.n6.m7"]
    runs, scores = read_runs(folders)
    assert not runs[["trained_weights", "diverged"]].any(axis=None)
    summary = summarise(runs, scores, seed=1).set_index(["encoder", "length", "memory_tokens", "metric"])["value"]
    # Seven slots hold the token that begins a text and all six of its own; the pieces that are averaged are then one token each.
    assert summary["truncate", 6, 7, "loss"] == pytest.approx(summary["mean_pool", 6, 7, "loss"], abs=1e-5)
    begin = begin_embedding(llama, None)
    total, right, number = losses_of_texts(
        llama, compress_texts(llama, untrained("truncate", 2), texts["test"]), begin, texts["test"]
    )
    assert summary["truncate", 6, 2, "loss"] == pytest.approx(float((total / number).mean()), abs=1e-5)
    assert summary["truncate", 6, 2, "accuracy"] == pytest.approx(float((right / number).mean()), abs=1e-5)


def test_compressed_prompts_take_the_place_of_full_ones(llama: PreTrainedModel) -> None:
    prompts = [
        Prompt(gene="a", text="", tokens=[0, 5, 6, 7, 8, 9, 10, 11], cut=0),
        Prompt(gene="b", text="", tokens=[0, 5], cut=0),
        Prompt(gene="c", text="", tokens=[0, 5, 6, 7, 8, 9, 10, 11], cut=0),
    ]
    sha256 = fingerprint(llama)
    compressor = AttentionOnlyCompressor(llama, CompressorConfig(memory_tokens=2, positions="continued")).eval()
    nothing = [Prompt(gene="empty", text="", tokens=[0], cut=0)]
    assert compress_prompts(llama, nothing, compressor, sha256).lengths.tolist() == [2]
    assert compress_prompts(llama, nothing, untrained("truncate", 2), sha256).lengths.tolist() == [1]
    cache = compress_prompts(llama, prompts, compressor, sha256)
    assert cache.rows.tolist() == [0, 1, 0]
    assert cache.lengths.tolist() == [2, 2]
    assert cache.next_positions.tolist() == [8 + 2, 2 + 2]
    with torch.no_grad():
        alone = compressor(llama, *embed_prompt(llama, torch.tensor([[5, 6, 7, 8, 9, 10, 11]]), torch.ones(1, 7).long()))
    assert cache.keys is not None
    assert torch.allclose(cache.keys[0], alone.keys[0], atol=1e-6)
    full = read_prompts(llama, prompts, sha256)
    assert bytes_per_gene(full) / bytes_per_gene(cache) == pytest.approx((8 + 2 + 8) / (2 + 2 + 2))
    # Keys and values, float32: 3 layers, 1 head of width 8.
    assert bytes_per_gene(cache) == 2 * 2 * 3 * 8 * 4


def test_prompts_shorter_than_the_memory_keep_their_length_without_training(llama: PreTrainedModel) -> None:
    prompts = [Prompt("a", "", [0, 5, 6, 7, 8], 0), Prompt("b", "", [0, 5], 0)]
    full = read_prompts(llama, prompts, "")
    cut = compress_prompts(llama, prompts, untrained("truncate", 3), "")
    assert cut.lengths.tolist() == cut.next_positions.tolist() == [3, 2]
    assert cut.keys is not None
    assert full.keys is not None
    assert torch.allclose(cut.keys[0], full.keys[0][:, :, :3], atol=1e-5)
    assert torch.allclose(cut.keys[1][:, :, 1:], full.keys[1][:, :, 3:], atol=1e-5)
    assert cut.keys[1][:, :, 0].abs().max() == 0
    pooled = compress_prompts(llama, prompts, untrained("mean_pool", 3), "")
    embedded = llama.get_input_embeddings()(torch.tensor([[0, 5, 6, 7, 8]]))
    expected = mean_pooled(llama, embedded, torch.ones(1, 5).long(), 3)
    assert pooled.keys is not None
    assert torch.allclose(pooled.keys[0], expected.keys[0], atol=1e-5)


def test_the_aligner_reads_its_tokens_after_the_memory(llama: PreTrainedModel) -> None:
    """The prompt cache of memory tokens, as the aligner uses it, against the memory itself and positions by hand."""
    prompts = [Prompt("a", "", [0, 5, 6, 7, 8, 9], 0), Prompt("b", "", [0, 5], 0)]
    compressor = AttentionOnlyCompressor(llama, CompressorConfig(memory_tokens=2, positions="continued")).eval()
    cache = compress_prompts(llama, prompts, compressor, "")
    tokens = torch.randn(2, 3, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        read = read_after(llama, tokens, prompt_memory(llama, cache, torch.tensor([0, 1]), tokens.device))
        memory = compressor(llama, *embed_prompt(llama, torch.tensor([[5, 6, 7, 8, 9]]), torch.ones(1, 5).long()))
        alone = llama.base_model(
            inputs_embeds=tokens[:1],
            attention_mask=torch.ones(1, 5).long(),
            position_ids=torch.tensor([[8, 9, 10]]),
            use_cache=True,
            **given_cache(llama, memory.cache()),
        ).last_hidden_state
    assert torch.allclose(read[:1], alone, atol=1e-5)


def test_texts_are_made_up_the_same_way_twice(llama: PreTrainedModel) -> None:
    class Numbers:
        def batch_decode(self, rows: torch.Tensor, skip_special_tokens: bool) -> list[str]:
            return [" ".join(str(int(token)) for token in row if token > 1) for row in rows]

    first, again = (sample_texts(llama, Numbers(), 3, 5, seed=4) for _ in range(2))
    assert first == again
    assert len(first) == 3
    assert all(len(text.split()) <= 5 for text in first)
