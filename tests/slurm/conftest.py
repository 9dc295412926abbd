"""A cluster for the tests of this folder."""

import contextlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

SCRIPT = Path(__file__).parent / "one_node_slurm.sh"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A running Slurm of one node; its folder of state and logs."""
    if os.getuid() != 0 or not all(map(shutil.which, ("slurmctld", "slurmd", "munged", "sbatch"))):
        pytest.skip("no Slurm to start (needs root, and the packages slurm-wlm and munge)")
    if importlib.util.find_spec("snakemake_executor_plugin_slurm") is None:
        pytest.skip("no snakemake-executor-plugin-slurm (`make test-slurm` has it)")
    folder = tmp_path_factory.mktemp("cluster")
    try:
        started = subprocess.run([SCRIPT, "up", folder], capture_output=True, text=True, timeout=90)
        if started.returncode == 3:
            pytest.skip(started.stderr)
        assert started.returncode == 0, started.stdout + started.stderr
        yield folder
    finally:
        subprocess.run([SCRIPT, "down", folder], check=True, timeout=30)


def processes_at_work_in(folder: Path) -> list[psutil.Process]:
    """The processes whose working directory is a folder, or lies in it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


@pytest.fixture
def folder(cluster: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder to run in. What still works there a while after the test is ended, and fails it."""
    yield tmp_path
    _, left = psutil.wait_procs(processes_at_work_in(tmp_path), timeout=30)
    commands = []
    for process in left:
        with contextlib.suppress(psutil.Error):
            commands.append(f"{process.pid} (child of {process.ppid()}): {' '.join(process.cmdline())}")
            process.kill()
    assert not commands, "left behind:\n" + "\n".join(commands)
