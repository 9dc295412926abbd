"""The benchmark of the prompt averages over simulations, pairs differences, and refuses wrong options."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from scipy.stats import spearmanr

from gta.errors import UserError
from gta.workflow.config import check

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "prompt.py"
GENES, INDIVIDUALS = 30, 8
#: The first twenty genes are held out.
SPLITS = np.array(["test"] * 20 + ["train"] * 10)


@pytest.fixture(scope="module")
def bench() -> dict[str, Any]:
    return runpy.run_path(str(BENCHMARK))


def expression(seed: int, mean: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return mean + rng.normal(size=(GENES, 1)) + 0.1 * rng.normal(size=(GENES, INDIVIDUALS))


def simulation(bench: dict[str, Any], seed: int, observed: np.ndarray, **models: np.ndarray) -> Any:
    return bench["Simulation"](seed, observed, SPLITS, {name: np.atleast_3d(values) for name, values in models.items()})


def test_perfect_and_reversed_predictions(bench: dict[str, Any]) -> None:
    observed = expression(1)
    only = [simulation(bench, 1, observed, gta=observed[None], no_llm=-observed[None], shuffled_prompt=0 * observed[None])]
    entries, table = bench["summarise"](only)
    assert [entries[key] for key in ("gta", "gta_low", "gta_high")] == [1, 1, 1]
    assert [entries[key] for key in ("no_llm", "no_llm_low", "no_llm_high")] == [-1, -1, -1]
    assert [entries[key] for key in ("gta_minus_no_llm", "gta_minus_no_llm_low")] == [2, 2]
    # A constant prediction counts as a correlation of 0.
    assert [entries[key] for key in ("shuffled_prompt", "shuffled_prompt_high", "gta_minus_shuffled")] == [0, 0, 1]
    assert bench["constant_predictions"](only) == {"shuffled_prompt": [1]}
    for genes in ("training_genes", "held_out_genes"):
        assert [entries[f"gta_{genes}{bound}"] for bound in ("", "_low", "_high")] == [1, 1, 1]
        assert entries[f"no_llm_{genes}"] == -1
    assert table.to_dict("list") == {
        "simulation_seed": [1, 1, 1],
        "model": ["gta", "no_llm", "shuffled_prompt"],
        "spearman": [1, -1, 0],
        "n_genes": [20, 20, 20],
    }


def test_simulations_of_different_mean_are_averaged_and_not_pooled(bench: dict[str, Any]) -> None:
    first, second = expression(1), expression(2, mean=50.0)
    # The wrong order within each cohort, the right one between them: pooled values would correlate positively.
    models = [2 * values.mean() - values for values in (first, second)]
    both = [
        simulation(bench, seed, values, gta=model[None])
        for seed, values, model in zip((1, 2), (first, second), models, strict=True)
    ]
    score = bench["across_genes"](both, "gta")
    pooled = spearmanr(*(np.concatenate([part[:20].mean(axis=1) for part in parts]) for parts in ((first, second), models)))
    assert pooled.statistic > 0.4
    assert score.value == -1
    assert score.draws == pytest.approx(-1)


def test_value_is_the_mean_over_training_seeds_and_then_over_simulations(bench: dict[str, Any]) -> None:
    rng = np.random.default_rng(5)
    simulations, expected = [], []
    for seed, training_seeds in ((1, 3), (2, 3)):
        observed = expression(seed)
        predicted = observed + rng.normal(size=(training_seeds, GENES, 1))
        simulations.append(simulation(bench, seed, observed, gta=predicted))
        mean = observed[:20].mean(axis=1)
        expected.append(np.mean([spearmanr(mean, part[:20].mean(axis=1)).statistic for part in predicted]))
    score = bench["across_genes"](simulations, "gta")
    assert score.by_simulation == pytest.approx(expected)
    assert score.value == pytest.approx(np.mean(expected))
    low, high = np.quantile(score.draws, [0.025, 0.975])
    assert low < score.value < high
    assert len(score.draws) == 2000
    # Two cohorts say more than one of them.
    assert score.draws.std() < bench["across_genes"](simulations[:1], "gta").draws.std()


def test_difference_of_the_same_model_is_zero_with_an_interval_of_zero(bench: dict[str, Any]) -> None:
    rng = np.random.default_rng(6)
    simulations = []
    for seed in (1, 2):
        observed = expression(seed)
        predicted = (observed + rng.normal(size=observed.shape))[None]
        simulations.append(simulation(bench, seed, observed, gta=predicted, no_llm=predicted, other=-predicted))
    entries, _ = bench["summarise"](simulations)
    assert [entries[f"gta_minus_no_llm{bound}"] for bound in ("", "_low", "_high")] == [0, 0, 0]
    assert entries["gta_minus_other"] == pytest.approx(2 * entries["gta"], abs=2e-4)
    assert entries["gta_low"] < entries["gta_high"]
    # The same numbers every time.
    assert bench["summarise"](simulations)[0] == entries


def test_across_individuals_is_the_mean_over_genes(bench: dict[str, Any]) -> None:
    observed = expression(1)
    predicted = np.where((np.arange(GENES) % 2 == 0)[:, None], observed, 0.0)[None]
    score = bench["across_individuals"]([simulation(bench, 1, observed, gta=predicted)], "gta", "test")
    assert score.value == pytest.approx(0.5)
    assert np.quantile(score.draws, [0.025, 0.975]) == pytest.approx(
        [0.5 - 1.96 * 0.5 / 20**0.5, 0.5 + 1.96 * 0.5 / 20**0.5], abs=0.06
    )


def test_overlays_are_merged_over_the_demo_and_have_folders_of_their_own(bench: dict[str, Any], tmp_path: Path) -> None:
    overlay = tmp_path / "small.yaml"
    overlay.write_text("models: {no_prompt: {prompt: none}}\nsimulation: {genes: 100}\n")
    config = bench["configuration"](7, 3, 0.0, [overlay], "results/x")
    demo = yaml.safe_load(bench["DEMO"].read_text())
    assert config["simulation"] == {**demo["simulation"], "genes": 100, "seed": 7, "text_effect": 0.0}
    assert config["aligner"] == {**demo["aligner"], "seeds": 3}
    run = check(config)
    assert list(run.models) == ["gta", "no_llm", "shuffled_prompt", "no_prompt"]
    names = bench["prediction_names"](run)
    assert names[:3] == ["gta.seed1", "gta.seed2", "gta.seed3"]
    assert {"no_prompt.seed3", "no_llm_and_prompt.seed1", "features_and_prompt", "prompt_ridge", "tfidf_ridge"} <= set(names)
    folders = [bench["variant"](None, []), bench["variant"](0.0, []), bench["variant"](0.5, []), bench["variant"](0.5, [overlay])]
    overlay.write_text("models: {blank_prompt: {prompt: blank}}\n")
    assert len({*folders, bench["variant"](0.5, [overlay])}) == 5


@pytest.mark.parametrize("seed", ["-1", "1.5", "x", "4294967296"])
def test_a_wrong_seed_is_refused(bench: dict[str, Any], seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        bench["main"]([f"--simulation-seed={seed}"])
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.endswith(f"argument --simulation-seed: '{seed}' is not a whole number from 0 to 4294967295")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--simulation-seed=3", "--simulation-seed=3"], "--simulation-seed: 3 is given twice"),
        (["--text-effect=-1"], "simulation.text_effect"),
        (["--configfile=absent.yaml"], "absent.yaml is not a YAML file that can be read"),
        (["--out=prompt.tsv"], "--out: prompt.tsv does not end in .json"),
    ],
)
def test_wrong_options_are_refused_before_anything_runs(
    bench: dict[str, Any], words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench["main"]([*words, f"--folder={tmp_path / 'runs'}"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("error: ")
    assert message in error
    assert not (tmp_path / "runs").exists()


def test_a_model_without_some_genes_is_refused(
    bench: dict[str, Any], make_cohort: Callable[..., Path], make_prediction: Callable[..., Path]
) -> None:
    observed = expression(1)
    cohort = make_cohort(observed, SPLITS.tolist(), ["train"] * 2 + ["test"] * 6)
    run = check(bench["configuration"](1, 1, None, [], str(cohort.parent)))
    for name in bench["prediction_names"](run):
        make_prediction(f"{name}.parquet", observed)
    read = bench["read_simulation"](run, 1)
    assert read.models["gta"].shape == (1, GENES, 6)
    assert bench["summarise"]([read])[0]["gta_minus_no_llm_and_prompt"] == 0
    make_prediction("tfidf_ridge.parquet", observed, genes=range(5))
    with pytest.raises(UserError, match="tfidf_ridge does not predict every gene"):
        bench["read_simulation"](run, 1)
