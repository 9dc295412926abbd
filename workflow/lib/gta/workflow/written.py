"""Names and numbers of a configuration as they are written: YAML takes 0011 for 9, NO for false and 2024-01-01 for a date."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from gta.errors import UserError
from gta.settings import kinds_of
from gta.workflow.settings import BASELINES, SECTIONS, AlignerSettings, DataSettings, GeneralSettings, SimulateSettings

_DECIMAL = re.compile(r"[-+]?(0|[1-9][0-9_]*)")


def read_written(paths: Iterable[Path]) -> dict[str, Any]:
    """The text of every value of configuration files, later ones over earlier ones; a file that cannot be read has none."""
    written: dict[str, Any] = {}
    for path in paths:
        try:
            values = _texts(yaml.compose(Path(path).read_text(encoding="utf-8-sig"), Loader=yaml.SafeLoader))
        except (OSError, ValueError, yaml.YAMLError):
            continue
        _update(written, values)
    return written


def _texts(node: yaml.Node | None) -> Any:
    """The text of every value below a node of YAML, of which nothing is made but lists and mappings."""
    if isinstance(node, yaml.MappingNode):
        return {str(key.value): _texts(value) for key, value in node.value}
    if isinstance(node, yaml.SequenceNode):
        return [_texts(item) for item in node.value]
    return None if node is None else str(node.value)


def _update(written: dict[str, Any], values: Any) -> None:
    """Take further values in, section by section, as Snakemake does."""
    if isinstance(values, Mapping):
        for key, value in values.items():
            if isinstance(value, Mapping) and isinstance(written.get(key), dict):
                _update(written[key], value)
            else:
                written[key] = dict(value) if isinstance(value, Mapping) else value


def as_written(config: Mapping[str, Any], written: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with text for every setting that takes text.

    A whole number becomes the name that it was written as.

    Args:
        config: The configuration as YAML reads it.
        written: The text of its values, as far as it is known.

    Raises:
        UserError: for a value that YAML takes for something else than what is written; it names the key.
    """
    whole = _settings(config, written, GeneralSettings, "")
    for name, cls in (("data", DataSettings), ("simulation", SimulateSettings), *SECTIONS.items()):
        whole |= _below(config, written, name, cls, "")
    for name, classes in (("baselines", BASELINES), ("models", None)):
        values = config.get(name)
        if isinstance(values, Mapping):
            texts = _mapping(written.get(name))
            whole[name] = dict(values)
            for key in values:
                if classes is None or key in classes:
                    whole[name] |= _below(values, texts, key, AlignerSettings if classes is None else classes[key], f"{name}.")
    return whole


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _below(config: Mapping[str, Any], written: Mapping[str, Any], name: str, cls: type, above: str) -> dict[str, Any]:
    """A section of the configuration, by its name; nothing where there is none."""
    values = config.get(name)
    if not isinstance(values, Mapping):
        return {}
    return {name: _settings(values, _mapping(written.get(str(name))), cls, f"{above}{name}.")}


def _settings(values: Mapping[str, Any], written: Mapping[str, Any], cls: type, where: str) -> dict[str, Any]:
    """The values of a section with text where its settings take text."""
    kinds = kinds_of(cls)
    checked = dict(values)
    for key, value in values.items():
        if key not in kinds:
            continue
        kind, is_list = kinds[key]
        text = written.get(key)
        name = f"{where}{key}"
        if is_list and isinstance(value, list | tuple):
            texts = text if isinstance(text, list) and len(text) == len(value) else [None] * len(value)
            checked[key] = [_value(item, one, kind, name, True) for item, one in zip(value, texts, strict=True)]
        elif not is_list and value is not None:
            checked[key] = _value(value, text, kind, name, False)
    return checked


def _value(value: Any, text: Any, kind: type, name: str, in_list: bool) -> Any:
    """One value, as text if the setting takes text."""
    if isinstance(value, str):
        return value.strip() if in_list else value
    if value is None:
        raise UserError(f"{name}: an item of the list is empty (nothing, ~ or null); remove it, or write it in quotation marks.")
    text = text if isinstance(text, str) and _reads_as(text, value) else None
    if kind is str and not isinstance(value, Mapping | list):
        return _name(value, text, name)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if kind in (int, float) and is_whole and text is not None and not _DECIMAL.fullmatch(text):
        raise UserError(f"{name}: {text} is the number {value} in YAML; write {value}, or the number that is meant, in digits.")
    return value


def _reads_as(text: str, value: Any) -> bool:
    """Whether YAML reads a text as a value; not so if the command line has given another."""
    try:
        return bool(yaml.safe_load(text) == value)
    except (ValueError, yaml.YAMLError):
        return False


def _name(value: Any, text: str | None, name: str) -> str:
    """A name that YAML has taken for a number, a truth value or a date."""
    if isinstance(value, int) and not isinstance(value, bool) and text in (None, str(value)) and value >= 0:
        return str(value)
    if isinstance(value, bool):
        shown, what = text or str(value).lower(), f"the truth value {str(value).lower()}"
    elif isinstance(value, int | float):
        shown, what = text or str(value), f"the number {value}"
    else:
        shown, what = text or str(value), "a date or time"
    raise UserError(
        f"{name}: {shown} without quotation marks is {what} in YAML; if it is a name, write it as a string, in quotation marks:"
        f" {shown!r}."
    )
