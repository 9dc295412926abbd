"""Running the workflow as a user does."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = REPOSITORY / "tests" / "workflow" / "tiny.yaml"

Snakemake = Callable[..., subprocess.CompletedProcess[str]]


def command(*words: object) -> list[str]:
    """A command line of Snakemake with the workflow of this checkout."""
    return [sys.executable, "-m", "snakemake", "-s", str(REPOSITORY / "Snakefile"), *map(str, words)]


def environment() -> dict[str, str]:
    """The environment of a user, who has no PYTHONPATH to the library."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}


def run_in(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run Snakemake in a folder; standard error holds everything it said."""
    return subprocess.run(command(*words), cwd=folder, env=environment(), capture_output=True, text=True, timeout=900)
