"""Every caption and the front page as Snakemake renders them: no undefined value, no broken markup."""

import re
from pathlib import Path
from typing import Any

import docutils.core
import pytest
from jinja2 import Environment, StrictUndefined
from snakemake.iocontainers import Wildcards

from gta.workflow.tables import report_tables, transfer_tables

FOLDER = Path(__file__).resolve().parents[3] / "workflow" / "report"
MINIMAL: dict[str, Any] = {"results": "results/my_run", "data": {"genotypes": "a_b*c/geno_types_.vcf.gz"}}
REFERENCE: dict[str, Any] = {"results": "results/my_run", "data": {"reference": "r.fa", "expression": "e.bed"}}
SIMULATED: dict[str, Any] = {"results": "results/demo", "simulation": {}}
TABLES = sorted(report_tables(["chr_22*"], ["gta"], True, compresses=True) | transfer_tables("gta"))


class Snakemake:
    """What captions may look at."""

    def __init__(self, config: dict[str, Any], **wildcards: str) -> None:
        self.config = config
        self.wildcards = Wildcards(fromdict=wildcards)


def render(name: str, snakemake: Snakemake) -> str:
    # Snakemake renders undefined values as nothing; a test should not let them pass.
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    source = environment.from_string((FOLDER / name).read_text()).render(snakemake=snakemake, categories={}, files=[])
    # 2 is a warning: an unclosed emphasis, an unexpected indentation, an unknown target.
    settings = {"halt_level": 2, "report_level": 2}
    return docutils.core.publish_parts(source, writer="html", settings_overrides=settings)["html_body"]


def words(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", html))


@pytest.mark.parametrize("config", [MINIMAL, REFERENCE, SIMULATED, {}], ids=["data", "reference", "simulated", "defaults"])
def test_front_page(config: dict[str, Any]) -> None:
    text = words(render("workflow.rst", Snakemake(config)))
    assert ("There are no genotypes" in text) == (config is REFERENCE)
    assert ("The data are simulated" in text) == ("simulation" in config)
    assert ("a_b*c/geno_types_.vcf.gz" in text) == (config is MINIMAL)
    assert "That number is the paper's" in text


def test_every_caption() -> None:
    captions = {path.name for path in FOLDER.glob("*.rst")} - {"workflow.rst"}
    for name in captions:
        html = render(name, Snakemake(MINIMAL, table="cohort/summary", model="gta", gene="ENSG00000000001.2"))
        assert len(words(html)) > 200, name


@pytest.mark.parametrize("name", ["cohort", "across_genes", "attribution", "attribution_detail", "learning_curves"])
def test_captions_say_what_does_not_apply_without_genotypes(name: str) -> None:
    texts = [words(render(f"{name}.rst", Snakemake(config, model="gta", gene="G1"))) for config in (REFERENCE, MINIMAL)]
    assert ["There are no genotypes: " in text for text in texts] == [True, False]
    assert texts[0].startswith(texts[1].rstrip())


@pytest.mark.parametrize("table", TABLES)
def test_every_table_has_words_of_its_own(table: str) -> None:
    text = words(render("table.rst", Snakemake(MINIMAL, table=table)))
    assert "of the results." not in text, "this is the text for a table that nobody described"
    assert f"{table}.tsv" in text
