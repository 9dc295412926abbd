"""A study in folds of whole chromosomes, from nothing to the report, with genes that have no expression."""

import gzip
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from running import TINY, run_in

#: Rows of the expression table that are taken out, one on each contig.
TAKEN_OUT = (4, 16)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run with two folds."""
    folder = tmp_path_factory.mktemp("folds")
    simulation = "simulation={contigs: 2, genes: 24, annotated_genes: 60}"
    done = run_in(folder, "--cores", "1", "--configfile", TINY, "--config", simulation, "--", "simulate")
    assert done.returncode == 0, done.stderr
    data = "results/tiny/simulated"
    with gzip.open(folder / data / "expression.bed.gz", "rt") as handle:
        lines = handle.read().splitlines()
    with gzip.open(folder / "expression.bed.gz", "wt") as handle:
        handle.write("".join(f"{line}\n" for number, line in enumerate(lines) if number not in TAKEN_OUT))
    config = yaml.safe_load(TINY.read_text())
    del config["simulation"]
    names = {"reference": "reference.fa", "genotypes": "genotypes.vcf.gz", "genes": "genes.gtf", "annotation": "annotation.tsv"}
    config["data"] = {key: f"{data}/{name}" for key, name in names.items()} | {"expression": "expression.bed.gz"}
    config["results"] = "results/run"
    config["models"] = {"gta": {}, "no_llm": {"language_model": "none"}}
    config["cohort"] |= {"contigs": ["sim1", "sim2"], "folds": {"number": 2}, "genes_without_expression": "predict"}
    (folder / "run.yaml").write_text(yaml.safe_dump(config))
    done = run_in(folder, "--cores", "1", "--configfile", "run.yaml")
    assert done.returncode == 0, done.stderr[-3000:]
    again = run_in(folder, "-n", "--configfile", "run.yaml")
    assert "Nothing to be done" in again.stdout + again.stderr
    return folder / "results" / "run"


def genes(folder: Path) -> pd.DataFrame:
    """`genes.tsv` of a cohort, by gene."""
    return pd.read_csv(folder / "genes.tsv", sep="\t").set_index("gene")


def test_every_gene_is_held_out_once_with_its_whole_chromosome(study: Path) -> None:
    table = genes(study / "cohort")
    measured = table[table["split"] != "unmeasured"]
    assert set(measured["split"]) == {"test"} and set(measured["fold"]) == {1, 2}
    assert len(measured[["contig", "fold"]].drop_duplicates()) == 2
    assert len(table) - len(measured) == len(TAKEN_OUT)
    for fold in (1, 2):
        own = genes(study / f"folds/{fold}/cohort")
        assert set(own.index[own["split"] == "test"]) == set(measured.index[measured["fold"] == fold])
        assert {"train", "valid", "test", "unmeasured"} == set(own["split"])


@pytest.mark.parametrize("name", ["gta.seed1", "no_llm.seed1", "no_llm_and_prompt.seed1", "ridge", "tfidf_ridge", "mean"])
def test_no_prediction_of_a_gene_comes_from_a_training_that_saw_it(study: Path, name: str) -> None:
    table = genes(study / "cohort")
    gathered = pd.read_parquet(study / f"predictions/{name}.parquet").set_index(["gene", "person"])
    assert list(dict.fromkeys(gathered.index.get_level_values("gene"))) == list(table.index)
    parts = [pd.read_parquet(study / f"folds/{fold}/predictions/{name}.parquet").set_index(["gene", "person"]) for fold in (1, 2)]
    for gene, row in table.iterrows():
        if row["split"] == "unmeasured":
            expected = (parts[0].loc[gene] + parts[1].loc[gene]) / 2
        else:
            # The training read this fold's cohort, in which the gene is held out.
            assert genes(study / f"folds/{row['fold']}/cohort").loc[gene, "split"] == "test"
            expected = parts[row["fold"] - 1].loc[gene]
        pd.testing.assert_frame_equal(gathered.loc[gene], expected)


def test_trainings_of_the_folds_differ_and_knew_their_cohort(study: Path) -> None:
    """What a training predicted out of fold within its training genes names these, and no gene that its fold holds out."""
    for fold in (1, 2):
        own = genes(study / f"folds/{fold}/cohort")
        used = pd.read_csv(study / f"folds/{fold}/aligner/gta/seed1/mean_out_of_fold.tsv", sep="\t")["gene"]
        assert set(own.loc[used, "split"]) == {"train", "valid"}
    accounts = [json.loads((study / f"folds/{fold}/aligner/gta/seed1/training.json").read_text()) for fold in (1, 2)]
    assert accounts[0]["settings"] == accounts[1]["settings"]


def test_genes_without_expression_are_predicted_by_every_model(study: Path) -> None:
    table = pd.read_csv(study / "predictions/genes_without_expression.tsv", sep="\t")
    assert list(table.columns) == ["gene", "model", "predicted"]
    cohort = genes(study / "cohort")
    assert set(table["gene"]) == set(cohort.index[cohort["split"] == "unmeasured"])
    models = {"gta", "no_llm", "no_llm_and_prompt", "tfidf_ridge", "prompt_ridge", "text_length", "features_and_prompt"}
    for _, rows in table.groupby("gene"):
        assert set(rows["model"]) == models | {"ridge", "mean"} and not rows["model"].duplicated().any()
    assert np.isfinite(table["predicted"]).all()
    expression = pd.read_parquet(study / "cohort/expression.parquet").set_index("gene")
    assert (expression.isna().all(axis=1) == (cohort["split"] == "unmeasured")).all()


def test_the_evaluation_is_out_of_fold_with_and_without_homologues(study: Path) -> None:
    summary = pd.read_csv(study / "evaluation/summary.tsv", sep="\t")
    rows = summary[(summary["model"] == "gta") & (summary["metric"] == "spearman")].set_index("regime")
    assert rows.loc["across_genes", "n_genes"] == 24 - len(TAKEN_OUT)
    assert rows.loc["across_genes_without_homologues", "n_genes"] <= 24 - len(TAKEN_OUT)
    assert np.isfinite(rows.loc["across_genes", "value"])
    page = (study / "report/overview.html").read_text()
    assert "out of fold, 2 folds of whole chromosomes" in page and "2 genes have no expression" in page
    assert (study / "cohort/homologues.tsv").read_text().startswith("gene\tgroup\treason\n")
