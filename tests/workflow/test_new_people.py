"""The target `predict`: people whose predictions are known, and what is refused."""

import gzip
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from running import TINY, run_in

pytestmark = pytest.mark.slow

#: New names of people of the study, in another order.
AGAIN = {"Z1": "P021", "A2": "P003", "M3": "P010", "B4": "P001"}
#: Half of the genes are on it.
CONTIG = "sim1"


def predict(folder: Path, *words: str, **keys: str) -> "subprocess.CompletedProcess[str]":
    """Run the target `predict` beside the finished study."""
    chosen = ", ".join(f"{key}: {value}" for key, value in {"genotypes": "new.vcf", "contigs": f"[{CONTIG}]", **keys}.items())
    return run_in(
        *(folder, "--configfile", TINY, "--cores", 2, "--rerun-triggers", "mtime", "--config", f"predict={{{chosen}}}"),
        *(*words, "--", "predict"),
    )


@pytest.fixture(scope="module")
def study(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
def predicted(study: Path) -> Path:
    """The folder of the predictions."""
    done = predict(study, reference="results/tiny/simulated/reference.fa")
    assert done.returncode == 0, done.stdout + done.stderr
    return study / "results" / "tiny" / "predict"


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


def test_another_reference_is_refused(predicted: Path, study: Path) -> None:
    text = (study / "results" / "tiny" / "simulated" / "reference.fa").read_text()
    at = text.index("\n", text.index(f">{CONTIG}")) + 1
    (study / "other.fa").write_text(text[:at] + ("A" if text[at] in "Cc" else "C") + text[at + 1 :])
    done = predict(study, reference="other.fa")
    assert done.returncode == 1
    said = error_in(study / "results" / "tiny" / "logs" / "predict" / "prepare.log")
    assert said.startswith(f"error: The sequence of {CONTIG} in the reference other.fa is not that which ")


def test_features_of_other_tiles_are_refused(predicted: Path, study: Path) -> None:
    done = predict(study, "features={tile_length: 1024}", "--forcerun", "predict_features")
    assert done.returncode == 1
    said = error_in(study / "results" / "tiny" / "logs" / "predict" / "people.log")
    assert said.endswith("was trained on other features than those given: compute the features with the same settings.")
    assert not (predicted / "people.parquet").exists()
