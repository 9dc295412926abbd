"""The profile for Slurm on a real, if small, cluster: partitions, GPU, groups, array jobs, memory that grows, cancelled jobs."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILE = REPOSITORY / "profiles" / "slurm"


def command(snakefile: Path, *words: object) -> list[str]:
    """Snakemake with the shipped profile, looking after its jobs sooner than on a large cluster."""
    return [
        *(sys.executable, "-m", "snakemake", "-s", str(snakefile)),
        *("--profile", str(PROFILE), "--slurm-partition-config", str(PROFILE / "partitions.yaml")),
        *("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "5", "--slurm-array-jobs", "features"),
        *map(str, words),
    ]


def jobs(format: str) -> list[list[str]]:
    """Fields of every job that Slurm remembers, finished ones too."""
    said = subprocess.run(["squeue", "-h", "-t", "all", "-r", "-O", format], check=True, capture_output=True, text=True).stdout
    return [line.split() for line in said.splitlines()]


def cancel_when_it_runs(process: "subprocess.Popen[str]", started: Path, rule: str) -> None:
    """Cancel the job of a rule as soon as it has begun its work."""
    for _ in range(1200):
        if started.exists():
            (job,) = [row[0] for row in jobs("JobID:20,State:20,Comment:200") if row[1] == "RUNNING" and rule in row[2]]
            subprocess.run(["scancel", job], check=True)
            return
        assert process.poll() is None, "Snakemake ended too early"
        time.sleep(0.1)
    raise AssertionError("the job never began")


def test_bad_jobs_end_well(folder: Path) -> None:
    log = folder / "said.txt"
    with (
        log.open("w") as said,
        subprocess.Popen(
            command(REPOSITORY / "tests" / "slurm" / "Snakefile"), cwd=folder, stdout=said, stderr=said, text=True
        ) as process,
    ):
        try:
            cancel_when_it_runs(process, folder / "evaluation.started", "evaluation_score")
            assert process.wait(timeout=170) == 0, log.read_text()
        finally:
            process.kill()
    text = log.read_text()

    # Cancelled, and done again.
    assert (folder / "evaluation.txt").read_text() == "".join(f"contig {n}\n" for n in range(1, 6))
    # Killed for its memory, and done with twice as much: once, not once per attempt within the first allocation.
    assert (folder / "aligner.attempts").read_text().split() == ["1000", "2000"]
    assert (folder / "aligner.txt").read_text() == "2000\n"
    assert len(re.findall("Trying to restart job", text)) == 2, text

    rows = jobs("JobID:20,Partition:20,State:20,MinMemory:20,ArrayJobID:20,ArrayTaskID:20,Comment:200")
    of_rule = {name: [row for row in rows if name in row[-1]] for name in ("features", "aligner_train", "evaluation_score")}
    # The GPU's jobs, and they alone, are in its partition, and see the device.
    assert {row[1] for row in of_rule["features"]} == {"gpu"}
    assert {row[1] for row in rows if row not in of_rule["features"]} == {"main"}
    assert [(folder / "features" / f"{n}.txt").read_text() for n in (1, 2)] == ["gpu 0\n"] * 2
    # They were handed in as one array.
    assert len({row[4] for row in of_rule["features"]}) == 1
    assert sorted(row[5] for row in of_rule["features"]) == ["1", "2"]
    assert [row[2] for row in of_rule["evaluation_score"]].count("CANCELLED") == 1
    assert {row[3] for row in of_rule["aligner_train"]} == {"1000M", "2000M"}
    # Five chromosomes' haplotypes are one job.
    assert len(rows) == 1 + 2 + 2 + 2, rows


def test_the_workflow_itself_gives_the_same_on_the_cluster(folder: Path) -> None:
    tiny = ("--configfile", REPOSITORY / "tests" / "workflow" / "tiny.yaml")
    here = [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), "--cores", "2", *map(str, tiny)]
    wanted = [
        f"results/tiny/{name}" for name in ("evaluation/summary.tsv", "evaluation/per_gene.tsv", "predictions/gta.seed1.parquet")
    ]
    made = []
    for name, words in (("there", command(REPOSITORY / "Snakefile", *tiny, "--", *wanted)), ("here", [*here, "--", *wanted])):
        (folder / name).mkdir()
        began = time.monotonic()
        done = subprocess.run(words, cwd=folder / name, env=os.environ, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        print(f"{name}: {time.monotonic() - began:.0f} s")
        made.append([(folder / name / path).read_bytes() for path in wanted])
    assert made[0] == made[1]
    rows = [row for row in jobs("JobID:20,State:20,TimeUsed:20,Comment:200") if "here" not in row]
    assert any("aligner_train" in row[3] and row[1] == "COMPLETED" for row in rows), rows
    print("\n".join(" ".join(row) for row in rows))
