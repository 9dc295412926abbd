"""The full studies: planned without a single download, in few jobs, with the details that bite."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from running import REPOSITORY, Snakemake
from snakemake.utils import update_config

from gta.download.manifest import read_study
from gta.errors import UserError
from gta.features.pooling import bin_edges
from gta.workflow.config import check
from tiny_networks import write_description

MANIFEST = REPOSITORY / "resources" / "manifest.yaml"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with what the user must bring, empty as it is: the models' configurations and MAGE's matrix."""
    folder = tmp_path / "data"
    for name, width in (("Llama-3.2-1B", 2048), ("Meta-Llama-3-8B", 4096), ("enformer-official-rough", 1536)):
        write_description(folder / "models" / name, model_type="llama", hidden_size=width, max_position_embeddings=8192)
    (folder / "downloads").mkdir()
    (folder / "downloads" / "raw_pseudocounts.filtered.TSS.MAGE.v1.0.bed.gz").write_bytes(b"")
    return folder


def jobs(said: str) -> dict[str, int]:
    """The table of jobs that a dry run shows."""
    return {name: int(n) for name, n in re.findall(r"^(\w+) +(\d+)$", said, flags=re.MULTILINE)}


@pytest.mark.parametrize(("name", "fetched"), [("geuvadis", 28), ("mage", 27)])
def test_plan_is_small(snakemake: Snakemake, data: Path, name: str, fetched: int) -> None:
    done = snakemake("-n", "--configfile", REPOSITORY / "config" / f"{name}.yaml", "--config", f"data_dir={data}")
    assert done.returncode == 0, done.stdout + done.stderr
    planned = jobs(done.stdout + done.stderr)
    assert planned["download_fetch"] == fetched
    assert planned["download_checksums"] == 1
    assert {planned[rule] for rule in ("download_genotypes", "haplotypes", "features")} == {22}
    # However many genes there are; half of it are pages of the report, made where Snakemake runs.
    assert planned["total"] < 200, planned
    assert sum(n for rule, n in planned.items() if not rule.startswith("report_") and rule != "total") < 130, planned


def configuration(data: Path, *names: str) -> dict[str, object]:
    """Shipped configurations, the later over the earlier, with their data in a folder."""
    values: dict[str, object] = {}
    for name in names:
        update_config(values, yaml.safe_load((REPOSITORY / "config" / name).read_text()))
    return values | {"data_dir": str(data)}


def test_larger_language_model_is_an_overlay(data: Path) -> None:
    run = check(configuration(data, "geuvadis.yaml", "overlays/llama_8b.yaml"))
    assert run.language_model == str(data / "models" / "Meta-Llama-3-8B")
    assert run.results == "results/geuvadis_8b"
    assert run.sections["features"] == check(configuration(data, "geuvadis.yaml")).sections["features"]


def test_features_fit_onto_the_disk_that_the_manifest_asks_for(data: Path) -> None:
    studies = yaml.safe_load(MANIFEST.read_text())["studies"]
    # Genes, and distinct haplotypes of a window: of 421 and 731 people, nearly two of them share one on the average.
    for name, haplotypes in (("geuvadis", 440), ("mage", 730)):
        features = check(configuration(data, f"{name}.yaml")).sections["features"]
        edges = bin_edges(896, features.tokens)
        assert set(np.diff(edges)[[7, 8]]) == {1}, "next to the TSS a tile is a bin"
        assert features.store == "float16"
        gigabytes = 20_000 * haplotypes * (len(edges) - 1) * 3072 * 2 / 1e9
        # The parts of a contig, in float32, stay beside its store until that is whole.
        assert 3 * gigabytes < studies[name]["disk_gb"] < 3.5 * gigabytes


def test_trainings_of_the_full_study_ask_for_gpus(data: Path) -> None:
    run = check(configuration(data, "geuvadis.yaml"))
    assert run.gpus == 1
    assert run.gpus_of("gta") == 1


def test_swapped_people_of_mage_are_left_out(data: Path) -> None:
    assert check(configuration(data, "mage.yaml")).sections["cohort"].exclude_people == ["HG00237", "NA11919"]


def test_what_the_user_must_bring_is_said(data: Path) -> None:
    (data / "downloads" / "raw_pseudocounts.filtered.TSS.MAGE.v1.0.bed.gz").unlink()
    with pytest.raises(UserError, match=r"is for you to put there: it is the file MAGE.v1.0.data/QTL_results/"):
        check(configuration(data, "mage.yaml"))


@pytest.mark.parametrize(("key", "value"), [("data", {"genes": "a.gtf"}), ("simulation", {})])
def test_study_and_other_data_exclude_each_other(data: Path, key: str, value: object) -> None:
    with pytest.raises(UserError, match=f"^{key}.*: a run with `study` downloads its data; leave out one of the two."):
        check(configuration(data, "geuvadis.yaml") | {key: value})


def test_study_that_is_none(data: Path) -> None:
    with pytest.raises(UserError, match="study: 'gtex' is none of geuvadis, mage"):
        check(configuration(data, "geuvadis.yaml") | {"study": "gtex"})


def test_contigs_of_the_manifest_are_those_of_the_configurations() -> None:
    for name in ("geuvadis", "mage"):
        study = read_study(MANIFEST, name)
        text = (REPOSITORY / "config" / f"{name}.yaml").read_text()
        assert len(study.contigs) == 22
        assert all(re.search(rf'[\[ "]{contig}["\],]', text) for contig in study.contigs)
