"""What the figures show, read off the figures themselves, and the mistakes they explain."""

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from figures import assert_nothing_is_clipped_or_overlaps
from gta.cohort.tables import Cohort, read_genes, read_people
from gta.errors import UserError
from gta.evaluation.headline import read_summary
from gta.evaluation.models import Model
from gta.evaluation.tables import read_numbers, read_predictions
from gta.report import across_genes, cohort, learning_curves, per_gene, runtimes

Gta = Callable[..., None]


@pytest.fixture
def models(cohort_folder: Path, predictions: list[Path]) -> list[Model]:
    return [Model.of(files) for files in read_predictions(predictions, Cohort.load(cohort_folder)).values()]


def test_across_genes_shows_the_ensemble_and_the_numbers_of_the_summary(
    cohort_folder: Path, models: list[Model], summary: Path
) -> None:
    data = Cohort.load(cohort_folder)
    figure = across_genes.draw(data, models, read_summary(summary))
    (axis,) = figure.axes  # the elastic net has no unseen genes, so no panel
    assert axis.get_title() == "gta (2 seeds)\nSpearman 0.43 [0.21, 0.65]"
    observed, predicted = axis.lines[1].get_data()
    assert observed == pytest.approx(data.expression[7:, 4:].mean(axis=1))
    assert predicted == pytest.approx(models[0].predicted[:, 7:].mean(axis=(0, 2)), abs=1e-6)


def test_across_genes_with_a_summary_of_other_models(cohort_folder: Path, models: list[Model], summary: Path) -> None:
    summary.write_text(summary.read_text().replace("gta", "other"))
    with pytest.raises(UserError, match="no row for gta"):
        across_genes.draw(Cohort.load(cohort_folder), models, read_summary(summary))


def test_across_genes_without_any_unseen_gene(
    gta: Gta, cohort_folder: Path, predictions: list[Path], summary: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="nothing to draw"):
        call = ("--cohort", cohort_folder, "--predictions", predictions[2], "--summary", summary, "--out", tmp_path / "f.svg")
        gta("report", "across-genes", *call)
    assert not (tmp_path / "f.svg").exists()


def test_gene_means_average_seeds_and_count_undefined_as_zero(per_gene_file: Path) -> None:
    table = read_numbers(per_gene_file, ("model", "seed", "regime", "gene"), ("n_people", "spearman"))
    means = per_gene_means(table)
    assert means["gta", "seen_genes_unseen_people", "g2"] == pytest.approx(0.3)  # (0.2 + 0.4) / 2
    assert means["elastic_net", "seen_genes_unseen_people", "g0"] == 0.0


def per_gene_means(table: pd.DataFrame) -> dict[tuple[str, str, str], float]:
    means = per_gene.gene_means(table)
    return {(row.model, row.regime, row.gene): row.spearman for row in means.itertuples()}


def test_per_gene_says_where_a_model_has_no_predictions(per_gene_file: Path, summary: Path) -> None:
    table = read_numbers(per_gene_file, ("model", "seed", "regime", "gene"), ("n_people", "spearman"))
    figure = per_gene.draw(table, read_summary(summary))
    seen, unseen = figure.axes
    assert seen.get_title() == "seen genes, unseen people (n = 5 genes, 2 people)"
    assert [text.get_text() for text in unseen.texts] == ["no predictions for these genes"]
    assert [label.get_text() for label in seen.get_yticklabels()] == ["gta", "elastic_net"]


def test_learning_curves_have_a_line_per_seed(make_history: Callable[..., Path]) -> None:
    runs = {}
    for model, seed in (("gta", 1), ("gta", 2), ("no_llm", 1)):
        path = make_history(model, seed)
        assert learning_curves.run_of(path) == (model, str(seed))
        columns = ("epoch", "train_loss", "valid_loss", "valid_spearman_genes", "valid_spearman_people")
        runs[model, str(seed)] = read_numbers(path, (), columns)
    figure = learning_curves.draw(runs)
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [3, 3, 3]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["gta (2 seeds)", "no_llm (1 seed)"]


