"""Settings of a stage: one dataclass is the source of its command-line options, its part of the configuration and its schema.

A stage declares a frozen dataclass with `setting(default, help, ...)` for each field. From it come
`add_arguments` (argparse options with help), `from_arguments`, `from_mapping` (checked), `json_schema` (what
`workflow/schemas/config.schema.yaml` is made of) and `as_options` (how a rule passes a section of the configuration on).
"""

import argparse
import contextlib
import dataclasses
import difflib
import math
import re
import shlex
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from gta.errors import UserError

S = TypeVar("S")

#: The largest seed that every generator in use accepts.
MAX_SEED = 2**32 - 1

_JSON_TYPES = {int: "integer", float: "number", str: "string", bool: "boolean"}


def setting(
    default: Any,
    help: str,
    *,
    choices: tuple[Any, ...] | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
) -> Any:
    """A field of a settings dataclass.

    Args:
        default: The default value; a list is copied for every instance.
        help: One sentence: what it is, its unit, when to change it.
        choices: The allowed values.
        minimum: The smallest allowed number.
        maximum: The largest allowed number.
    """
    metadata = {"help": help, "choices": choices, "minimum": minimum, "maximum": maximum}
    if isinstance(default, list):
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def _fields(cls: type[Any]) -> list[tuple[dataclasses.Field[Any], type, bool, bool]]:
    """(field, scalar type, is a list, may be None) of every field."""
    hints = typing.get_type_hints(cls)
    described = []
    for field in dataclasses.fields(cls):
        hint, optional, is_list = hints[field.name], False, False
        if isinstance(hint, types.UnionType):
            alternatives = [part for part in typing.get_args(hint) if part is not types.NoneType]
            optional, hint = True, alternatives[0]
        if typing.get_origin(hint) is list:
            is_list, hint = True, typing.get_args(hint)[0]
        described.append((field, hint, is_list, optional))
    return described


def kinds_of(cls: type[Any]) -> dict[str, tuple[type, bool]]:
    """The type of each setting, or of the items of its list, and whether it is a list."""
    return {field.name: (kind, is_list) for field, kind, is_list, _ in _fields(cls)}


def default_of(field: dataclasses.Field[Any]) -> Any:
    """The default value of a dataclass field."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _check_value(name: str, value: Any, field: dataclasses.Field[Any], kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise UserError(f"{name}: {value!r} is not {_JSON_TYPES[kind]}; write a value of that type.")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{name}: {value} is not a number that can be used; write a finite one.")
    choices, low, high = field.metadata["choices"], field.metadata["minimum"], field.metadata["maximum"]
    if choices is not None and value not in choices:
        raise UserError(f"{name}: {value!r} is none of {', '.join(map(repr, choices))}; choose one of these.")
    if low is not None and value < low:
        raise UserError(f"{name}: {value} is below the smallest allowed value, {low:,}.")
    if high is not None and value > high:
        raise UserError(f"{name}: {value} is above the largest allowed value, {high:,}.")
    return value


def _number_of_text(item: Any, kind: type) -> Any:
    """A number that is written as text as a number: Snakemake's --config leaves those in lists as text."""
    if kind in (int, float) and isinstance(item, str):
        with contextlib.suppress(ValueError):
            return kind(item)
    return item


def from_mapping(cls: type[S], values: Mapping[str, Any], where: str = "settings") -> S:
    """An instance of `cls` from a mapping; keys left out take their defaults.

    Raises:
        UserError: for an unknown key (with the nearest known one), a wrong type or a value out of range; it names
            `where` and the key.
    """
    known = {field.name: (field, kind, is_list, optional) for field, kind, is_list, optional in _fields(cls)}
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}."
            raise UserError(f"{where}: unknown key {key!r}; {hint}")
        field, kind, is_list, optional = known[key]
        name = f"{where}.{key}"
        if value is None:
            if not optional:
                raise UserError(f"{name}: a value is needed, but it is empty.")
            checked[key] = None
        elif is_list:
            if not isinstance(value, list | tuple):
                raise UserError(f"{name}: {value!r} is not a list; write {_as_list(value)}.")
            checked[key] = [_check_value(name, _number_of_text(item, kind), field, kind) for item in value]
        else:
            checked[key] = _check_value(name, value, field, kind)
    return cls(**checked)


