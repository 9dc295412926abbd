"""The command line as a whole."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gta
from gta import __version__
from gta.cli import STAGES, build_parser, main


def actions(words: list[str], parser: object) -> Iterator[list[str]]:
    """Every command that the parser knows, as words."""
    subparsers = getattr(parser, "_subparsers", None)
    if subparsers is None:
        yield words
        return
    for name, sub in subparsers._group_actions[0].choices.items():
        yield from actions([*words, name], sub)


COMMANDS = list(actions([], build_parser()))


def test_every_stage_has_a_command() -> None:
    assert {words[0] for words in COMMANDS} == set(STAGES)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_of_every_command_names_its_outputs(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    assert "usage: gta" in text
    if words not in (["evaluation", "headline"], ["verify"]):
        assert any(option in text for option in ("--out", "--prompts")), "no option says where the results go"


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys, gta.cli; gta.cli.build_parser();"
        "print([name for name in ('torch', 'pandas', 'numpy', 'pysam') if name in sys.modules])"
    )
    variables = {**os.environ, "PYTHONPATH": str(Path(gta.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"gta {__version__}\n"


def test_mistake_is_one_line_without_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluation", "headline", "--evaluation", str(tmp_path / "nowhere")]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert main(["--debug", *words]) == 1
    assert "Traceback" in capsys.readouterr().err


def options(parser: object, words: list[str]) -> set[str]:
    """The long options of a command."""
    for word in words:
        parser = parser._subparsers._group_actions[0].choices[word]  # type: ignore[attr-defined]
    return {option for action in parser._actions for option in action.option_strings}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--seed", "-1", "'-1' is not a whole number from 0 to 4294967295"),
        ("--seed", "4294967296", "'4294967296' is not a whole number from 0 to"),
        ("--seed", "1.5", "'1.5' is not a whole number"),
        ("--threads", "0", "'0' is not a whole number from 1 on"),
        ("--threads", "two", "'two' is not a whole number from 1 on"),
    ],
)
def test_seeds_and_threads_are_checked_alike(option: str, value: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    # The seed of `simulate` is one of its settings, which are checked after parsing.
    tried = [words for words in COMMANDS if words != ["simulate"] and option in options(build_parser(), words)]
    assert len(tried) >= 5
    for words in tried:
        with pytest.raises(SystemExit) as ended:
            main([*words, option, value])
        assert ended.value.code == 2
        assert expected in capsys.readouterr().err


def test_wrong_usage_exits_2() -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cohort"])
    assert ended.value.code == 2
