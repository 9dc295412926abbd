"""What the tests of the whole workflow share."""

import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from running import Snakemake, run_in


@pytest.fixture
def snakemake(tmp_path: Path) -> Snakemake:
    """Runs Snakemake in an empty folder."""
    return partial(run_in, tmp_path)