def test_learning_curves_need_to_know_the_model(gta: Gta, tmp_path: Path) -> None:
    (tmp_path / "history.tsv").write_text("epoch\n")
    with pytest.raises(UserError, match=r"MODEL/seedN/history\.tsv"):
        gta("report", "learning-curves", "--history", tmp_path / "history.tsv", "--out", tmp_path / "f.svg")


def test_a_history_given_twice(gta: Gta, make_history: Callable[..., Path], tmp_path: Path) -> None:
    path = make_history("gta", 1)
    with pytest.raises(UserError, match="Two histories are of model gta with seed 1"):
        gta("report", "learning-curves", "--history", path, path, "--out", tmp_path / "f.svg")


@pytest.fixture
def benchmarks(tmp_path: Path) -> Path:
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    rows = {
        "evaluation/score.tsv": "2.0\t0:00:02\t150.5\t1\t1\t1\t0\t0\t90\t1.9\n",
        "haplotypes/sim2.tsv": "5.0\t0:00:05\t300\t1\t1\t1\t0\t0\t90\t4.0\n",
        "haplotypes/sim1.tsv": "4.0\t0:00:04\t310\t1\t1\t1\t0\t0\t90\t3.5\n",
        "aligner/train/gta.tsv": "70\t0:01:10\t900\t1\t1\t1\t0\t0\t90\t140\n",
        "report/evaluation/summary.tsv": "1.0\t0:00:01\t80\t1\t1\t1\t0\t0\t90\t0.9\n",
        "simulate.tsv": "0.1\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n",
    }
    for name, row in rows.items():
        path = tmp_path / "benchmarks" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(header + row)
    return tmp_path / "benchmarks"


def test_benchmarks_come_in_the_order_of_the_workflow_without_those_of_the_report(benchmarks: Path) -> None:
    jobs = runtimes.read_benchmarks(benchmarks)
    assert list(zip(jobs["step"], jobs["job"], strict=True)) == [
        ("simulate", "simulate"),
        ("haplotypes", "sim1"),
        ("haplotypes", "sim2"),
        ("aligner/train", "gta"),
        ("evaluation", "score"),
    ]
    assert jobs["seconds"].tolist() == [0.1, 4.0, 5.0, 70.0, 2.0]
    assert jobs["cpu_seconds"].tolist()[1:] == [3.5, 4.0, 140.0, 1.9]
    assert np.isnan(jobs["max_rss_mib"][0])


def test_runtimes_figure_and_table(gta: Gta, benchmarks: Path, tmp_path: Path) -> None:
    gta("report", "runtimes", "--benchmarks", benchmarks, "--out", tmp_path / "f.svg", "--table", tmp_path / "t.tsv")
    table = (tmp_path / "t.tsv").read_text().splitlines()
    assert table[:2] == ["step\tjob\tseconds\tcpu_seconds\tmax_rss_mib", "simulate\tsimulate\t0.1\t\t"]
    figure = runtimes.draw(runtimes.read_benchmarks(benchmarks))
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels == ["simulate (1 job)", "haplotypes (2 jobs)", "aligner/train (1 job)", "evaluation (1 job)"]
    assert_nothing_is_clipped_or_overlaps(figure)


@pytest.mark.parametrize("name", ["nowhere", "empty"])
def test_no_benchmarks(gta: Gta, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=name):
        gta("report", "runtimes", "--benchmarks", tmp_path / name, "--out", tmp_path / "f.svg", "--table", tmp_path / "t")


def test_cohort_counts_and_lanes(cohort_folder: Path) -> None:
    figure = cohort.draw(read_people(cohort_folder), read_genes(cohort_folder))
    counts, windows = figure.axes
    assert [text.get_text() for text in counts.texts] == ["3", "1", "2", "5", "2", "3"]
    assert counts.get_title() == "6 people, 10 genes"
    assert [label.get_text() for label in windows.get_yticklabels()] == ["sim1", "sim2"]
    lanes = [{round(path.get_extents().y0, 2) for path in lane.get_paths()} for lane in windows.collections]
    assert [len(lane) for lane in lanes] == [1, 1, 0, 0, 1, 1], "train and valid on sim1, valid and test on sim2"
    assert len({y for lane in lanes for y in lane}) == 4


