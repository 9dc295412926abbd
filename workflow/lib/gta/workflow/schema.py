"""The JSON schema of the configuration and the table of its keys, both made from the settings of the stages.

`python -m gta.workflow.schema` writes `workflow/schemas/config.schema.yaml` and, between the markers, a part of
`config/README.md`. Editors and the Snakemake workflow catalog read the schema; the workflow itself checks with
`gta.workflow.config`, which explains mistakes better.
"""

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from gta.cohort.settings import FoldSettings
from gta.settings import json_schema
from gta.workflow.settings import (
    BASELINES,
    DEFAULT_MODELS,
    SECTIONS,
    AlignerSettings,
    DataSettings,
    GeneralSettings,
    SimulateSettings,
)

BEGIN = "<!-- keys: written by `python -m gta.workflow.schema`, do not edit -->"
END = "<!-- end of keys -->"


def config_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the whole configuration: description and default of every key, unknown keys refused."""
    properties: dict[str, Any] = dict(json_schema(GeneralSettings)["properties"])
    properties["data"] = _or_empty(json_schema(DataSettings))
    properties["simulation"] = _or_empty(json_schema(SimulateSettings))
    properties["simulation"]["default"] = None
    del properties["simulation"]["properties"]["seed"]["default"]
    properties["simulation"]["properties"]["seed"]["description"] += " Left out: the `seed` of the run."
    properties |= {name: _or_empty(json_schema(cls)) for name, cls in SECTIONS.items()}
    properties["cohort"]["properties"]["folds"] = {**_or_empty(json_schema(FoldSettings)), "default": None}
    properties["models"] = {
        "type": "object",
        "description": "Models to train and compare: a name, and below it the keys of `aligner` in which it differs.",
        "minProperties": 1,
        "propertyNames": {"pattern": "^[A-Za-z0-9_-]+$"},
        "additionalProperties": _or_empty(json_schema(AlignerSettings)),
        "default": DEFAULT_MODELS,
    }
    properties["baselines"] = {
        "type": ["object", "null"],
        "description": "What every model stands beside.",
        "additionalProperties": False,
        "properties": {name: _or_empty(json_schema(cls)) for name, cls in BASELINES.items()},
        "default": {},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "Configuration of the GTA workflow.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }


def _or_empty(schema: dict[str, Any]) -> dict[str, Any]:
    """A section may be left empty, which YAML reads as null."""
    return {**schema, "type": ["object", "null"]}


def schema_text() -> str:
    """The schema as YAML."""
    head = "# Written by `python -m gta.workflow.schema` from the settings of the stages; do not edit.\n"
    return head + yaml.safe_dump(config_schema(), sort_keys=False, allow_unicode=True, width=130)


def keys_table() -> str:
    """A Markdown table of every key for each section: key, type, default, meaning."""
    schema = config_schema()["properties"]
    general = [field.name for field in dataclasses.fields(GeneralSettings)]
    blocks = [_table({key: schema[key] for key in general})]
    for name in ("data", "simulation", *SECTIONS):
        properties = {key: value for key, value in schema[name]["properties"].items() if "properties" not in value}
        blocks.append(f"## `{name}`\n\n{schema[name]['description']}\n\n{_table(properties)}")
        if name == "cohort":
            below = schema[name]["properties"]["folds"]
            text = f"{below['description']} Left out: one division into training, validation and test genes."
            blocks.append(f"## `cohort.folds`\n\n{text}\n\n{_table(below['properties'])}")
    blocks.append(f"## `models`\n\n{schema['models']['description']}\n\n{_models()}")
    for name in BASELINES:
        section = schema["baselines"]["properties"][name]
        blocks.append(f"## `baselines.{name}`\n\n{section['description']}\n\n{_table(section['properties'])}")
    return "\n\n".join(blocks)


def _table(properties: dict[str, Any]) -> str:
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, value in properties.items():
        rows.append(f"| `{key}` | {_type(value)} | {_default(value.get('default'))} | {_escape(value['description'])} |")
    return "\n".join(rows)


def _type(value: dict[str, Any]) -> str:
    types = value["type"] if isinstance(value["type"], list) else [value["type"]]
    words = "list" if "array" in types else next(name for name in types if name != "null")
    allowed = [str(choice) for choice in value.get("enum", value.get("items", {}).get("enum", [])) if choice is not None]
    limits = value.get("items", value)
    low, high = limits.get("minimum"), limits.get("maximum")
    if allowed:
        words += ": " + ", ".join(allowed)
    elif low is not None and high is not None:
        words += f", {low:,} to {high:,}"
    elif low is not None:
        words += f" ≥ {low:,}"
    elif high is not None:
        words += f" ≤ {high:,}"
    return words


def _default(value: Any) -> str:
    if value in (None, "", []):
        return "(empty)"
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("\n...")
    return f"`{_escape(text)}`"


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _models() -> str:
    text = yaml.safe_dump({"models": DEFAULT_MODELS}, sort_keys=False)
    return f"The default:\n\n```yaml\n{text}```"


def main(repository: Path) -> None:
    """Write the schema and the table into a checkout of the repository."""
    (repository / "workflow" / "schemas" / "config.schema.yaml").write_text(schema_text(), encoding="utf-8")
    readme = repository / "config" / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")


def with_table(text: str) -> str:
    """The text of `config/README.md` with its table of keys renewed."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n\n{keys_table()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    main(Path(__file__).resolve().parents[4])
