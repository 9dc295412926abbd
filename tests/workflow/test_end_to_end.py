"""The whole workflow on a tiny simulated cohort: it finishes, does nothing twice, gives the same bytes, survives being killed."""

import contextlib
import dataclasses
import gzip
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
from browser import browser, find_chromium
from running import REPOSITORY, TINY, command, environment, run_in

from gta.features.store import FeatureStore

pytestmark = pytest.mark.slow


def run_tiny(folder: Path, *words: object) -> str:
    """Run the tiny configuration to its end; gives what Snakemake said."""
    done = run_in(folder, "--configfile", TINY, "--cores", 2, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    run_tiny(folder)
    return folder / "results" / "tiny"


def files(folder: Path) -> dict[str, float]:
    """Every file below a folder with its time of change."""
    return {str(path.relative_to(folder)): path.lstat().st_mtime for path in folder.rglob("*") if not path.is_dir()}


def test_results_are_where_the_contract_says(finished: Path) -> None:
    made = set(files(finished))
    contract = (REPOSITORY / "docs" / "contracts.md").read_text()
    for folder, names in {
        "simulated": ["reference.fa", "genotypes.vcf.gz", "truth_elements.tsv", "truth_variants.tsv", "truth_genes.tsv"],
        "inputs": [
            "inputs.json",
            "genes.tsv",
            "expression.parquet",
            "annotation.tsv",
            "people.tsv",
            "contigs.tsv",
            "checksums.tsv",
        ],
        "cohort": ["people.tsv", "genes.tsv", "expression.parquet", "gene_statistics.tsv", "dropped.tsv", "summary.tsv"],
        "language/pretrained": ["full/prompts.tsv", "full/prompt_cache.safetensors", "prototypes.safetensors"],
        "evaluation": ["per_gene.tsv", "per_person.tsv", "summary.tsv", "comparisons.tsv", "dependence.tsv"],
        "baselines": [
            *("elastic_net.weights.tsv", "elastic_net.genes.tsv", "top_eqtl.variants.tsv", "stack.weights.tsv"),
            *("prompt_ridge.choice.tsv", "prompt_ridge.out_of_fold.tsv"),
        ],
        "provenance": ["run.tsv", "files.tsv"],
    }.items():
        for name in names:
            assert f"{folder}/{name}" in made
            assert name in contract
    assert {"haplotypes/sim1.npz", "features/sim2.safetensors", "predictions/gta.seed1.parquet"} <= made
    assert {"predictions/elastic_net.parquet", "predictions/ridge.parquet", "attribution/gta/tiles.tsv"} <= made


def test_nothing_half_written_is_left(finished: Path) -> None:
    made = [path for path in finished.rglob("*") if path.name != ".snakemake_timestamp"]
    assert not [path for path in made if path.name.startswith(".")]
    assert not [path for path in made if path.is_file() and path.suffix != ".log" and not path.stat().st_size]


def test_every_step_left_its_log_and_its_benchmark(finished: Path) -> None:
    logs = {path.relative_to(finished / "logs").with_suffix("") for path in (finished / "logs").rglob("*.log")}
    benchmarks = {path.relative_to(finished / "benchmarks").with_suffix("") for path in (finished / "benchmarks").rglob("*.tsv")}
    assert logs == benchmarks
    assert {Path("cohort"), Path("features/sim1"), Path("aligner/train/gta.seed1")} <= logs


def test_every_model_is_evaluated(finished: Path) -> None:
    summary = pd.read_csv(finished / "evaluation" / "summary.tsv", sep="\t")
    text = ["features_and_prompt", "prompt_ridge", "tfidf_ridge", "text_length"]
    assert list(dict.fromkeys(summary["model"])) == ["gta", *text, "elastic_net", "top_eqtl", "ridge", "mean"]


def test_results_are_verified(finished: Path) -> None:
    # The paths of the inputs are those of the configuration, from the folder that Snakemake ran in.
    words = [sys.executable, "-m", "gta", "verify", str(finished)]
    variables = environment() | {"PYTHONPATH": str(REPOSITORY / "workflow" / "lib")}
    done = subprocess.run(words, cwd=finished.parent.parent, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_second_run_does_nothing(finished: Path) -> None:
    before = files(finished)
    said = run_tiny(finished.parent.parent)
    assert "Nothing to be done" in said
    assert files(finished) == before


def test_change_of_a_late_setting_repeats_late_steps_only(finished: Path) -> None:
    said = run_tiny(finished.parent.parent, "-n", "--config", "evaluation={min_genes: 4}")
    jobs = set(re.findall(r"^(\w+) +\d+$", said, flags=re.MULTILINE)) - {"total", "default"}
    assert "evaluation_score" in jobs
    assert all(name in ("evaluation_score", "provenance") or name.startswith("report_") for name in jobs), jobs


@pytest.fixture(scope="module")
def report(finished: Path) -> Path:
    """The report of the finished run."""
    page = finished / "report.html"
    run_tiny(finished.parent.parent, "--report", page)
    return page


CATEGORIES = (
    "1 Cohort",
    "2 Haplotypes",
    "3 Language",
    "4 Training",
    "5 Evaluation",
    "6 Attribution",
    "7 Runtimes",
    "8 Provenance",
)


def test_report_holds_every_category(report: Path) -> None:
    text = report.read_text()
    for category in CATEGORIES:
        assert category in text
    assert "The data are simulated" in text


#: What the report shows when its entries are clicked at; of its pictures, whether a browser can draw them.
ENTRIES = """
(async () => {
    const pictures = {}, pages = {};
    for (const [name, entry] of Object.entries(results)) {
        if (entry.mime_type.startsWith("image/")) {
            const picture = new Image();
            picture.src = entry.data_uri;
            pictures[name] = await picture.decode().then(() => picture.naturalWidth, () => 0);
        } else if (entry.mime_type === "text/html") {
            pages[name] = await (await fetch(entry.data_uri)).text();
        }
    }
    return {pictures, pages};
})()
"""


def test_report_in_a_browser_without_network(report: Path, finished: Path, tmp_path: Path) -> None:
    """Every picture and page of the report is drawn, none asks for anything that is not in the file."""
    program = find_chromium()
    if program is None:
        pytest.skip("there is no Chromium")
    watched = tmp_path / "watched.html"
    watched.write_text('<img src="http://pictures.invalid/a.png">')
    with browser(program, tmp_path / "browser") as page:
        page.open(watched)
        assert "http://pictures.invalid/a.png" in page.requests
        page.requests.clear()

        page.open(report)
        shown = page.evaluate("document.body.innerText")
        assert all(category in shown for category in CATEGORIES)
        entries = page.evaluate(ENTRIES)
        drawn = {path.name for folder in ("cohort", "evaluation", "attribution") for path in (finished / folder).rglob("*.svg")}
        assert {Path(name).name for name in entries["pictures"]} == drawn
        assert not [name for name, width in entries["pictures"].items() if width < 100]
        assert len(entries["pages"]) > 20
        for number, (name, text) in enumerate(entries["pages"].items()):
            alone = tmp_path / f"{number}.html"
            alone.write_text(text)
            page.open(alone)
            assert page.evaluate("document.body.innerText.trim().length") > 20, name
            assert page.evaluate("[...document.images].every((image) => image.naturalWidth > 0)"), name
        assert page.mistakes == []
        assert [url[:80] for url in page.requests if not url.startswith(("file://", "data:", "blob:"))] == []


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    """Wait until a file is there, while a process runs."""
    for _ in range(1200):
        if path.exists():
            return
        assert process.poll() is None, "Snakemake ended too early"
        time.sleep(0.1)
    raise AssertionError(f"{path} never came")


@pytest.fixture
def running(finished: Path, tmp_path: Path) -> Iterator[tuple[Path, "subprocess.Popen[bytes]"]]:
    """A run that has just begun to compute features; everything before is finished."""
    folder = tmp_path / "killed"
    shutil.copytree(finished.parent.parent, folder, symlinks=True)
    results = folder / "results" / "tiny"
    shutil.rmtree(results / "features")
    log = results / "logs" / "features" / "sim1.log"
    log.unlink()
    words = command("--configfile", TINY, "--cores", 1, "results/tiny/features/sim1.safetensors")
    with subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        wait_for(log, process)
        yield results, process
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def job_of(process: "subprocess.Popen[bytes]") -> psutil.Process:
    """The command of the rule that runs, without the shell around it."""
    while process.poll() is None:
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.cmdline()[1:4] == ["-m", "gta", "features"]:
                    return child
    raise AssertionError("Snakemake ended too early")


def finish_and_compare(results: Path, finished: Path) -> None:
    """Start again, and see that the features are those of the undisturbed run."""
    folder = results.parent.parent
    run_tiny(folder, "results/tiny/features/sim1.safetensors")
    for name in ("sim1.safetensors", "sim1.summary.tsv", "sim1.features.tsv"):
        assert (results / "features" / name).read_bytes() == (finished / "features" / name).read_bytes(), name


def test_job_that_is_killed_fails_the_run_and_is_repeated(
    running: tuple[Path, "subprocess.Popen[bytes]"], finished: Path
) -> None:
    results, process = running
    job_of(process).kill()
    assert process.wait(timeout=120) == 1
    assert not (results / "features" / "sim1.safetensors").exists()
    finish_and_compare(results, finished)


def test_run_that_is_killed_whole_goes_on_after_unlocking(
    running: tuple[Path, "subprocess.Popen[bytes]"], finished: Path
) -> None:
    results, process = running
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    assert not (results / "features" / "sim1.safetensors").exists()
    run_tiny(results.parent.parent, "--unlock")
    finish_and_compare(results, finished)


#: A result of each kind, the step that reads it, and its options.
DAMAGED = {
    "cohort/expression.parquet": ["baselines", "ridge", "--cohort", "{}/cohort", "--features", "{}/features/sim1.safetensors"],
    "features/sim1.safetensors": ["baselines", "ridge", "--cohort", "{}/cohort", "--features", "{}/features/sim1.safetensors"],
    "haplotypes/sim1.npz": [
        *("baselines", "elastic-net", "--cohort", "{}/cohort", "--haplotypes", "{}/haplotypes/sim1.npz"),
        *("--weights", "{}/w.tsv", "--genes", "{}/g.tsv"),
    ],
    "predictions/ridge.parquet": [
        "evaluation",
        "score",
        "--cohort",
        "{}/cohort",
        "--predictions",
        "{}/predictions/ridge.parquet",
    ],
    "inputs/expression.parquet": ["cohort", "--inputs", "{}/inputs"],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_result_that_was_cut_short_is_named(name: str, finished: Path, tmp_path: Path) -> None:
    results = tmp_path / "tiny"
    shutil.copytree(finished, results, symlinks=True)
    whole = (results / name).read_bytes()
    (results / name).write_bytes(whole[: len(whole) // 2])
    words = [word.format(results) for word in DAMAGED[name]]
    variables = environment() | {"PYTHONPATH": str(REPOSITORY / "workflow" / "lib")}
    command = [sys.executable, "-m", "gta", *words, "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=finished.parent.parent, env=variables, capture_output=True, text=True)
    (line,) = [line for line in done.stderr.splitlines() if "error" in line or "Traceback" in line]
    assert done.returncode == 1
    assert line.startswith("error: ")
    assert str(results / name) in line
    assert not (tmp_path / "out").exists()


def test_damaged_result_is_found_and_made_again(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(finished.parent.parent, folder, symlinks=True)
    damaged = folder / "results" / "tiny" / "evaluation" / "summary.tsv"
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-100])
    words = [sys.executable, "-m", "gta", "verify", "results/tiny"]
    variables = environment() | {"PYTHONPATH": str(REPOSITORY / "workflow" / "lib")}
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [f"result evaluation/summary.tsv: has {len(whole) - 100:,} bytes, not {len(whole):,}"]
    name = "results/tiny/evaluation/summary.tsv"
    run_tiny(folder, "--forcerun", name, "--", name)
    assert damaged.read_bytes() == whole


#: A job of every stage, by the name of its benchmark: its stage and a further word by which its command is known.
KILLED = {
    "simulate": ("simulate",),
    "inputs": ("inputs",),
    "cohort": ("cohort",),
    "haplotypes/sim1": ("haplotypes", "sim1"),
    "features/sim2": ("features", "sim2"),
    "language/pretrain": ("language", "pretrain"),
    "language/prompts/pretrained.full": ("language", "prompts"),
    "language/prototypes/pretrained": ("language", "prototypes"),
    "aligner/train/gta.seed1": ("aligner", "train"),
    "aligner/predict/gta": ("aligner", "predict"),
    "baselines/elastic_net": ("baselines", "elastic-net"),
    "baselines/text": ("baselines", "text"),
    "evaluation/score": ("evaluation", "score"),
    "attribution/gta": ("attribution",),
    "provenance": ("provenance",),
}

#: Results that are the same wherever and whenever they were made, by the names of their stages.
SAME = ("simulated", "cohort", "haplotypes", "features", "language", "predictions", "evaluation", "attribution")


def results_to_compare(folder: Path) -> dict[str, Path]:
    """The results below a folder that do not depend on place and time, by their names there, without parts of unfinished ones."""
    found = (path for stage in SAME for path in (folder / stage).rglob("*"))
    return {
        str(path.relative_to(folder)): path
        for path in found
        if path.suffix in (".tsv", ".parquet", ".bedgraph", ".npz", ".safetensors", ".fa", ".gtf")
        and path.name not in ("runtimes.tsv", "compression.tsv")
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def job_of_command(words: list[str]) -> str | None:
    """Which job of `KILLED` a command is of, if any."""
    if words[1:3] != ["-m", "gta"]:
        return None
    return next((job for job, known in KILLED.items() if words[3] == known[0] and set(known) <= set(words)), None)


def kill_a_job_of_every_stage(process: "subprocess.Popen[bytes]", results: Path, finished: Path) -> pd.DataFrame:
    """Kill the first attempt at each job of `KILLED` at a random moment of its work, while Snakemake runs.

    At the moment of each kill, before Snakemake can tidy up, every file that stands in the place of a result must be whole.

    Returns:
        The jobs that were killed (on a fast machine some may have ended before): `job worked undisturbed`, in seconds, and
        `whole`, how many results stood there then, each of them whole.
    """
    random = np.random.default_rng(8)
    moments, takes = {}, {}
    for job in KILLED:
        undisturbed = pd.read_csv(finished / "benchmarks" / f"{job}.tsv", sep="\t")
        takes[job] = float(undisturbed["s"].iloc[0])
        moments[job] = random.uniform(0.1, 0.8) * takes[job]
    first: dict[str, psutil.Process] = {}
    killed = []
    snakemake = psutil.Process(process.pid)
    while process.poll() is None:
        for child in snakemake.children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                job = job_of_command(child.cmdline())
                # Later attempts are left alone.
                if job is None or first.setdefault(job, child) != child or time.time() < child.create_time() + moments[job]:
                    continue
                snakemake.suspend()
                worked = time.time() - child.create_time()
                child.kill()
                whole = results_to_compare(results)
                killed.append({"job": job, "worked": round(worked, 1), "undisturbed": takes[job], "whole": len(whole)})
                for name, path in whole.items():
                    assert path.read_bytes() == (finished / name).read_bytes(), f"{name}, when {job} was killed"
                snakemake.resume()
        time.sleep(0.1)
    return pd.DataFrame(killed)


def test_run_elsewhere_with_a_kill_in_every_stage_ends_as_an_undisturbed_one(finished: Path, tmp_path: Path) -> None:
    # The names of the folders are such that a missing quotation mark would show.
    folder = tmp_path / 'it\'s a $HOME; `touch PWNED` "é"'
    folder.mkdir()
    results = folder / "my $(touch PWNED) 'results'" / "tiny; (2) ö"
    place = f"results={results.relative_to(folder)}"
    words = command("provenance", "--configfile", TINY, "--cores", 1, "--retries", 1, "--config", place)
    with subprocess.Popen(
        words, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        try:
            killed = kill_a_job_of_every_stage(process, results, finished)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0
    print(killed.to_string(index=False))
    assert killed["job"].nunique() == len(killed) >= len(KILLED) - 2
    expected, made = results_to_compare(finished), results_to_compare(results)
    assert set(made) == set(expected)
    assert len(made) > 40
    for name, path in made.items():
        assert path.read_bytes() == expected[name].read_bytes(), name
    assert not list(results.rglob(".parts-*"))
    assert not list(tmp_path.rglob("PWNED"))


#: Steps that write into a folder or a file of it, and their options.
WRITING = {
    "inputs": [
        "inputs",
        "--reference",
        "{}/simulated/reference.fa",
        "--genotypes",
        "{}/simulated/genotypes.vcf.gz",
        "--genes",
        "{}/simulated/genes.gtf",
        "--expression",
        "{}/simulated/expression.bed.gz",
        "--annotation",
        "{}/simulated/annotation.tsv",
        "--out",
        "{out}/inputs",
    ],
    "cohort": ["cohort", "--inputs", "{}/inputs", "--window-length", "32768", "--gene-blocks", "6", "--out", "{out}/cohort"],
    "features": [
        "features",
        "--inputs",
        "{}/inputs",
        "--cohort",
        "{}/cohort",
        "--haplotypes",
        "{}/haplotypes/sim1.npz",
        "--contig",
        "sim1",
        "--out",
        "{out}/f.safetensors",
        "--summary",
        "{out}/f.tsv",
        "--names",
        "{out}/n.tsv",
    ],
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 kB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no file system can be mounted (needs root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("step", WRITING)
def test_full_disk_is_said_and_leaves_nothing_half_written(step: str, finished: Path, small_disk: Path) -> None:
    words = [word.replace("{out}", str(small_disk)).format(finished) for word in WRITING[step]]
    variables = environment() | {"PYTHONPATH": str(REPOSITORY / "workflow" / "lib")}
    done = subprocess.run(
        [sys.executable, "-m", "gta", *words], cwd=finished.parent.parent, env=variables, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert re.match("error: .*No space left on device", done.stderr.splitlines()[-1])
    assert not [path for path in small_disk.rglob("*") if path.is_file() and not path.parent.name.startswith(".parts-")]


def test_second_run_in_the_same_folder_is_refused(running: tuple[Path, "subprocess.Popen[bytes]"]) -> None:
    results, first = running
    # Held where it is: on a fast machine it would end, and take its lock away while the second one reads it.
    first.send_signal(signal.SIGSTOP)
    try:
        done = run_in(results.parent.parent, "--configfile", TINY, "--cores", 1, "results/tiny/features/sim1.safetensors")
    finally:
        first.send_signal(signal.SIGCONT)
    assert done.returncode == 1
    assert "Directory cannot be locked" in done.stderr
    assert "--unlock" in done.stderr


#: New names of people of the study, in another order.
AGAIN = {"Z1": "P021", "A2": "P003", "M3": "P010", "B4": "P001"}
#: Half of the genes are on it.
CONTIG = "sim1"


def predict_new(folder: Path, **keys: str) -> "subprocess.CompletedProcess[str]":
    """Run the target `predict` beside the finished study."""
    chosen = ", ".join(f"{key}: {value}" for key, value in {"genotypes": "new.vcf", "contigs": f"[{CONTIG}]", **keys}.items())
    return run_in(
        *(folder, "--configfile", TINY, "--cores", 2, "--rerun-triggers", "mtime", "--config", f"predict={{{chosen}}}"),
        *("--", "predict"),
    )


@pytest.fixture(scope="module")
def second_vcf(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder of the finished study, with genotypes of some of its people in `new.vcf`."""
    folder = tmp_path_factory.mktemp("new people") / "study"
    shutil.copytree(finished.parent.parent, folder, symlinks=True)
    with gzip.open(finished / "simulated" / "genotypes.vcf.gz", "rt") as file:
        lines = file.read().splitlines()
    head = next(line for line in lines if line.startswith("#CHROM")).split("\t")
    columns = [head.index(person) for person in AGAIN.values()]
    chosen = ["\t".join([*head[:9], *AGAIN])]
    chosen += ["\t".join([*row[:9], *(row[column] for column in columns)]) for row in map(tabbed, lines) if len(row) > 1]
    comments = [line for line in lines if line.startswith("##")]
    (folder / "new.vcf").write_text("\n".join([*comments, *chosen]) + "\n")
    return folder


def tabbed(line: str) -> list[str]:
    """The fields of a record; of other lines none."""
    return [] if line.startswith("#") else line.split("\t")


@pytest.fixture(scope="module")
def predicted(second_vcf: Path) -> Path:
    """The folder of the predictions."""
    done = predict_new(second_vcf, reference="results/tiny/simulated/reference.fa")
    assert done.returncode == 0, done.stdout + done.stderr
    return second_vcf / "results" / "tiny" / "predict"


def test_people_of_the_study_are_predicted_as_there_but_for_a_constant_per_gene(predicted: Path) -> None:
    people = pd.read_parquet(predicted / "people.parquet")
    study = pd.read_parquet(predicted.parent / "predictions" / "gta.seed1.parquet")
    both = people.assign(known=people["person"].map(AGAIN)).merge(
        study, left_on=["gene", "known"], right_on=["gene", "person"], suffixes=("", "_study")
    )
    assert people["person"].tolist()[: len(AGAIN)] == list(AGAIN)
    assert len(both) == len(people) == 6 * len(AGAIN)
    spread = study.groupby("gene")["deviation"].std()[people["gene"]].to_numpy()
    assert spread.min() > 0
    shift = both["deviation"] - both["deviation_study"]
    constant = shift.groupby(both["gene"]).transform("mean")
    assert (np.abs(shift - constant) < 1e-3 * spread).all()
    np.testing.assert_allclose(both["mean"], both["mean_study"], rtol=1e-5)
    haplotypes = pd.read_parquet(predicted / "haplotypes.parquet")
    assert haplotypes.groupby(["gene", "person"]).size().eq(2).all()
    means = haplotypes.groupby(["gene", "person"])["deviation"].mean().loc[zip(people["gene"], people["person"], strict=True)]
    np.testing.assert_allclose(means, people["deviation"], atol=1e-12)


def error_in(log: Path) -> str:
    """The one line of a log that tells of an error."""
    (line,) = [line for line in log.read_text().splitlines() if line.startswith("error: ") or "Traceback" in line]
    return line


def test_features_of_another_extractor_are_refused(predicted: Path, second_vcf: Path) -> None:
    features = predicted / "features" / f"{CONTIG}.safetensors"
    dataclasses.replace(FeatureStore.load(features), weights="of other matrices").save(features)
    done = predict_new(second_vcf, reference="results/tiny/simulated/reference.fa")
    assert done.returncode == 1
    said = error_in(second_vcf / "results" / "tiny" / "logs" / "predict" / "people.log")
    assert said.endswith("was trained on other features than those given: compute the features with the same settings.")
    assert not (predicted / "people.parquet").exists()


def test_another_reference_is_refused(predicted: Path, second_vcf: Path) -> None:
    text = (second_vcf / "results" / "tiny" / "simulated" / "reference.fa").read_text()
    at = text.index("\n", text.index(f">{CONTIG}")) + 1
    (second_vcf / "other.fa").write_text(text[:at] + ("A" if text[at] in "Cc" else "C") + text[at + 1 :])
    done = predict_new(second_vcf, reference="other.fa")
    assert done.returncode == 1
    said = error_in(second_vcf / "results" / "tiny" / "logs" / "predict" / "prepare.log")
    assert said.startswith(f"error: The sequence of {CONTIG} in the reference other.fa is not that which ")
