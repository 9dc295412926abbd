"""The environments of the rules: the bounds of requirements.txt, and everything that the commands import."""

import ast
import re
import sys
from pathlib import Path

import pytest
import yaml

from rules import REPOSITORY, Rule, read_rules

LIBRARY = REPOSITORY / "workflow" / "lib"
#: Names in conda that differ from those in PyPI.
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}
#: Modules whose package is called otherwise.
PACKAGES = {"sklearn": "scikit-learn", "yaml": "pyyaml", "pyBigWig": "pybigwig"}
#: Modules that come with a package that is named for another reason.
COME_ALONG = {"mpl_toolkits": "matplotlib", "Bio": "pyjaspar", "tskit": "msprime", "threadpoolctl": "scikit-learn"}


def requirements() -> dict[str, str]:
    """Package in lower case -> bounds, of requirements.txt."""
    found = re.findall(r"^([A-Za-z0-9_-]+)([<>=!~][^ #\n]*)", (REPOSITORY / "requirements.txt").read_text(), flags=re.MULTILINE)
    return {name.lower(): bounds for name, bounds in found}


def environment(path: Path) -> dict[str, str]:
    """Package in PyPI's name -> bounds, of a conda environment."""
    entries = [entry.split(" ", 1) for entry in yaml.safe_load(path.read_text())["dependencies"]]
    return {CONDA_NAMES.get(name, name): bounds for name, bounds in entries}


def imports(module: Path) -> set[str]:
    """Every module that a file imports, at its top or inside a function; type checking left out."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def file_of(module: str) -> Path | None:
    """The file of a module of the library."""
    path = LIBRARY / module.replace(".", "/")
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def packages_of_stage(stage: str) -> set[str]:
    """Packages that a stage's modules import, directly or through other modules of the library."""
    waiting = list((LIBRARY / "gta" / stage).rglob("*.py"))
    seen, packages = set(waiting), set()
    while waiting:
        for module in imports(waiting.pop()):
            top = module.split(".")[0]
            if top == "gta":
                file = file_of(module)
                # The command line imports all stages, and in each only what is light.
                if file is not None and file not in seen and module != "gta.cli":
                    seen.add(file)
                    waiting.append(file)
            elif top not in sys.stdlib_module_names:
                packages.add(PACKAGES.get(top, COME_ALONG.get(top, top)))
    return packages


@pytest.mark.parametrize("path", sorted((REPOSITORY / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_bounds_are_those_of_the_requirements(path: Path) -> None:
    bounds = environment(path)
    assert bounds.pop("python") == ">=3.11,<3.14"
    assert bounds
    for name, bound in bounds.items():
        assert requirements()[name] == bound, name


@pytest.mark.parametrize("rule", read_rules(), ids=lambda rule: rule.name)
def test_environment_holds_what_the_command_imports(rule: Rule) -> None:
    named = re.search(r'"\.\./\.\./envs/(\w+\.yaml)"', rule.directives["conda"])
    assert named
    there = environment(REPOSITORY / "envs" / named.group(1))
    assert packages_of_stage(rule.file.stem) <= set(there)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_environment_holds_nothing_else(path: Path) -> None:
    stages = {rule.file.stem for rule in read_rules() if f"envs/{path.name}" in rule.directives["conda"]}
    used = set().union(*map(packages_of_stage, stages))
    # pandas reads Parquet with pyarrow, without an import in the code.
    assert set(environment(path)) - used <= {"python", "pyarrow"}


def test_environments_without_torch_stay_without_it() -> None:
    for name in ("core", "simulate"):
        assert "torch" not in environment(REPOSITORY / "envs" / f"{name}.yaml")