def test_no_text_is_clipped_or_overlaps(
    cohort_folder: Path,
    models: list[Model],
    summary: Path,
    per_gene_file: Path,
    make_history: Callable[..., Path],
) -> None:
    numbers = read_summary(summary)
    correlations = read_numbers(per_gene_file, ("model", "seed", "regime", "gene"), ("n_people", "spearman"))
    columns = ("epoch", "train_loss", "valid_loss", "valid_spearman_genes", "valid_spearman_people")
    names = ("gta", "no_llm", "llm_to_attention", "shuffled_prompt", "blank_prompt", "random_llm")
    histories = {(name, "1"): read_numbers(make_history(name, 1), (), columns) for name in names}
    for figure in (
        across_genes.draw(Cohort.load(cohort_folder), models, numbers),
        per_gene.draw(correlations, numbers),
        learning_curves.draw(histories),
        cohort.draw(read_people(cohort_folder), read_genes(cohort_folder)),
    ):
        assert_nothing_is_clipped_or_overlaps(figure)


def test_every_figure_is_an_svg_with_the_same_bytes_each_time(
    gta: Gta,
    cohort_folder: Path,
    predictions: list[Path],
    summary: Path,
    per_gene_file: Path,
    make_history: Callable[..., Path],
    tmp_path: Path,
) -> None:
    history = make_history("gta", 1)
    calls = {
        "across-genes": ("--cohort", cohort_folder, "--predictions", *predictions, "--summary", summary),
        "per-gene": ("--per-gene", per_gene_file, "--summary", summary),
        "learning-curves": ("--history", history),
        "cohort": ("--cohort", cohort_folder),
    }
    for action, call in calls.items():
        for copy in ("one", "two"):
            gta("report", action, *call, "--out", tmp_path / copy / f"{action}.svg")
        one, two = ((tmp_path / copy / f"{action}.svg").read_bytes() for copy in ("one", "two"))
        assert one == two
        assert ElementTree.fromstring(one).tag == "{http://www.w3.org/2000/svg}svg"
        assert b"<dc:date>" not in one


@pytest.mark.parametrize(("individuals", "label"), [(6, "mean over 6 individuals"), (1, "mean over one individual")])
def test_across_genes_without_genotypes_is_of_all_individuals(
    cohort_folder: Path, summary: Path, individuals: int, label: str
) -> None:
    data = Cohort.load(cohort_folder)
    data = Cohort(data.people.assign(split="train")[:individuals], data.genes, data.expression[:, :individuals])
    model = Model("gta", ("1",), np.arange(10.0)[None, :, None] + np.zeros((1, 10, individuals)), mean_only=True)
    figure = across_genes.draw(data, [model], read_summary(summary))
    observed, predicted = figure.axes[0].lines[1].get_data()
    assert observed == pytest.approx(data.expression[7:].mean(axis=1)) and predicted.tolist() == [7.0, 8.0, 9.0]
    assert label in figure.get_supxlabel()


def test_learning_curves_say_what_does_not_apply(make_history: Callable[..., Path]) -> None:
    histories = {}
    for model in ("gta", "tokens"):
        path = make_history(model, 1)
        histories[model, "1"] = read_numbers(path, (), ("epoch", "train_loss", "valid_loss", "valid_spearman_genes"))
        histories[model, "1"]["valid_spearman_people"] = np.nan
    notes = [[text.get_text() for text in axis.texts] for axis in learning_curves.draw(histories).axes]
    assert notes == [[], [], [], ["does not apply: nothing about individuals was trained"]]
    histories["gta", "1"]["valid_spearman_people"] = 0.2
    assert not any(axis.texts for axis in learning_curves.draw(histories).axes)
