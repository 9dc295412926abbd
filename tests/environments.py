"""Whether each conda environment is sufficient for its rules, without conda: its packages come from PyPI into an empty venv.

A stand-in, and no proof of conda's solver or channels: it shows that the packages named in `envs/NAME.yaml`, within their bounds
and with what they bring along, are all that the modules of its rules' stages import. Downloads gigabytes and takes minutes, so it
is no part of the tests.

    python tests/environments.py [NAME ...]
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "rules"))
from test_environments import environment  # noqa: E402

from rules import read_rules  # noqa: E402


def stages(name: str) -> list[str]:
    """The stages whose rules use an environment."""
    return sorted({rule.file.stem for rule in read_rules() if f"envs/{name}.yaml" in rule.directives.get("conda", "")})


def modules(stage: str) -> list[str]:
    """The modules of a stage, but those of extractors that have an environment of their own."""
    files = (REPOSITORY / "workflow" / "lib" / "gta" / stage).glob("*.py")
    return sorted(f"gta.{stage}.{file.stem}" for file in files if file.stem not in ("__init__", "enformer", "borzoi"))


def check(name: str, folder: Path) -> tuple[int, str]:
    """Build the environment and import every module of its stages; gives the number of modules and what went wrong."""
    bounds = environment(REPOSITORY / "envs" / f"{name}.yaml")
    bounds.pop("python")
    python = folder / name / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
    packages = [f"{package}{bound}" for package, bound in bounds.items()]
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
    installed = subprocess.run(pip, capture_output=True, text=True)
    if installed.returncode:
        return 0, installed.stderr.strip().splitlines()[-1]
    names = [module for stage in stages(name) for module in modules(stage)]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    variables = {"PYTHONPATH": str(REPOSITORY / "workflow" / "lib"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([str(python), "-c", code, *names], env=variables, capture_output=True, text=True)
    return len(names), "" if not done.returncode else done.stderr.strip().splitlines()[-1]


def main() -> int:
    """Print a table: environment, packages, stages, modules imported, outcome."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = sorted(path.stem for path in (REPOSITORY / "envs").glob("*.yaml"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"environments [{' '.join(known)}]")
    failed = 0
    print("environment\tpackages\tstages\tmodules\toutcome")
    with tempfile.TemporaryDirectory() as folder:
        for name in parser.parse_args().names or known:
            specs = yaml.safe_load((REPOSITORY / "envs" / f"{name}.yaml").read_text())["dependencies"]
            n, wrong = check(name, Path(folder))
            failed += bool(wrong)
            print(f"{name}\t{len(specs) - 1}\t{' '.join(stages(name))}\t{n}\t{wrong or 'sufficient'}", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
