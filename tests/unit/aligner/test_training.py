"""Training: losses by hand, planted truth, frozen language model, same seed same weights."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import torch
from transformers import PreTrainedModel

from gta.aligner.batches import epoch_batches
from gta.aligner.data import Batch
from gta.aligner.losses import batch_loss, pair_loss, single_loss
from gta.aligner.model import Aligner
from gta.aligner.predict import load_trained, predict_cohort, predict_haplotypes
from gta.aligner.reading import make_reader, prompt_rows
from gta.aligner.record import prompt_bytes
from gta.aligner.settings import AlignerSettings
from gta.aligner.setup import set_up
from gta.aligner.train import Training
from gta.aligner.validation import validate
from gta.cli import main
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.correlation import spearman
from gta.features.store import FeatureStore
from gta.language.models import fingerprint
from gta.language.prototypes import Prototypes
from gta.processes import Workers
from toy_cohort import make_cohort, make_language_model, make_prompts, make_store, make_training, write_cohort


@pytest.mark.parametrize("context", ["none", "aoc"])
def test_a_training_whose_prompts_are_read_anew_learns_the_same(store: FeatureStore, tmp_path: Path, context: str) -> None:
    cohort, model = make_cohort(store), make_language_model()
    settings = {"context": context, "context_near": 2, "context_chunk": 2} if context != "none" else {}
    cached = make_training(cohort, store, model, epochs=1, **settings)
    reader = cached.setup.reader
    assert reader.prompts is not None and reader.prompts.keys is not None
    without = replace(reader, prompts=replace(reader.prompts, keys=None, values=None))
    anew = Training(replace(make_training(cohort, store, model, epochs=1, **settings).setup, reader=without))
    assert anew.setup.fingerprint == cached.setup.fingerprint
    assert prompt_bytes(anew.setup) == prompt_bytes(cached.setup) > 0
    for number, training in enumerate((cached, anew)):
        training.run(tmp_path / str(number))
    for name, weight in cached.aligner.state_dict().items():
        torch.testing.assert_close(anew.aligner.state_dict()[name], weight, atol=1e-3, rtol=1e-3, msg=name)


def test_pair_loss_by_hand() -> None:
    predicted, observed = torch.tensor([0.0, 1.0, 3.0]), torch.tensor([5.0, 5.0, 6.0])
    # Differences predicted -1 -3 -2, observed 0 -1 -1, errors in units of sd 2: -.5 -1 -.5; Huber: .125 .5 .125.
    assert pair_loss(predicted, observed, 2.0).item() == pytest.approx((0.125 + 0.5 + 0.125) / 3)
    assert pair_loss(observed + 7, observed, 2.0).item() == 0.0


def test_single_loss_by_hand() -> None:
    predicted, observed = torch.tensor([0.0, 2.0, -6.0]), torch.tensor([5.0, 4.0, 5.0])
    # Deviations observed 1 0 1, errors in units of sd 2: -.5 1 -3.5; Huber: .125 .5 3.
    assert single_loss(predicted, observed, 4.0, 2.0).item() == pytest.approx((0.125 + 0.5 + 3.0) / 3)


def test_spearman_is_that_of_scipy() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        first, second = rng.normal(size=12).astype(np.float32), rng.integers(5, size=12)
        assert spearman(first, second) == pytest.approx(scipy.stats.spearmanr(first, second).statistic, abs=1e-12)


def test_spearman_of_a_constant_is_zero() -> None:
    assert spearman(np.ones(4), np.arange(4.0)) == 0.0
    assert spearman(np.arange(4.0), np.arange(4.0) ** 3) == 1.0


@pytest.mark.parametrize("use", ["pretrained", "attention", "none"])
def test_a_planted_rule_is_learnt_for_unseen_people_and_genes(use: str) -> None:
    store = make_store()
    cohort = make_cohort(store)
    training = make_training(cohort, store, make_language_model(), language_model=use, epochs=12, patience=12, learning_rate=1e-2)
    training.run()
    test = cohort.people_numbers("test")
    for split in ("train", "test"):
        found = [
            spearman(training.setup.predict([int(gene)], test)[1][0].numpy(), cohort.expression[gene, test])
            for gene in cohort.gene_numbers(split)
        ]
        assert np.mean(found) > 0.8, split


def test_the_language_model_stays_as_it_was_and_gets_no_gradient(cohort: Cohort, store: FeatureStore, tmp_path: Path) -> None:
    model = make_language_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    training = make_training(cohort, store, model)
    training.save(training.run(), tmp_path / "trained")
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_changed_language_model_is_noticed(cohort: Cohort, store: FeatureStore, tmp_path: Path) -> None:
    model = make_language_model()
    training = make_training(cohort, store, model, epochs=1)
    history = training.run()
    with torch.no_grad():
        model.get_input_embeddings().weight[0, 0] += 1
    with pytest.raises(RuntimeError, match="changed during training"):
        training.save(history, tmp_path / "trained")


def test_same_seed_same_weights_other_seed_other_weights(
    cohort: Cohort, store: FeatureStore, language_model: PreTrainedModel
) -> None:
    runs = []
    for seed in (1, 1, 2):
        training = make_training(cohort, store, language_model, seed=seed, dropout=0.1)
        history = training.run()
        runs.append((training.aligner.state_dict(), history.drop(columns="seconds")))
    assert all(torch.equal(runs[0][0][name], tensor) for name, tensor in runs[1][0].items())
    assert runs[0][1].equals(runs[1][1])
    assert not torch.equal(runs[0][0]["project.weight"], runs[2][0]["project.weight"])


def test_each_epoch_reads_every_training_gene_with_training_people_only(cohort: Cohort, store: FeatureStore) -> None:
    training = make_training(cohort, store, make_language_model(), people_per_epoch=12, genes_per_batch=3)
    seen: dict[int, list[int]] = {}
    batches = epoch_batches(cohort, training.settings, training.generator)
    assert len(batches) == training.steps
    for batch in batches:
        assert len(batch) <= 3
        for gene, people in batch:
            seen.setdefault(gene, []).extend(people.tolist())
    assert sorted(seen) == cohort.gene_numbers("train").tolist()
    train = set(cohort.people_numbers("train").tolist())
    for people in seen.values():
        assert len(people) == len(set(people)) == 12 and set(people) <= train


def test_expression_outside_of_the_training_split_cannot_reach_the_weights(store: FeatureStore) -> None:
    cohort = make_cohort(store)
    changed = Cohort(cohort.people, cohort.genes, cohort.expression.copy())
    changed.expression[:, cohort.people_numbers("test")] = 99.0
    changed.expression[cohort.gene_numbers("test")] = -99.0
    weights = []
    for one in (cohort, changed):
        training = make_training(one, store, make_language_model())
        training.run()
        weights.append(training.aligner.state_dict())
    assert all(torch.equal(weights[0][name], tensor) for name, tensor in weights[1].items())


def test_the_loss_on_single_people_is_used_and_warned_of(cohort: Cohort, store: FeatureStore, capsys) -> None:
    training = make_training(cohort, store, make_language_model(), people_loss="single")
    assert "failed to tell people apart" in capsys.readouterr().err
    gene, people = 3, np.arange(4)
    observed = cohort.expression[gene, people]
    setup = training.setup
    error = (setup.predict([gene], people)[1][0].numpy() - (observed - setup.gene_mean[gene])) / setup.gene_sd[gene]
    expected = np.where(np.abs(error) < 1, error**2 / 2, np.abs(error) - 0.5).mean()
    assert batch_loss(setup, [(gene, people)])[1].item() == pytest.approx(expected, rel=1e-5)


def test_running_out_of_memory_is_a_clear_message(cohort: Cohort, store: FeatureStore) -> None:
    training = make_training(cohort, store, make_language_model())

    def short_of_memory(*_: object) -> None:
        torch.empty(2**60)

    training.aligner.register_forward_hook(short_of_memory)
    with pytest.raises(UserError, match=r"Memory ran out in step 1 \(epoch 1\): raise aligner.accumulation"):
        training.run()


def test_genes_that_share_batches_are_predicted_as_each_by_itself(
    cohort: Cohort, store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = make_training(cohort, store, make_language_model())
    people, genes = np.arange(len(cohort.people)), [3, 0, 11, 5]
    alone = [training.setup.predict([gene], people) for gene in genes]
    # Borders between genes within batches, and between batches within genes.
    monkeypatch.setattr("gta.aligner.predict.BATCH", 7)
    shared = training.setup.predict(genes, people)
    for part, values in enumerate(shared):
        assert values.shape == (4, len(people))
        torch.testing.assert_close(values, torch.cat([each[part] for each in alone]), atol=1e-6, rtol=1e-5)


def test_prediction_goes_on_with_fewer_haplotypes_at_once_where_memory_is_short(cohort: Cohort, store: FeatureStore) -> None:
    training = make_training(cohort, store, make_language_model())
    requests = [(0, np.arange(4)), (3, np.arange(5))]
    whole = predict_haplotypes(training.aligner, training.setup.data, training.setup.reader, requests)
    sizes = []

    def short_of_memory(_: torch.nn.Module, inputs: tuple[Batch, ...]) -> None:
        sizes.append(len(inputs[0].gene))
        torch.empty(2**60 if sizes[-1] > 4 else 1)

    training.aligner.register_forward_pre_hook(short_of_memory)
    parts = predict_haplotypes(training.aligner, training.setup.data, training.setup.reader, requests)
    assert sizes == [9, 9, 9, 8, 4, 4, 1]  # 64, 32, 16, 8 at once, and then 4
    for part, values in zip(parts, whole, strict=True):
        torch.testing.assert_close(part, values, atol=1e-6, rtol=1e-6)


def test_the_best_epoch_is_chosen_by_the_correlation_where_that_is_asked_for(cohort: Cohort, store: FeatureStore) -> None:
    training = make_training(cohort, store, make_language_model(), select="spearman_people", epochs=6, learning_rate=1e-2)
    history = training.run()
    best = int(history["valid_spearman_people"].argmax())
    assert training.progress.best == -history["valid_spearman_people"][best]
    assert validate(training.setup)["valid_spearman_people"] == history["valid_spearman_people"][best]
    assert best != int(history["valid_loss"].argmin()) or best < 5  # the choice matters here
    assert any(not torch.equal(training.last_weights[name], tensor) for name, tensor in training.aligner.state_dict().items())


def test_gradients_are_clipped_to_the_given_norm(cohort: Cohort, store: FeatureStore) -> None:
    training = make_training(cohort, store, make_language_model(), max_gradient_norm=1e-3, epochs=1)
    training.run()
    norm = sum(float(parameter.grad.pow(2).sum()) for parameter in training.aligner.trained_parameters()) ** 0.5
    assert norm == pytest.approx(1e-3, rel=1e-3)


def test_a_batch_in_parts_has_the_same_gradients_and_learning_curve(cohort: Cohort, store: FeatureStore) -> None:
    gradients, histories = [], []
    for parts in (1, 3):
        make = partial(make_training, cohort, store, make_language_model(), accumulation=parts, genes_per_batch=4)
        # Of weights whose gradient is 0 but for rounding errors Adam makes whole steps: there are none in this one.
        histories.append(make(additive=False, tokens_learn_means=True).run().drop(columns="seconds"))
        one_step = make(epochs=1, max_gradient_norm=1e6, genes_per_batch=100)
        one_step.run()
        gradients.append({name: parameter.grad for name, parameter in one_step.aligner.named_parameters()})
    np.testing.assert_allclose(histories[1], histories[0], rtol=1e-4)
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-4, atol=1e-6)


def test_bfloat16_learns_nearly_the_same_and_leaves_the_model_frozen(cohort: Cohort, store: FeatureStore, tmp_path: Path) -> None:
    losses = []
    for precision in ("float32", "bfloat16"):
        training = make_training(cohort, store, make_language_model(), precision=precision, epochs=3)
        history = training.run()
        training.save(history, tmp_path / precision)
        losses.append(history["train_loss"].to_numpy())
    assert not np.array_equal(losses[0], losses[1])
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)
    config = Aligner.from_pretrained(tmp_path / "bfloat16" / "model").config
    assert config.language_model_sha256 == fingerprint(make_language_model())
    # Read back, it predicts in the precision that is asked for.
    make_language_model().save_pretrained(tmp_path / "lm")
    training.setup.reader.prompts.save(tmp_path / "cache.safetensors")
    people = np.arange(len(cohort.people))
    expected = training.setup.predict([3], people)[1][0]
    load = partial(load_trained, [tmp_path / "bfloat16"], cohort, store, tmp_path / "lm", tmp_path / "cache.safetensors")
    assert torch.equal(load(Workers("cpu", "bfloat16"))[0].predict_people(3, people)[1], expected)
    coarse = load()[0].predict_people(3, people)[1] - expected
    assert 0 < coarse.abs().max() < 0.02 * expected.abs().max()


def test_a_gpu_that_is_not_there_is_a_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"aligner\.device: cuda is wanted, but PyTorch sees no GPU"):
        Workers("cuda")


def test_a_loss_that_explodes_is_a_clear_message(cohort: Cohort, store: FeatureStore, language_model: PreTrainedModel) -> None:
    training = make_training(cohort, store, language_model)
    with torch.no_grad():
        training.aligner.head_deviation.weight.fill_(float("nan"))
    with pytest.raises(UserError, match=r"loss became nan in step 1 \(epoch 1\): lower aligner"):
        training.run()


def test_prototypes_and_prompts_of_another_model_and_too_long_windows_are_refused(cohort: Cohort, store: FeatureStore) -> None:
    model = make_language_model()
    training = make_training(cohort, store, model)
    prompts, own = training.setup.reader.prompts, fingerprint(model)
    assert prompts is not None
    with pytest.raises(UserError, match="made by another language model"):
        make_reader(model, prompts, cohort.gene_names, 6, "pretrained", "full", 1, "other")
    with pytest.raises(UserError, match="take 4000 positions, but the language model has 2048"):
        make_reader(model, prompts, cohort.gene_names, 4000, "pretrained", "full", 1, own)
    foreign = Prototypes(torch.zeros(7, 16), "other")
    with pytest.raises(UserError, match="text prototypes were made from another"):
        set_up(cohort, store, model, "tiny", prompts, foreign, AlignerSettings(heads=2), 1)


def test_shuffled_prompts_leave_no_gene_its_own(language_model: PreTrainedModel) -> None:
    prompts = make_prompts(language_model)
    genes = prompts.genes[::-1]
    own = prompt_rows(prompts, genes, "full", 3)
    assert [prompts.genes[row] for row in own] == genes
    shuffled = prompt_rows(prompts, genes, "shuffled", 3)
    assert sorted(shuffled.tolist()) == sorted(own.tolist()) and not (shuffled == own).any()
    # A gene never reads its own expression in the examples of another gene.
    hub = dict.fromkeys(prompts.genes[2:8], prompts.genes[:2]) | {prompts.genes[8]: [prompts.genes[9]]}
    with_examples = replace(prompts, examples=hub)
    for seed in range(20):
        plain, read = (prompt_rows(each, genes, "shuffled", seed).tolist() for each in (prompts, with_examples))
        assert sorted(read) == sorted(own.tolist())
        pairs = [(gene, prompts.genes[row]) for gene, row in zip(genes, read, strict=True)]
        assert all(gene != other and gene not in hub.get(other, ()) for gene, other in pairs)
        changed = sum(first != second for first, second in zip(plain, read, strict=True))
        assert changed < len(genes), "only what must be is exchanged"
    everywhere = replace(prompts, examples={gene: [genes[0]] for gene in prompts.genes})
    with pytest.raises(UserError, match=f"no prompt of another gene can be given to {genes[0]}, whose expression"):
        prompt_rows(everywhere, genes, "shuffled", 1)
    with pytest.raises(UserError, match="no prompt of gene NOPE"):
        prompt_rows(prompts, ["NOPE"], "full", 1)


def test_saved_and_read_back_it_predicts_the_same(store: FeatureStore, tmp_path: Path) -> None:
    cohort, model = make_cohort(store), make_language_model()
    training = make_training(cohort, store, model)
    training.save(training.run(), tmp_path / "trained")
    model.save_pretrained(tmp_path / "lm")
    training.setup.reader.prompts.save(tmp_path / "cache.safetensors")
    folders, cache = [tmp_path / "trained"], tmp_path / "cache.safetensors"
    table = predict_cohort(load_trained(folders, cohort, store, tmp_path / "lm", cache)[0], cohort)
    assert len(table) == len(cohort.genes) * len(cohort.people)
    train = cohort.people_numbers("train")
    for number in (0, 11):
        rows = table[table["gene"] == f"G{number}"]
        mean, deviation = (values[0] for values in training.setup.predict([number], np.arange(len(cohort.people))))
        np.testing.assert_allclose(rows["mean"], mean.detach(), rtol=1e-5)
        np.testing.assert_allclose(rows["deviation"], (deviation - deviation[train].mean()).detach(), atol=1e-5)
        assert rows["deviation"].to_numpy()[train].mean() == pytest.approx(0, abs=1e-9)
    # Trained weights only: nothing of the language model is in the file.
    saved = Aligner.from_pretrained(tmp_path / "trained" / "model")
    assert fingerprint(model) == saved.config.language_model_sha256
    assert not any("lm" in name or "layers" in name for name in saved.state_dict())

    shorter = {
        name: replace(gene, index=gene.index[:, 1:], tile_distance=gene.tile_distance[1:]) for name, gene in store.by_gene.items()
    }
    with pytest.raises(UserError, match=r"windows of 6 tiles, the features have 5"):
        load_trained(folders, cohort, replace(store, by_gene=shorter), tmp_path / "lm", cache)
    make_language_model(seed=9).save_pretrained(tmp_path / "other")
    with pytest.raises(UserError, match="another language model"):
        load_trained(folders, cohort, store, tmp_path / "other", cache)
    (tmp_path / "trained" / "model" / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(UserError, match="no complete aligner"):
        load_trained(folders, cohort, store, tmp_path / "lm", cache)
    config = tmp_path / "trained" / "model" / "config.json"
    for text, message in (
        ("{}", "lacks 'additive'"),
        ("[]", "lacks"),
        (config.read_text()[:-2] + ', "a": 1}', "unknown key 'a'"),
    ):
        config.write_text(text)
        with pytest.raises(UserError, match=rf"config.json is of no aligner of this version: it .*{message}"):
            load_trained(folders, cohort, store, tmp_path / "lm", cache)


def test_predict_command_writes_a_table_for_each_seed(store: FeatureStore, tmp_path: Path) -> None:
    cohort, model = make_cohort(store), make_language_model()
    trained, out = [tmp_path / "one", tmp_path / "two"], [tmp_path / "1.parquet", tmp_path / "2.parquet"]
    for seed, folder in enumerate(trained, start=1):
        training = make_training(cohort, store, model, seed=seed)
        training.save(training.run(), folder)
    model.save_pretrained(tmp_path / "lm")
    store.save(tmp_path / "c1.safetensors")
    training.setup.reader.prompts.save(tmp_path / "cache.safetensors")
    words = ["aligner", "predict", "--cohort", write_cohort(cohort, tmp_path / "cohort"), "--model", tmp_path / "lm"]
    words += ["--features", tmp_path / "c1.safetensors", "--cache", tmp_path / "cache.safetensors", "--trained", *trained]
    assert main([str(word) for word in [*words, "--out", out[0]]]) == 1
    assert not out[0].exists()
    assert main([str(word) for word in [*words, "--out", *out]]) == 0
    one, two = map(pd.read_parquet, out)
    assert len(one) == len(two) == len(cohort.genes) * len(cohort.people)
    loaded = load_trained(trained, cohort, store, tmp_path / "lm", tmp_path / "cache.safetensors")
    pd.testing.assert_frame_equal(two, predict_cohort(loaded[1], cohort))
    assert not np.allclose(one["predicted"], two["predicted"])
