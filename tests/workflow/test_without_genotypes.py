"""Studies without genotypes: the whole workflow on the tiny cohort's files without its VCF, with all columns and with one."""

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from running import TINY, run_in

from gta.cohort.tables import Cohort
from gta.evaluation.headline import headline
from gta.haplotypes import PanelSet

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny simulation's files for a user, without genotypes, and with one column of expression in a file of its own."""
    folder = tmp_path_factory.mktemp("simulated")
    done = run_in(folder, "--configfile", TINY, "--cores", 1, "results/tiny/simulated/reference.fa")
    assert done.returncode == 0, done.stdout + done.stderr
    data = folder / "results" / "tiny" / "simulated"
    for path in data.glob("genotypes*"):
        path.unlink()
    rows = [line.split("\t") for line in gzip.decompress((data / "expression.bed.gz").read_bytes()).decode().splitlines()]
    (data / "one.bed").write_text("".join("\t".join([*row[:4], row[6]]) + "\n" for row in rows))
    return data


def configuration(data: Path, name: str) -> dict[str, object]:
    """The tiny configuration as that of a user who has no genotypes; a copy for each number of individuals."""
    values = yaml.safe_load(TINY.read_text())
    del values["simulation"]
    files = {"reference": "reference.fa", "genes": "genes.gtf", "annotation": "annotation.tsv"}
    files |= {"expression": "one.bed"} if name == "one" else {"expression": "expression.bed.gz", "populations": "people.tsv"}
    models = {"gta": {}, "no_llm": {"language_model": "none"}, "tokens": {"tokens_learn_means": True}}
    values |= {"results": f"results/{name}", "data": files, "data_dir": str(data), "models": models}
    values["cohort"] |= {"contigs": ["sim1", "sim2"], "unit": "rpkm"}
    return values


def run_study(folder: Path, data: Path, name: str, *words: object) -> str:
    """Run a study to its end; gives what Snakemake said."""
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(configuration(data, name)))
    done = run_in(folder, "--configfile", path, "--cores", 2, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module", params=["all", "one"])
def finished(request: pytest.FixtureRequest, simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a finished study, with all columns of expression or with one."""
    folder = tmp_path_factory.mktemp(request.param)
    run_study(folder, simulated, request.param)
    return folder / "results" / request.param


def individuals(finished: Path) -> int:
    return 24 if finished.name == "all" else 1


def test_all_individuals_are_used_and_have_the_reference(finished: Path) -> None:
    cohort = Cohort.load(finished / "cohort")
    assert cohort.reference_study and len(cohort.people) == individuals(finished)
    assert set(cohort.people["population"]) == ({"unknown"} if finished.name == "one" else {"POP1", "POP2"})
    for contig in ("sim1", "sim2"):
        panels = PanelSet.load(finished / "haplotypes" / f"{contig}.npz")
        assert panels.genes and not len(panels.positions)
        assert not panels.panel(panels.genes[0]).carriers.any()
    summaries = pd.concat([pd.read_csv(path, sep="\t") for path in (finished / "features").glob("*.summary.tsv")])
    assert len(summaries) == len(cohort.genes) and (summaries["n_distinct_haplotypes"] == 1).all()


def test_mean_expression_alone_is_predicted(finished: Path) -> None:
    text = ["features_and_prompt", "prompt_ridge", "tfidf_ridge", "text_length"]
    trained = ["gta.seed1", "no_llm.seed1", "tokens.seed1", "no_llm_and_prompt.seed1"]
    predictions = {path.stem: pd.read_parquet(path) for path in (finished / "predictions").glob("*.parquet")}
    assert set(predictions) == {*trained, *text, "ridge", "mean"}
    for name, table in predictions.items():
        assert table["deviation"].isna().all() and np.isfinite(table["predicted"]).all(), name
        assert len(table) == 12 * individuals(finished)
        assert table.groupby("gene")["predicted"].nunique().eq(1).all()


def test_evaluation_is_across_genes_only_and_says_so(finished: Path) -> None:
    summary = pd.read_csv(finished / "evaluation" / "summary.tsv", sep="\t")
    across_genes = summary["regime"] == "across_genes"
    assert summary.loc[across_genes, "value"].notna().all() and summary.loc[~across_genes, "value"].isna().all()
    assert pd.read_csv(finished / "evaluation" / "per_gene.tsv", sep="\t").empty
    ablations = pd.read_csv(finished / "evaluation" / "ablations.tsv", sep="\t")
    assert ablations["ablation"].tolist() == ["no_llm", "tokens"] and set(ablations["regime"]) == {"across_genes"}
    assert "Across individuals: does not apply" in headline(finished / "evaluation")
    figures = {path.stem for path in (finished / "evaluation" / "figures").glob("*.svg")}
    assert figures == {"across_genes", "learning_curves", "runtimes"}


def test_nothing_about_genotypes_is_made(finished: Path) -> None:
    made = {str(path.relative_to(finished)) for path in finished.rglob("*") if path.is_file()}
    assert not [name for name in made if "elastic_net" in name or "top_eqtl" in name or "genotypes" in name]
    assert not (finished / "predict").exists()


def test_trainings_leave_their_record(finished: Path) -> None:
    histories = {name: pd.read_csv(finished / "aligner" / name / "seed1" / "history.tsv", sep="\t") for name in ("gta", "tokens")}
    assert histories["gta"]["epoch"].tolist() == [0] and histories["tokens"]["epoch"].tolist() == [1, 2]
    assert histories["tokens"]["train_loss_mean"].notna().all() and histories["tokens"]["train_loss_pairs"].isna().all()
    for name in ("gta", "no_llm", "tokens"):
        assert (finished / "aligner" / name / "seed1" / "training.json").is_file()
        assert (finished / "aligner" / name / "seed1" / "metrics.jsonl").stat().st_size


def test_attribution_is_of_the_reference(finished: Path) -> None:
    folder = finished / "attribution" / "gta"
    tiles = pd.read_csv(folder / "tiles.tsv", sep="\t")
    assert tiles["gene"].nunique() == 12 and (tiles["personal"] == 0).all()
    assert pd.read_csv(folder / "signs.tsv", sep="\t").empty and pd.read_csv(folder / "eqtls.tsv", sep="\t").empty
    mutations = pd.read_parquet(folder / "mutagenesis.parquet")
    assert set(mutations["kind"]) == {"base"} and len(mutations) == 41 * 3
    assert pd.read_csv(folder / "completeness.tsv", sep="\t")["gap"].abs().max() < 1e-3
    assert len(list((folder / "figures").glob("*.svg"))) == len(list((folder / "pages").glob("*.html"))) == 1


def test_second_run_does_nothing_and_the_report_says_what_does_not_apply(finished: Path, simulated: Path) -> None:
    folder = finished.parent.parent
    assert "Nothing to be done" in run_study(folder, simulated, finished.name)
    run_study(folder, simulated, finished.name, "--report", finished / "report.html")
    overview = (finished / "report" / "overview.html").read_text()
    assert "<b>Across individuals: does not apply.</b>" in overview and "nan" not in re.sub(r"base64,[^\"]*", "", overview)
    assert "The data are simulated" not in overview
    text = (finished / "report.html").read_text()
    for category in ("1 Cohort", "4 Training", "5 Evaluation", "6 Attribution", "8 Provenance"):
        assert category in text
