"""Studies without genotypes: mean expression alone is trained and predicted."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gta.aligner.batches import epoch_batches, steps_per_epoch
from gta.aligner.card import model_card
from gta.aligner.data import AlignerData, Scaling
from gta.aligner.model import Aligner, read_config
from gta.aligner.predict import load_trained, predict_cohort
from gta.aligner.settings import AlignerSettings, for_reference_study
from gta.aligner.solve import choose_linear_rule
from gta.aligner.validation import spearman, validate
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import GeneFeatures
from toy_cohort import CAUSAL, FEATURES, GENES, TILES, make_language_model, make_reference_study, make_store, make_training
from toy_cohort import make_cohort as make_cohort_with_genotypes


@pytest.mark.parametrize("individuals", [1, 5])
def test_the_read_out_is_solved_without_any_step(individuals: int, tmp_path: Path) -> None:
    cohort, store = make_reference_study(individuals)
    training = make_training(cohort, store, make_language_model())
    weights = {name: tensor.clone() for name, tensor in training.aligner.state_dict().items()}
    running = tmp_path / "seed1.running"
    history = training.run(running)
    assert history["epoch"].tolist() == [0] and history["step"].tolist() == [0]
    absent = ["train_loss", "train_loss_mean", "train_loss_pairs", "valid_loss_pairs", "valid_spearman_people", "learning_rate"]
    assert history[absent].isna().all(axis=None)
    assert history["valid_loss"].tolist() == history["valid_loss_mean"].tolist()
    solved = [name for name, tensor in training.aligner.state_dict().items() if not torch.equal(tensor, weights[name])]
    assert solved and all(name.startswith("mean_readout.") or name in ("additive.threshold", "additive.decay") for name in solved)

    training.save(history, tmp_path / "seed1", running)
    record = json.loads((tmp_path / "seed1" / "training.json").read_text())
    assert (record["best_epoch"], record["trained_weights"], record["settings"]["select"]) == (0, 0, "genes")
    assert set(record["mean_readout_strengths"]) == {"linear", "features", "tokens", "prompt_mean", "prompt_last"}
    (line,) = (tmp_path / "seed1" / "metrics.jsonl").read_text().splitlines()
    assert set(json.loads(line)) == {"epoch", "step", "valid_loss", "valid_loss_mean", "valid_spearman_genes"}
    means = pd.read_csv(tmp_path / "seed1" / "mean_out_of_fold.tsv", sep="\t")
    assert len(means) == 10, "eight training genes out of fold, two validation genes"


def test_mean_expression_of_held_out_genes_is_predicted_and_no_deviation(tmp_path: Path) -> None:
    cohort, store = make_reference_study(3)
    model = make_language_model()
    training = make_training(cohort, store, model)
    training.save(training.run(), tmp_path / "trained")
    model.save_pretrained(tmp_path / "lm")
    training.setup.reader.prompts.save(tmp_path / "cache.safetensors")
    (trained,) = load_trained([tmp_path / "trained"], cohort, store, tmp_path / "lm", tmp_path / "cache.safetensors")
    table = predict_cohort(trained, cohort)
    assert table.columns.tolist() == ["gene", "person", "mean", "deviation", "predicted"]
    assert table["deviation"].isna().all() and (table["predicted"] == table["mean"]).all()
    assert table["person"].tolist() == cohort.people_names * GENES and table.groupby("gene")["mean"].nunique().eq(1).all()
    # Batches of genes give what each gene gives by itself.
    alone = [trained.predict_haplotypes(gene, np.zeros(1, dtype=int))[0].item() for gene in range(GENES)]
    np.testing.assert_allclose(table["mean"].to_numpy()[::3], alone, rtol=1e-5)
    train = cohort.gene_numbers("train")
    assert spearman(table["mean"].to_numpy()[::3][train], cohort.expression.mean(axis=1)[train]) > 0.8


def test_what_only_differences_train_has_no_effect_and_stays_so() -> None:
    cohort, store = make_reference_study()
    training = make_training(cohort, store, make_language_model(), tokens_learn_means=True, epochs=2)
    training.run()
    aligner = training.aligner
    for name in ("project_difference.weight", "pool_deviation.weight", "head_deviation.weight", "additive.weight"):
        assert not aligner.state_dict()[name].any(), name
    # A haplotype with another sequence is predicted from its features alone: the untrained map of differences adds nothing.
    batch = training.setup.data.batch([(0, np.zeros(1, dtype=int))])
    reader = training.setup.reader
    as_it_is = aligner(batch, reader.language_model, reader.prompts, reader.rows)
    changed = aligner(replace(batch, difference=batch.difference + 1), reader.language_model, reader.prompts, reader.rows)
    assert torch.equal(changed[0], as_it_is[0]) and as_it_is[1].item() == 0


def test_tokens_learn_means_of_one_reference_haplotype_per_gene() -> None:
    cohort, store = make_reference_study(5)
    training = make_training(cohort, store, make_language_model(), tokens_learn_means=True, epochs=3, genes_per_batch=3)
    before = training.aligner.project.weight.detach().clone()
    assert steps_per_epoch(cohort, training.settings) == math.ceil(8 / 3)
    batches = epoch_batches(cohort, training.settings, np.random.default_rng(0))
    assert sorted(gene for batch in batches for gene, _ in batch) == cohort.gene_numbers("train").tolist()
    assert all(len(people) == 1 for batch in batches for _, people in batch)
    history = training.run()
    assert history["epoch"].tolist() == [1, 2, 3] and history["train_loss_pairs"].isna().all()
    assert history["train_loss"].tolist() == history["train_loss_mean"].tolist()
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert not torch.equal(training.aligner.project.weight, before)


def test_a_reference_study_is_resumed_with_the_same_weights(tmp_path: Path) -> None:
    cohort, store = make_reference_study(2)
    make = {"tokens_learn_means": True, "epochs": 4, "genes_per_batch": 3, "checkpoint_minutes": 0}
    whole = make_training(cohort, store, make_language_model(), **make)
    whole.run()
    killed = make_training(cohort, store, make_language_model(), **make)
    step, killed.step = killed.step, None  # type: ignore[method-assign]

    def step_or_die(requests, where):  # type: ignore[no-untyped-def]
        if "step 5 " in where:
            raise KeyboardInterrupt
        return step(requests, where)

    killed.step = step_or_die  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        killed.run(tmp_path / "running")
    resumed = make_training(cohort, store, make_language_model(), **make)
    resumed.run(tmp_path / "running")
    for name, tensor in whole.aligner.state_dict().items():
        assert torch.equal(resumed.aligner.state_dict()[name], tensor), name


@pytest.mark.parametrize(("threshold", "decay"), [(-math.inf, 0.3), (1.0, 1.2)])
def test_the_linear_rule_is_chosen_by_mean_expression(threshold: float, decay: float) -> None:
    cohort, store = make_reference_study()
    setup = make_training(cohort, store, make_language_model()).setup
    # A hundred genes, whose expression is one feature, rectified and summed over tiles with a decay.
    genes, rng = [f"N{number}" for number in range(100)], np.random.default_rng(0)
    distance = np.arange(-2.5, 3) * 4000
    rows = {gene: rng.normal(size=(TILES, FEATURES)).astype(np.float32) for gene in genes}
    own, nobody = np.arange(TILES, dtype=np.int32)[None], np.zeros((1, 2), dtype=np.int32)
    by_gene = {gene: GeneFeatures(gene, rows[gene], own, nobody, distance.astype(np.float32)) for gene in genes}
    store = replace(store, by_gene=by_gene)
    scaling = Scaling(torch.zeros(FEATURES), torch.ones(FEATURES), torch.ones(FEATURES))
    near = (1 + np.abs(distance) / 1000) ** -decay
    value = {gene: rows[gene][:, CAUSAL] for gene in genes}
    means = [
        float((near * (value[gene] if math.isinf(threshold) else np.maximum(value[gene] - threshold, 0))).sum()) for gene in genes
    ]
    table = pd.DataFrame({"gene": genes, "contig": "c1", "tss": np.arange(100), "split": "train"})
    many = Cohort(cohort.people, table, np.array(means)[:, None])
    choose_linear_rule(replace(setup, cohort=many, data=AlignerData(many, store, scaling), gene_mean=np.array(means)))
    rule = setup.aligner.additive
    assert rule.threshold.item() == threshold and rule.decay.item() == pytest.approx(decay)
    assert not rule.weight.any()


@pytest.mark.parametrize(
    ("given", "used"),
    [("people", "genes"), ("both", "genes"), ("spearman_people", "spearman_genes"), ("genes", "genes")],
)
def test_individuals_do_not_choose_the_epoch(given: str, used: str) -> None:
    assert for_reference_study(AlignerSettings(select=given)).select == used
    cohort, store = make_reference_study()
    assert make_training(cohort, store, make_language_model(), select=given).settings.select == used


def test_validation_is_of_genes_alone() -> None:
    cohort, store = make_reference_study(4)
    training = make_training(cohort, store, make_language_model())
    training.run()
    row = validate(training.setup)
    predicted = [training.setup.predict([gene], np.array([0]))[0].item() for gene in cohort.gene_numbers("valid")]
    assert row["valid_spearman_genes"] == spearman(np.array(predicted), training.setup.gene_mean[cohort.gene_numbers("valid")])
    assert math.isnan(row["valid_loss_pairs"]) and math.isnan(row["valid_spearman_people"])


def test_a_compressor_that_nothing_would_train_is_refused() -> None:
    cohort, store = make_reference_study()
    with pytest.raises(UserError, match=r"aligner\.tune_compressor: without genotypes nothing trains the compressor"):
        make_training(cohort, store, make_language_model(), compressor="aoc", tune_compressor=True)


def test_the_configuration_of_a_model_says_that_it_predicts_means_only(tmp_path: Path) -> None:
    cohort, store = make_reference_study()
    training = make_training(cohort, store, make_language_model())
    training.aligner.save_pretrained(tmp_path / "reference")
    assert read_config(tmp_path / "reference").mean_only
    assert Aligner.from_pretrained(tmp_path / "reference").config.mean_only
    best = training.run().to_dict("records")[0]
    card = model_card(training.aligner.config, {}, cohort, best)
    assert "predicts nothing about differences between individuals" in card and "nan" not in card
    # With genotypes the file is as before.
    with_genotypes = make_store()
    other = make_training(make_cohort_with_genotypes(with_genotypes), with_genotypes, make_language_model())
    other.aligner.save_pretrained(tmp_path / "individuals")
    assert "mean_only" not in json.loads((tmp_path / "individuals" / "config.json").read_text())
    assert not read_config(tmp_path / "individuals").mean_only
    assert "how a person's haplotypes" in model_card(other.aligner.config, {}, other.setup.cohort, best)


def test_without_the_linear_branch_there_is_no_rule_to_choose() -> None:
    cohort, store = make_reference_study()
    training = make_training(cohort, store, make_language_model(), additive=False)
    history = training.run()
    assert training.aligner.additive is None and history["valid_loss"].notna().all()