def _as_list(value: Any) -> str:
    """How a list is written that was given as one value, such as `chr1,chr2`."""
    items = [item for item in re.split(r"[,;\s]+", value) if item] if isinstance(value, str) else [str(value)]
    plain = [item if re.fullmatch(r"[A-Za-z][\w.-]*", item) else repr(item) for item in items]
    return f"[{', '.join(plain)}]" if plain and not isinstance(value, Mapping) else "[a, b, ...]"


def whole_number(text: str) -> int:
    """The type of an option that takes a whole number from 1 on."""
    return _in_range(text, 1)


def _seed(text: str) -> int:
    return _in_range(text, 0, MAX_SEED)


def _in_range(text: str, low: int, high: int | None = None) -> int:
    bounds = f"from {low} on" if high is None else f"from {low} to {high}"
    if not (text.isascii() and text.isdecimal()) or int(text) < low or (high is not None and int(text) > high):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {bounds}")
    return int(text)


def add_seed(parser: argparse.ArgumentParser, of: str) -> None:
    """Add the option `--seed`; `of` says what is drawn with it."""
    parser.add_argument("--seed", type=_seed, default=1, metavar="N", help=f"seed of {of} [1]")


def add_threads(parser: argparse.ArgumentParser, help: str = "CPU threads") -> None:
    """Add the option `--threads`."""
    parser.add_argument("--threads", type=whole_number, default=1, metavar="N", help=f"{help} [1]")


def _parse_bool(text: str) -> bool:
    if text.lower() in ("true", "yes", "1"):
        return True
    if text.lower() in ("false", "no", "0"):
        return False
    raise argparse.ArgumentTypeError(f"{text!r} is neither true nor false")


def add_arguments(parser: argparse.ArgumentParser, cls: type[Any], title: str = "settings") -> None:
    """Add one option per field of `cls` to a parser: `--tile-length` for `tile_length`."""
    group = parser.add_argument_group(title)
    for field, kind, is_list, _ in _fields(cls):
        default = default_of(field)
        shown = " ".join(map(str, default)) if isinstance(default, list) else default
        keywords: dict[str, Any] = {
            "dest": field.name,
            "default": argparse.SUPPRESS,
            "type": _parse_bool if kind is bool else kind,
            "help": f"{field.metadata['help']} [{'none' if shown in (None, '') else shown}]".replace("%", "%%"),
            "metavar": "BOOL" if kind is bool else kind.__name__.upper(),
        }
        if field.metadata["choices"] is not None:
            keywords["choices"], keywords["metavar"] = field.metadata["choices"], None
        if is_list:
            keywords["nargs"], keywords["action"] = "*", "extend"
        group.add_argument("--" + field.name.replace("_", "-"), **keywords)


def from_arguments(cls: type[S], arguments: argparse.Namespace) -> S:
    """The settings that were given on the command line, checked as by `from_mapping`."""
    names = {field.name for field in dataclasses.fields(typing.cast(Any, cls))}
    given = {name: value for name, value in vars(arguments).items() if name in names}
    return from_mapping(cls, given, where="options")


def as_options(values: Mapping[str, Any]) -> str:
    """A section of the configuration as command-line options, quoted for the shell. Empty (None) values are left out.

    Option and value are one word, `--key=value`, because a value may begin with a dash; a list gives one for each of its items.
    """
    words: list[str] = []
    for key, value in values.items():
        option = "--" + key.replace("_", "-")
        if isinstance(value, list | tuple):
            words += [f"{option}={item}" for item in value] or [option]
        elif value is not None:
            words.append(f"{option}={str(value).lower() if isinstance(value, bool) else value}")
    return shlex.join(words)


def json_schema(cls: type[Any]) -> dict[str, Any]:
    """JSON schema (draft 2020-12) of the settings: type, description, default and bounds of each key; unknown keys refused."""
    properties: dict[str, Any] = {}
    for field, kind, is_list, optional in _fields(cls):
        value: dict[str, Any] = {"type": _JSON_TYPES[kind]}
        for key, name in (("choices", "enum"), ("minimum", "minimum"), ("maximum", "maximum")):
            if field.metadata[key] is not None:
                value[name] = list(field.metadata[key]) if key == "choices" else field.metadata[key]
        entry: dict[str, Any] = {"type": "array", "items": value} if is_list else value
        if optional:
            entry["type"] = [entry["type"], "null"]
            if "enum" in entry:
                entry["enum"].append(None)
        entry["description"] = field.metadata["help"]
        entry["default"] = default_of(field)
        properties[field.name] = entry
    return {
        "type": "object",
        "description": (cls.__doc__ or "").strip().splitlines()[0],
        "additionalProperties": False,
        "properties": properties,
        "default": {},
    }
