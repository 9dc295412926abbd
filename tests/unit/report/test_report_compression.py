"""What compression saves and costs: the table by hand, the figure, and records that cannot be read."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from figures import assert_nothing_is_clipped_or_overlaps
from gta.errors import UserError
from gta.report import compression

Gta = Callable[..., None]


@pytest.fixture
def training(tmp_path: Path) -> list[Path]:
    """Records of two seeds of `gta`, and of one seed each of `aoc_2` and `no_prompt`."""
    settings = {"prompt": "full", "compressor": "none", "memory_tokens": 8, "tune_compressor": False, "context": "none"}
    settings |= {"language_model": "pretrained", "context_memory_tokens": 2, "aligned_tokens": 0}
    models = {
        ("gta", 1): (5000.0, {}),
        ("gta", 2): (5000.0, {}),
        ("aoc_2", 1): (500.0, {"compressor": "aoc", "memory_tokens": 2}),
        ("no_prompt", 1): (50.0, {"prompt": "none"}),
    }
    paths = []
    for (model, seed), (size, own) in models.items():
        paths.append(tmp_path / "aligner" / model / f"seed{seed}" / "training.json")
        paths[-1].parent.mkdir(parents=True)
        paths[-1].write_text(json.dumps({"settings": settings | own, "seed": seed, "prompt_bytes_per_gene": size}))
    return paths


@pytest.fixture
def runtimes(tmp_path: Path) -> Path:
    rows = [
        ("aligner/predict", "gta", 20.0, 700.0),
        ("aligner/predict", "aoc_2", 6.0, 600.0),
        ("aligner/train", "gta.seed1", 100.0, 800.0),
        ("aligner/train", "gta.seed2", 120.0, 900.0),
        ("aligner/train", "aoc_2.seed1", 50.0, 850.0),
        ("evaluation", "gta", 1.0, 100.0),
    ]
    path = tmp_path / "runtimes.tsv"
    pd.DataFrame(rows, columns=["step", "job", "seconds", "max_rss_mib"]).to_csv(path, sep="\t", index=False)
    return path


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    """Scores of three models; the two comparisons are written in different directions."""
    folder = tmp_path / "evaluation"
    folder.mkdir()
    numbers = ["n_seeds", "n_genes", "n_people", "n_constant", "value", "ci_low", "ci_high", "people_ci_low", "people_ci_high"]
    numbers += ["null_mean", "null_high", "p_value"]
    seen, across = ("seen_genes_unseen_people", "mean_spearman"), ("across_genes", "spearman")
    scores = [("gta", *seen, 0.3), ("aoc_2", *seen, 0.2), ("no_prompt", *seen, 0.25), ("gta", *across, 0.5)]
    scores += [("gta", "across_genes", "ensemble_spearman", 0.6), ("elastic_net", *seen, 0.9)]
    rows = [(*names, 2, 9, 9, 0, value, value - 0.1, value + 0.1, np.nan, np.nan, 0, 0.15, 0.5) for *names, value in scores]
    pd.DataFrame(rows, columns=["model", "regime", "metric", *numbers]).to_csv(folder / "summary.tsv", sep="\t", index=False)
    pairs = [
        ("seen_genes_unseen_people", "mean_difference", "gta", "aoc_2", 9, 9, 0.1, 0.02, 0.18),
        ("seen_genes_unseen_people", "median_difference", "gta", "aoc_2", 9, 9, 0.7, 0.6, 0.8),
        ("seen_genes_unseen_people", "mean_difference", "no_prompt", "gta", 9, 9, -0.05, -0.11, 0.01),
    ]
    columns = ["regime", "metric", "model_a", "model_b", "n_genes", "n_people", "difference", "ci_low", "ci_high"]
    pd.DataFrame(pairs, columns=columns).to_csv(folder / "comparisons.tsv", sep="\t", index=False)
    return folder


def test_costs_and_scores_stand_side_by_side(
    gta: Gta, training: list[Path], runtimes: Path, evaluation: Path, tmp_path: Path
) -> None:
    out, written = tmp_path / "f.svg", tmp_path / "t.tsv"
    words = ("--training", *training, "--runtimes", runtimes, "--evaluation", evaluation, "--out", out, "--table", written)
    gta("report", "compression", *words)
    table = pd.read_csv(written, sep="\t", keep_default_na=False, na_values=[""]).set_index(["model", "regime"])
    assert list(table.index) == [
        ("gta", "seen_genes_unseen_people"),
        ("gta", "across_genes"),
        ("aoc_2", "seen_genes_unseen_people"),
        ("no_prompt", "seen_genes_unseen_people"),
    ]
    first, short, none = (table.loc[(name, "seen_genes_unseen_people")] for name in ("gta", "aoc_2", "no_prompt"))
    assert table.loc[("gta", "across_genes"), "value"] == 0.5
    assert (first["n_seeds"], first["train_seconds"], first["train_mib"], first["predict_seconds"]) == (2, 110, 900, 10)
    assert (short["n_seeds"], short["train_seconds"], short["predict_seconds"], short["predict_mib"]) == (1, 50, 6, 600)
    assert (short["prompt_bytes"], short["compressor"], short["memory_tokens"]) == (500, "aoc", 2)
    assert (short["more_than_first"], short["more_low"], short["more_high"]) == (-0.1, -0.18, -0.02)
    assert (none["more_than_first"], none["more_low"], none["more_high"]) == (-0.05, -0.11, 0.01)
    assert none["prompt"] == "none"
    assert np.isnan(none["memory_tokens"])
    assert np.isnan(short["context_memory_tokens"])
    assert np.isnan(none["train_seconds"])
    assert np.isnan(first["more_than_first"])
    assert out.read_bytes().startswith(b"<?xml")


def test_the_figure_has_a_row_per_model(training: list[Path], runtimes: Path, evaluation: Path) -> None:
    made = compression.costs(training, pd.read_csv(runtimes, sep="\t"))
    read = (pd.read_csv(evaluation / f"{name}.tsv", sep="\t") for name in ("summary", "comparisons"))
    figure = compression.draw(compression.compression_table(made, *read))
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["gta", "aoc_2", "no_prompt"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [5.0, 0.5, 0.05]
    assert [text.get_text() for text in figure.axes[1].texts] == ["110", "50", "not measured"]
    assert_nothing_is_clipped_or_overlaps(figure)


def test_intervals_that_leave_their_value_out_and_sizes_that_are_not_known(
    training: list[Path], runtimes: Path, evaluation: Path
) -> None:
    for path in training:
        record = json.loads(path.read_text())
        del record["prompt_bytes_per_gene"]
        path.write_text(json.dumps(record))
    summary = pd.read_csv(evaluation / "summary.tsv", sep="\t")
    summary["ci_low"] = summary["value"] + 0.01
    comparisons = pd.read_csv(evaluation / "comparisons.tsv", sep="\t")
    table = compression.compression_table(compression.costs(training, pd.read_csv(runtimes, sep="\t")), summary, comparisons)
    figure = compression.draw(table)
    assert {text.get_text() for text in figure.axes[0].texts} == {"not measured"}


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"settings": {"prompt": "full"}}'])
def test_a_record_of_another_version_is_refused(training: list[Path], runtimes: Path, content: str) -> None:
    training[1].write_text(content)
    with pytest.raises(UserError, match=r"seed2/training\.json is no account of a training of this version .*: train again\.$"):
        compression.costs(training, pd.read_csv(runtimes, sep="\t"))
