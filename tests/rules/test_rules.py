"""What holds for every rule: it can be watched, repeated by hand and moved to a cluster; and its command exists."""

import argparse
import inspect
import re

import pytest

from gta.cli import STAGES, build_parser
from rules import REPOSITORY, Rule, read_rules

RULES = read_rules()
#: Parameters that hold several words, which were quoted when they were made.
QUOTED_BEFORE = {"params.options", "params.files", "params.elements", "params.tables"}


def test_the_rules_are_found() -> None:
    names = {rule.name for rule in RULES}
    assert {"simulate", "cohort", "aligner_train", "report_tables"} <= names
    text = "".join(file.read_text() for file in (REPOSITORY / "workflow" / "rules").glob("*.smk"))
    assert len(RULES) == len(names) == len(re.findall("^rule ", text, flags=re.MULTILINE)) == text.count("shell:")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_has_what_every_rule_needs(rule: Rule) -> None:
    assert {"output", "log", "benchmark", "conda", "threads", "resources", "message", "shell"} <= set(rule.directives)
    assert "mem_mb=" in rule.directives["resources"]
    assert "runtime=" in rule.directives["resources"]
    assert "run" not in rule.directives
    assert "script" not in rule.directives


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rule_bears_the_name_of_its_file_and_writes_into_the_results(rule: Rule) -> None:
    stage = rule.file.stem
    assert stage in STAGES
    assert rule.name == stage or rule.name.startswith(f"{stage}_")
    for directive, root in (("log", "<logs>"), ("benchmark", "<benchmarks>")):
        assert re.search(rf'"{root}/{stage}[/.]', rule.directives[directive]), directive
    assert all(path.startswith(("<results>/", "<data>/")) for path in re.findall(r'"(<[^"]*)"', rule.directives["output"]))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_inputs_and_outputs_are_named(rule: Rule) -> None:
    for directive in ("input", "output"):
        for line in rule.directives.get(directive, "").splitlines():
            if re.match(r" {8}\S", line) and not line.startswith("        )"):
                assert re.match(r" {8}(\w+=|\*\*)", line), f"{directive}: {line.strip()}"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_everything_in_a_command_is_quoted(rule: Rule) -> None:
    for field in re.findall(r"\{([^}]*)\}", rule.command):
        assert field.endswith(":q") or field in QUOTED_BEFORE or field == "threads", field


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_command_exists_and_has_its_options(rule: Rule) -> None:
    words = rule.command.split()
    assert words[:3] == ["python", "-m", "gta"]
    assert words[3] == rule.file.stem
    assert words[-2:] == ["&>", "{log:q}"]
    parser = find_parser(words[3:])
    known = {option: action for action in parser._actions for option in action.option_strings}
    used = {word for word in words if word.startswith("--")}
    assert used <= set(known), used - set(known)
    needed = {option for option, action in known.items() if action.required}
    if "{params.files}" in words:
        needed -= {"--reference", "--genotypes", "--genes", "--expression", "--annotation"}
    if "{params.tables}" in words:
        needed -= {"--table"}
    assert needed <= used, needed - used
    if "--threads" in known:
        assert "--threads" in used, "the command would use one thread, whatever the rule reserves"
    if "--seed" in known and "{params.options}" in words and rule.name != "simulate":
        assert "--seed" in used


def find_parser(words: list[str]) -> argparse.ArgumentParser:
    """The parser of a command such as `language prepare`."""
    parser = build_parser()
    for word in words:
        if parser._subparsers is None:
            break
        choices = parser._subparsers._group_actions[0].choices
        assert isinstance(choices, dict)
        assert word in choices, f"no command {word}"
        parser = choices[word]
    return parser


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_settings_of_a_rule_do_not_depend_on_its_input(rule: Rule) -> None:
    # Snakemake does not record parameters that are derived from the input: a change of the setting would repeat nothing.
    assert not re.search(r"\boptions=lambda wildcards, \w", rule.directives.get("params", ""))


def test_every_setting_of_the_language_model_reaches_a_command() -> None:
    from dataclasses import fields

    from gta.language.settings import LanguageSettings
    from gta.workflow.run import Run

    text = (REPOSITORY / "workflow" / "rules" / "language.smk").read_text()
    text += inspect.getsource(Run.prompt_options)
    named = set(re.findall(r"[\"'](\w+)[\"']", "".join(re.findall(r"(?:RUN|self)\.options\(([^)]*)\)", text))))
    assert named == {field.name for field in fields(LanguageSettings)} - {"model", "revision"} | {"language"}


def test_parsing_the_rules_imports_nothing_heavy() -> None:
    texts = [file.read_text() for file in (REPOSITORY / "workflow").rglob("*.smk")] + [
        (REPOSITORY / "workflow" / "Snakefile").read_text()
    ]
    for module in ("torch", "pandas", "numpy", "pysam", "snakemake.script"):
        assert not any(re.search(rf"^\s*(import|from) {module}\b", text, flags=re.MULTILINE) for text in texts), module
