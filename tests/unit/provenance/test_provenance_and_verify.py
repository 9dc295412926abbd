"""What a run was made of, and whether it is still what it was."""

import hashlib
import json
from pathlib import Path

import pytest

from gta.cli import main
from gta.provenance.record import flattened


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A run of one input and three results, among files that do not count."""
    folder, genome = tmp_path / "re sults ü", tmp_path / "genome.fa"
    genome.write_text(">1\nACGT\n")
    for name in ("cohort/genes.tsv", "features/1.safetensors", "aligner/gta/seed1/model/model.safetensors"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(name)
    for name in (
        "logs/cohort.log",
        "benchmarks/cohort.tsv",
        "cohort/figures/cohort.svg",
        "evaluation/runtimes.tsv",
        "evaluation/compression.tsv",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("differs from run to run")
    (folder / "inputs").mkdir()
    (folder / "inputs" / "reference.fa").symlink_to(genome)
    digest = hashlib.sha256(genome.read_bytes()).hexdigest()
    (folder / "inputs" / "checksums.tsv").write_text(f"file\tbytes\tsha256\nreference\t8\t{digest}\n")
    config = json.dumps({"seed": 7, "data": {"reference": str(genome), "elements": None}, "cohort": {"contigs": ["1"]}})
    words = ["--results", folder, "--config", config, "--out", folder / "provenance"]
    assert main(["provenance", *map(str, words)]) == 0
    return folder


def test_what_is_written(results: Path, tmp_path: Path) -> None:
    lines = (results / "provenance" / "files.tsv").read_text().splitlines()
    digest = hashlib.sha256(b"cohort/genes.tsv").hexdigest()
    assert f"result\tcohort/genes.tsv\t16\t{digest}" in lines
    assert [line.split("\t")[:2] for line in lines[1:]] == [
        ["input", str(tmp_path / "genome.fa")],
        ["result", "inputs/checksums.tsv"],
        ["result", "cohort/genes.tsv"],
        ["result", "features/1.safetensors"],
        ["result", "aligner/gta/seed1/model/model.safetensors"],
    ]
    run = [line.split("\t") for line in (results / "provenance" / "run.tsv").read_text().splitlines()]
    assert all(len(row) == 3 for row in run)
    assert ["configuration", "seed", "7"] in run
    assert ["configuration", "cohort.contigs", '["1"]'] in run
    assert {"commit", "python", "torch", "processor"} <= {row[1] for row in run}


def test_untouched_results_are_verified(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "logs" / "cohort.log").write_text("something else")
    assert main(["verify", str(results)]) == 0
    assert "All files of" in capsys.readouterr().out


def test_every_change_is_said(results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (results / "cohort" / "genes.tsv").write_text("cohort/genes.tsw")
    (results / "features" / "1.safetensors").write_text("short")
    (results / "aligner" / "gta" / "seed1" / "model" / "model.safetensors").unlink()
    (results / "predictions").mkdir()
    (results / "predictions" / "new.parquet").write_text("")
    (tmp_path / "genome.fa").write_text(">1\nACGA\n")
    assert main(["verify", str(results)]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"input {tmp_path / 'genome.fa'}: has other content of the same size",
        "result cohort/genes.tsv: has other content of the same size",
        "result features/1.safetensors: has 5 bytes, not 22",
        "result aligner/gta/seed1/model/model.safetensors: is missing",
        "result predictions/new.parquet: came after the run",
    ]
    assert said.err.startswith("error: 5 files of")


@pytest.mark.parametrize("text", [None, "kind\tfile\n", "kind\tfile\tbytes\tsha256\nresult\tx\ty\tz\n"])
def test_no_run(tmp_path: Path, text: str | None, capsys: pytest.CaptureFixture[str]) -> None:
    if text is not None:
        (tmp_path / "provenance").mkdir()
        (tmp_path / "provenance" / "files.tsv").write_text(text)
    assert main(["verify", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_nested_configuration_by_dotted_names() -> None:
    values = {"a": {"b": 1, "c": {"d": None}}, "e": {}, "f": ["x", "ü"]}
    assert list(flattened(values)) == [("a.b", "1"), ("a.c.d", "null"), ("e", "{}"), ("f", '["x", "ü"]')]
