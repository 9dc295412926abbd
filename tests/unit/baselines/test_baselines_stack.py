"""Stacks: noise gets no weight, what helps gets some, and no weight is fitted on what a part memorised."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.baselines.predictions import mean_only_table, prediction_table, read_mean_expression
from gta.baselines.ridge import level_features
from gta.baselines.settings import RidgeSettings
from gta.baselines.stack import Part, features_part, means_table, read_part, stack
from gta.cli import main
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore

INDIVIDUALS = 120
SPLITS = ["train"] * 60 + ["valid"] * 20 + ["test"] * 120
TRAIN, VALID, TEST = np.arange(60), np.arange(60, 80), np.arange(80, 200)


@pytest.fixture
def levels() -> np.ndarray:
    return np.random.default_rng(1).normal(size=len(SPLITS))


@pytest.fixture
def cohort(make_cohort: Callable[[np.ndarray, list[str]], Cohort], levels: np.ndarray) -> Cohort:
    return make_cohort(np.repeat(levels[:, None], INDIVIDUALS, axis=1), SPLITS)


def part(name: str, predicted: np.ndarray, genes: np.ndarray = TRAIN) -> Part:
    """A part whose predictions of some genes are out of fold as they are."""
    out_of_fold = np.full(len(SPLITS), np.nan)
    out_of_fold[genes] = predicted[genes]
    return Part(name, predicted, out_of_fold)


def error(predicted: np.ndarray, levels: np.ndarray) -> float:
    return float(np.mean((predicted[TEST] - levels[TEST]) ** 2))


def test_noise_gets_no_weight_and_two_views_are_better_than_one(cohort: Cohort, levels: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    sequence, text = (levels + rng.normal(size=len(levels)) for _ in range(2))
    noise = rng.normal(size=len(levels))
    both = stack([part("sequence", sequence), part("text", text)], cohort)
    assert min(both.weights) > 0.1
    assert error(both.predicted, levels) < min(error(one, levels) for one in (sequence, text, sequence / 2, text / 2))
    with_noise = stack([part("sequence", sequence), part("noise", noise)], cohort)
    alone = stack([part("sequence", sequence)], cohort)
    assert with_noise.weights[1] < 0.1
    assert error(with_noise.predicted, levels) < 1.05 * error(alone.predicted, levels)


def test_a_part_with_the_wrong_sign_gets_nothing(cohort: Cohort, levels: np.ndarray) -> None:
    found = stack([part("opposite", -levels), part("right", levels)], cohort)
    assert found.weights.tolist() == pytest.approx([0, 1])
    assert stack([part("opposite", -levels)], cohort).predicted == pytest.approx(levels[TRAIN].mean())


def test_memorised_genes_earn_no_weight(cohort: Cohort, levels: np.ndarray) -> None:
    rng = np.random.default_rng(3)
    memorised, out_of_fold = rng.normal(size=len(levels)), np.full(len(levels), np.nan)
    memorised[TRAIN] = levels[TRAIN]
    out_of_fold[TRAIN] = rng.normal(size=len(TRAIN))
    honest = levels + rng.normal(size=len(levels))
    found = stack([Part("memory", memorised, out_of_fold), part("honest", honest)], cohort)
    assert found.weights[0] < 0.15 < found.weights[1]


def test_weights_are_fitted_on_genes_that_all_parts_have_and_never_on_held_out_ones(cohort: Cohort, levels: np.ndarray) -> None:
    everything = np.arange(len(SPLITS))
    parts = [part("all", levels + np.random.default_rng(4).normal(size=len(levels)), everything), part("few", levels, VALID)]
    expression = cohort.expression.copy()
    expression[TRAIN], expression[TEST], expression[:, cohort.people_numbers("test")] = 7, 1e6, 1e6
    changed = stack(parts, dataclasses.replace(cohort, expression=expression))
    assert changed.weights.tolist() == stack(parts, cohort).weights.tolist()
    with pytest.raises(UserError, match=r"all and few have out-of-fold predictions of 2 genes in common, .* need 3"):
        stack([parts[0], part("few", levels, VALID[:2])], cohort)


def test_sequence_features_are_refitted_without_each_fold(
    make_cohort: Callable[[np.ndarray, list[str]], Cohort], store: FeatureStore
) -> None:
    settings = RidgeSettings()
    rule = np.random.default_rng(5).normal(size=12)
    planted = np.stack([level_features(store.gene(name), settings) for name in store.genes]) @ rule
    cohort = make_cohort(np.repeat(planted[:, None], INDIVIDUALS, axis=1), ["train"] * 30 + ["test"] * 10)
    found = features_part(cohort, store, settings)
    assert np.corrcoef(found.out_of_fold[:30], planted[:30])[0, 1] > 0.9
    assert np.isnan(found.out_of_fold[30:]).all()
    expression = cohort.expression.copy()
    expression[6:9] = 100  # the third of ten folds
    changed = features_part(dataclasses.replace(cohort, expression=expression), store, settings)
    assert changed.out_of_fold[6:9].tolist() == found.out_of_fold[6:9].tolist()
    assert changed.out_of_fold[:6] != pytest.approx(found.out_of_fold[:6], abs=1)


def test_three_training_genes_are_enough(make_cohort: Callable[[np.ndarray, list[str]], Cohort], store: FeatureStore) -> None:
    cohort = make_cohort(np.random.default_rng(6).normal(size=(40, INDIVIDUALS)), ["train"] * 3 + ["test"] * 37)
    found = features_part(cohort, store, RidgeSettings())
    assert np.isfinite(found.out_of_fold[:3]).all()
    assert np.isfinite(stack([found], cohort).predicted).all()


def write_part(folder: Path, name: str, cohort: Cohort, mean: np.ndarray, out_of_fold: dict[str, float]) -> tuple[Path, Path]:
    """Predictions and out-of-fold predictions of a model."""
    folder.mkdir(exist_ok=True)
    predictions, table = folder / f"{name}.parquet", folder / f"{name}.tsv"
    mean_only_table(cohort.gene_names, cohort.people_names, mean).to_parquet(predictions)
    means_table(out_of_fold, np.array(list(out_of_fold.values()))).to_csv(table, sep="\t", index=False)
    return predictions, table


def test_mean_expression_is_averaged_over_training_individuals(cohort: Cohort, tmp_path: Path) -> None:
    means = np.zeros(len(SPLITS))
    table = prediction_table(cohort.gene_names, cohort.people_names, means, np.zeros((len(SPLITS), INDIVIDUALS)))
    table["mean"] = np.tile(np.arange(INDIVIDUALS, dtype=float), len(SPLITS))
    table.to_parquet(tmp_path / "a.parquet")
    assert set(read_mean_expression(tmp_path / "a.parquet", cohort)) == {cohort.people_numbers("train").mean()}
    table[table["gene"] != "g5"].to_parquet(tmp_path / "a.parquet")
    with pytest.raises(UserError, match="does not predict the gene g5"):
        read_mean_expression(tmp_path / "a.parquet", cohort)
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(UserError, match="is not a file of predictions"):
        read_mean_expression(tmp_path / "a.parquet", cohort)


def test_validation_genes_count_only_where_no_training_used_them(cohort: Cohort, levels: np.ndarray, tmp_path: Path) -> None:
    files = write_part(tmp_path, "m", cohort, levels, {"g0": 5.0, "g61": 6.0})
    used, unused = (read_part("m", *files, cohort, valid_unused=unused).out_of_fold for unused in (False, True))
    assert np.flatnonzero(~np.isnan(used)).tolist() == [0, 61] and used[[0, 61]].tolist() == [5, 6]
    assert np.flatnonzero(~np.isnan(unused)).tolist() == [0, *VALID] and unused[[0, 60, 61]].tolist() == [5, levels[60], 6]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("g0\t1\nabsent\t2\n", "has the gene absent, which is not in the cohort"),
        ("g0\t1\ng100\t2\n", r"has the gene g100, which is held out \(split test\)"),
        ("g0\t1\ng0\t2\n", "does not have one number for each gene"),
        ("g0\thigh\n", "does not have one number for each gene"),
    ],
)
def test_wrong_tables_are_refused(cohort: Cohort, levels: np.ndarray, tmp_path: Path, rows: str, sentence: str) -> None:
    predictions, table = write_part(tmp_path, "m", cohort, levels, {})
    table.write_text(f"gene\tmean\n{rows}")
    with pytest.raises(UserError, match=sentence) as caught:
        read_part("m", predictions, table, cohort)
    assert str(table) in str(caught.value)


def test_command(
    make_cohort: Callable[[np.ndarray, list[str]], Cohort],
    write_cohort: Callable[[Cohort], Path],
    store: FeatureStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings, rng = RidgeSettings(), np.random.default_rng(6)
    sequence = np.stack([level_features(store.gene(name), settings) for name in store.genes]) @ rng.normal(size=12)
    known = sequence.std() * rng.normal(size=40)
    cohort = make_cohort(np.repeat((sequence + known)[:, None], INDIVIDUALS, axis=1), ["train"] * 30 + ["test"] * 10)
    store.save(tmp_path / "features.safetensors")
    training = cohort.gene_names[:30]
    prompt = write_part(tmp_path / "in", "prompt_ridge", cohort, known, dict(zip(training, known[:30], strict=True)))
    model = write_part(tmp_path / "in", "no_llm.seed3", cohort, sequence, dict(zip(training, sequence[:30], strict=True)))
    words = ["baselines", "stack", "--cohort", write_cohort(cohort), "--features", tmp_path / "features.safetensors"]
    words += ["--prompt-ridge", prompt[0], "--out-of-fold", prompt[1], "--models", model[0], "--models-out-of-fold", model[1]]
    words += ["--out", tmp_path / "out", "--weights", tmp_path / "weights.tsv"]
    assert main([str(word) for word in words]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "features_and_prompt.parquet",
        "no_llm_and_prompt.seed3.parquet",
    }
    weights = pd.read_csv(tmp_path / "weights.tsv", sep="\t", keep_default_na=False)
    assert list(weights.columns) == ["name", "seed", "part", "weight", "intercept"]
    assert weights[["name", "seed", "part"]].to_numpy().tolist() == [
        ["features_and_prompt", "", "ridge"],
        ["features_and_prompt", "", "prompt_ridge"],
        ["no_llm_and_prompt", "3", "no_llm"],
        ["no_llm_and_prompt", "3", "prompt_ridge"],
    ]
    assert weights["weight"].tolist()[2:] == pytest.approx([1, 1])
    fused = pd.read_parquet(tmp_path / "out" / "no_llm_and_prompt.seed3.parquet")
    assert fused["mean"].to_numpy()[::INDIVIDUALS] == pytest.approx(sequence + known)
    assert fused["deviation"].isna().all()
    stacked = pd.read_parquet(tmp_path / "out" / "features_and_prompt.parquet")["mean"].to_numpy()[::INDIVIDUALS]
    assert np.corrcoef(stacked[30:], (sequence + known)[30:])[0, 1] > 0.9
    words.remove("--models-out-of-fold"), words.remove(model[1])
    assert main([str(word) for word in words]) == 1
    assert "--models names 1 files and --models-out-of-fold 0" in capsys.readouterr().err
