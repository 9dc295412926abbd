"""Mistakes in a configuration stop the workflow before anything runs or is written."""

from pathlib import Path

import pytest
from running import REPOSITORY, TINY, Snakemake

CHR22 = REPOSITORY / "config" / "chr22.yaml"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["aligner={epoch: 3}"], "aligner: unknown key 'epoch'; did you mean epochs?"),
        (["aligner={epochs: some}"], "aligner.epochs: 'some' is not integer; write a value of that type."),
        (["cohort={exclude_people: [P999]}"], "cohort.exclude_people: 'P999' is no person of the data;"),
        (["models={gta: {prompt: no}}"], "models.gta.prompt: 'no' is none of 'full', 'shuffled', 'symbol', 'blank', 'none'; "),
    ],
)
def test_simulated_run(words: list[str], sentence: str, snakemake: Snakemake, tmp_path: Path) -> None:
    done = snakemake("--cores", 1, "--configfile", TINY, "--config", *words)
    assert done.returncode == 1
    assert any(line.startswith(sentence) for line in done.stderr.splitlines()), done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) in ([], [tmp_path / ".snakemake"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["cohort={include_people: [HG00096, HG9]}"], "cohort.include_people: 'HG9' is no person of the data; did you mean"),
        (["cohort={include_genes: [ENSG00000177663.9, X]}"], "cohort.include_genes: 'X' is no gene of the data;"),
        (["cohort={contigs: [chr22]}"], "cohort.contigs: 'chr22' is no contig of the data; did you mean '22'?"),
        (["data={genotypes: calls.vcf}"], "The file of data.genotypes,"),
    ],
)
def test_real_run(words: list[str], sentence: str, snakemake: Snakemake, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "geuvadis-chr22"
    done = snakemake("--cores", 1, "--configfile", CHR22, "--config", f"data_dir={folder}", *words)
    assert done.returncode == 1
    assert any(line.startswith(sentence) for line in done.stderr.splitlines()), done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


def test_folder_of_data_that_was_not_given(snakemake: Snakemake) -> None:
    done = snakemake("--cores", 1, "--configfile", CHR22)
    assert done.returncode == 1
    assert "say which folder holds the data: --config data_dir=FOLDER." in done.stderr


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        (
            "exclude_people",
            "[0011]",
            "0011 without quotation marks is the number 9 in YAML; if it",
        ),
        (
            "held_out_population",
            "NO",
            "NO without quotation marks is the truth value false in YAML",
        ),
        ("contigs", "[1, 2]", "'1' is no contig of the data; the names there are 'sim1', 'sim2'"),
    ],
)
def test_names_that_yaml_takes_for_something_else(
    key: str, value: str, sentence: str, snakemake: Snakemake, tmp_path: Path
) -> None:
    lines = ["\ufeffsimulation: {people: 12, genes: 6}", "cohort:", f"  {key}: {value}", ""]
    (tmp_path / "my.yaml").write_text("\r\n".join(lines), encoding="utf-8", newline="")
    done = snakemake("--cores", 1, "--configfile", tmp_path / "my.yaml")
    assert done.returncode == 1
    assert any(line.startswith(f"cohort.{key}: {sentence}") for line in done.stderr.splitlines()), done.stderr
    assert "Traceback" not in done.stderr
