"""Settings: one dataclass gives options, checks, schema and command lines that agree with each other."""

import argparse
import shlex
from dataclasses import asdict, dataclass
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gta.errors import UserError
from gta.settings import add_arguments, as_options, from_arguments, from_mapping, json_schema, setting


@dataclass(frozen=True)
class Example:
    """Settings of an example."""

    length: int = setting(2048, "Length in bp.", minimum=64, maximum=10_000)
    share: float = setting(0.25, "Share, 25% by default.", minimum=0, maximum=1)
    name: str = setting("100%", "Name.")
    model: str | None = setting(None, "Folder.")
    deep: bool = setting(False, "Deep or not.")
    people: list[str] = setting([], "People.")
    sizes: list[int] = setting([1, 2], "Sizes.", minimum=1)
    mode: str | None = setting(None, "Mode.", choices=("a", "b"))


def parse(words: list[str]) -> Example:
    parser = argparse.ArgumentParser()
    add_arguments(parser, Example)
    return from_arguments(Example, parser.parse_args(words))


def refused(values: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        from_mapping(Example, values, "example")
    return str(caught.value)


def test_keys_left_out_take_their_defaults() -> None:
    settings = from_mapping(Example, {"length": 128})
    assert settings == Example(length=128)
    assert settings.sizes == [1, 2]
    assert from_mapping(Example, {}).sizes is not from_mapping(Example, {}).sizes


def test_whole_numbers_are_numbers_but_truth_is_not() -> None:
    assert from_mapping(Example, {"share": 1}).share == 1.0
    assert isinstance(from_mapping(Example, {"share": 1}).share, float)
    assert refused({"length": True}) == "example.length: True is not integer; write a value of that type."
    assert refused({"share": True}).startswith("example.share: True is not number")
    assert refused({"deep": 1}).startswith("example.deep: 1 is not boolean")


def test_numbers_in_a_list_may_be_text_as_snakemake_gives_them() -> None:
    assert from_mapping(Example, {"sizes": ["3", 4]}).sizes == [3, 4]
    assert refused({"sizes": ["three"]}) == "example.sizes: 'three' is not integer; write a value of that type."
    assert refused({"sizes": ["0"]}).startswith("example.sizes: 0 is below")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"lenght": 1}, "example: unknown key 'lenght'; did you mean length?"),
        ({"zzz": 1}, "example: unknown key 'zzz'; known keys: length, share, name, model, deep, people, sizes, mode."),
        ({"length": 63}, "example.length: 63 is below the smallest allowed value, 64."),
        ({"share": 1.5}, "example.share: 1.5 is above the largest allowed value, 1."),
        ({"length": None}, "example.length: a value is needed, but it is empty."),
        ({"people": "P1"}, "example.people: 'P1' is not a list; write [P1]."),
        ({"people": [1]}, "example.people: 1 is not string; write a value of that type."),
        ({"sizes": [3, 0]}, "example.sizes: 0 is below the smallest allowed value, 1."),
        ({"mode": "c"}, "example.mode: 'c' is none of 'a', 'b'; choose one of these."),
    ],
)
def test_mistakes_are_explained(values: dict[str, Any], expected: str) -> None:
    assert refused(values) == expected


def test_options_of_the_command_line() -> None:
    assert parse([]) == Example()
    words = ["--length", "100", "--deep", "true", "--people", "A", "B C", "--mode", "b"]
    assert parse(words) == Example(length=100, deep=True, people=["A", "B C"], mode="b")
    assert parse(["--people"]) == Example(people=[])
    with pytest.raises(UserError, match=r"options\.length: 1 is below"):
        parse(["--length", "1"])


def test_help_shows_defaults_and_percent_signs() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser, Example)
    text = " ".join(parser.format_help().split())
    assert "Share, 25% by default. [0.25]" in text
    assert "Sizes. [1 2]" in text
    assert "Name. [100%]" in text
    assert "Folder. [none]" in text


@given(
    st.builds(
        Example,
        length=st.integers(64, 10_000),
        share=st.floats(0, 1),
        # Before Python 3.13 argparse drops a value of two dashes.
        name=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20).filter(
            lambda text: text != "--"
        ),
        model=st.none() | st.just("folder with 'quotes' and $HOME"),
        deep=st.booleans(),
        people=st.lists(st.sampled_from(["A", "a b", "{x}", "\"q'", "é", "-P1", "--seed", ""]), max_size=3),
        sizes=st.lists(st.integers(1, 9), max_size=3),
        mode=st.sampled_from([None, "a", "b"]),
    )
)
def test_options_written_for_the_shell_are_read_back(settings: Example) -> None:
    assert parse(shlex.split(as_options(asdict(settings)))) == settings


def test_schema_and_checks_agree() -> None:
    schema = json_schema(Example)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(asdict(Example()), schema)
    assert schema["properties"]["length"] == {
        "type": "integer",
        "minimum": 64,
        "maximum": 10_000,
        "description": "Length in bp.",
        "default": 2048,
    }
    wrong: list[dict[str, Any]] = [{"lenght": 1}, {"length": 63}, {"people": "P1"}, {"mode": "c"}, {"sizes": [0]}, {"name": None}]
    for values in wrong:
        refused(values)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(values, schema)
    jsonschema.validate({"mode": None, "model": None}, schema)
