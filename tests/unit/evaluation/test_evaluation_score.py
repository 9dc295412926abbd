"""The stage as it is called: from files to tables."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.errors import UserError
from gta.evaluation.cli import add_parser

TABLES = ("per_gene.tsv", "per_person.tsv", "summary.tsv", "comparisons.tsv", "dependence.tsv")
GENE_SPLITS = ["train"] * 8 + ["valid"] * 2 + ["test"] * 6
PERSON_SPLITS = ["train"] * 6 + ["valid"] * 2 + ["test"] * 10
FAST = ("--bootstraps", "50", "--permutations", "50")


def gta(*words: object) -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args([str(word) for word in words])
    arguments.run(arguments)


@pytest.fixture
def expression() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(len(GENE_SPLITS), 1)) * 3 + rng.normal(size=(len(GENE_SPLITS), len(PERSON_SPLITS)))


@pytest.fixture
def cohort(make_cohort: Callable[..., Path], expression: np.ndarray) -> Path:
    return make_cohort(expression, GENE_SPLITS, PERSON_SPLITS, ["A", "B"] * 9)


def test_the_oracle_scores_one_and_its_opposite_minus_one(
    cohort: Path, expression: np.ndarray, make_prediction: Callable[..., Path], tmp_path: Path
) -> None:
    files = [make_prediction("oracle.parquet", expression), make_prediction("opposite.parquet", -expression)]
    gta("evaluation", "score", "--cohort", cohort, "--predictions", *files, "--out", tmp_path / "out", *FAST)
    summary = pd.read_csv(tmp_path / "out" / "summary.tsv", sep="\t").set_index(["model", "regime", "metric"]).sort_index()
    correlations = summary[~summary.index.get_level_values("metric").isin(["share_negative", "r2", "mean_r2", "pooled_r2"])]
    intervals = ["value", "ci_low", "ci_high", "people_ci_low", "people_ci_high"]
    assert correlations.loc["oracle", intervals].to_numpy() == pytest.approx(1.0, abs=1e-3)  # bins of pooled_spearman
    assert correlations.loc["opposite", intervals].to_numpy() == pytest.approx(-1.0, abs=1e-3)
    assert (summary.loc["oracle"].drop(index="share_negative", level="metric")["value"] == 1.0).all()
    # 1 - 4 = -3 times the share of the variance that is explained when the sign is right
    assert summary.loc[("opposite", "seen_genes_unseen_people", "mean_r2"), "value"] == pytest.approx(-3.0)
    assert correlations.loc["oracle", "p_value"].to_numpy() == pytest.approx(1 / 51, rel=1e-4)
    assert (correlations.loc["opposite", "p_value"] == 1.0).all()
    per_gene = pd.read_csv(tmp_path / "out" / "per_gene.tsv", sep="\t").set_index("model")
    assert per_gene.loc["oracle", "p_permutation"].to_numpy() == pytest.approx(1 / 51, rel=1e-4)
    assert per_gene.loc["oracle", "q_value"].to_numpy() == pytest.approx(1 / 51, rel=1e-4)
    assert (per_gene.loc["opposite", "q_value"] == 1.0).all()
    seen = summary.loc[("oracle", "seen_genes_unseen_people", "mean_spearman")]
    assert (seen["n_genes"], seen["n_people"], seen["n_seeds"]) == (8, 10, 1)
    assert summary.loc[("oracle", "across_genes", "spearman"), "n_genes"] == 6
    comparisons = pd.read_csv(tmp_path / "out" / "comparisons.tsv", sep="\t")
    assert comparisons["difference"].tolist() == [2.0] * 5
    assert (comparisons[["people_ci_low", "people_ci_high"]] == 2.0).all(axis=None)


def test_only_held_out_people_count(
    cohort: Path, expression: np.ndarray, make_prediction: Callable[..., Path], tmp_path: Path
) -> None:
    spoiled = expression.copy()
    spoiled[:, :8] = -spoiled[:, :8] * 100  # nonsense for the people of train and valid
    spoiled[8:10] = 0.0  # and for the genes of valid
    file = make_prediction("gta.seed1.parquet", spoiled)
    gta("evaluation", "score", "--cohort", cohort, "--predictions", file, "--out", tmp_path / "out", *FAST)
    per_gene = pd.read_csv(tmp_path / "out" / "per_gene.tsv", sep="\t")
    assert (per_gene["spearman"] == 1.0).all()
    assert per_gene.groupby("regime")["gene"].agg(list).to_dict() == {
        "seen_genes_unseen_people": [f"g{i}" for i in range(8)],
        "unseen_genes_unseen_people": [f"g{i}" for i in range(10, 16)],
    }
    assert (per_gene["n_people"] == 10).all()


def test_a_model_without_the_unseen_genes_is_listed_without_values(
    cohort: Path, expression: np.ndarray, make_prediction: Callable[..., Path], tmp_path: Path
) -> None:
    files = [
        make_prediction("gta.seed1.parquet", expression),
        make_prediction("elastic_net.parquet", expression, genes=[0, 1, 2, 4, 6]),
    ]
    gta("evaluation", "score", "--cohort", cohort, "--predictions", *files, "--out", tmp_path / "out", *FAST)
    summary = pd.read_csv(tmp_path / "out" / "summary.tsv", sep="\t").set_index(["model", "regime", "metric"])
    unseen = summary.loc[("elastic_net", "unseen_genes_unseen_people", "mean_spearman")]
    assert unseen["n_genes"] == 0
    assert unseen[["value", "ci_low", "null_mean", "p_value", "n_constant"]].isna().all()
    assert summary.loc[("elastic_net", "seen_genes_unseen_people", "mean_spearman"), "n_genes"] == 5
    comparisons = pd.read_csv(tmp_path / "out" / "comparisons.tsv", sep="\t")
    assert comparisons["regime"].unique().tolist() == ["seen_genes_unseen_people"]
    assert (comparisons["n_genes"] == 5).all()


def test_the_ensemble_is_summarised_where_there_are_several_seeds(
    cohort: Path, expression: np.ndarray, make_prediction: Callable[..., Path], tmp_path: Path
) -> None:
    noise = np.random.default_rng(1).normal(size=expression.shape) * 2
    files = [
        make_prediction("gta.seed1.parquet", expression + noise),
        make_prediction("gta.seed2.parquet", expression - noise),  # the mean of both is the truth
        make_prediction("ridge.parquet", expression + noise),
    ]
    gta("evaluation", "score", "--cohort", cohort, "--predictions", *files, "--out", tmp_path / "out", *FAST)
    summary = pd.read_csv(tmp_path / "out" / "summary.tsv", sep="\t").set_index(["model", "regime", "metric"])
    seen = summary.loc[("gta", "seen_genes_unseen_people")]
    assert seen.loc["ensemble_mean_spearman", "value"] == pytest.approx(1.0)
    assert seen.loc["mean_spearman", "value"] < 0.9
    assert (seen["n_seeds"] == 2).all()
    assert not summary.loc["ridge"].index.get_level_values("metric").str.startswith("ensemble_").any()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    cohort: Path, expression: np.ndarray, make_prediction: Callable[..., Path], tmp_path: Path
) -> None:
    noisy = expression + np.random.default_rng(1).normal(size=expression.shape)
    file = make_prediction("gta.seed1.parquet", noisy)
    for out, seed in (("one", 1), ("again", 1), ("other", 2)):
        call = ("--cohort", cohort, "--predictions", file, "--out", tmp_path / out, "--seed", seed)
        gta("evaluation", "score", *call, *FAST)
    for table in TABLES:
        assert (tmp_path / "one" / table).read_bytes() == (tmp_path / "again" / table).read_bytes()
    assert (tmp_path / "one" / "summary.tsv").read_bytes() != (tmp_path / "other" / "summary.tsv").read_bytes()
    kept = ["gene", "spearman", "pearson", "r2", "p_value"]
    one, other = (pd.read_csv(tmp_path / out / "per_gene.tsv", sep="\t")[kept] for out in ("one", "other"))
    assert one.equals(other)


def test_too_few_held_out_people(
    make_cohort: Callable[..., Path], expression: np.ndarray, make_prediction: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_cohort(expression, GENE_SPLITS, ["train"] * 14 + ["test"] * 4)
    file = make_prediction("gta.seed1.parquet", expression)
    with pytest.raises(UserError, match="holds out 4 people"):
        gta("evaluation", "score", "--cohort", folder, "--predictions", file, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_headline_is_read_off_the_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "model regime metric n_seeds n_genes n_people n_constant value ci_low ci_high"
    header += " people_ci_low people_ci_high null_mean null_high p_value"
    rows = [
        "gta across_genes spearman 2 14 10 0 0.412 0.3 0.526 0.3 0.526 0 0.31 0.01",
        "gta across_genes ensemble_spearman 2 14 10 0 0.9 0.9 0.9 0.9 0.9 0 0.31 0.01",
        "gta seen_genes_unseen_people mean_spearman 2 40 10 0 0.2 0.1 0.3 0.1 0.3 0 0.2 0.06",
        "gta unseen_genes_unseen_people mean_spearman 2 14 10 3 -0.04 -0.1 0.1 -0.1 0.1 0 0.2 0.6",
        "elastic_net across_genes spearman 1 0 10 - - - - - - - - -",
        "elastic_net seen_genes_unseen_people mean_spearman 1 38 10 0 0.25 0.2 0.3 0.2 0.3 0 0.2 0.01",
        "elastic_net unseen_genes_unseen_people mean_spearman 1 0 10 - - - - - - - - -",
    ]
    lines = [header, *rows]
    (tmp_path / "summary.tsv").write_text("".join(line.replace(" ", "\t").replace("\t-", "\t") + "\n" for line in lines))
    gta("evaluation", "headline", "--evaluation", tmp_path)
    shown = capsys.readouterr().out.splitlines()
    assert "n = 14 genes, 10 people" in shown[1]
    assert "n = 40 genes, 10 people" in shown[1]
    assert shown[3].split("  ")[0] == "gta"
    assert "+0.41 [+0.30, +0.53]*" in shown[3]
    assert "+0.20 [+0.10, +0.30] " in shown[3], "a value equal to the bound is not above it"
    assert shown[4].split() == ["elastic_net", "-", "+0.25", "[+0.20,", "+0.30]*", "-"]


def test_a_folder_without_an_evaluation(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        gta("evaluation", "headline", "--evaluation", tmp_path)


def test_a_model_of_mean_expression_is_scored_across_genes_only(
    cohort: Path, expression: np.ndarray, make_prediction: Callable[..., Path], tmp_path: Path
) -> None:
    """Its values are those of the same file with deviations; across individuals it is listed, and compared with nothing."""
    test = expression[:, [split == "test" for split in PERSON_SPLITS]]
    means = np.repeat(test.mean(axis=1, keepdims=True), expression.shape[1], axis=1)
    files = [make_prediction(f"{name}.parquet", values) for name, values in (("a", expression), ("twin", means), ("text", means))]
    pd.read_parquet(files[2]).assign(deviation=np.nan).to_parquet(files[2])
    gta("evaluation", "score", "--cohort", cohort, "--predictions", *files, "--out", tmp_path / "out", *FAST)
    tables = {name: pd.read_csv(tmp_path / "out" / name, sep="\t") for name in TABLES}
    summary = tables["summary.tsv"]
    text, twin = (summary[summary["model"] == name].drop(columns="model").reset_index(drop=True) for name in ("text", "twin"))
    assert text[["regime", "metric"]].equals(twin[["regime", "metric"]])
    across = text["regime"] == "across_genes"
    pd.testing.assert_frame_equal(text[across], twin[across])
    assert text.loc[text["metric"] == "spearman", "value"].tolist() == [1.0]
    assert (text.loc[~across, "n_genes"] == 0).all() and text.loc[~across, "value":].isna().all(axis=None)
    assert set(tables["per_gene.tsv"]["model"]) == set(tables["dependence.tsv"]["model"]) - {"text"} == {"a", "twin"}
    assert set(tables["per_person.tsv"]["model"]) == {"a", "twin", "text"}
    pairs = tables["comparisons.tsv"]
    with_text = pairs[(pairs["model_a"] == "text") | (pairs["model_b"] == "text")]
    assert with_text[["regime", "model_a", "model_b", "n_genes"]].to_numpy().tolist() == [
        ["across_genes", "a", "text", 6],
        ["across_genes", "twin", "text", 6],
    ]
    headline = (tmp_path / "out" / "summary.tsv").parent
    gta("evaluation", "headline", "--evaluation", headline)


def mean_only_files(make_prediction: Callable[..., Path], predictions: dict[str, np.ndarray]) -> list[Path]:
    """Predictions of mean expression alone."""
    files = [make_prediction(name, predicted) for name, predicted in predictions.items()]
    for path in files:
        pd.read_parquet(path).assign(deviation=np.nan).to_parquet(path)
    return files


@pytest.mark.parametrize("individuals", [1, 7])
def test_a_reference_study_is_evaluated_across_genes_only(
    make_cohort: Callable[..., Path],
    make_prediction: Callable[..., Path],
    expression: np.ndarray,
    individuals: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    expression = expression[:, :individuals]
    folder = make_cohort(expression, GENE_SPLITS, ["train"] * individuals)
    level = np.repeat(expression.mean(axis=1, keepdims=True), individuals, axis=1)
    files = mean_only_files(make_prediction, {"oracle.parquet": level, "opposite.parquet": -level})
    groups = tmp_path / "groups.tsv"
    groups.write_text("gene\tgroup\n" + "".join(f"g{gene}\ta\n" for gene in range(16)))
    out = tmp_path / "out"
    gta("evaluation", "score", "--cohort", folder, "--predictions", *files, "--gene-groups", groups, "--out", out, *FAST)
    assert "a study without genotypes: across genes only" in capsys.readouterr().err
    summary = pd.read_csv(out / "summary.tsv", sep="\t").set_index(["model", "regime", "metric"])
    row = summary.loc[("oracle", "across_genes", "spearman")]
    assert (row["value"], row["n_genes"], row["n_people"]) == (1.0, 6, individuals)
    assert (row["ci_low"], row["ci_high"]) == (1.0, 1.0)
    assert np.isnan(row["people_ci_low"]) == np.isnan(row["people_ci_high"]) == (individuals == 1)
    assert summary.loc[("opposite", "across_genes", "spearman"), "value"] == -1.0
    others = summary[summary.index.get_level_values("regime") != "across_genes"]
    assert others["value"].isna().all() and (others["n_genes"] == 0).all()
    assert pd.read_csv(out / "per_gene.tsv", sep="\t").empty
    assert pd.read_csv(out / "per_person.tsv", sep="\t").groupby("model").size().to_dict() == {
        "oracle": individuals,
        "opposite": individuals,
    }
    comparisons = pd.read_csv(out / "comparisons.tsv", sep="\t")
    assert comparisons["regime"].tolist() == ["across_genes"] and comparisons["difference"].tolist() == [2.0]
    assert comparisons["people_ci_low"].isna().tolist() == [individuals == 1]
    dependence = pd.read_csv(out / "dependence.tsv", sep="\t")
    assert dependence[["regime", "property", "group", "value"]].to_numpy().tolist() == [
        ["across_genes", "group", "a", 1.0],
        ["across_genes", "group", "a", -1.0],
    ]
    gta("evaluation", "headline", "--evaluation", out)
    said = capsys.readouterr().out
    assert "across unseen genes" in said and "across unseen people" not in said
    assert "Across individuals: does not apply" in said


def test_deviations_in_a_reference_study_are_refused(
    make_cohort: Callable[..., Path], make_prediction: Callable[..., Path], expression: np.ndarray, tmp_path: Path
) -> None:
    folder = make_cohort(expression[:, :3], GENE_SPLITS, ["train"] * 3)
    files = [make_prediction("gta.seed1.parquet", expression[:, :3])]
    with pytest.raises(UserError, match="has deviations, but this cohort was made without genotypes"):
        gta("evaluation", "score", "--cohort", folder, "--predictions", *files, "--out", tmp_path / "out", *FAST)
