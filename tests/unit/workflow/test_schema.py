"""The schema and the table of keys: up to date, and of one mind with the checks."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gta.errors import UserError
from gta.workflow.config import check
from gta.workflow.schema import config_schema, schema_text, with_table

REPOSITORY = Path(__file__).resolve().parents[3]
CONFIGS = [*sorted((REPOSITORY / "config").glob("*.yaml")), REPOSITORY / "tests" / "workflow" / "tiny.yaml"]

REMEDY = "run `python -m gta.workflow.schema` with workflow/lib on PYTHONPATH"


def test_schema_file_is_up_to_date() -> None:
    path = REPOSITORY / "workflow" / "schemas" / "config.schema.yaml"
    assert path.read_text(encoding="utf-8") == schema_text(), REMEDY


def test_table_of_keys_is_up_to_date() -> None:
    text = (REPOSITORY / "config" / "README.md").read_text(encoding="utf-8")
    assert with_table(text) == text, REMEDY


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(config_schema())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path: Path) -> None:
    config = yaml.safe_load(path.read_text())
    jsonschema.validate(config, config_schema())
    # What is there to be laid over another configuration names no data.
    complete = config if {"data", "simulation", "study"} & set(config) else {"simulation": {}, **config}
    check(complete, files=False)


@pytest.mark.parametrize(
    "config",
    [
        {"simulation": {}, "cohorts": {}},
        {"simulation": {"person": 3}},
        {"simulation": {}, "cohort": {"windows": 1}},
        {"simulation": {}, "aligner": {"epochs": 1.5}},
        {"simulation": {}, "aligner": {"epochs": True}},
        {"simulation": {}, "models": {"a b": {}}},
        {"simulation": {}, "models": {"gta": {"seeds": 2}}},
        {"simulation": {}, "baselines": {"elastic_net": {"folds": 0}}},
        {"simulation": {}, "haplotypes": {"variants": "indel"}},
        {"simulation": {}, "cohort": {"contigs": "sim1"}},
        {"simulation": {}, "language": {"model": 3}},
        {"simulation": {}, "features": 7},
    ],
)
def test_schema_and_checks_refuse_the_same(config: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(config, config_schema())
    with pytest.raises(UserError):
        check(config)


def described(schema: dict[str, Any], where: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every key of a schema, with its path."""
    found = []
    for key, value in schema.get("properties", {}).items():
        found += [(f"{where}{key}", value), *described(value, f"{where}{key}.")]
    return found


def test_every_key_is_explained() -> None:
    keys = described(config_schema())
    assert len(keys) > 60
    for name, value in keys:
        assert value["description"].strip().endswith((".", "?")), name
        assert "default" in value or name == "simulation.seed", name
