"""The environment of the jobs."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import gta
from gta.workflow.jobs import KEPT_BLOCK, KEPT_MEMORY, doubling, shell_prefix

LIBRARY = Path(gta.__file__).resolve().parent.parent


def in_bash(prefix: str, command: str, folder: Path, **environment: str) -> str:
    """What a command prints after the prefix, which Snakemake formats once."""
    words = ["bash", "-c", prefix.format() + command]
    variables = {"PATH": os.environ["PATH"], **environment}
    return subprocess.run(words, cwd=folder, env=variables, check=True, capture_output=True, text=True).stdout.strip()


def test_jobs_find_the_library_whatever_the_working_directory_holds(tmp_path: Path) -> None:
    (tmp_path / "gta").mkdir()
    (tmp_path / "gta" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    command = "python -c 'import gta, sys; print(gta.__file__, sys.executable, sep=\"\\n\")'"
    found, executable = in_bash(shell_prefix(LIBRARY, own_environments=False), command, tmp_path).splitlines()
    assert Path(found).resolve() == Path(gta.__file__).resolve()
    assert Path(executable) == Path(sys.executable)


def test_environments_of_rules_keep_their_own_python(tmp_path: Path) -> None:
    path = in_bash(shell_prefix(LIBRARY, own_environments=True), "echo $PATH", tmp_path, PATH="/env/bin:/usr/bin:/bin")
    assert path == "/env/bin:/usr/bin:/bin"


def test_earlier_pythonpath_is_kept_behind(tmp_path: Path) -> None:
    prefix = shell_prefix(LIBRARY, own_environments=False)
    assert in_bash(prefix, "echo $PYTHONPATH", tmp_path, PYTHONPATH="/cluster/site") == f"{LIBRARY}:/cluster/site"
    assert in_bash(prefix, "echo $PYTHONPATH", tmp_path) == str(LIBRARY)


def test_freed_memory_is_kept_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    prefix, command = shell_prefix(LIBRARY, own_environments=False), "echo $MALLOC_TRIM_THRESHOLD_ $MALLOC_MMAP_THRESHOLD_"
    assert in_bash(prefix, command, tmp_path) == f"{KEPT_MEMORY} {KEPT_BLOCK}"
    assert in_bash(prefix, command, tmp_path, MALLOC_TRIM_THRESHOLD_="5") == f"5 {KEPT_BLOCK}"


def test_path_with_odd_characters(tmp_path: Path) -> None:
    odd = tmp_path / "it's {a} $HOME folder"
    odd.mkdir()
    assert in_bash(shell_prefix(odd, own_environments=False), "echo $PYTHONPATH", tmp_path) == str(odd.resolve())


def test_a_failing_command_in_a_pipe_fails_the_job(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        in_bash(shell_prefix(LIBRARY, own_environments=False), "false | cat", tmp_path)
    assert shlex.split(shell_prefix(LIBRARY, own_environments=False))[:3] == ["set", "-euo", "pipefail;"]


def test_a_resource_doubles_with_every_attempt() -> None:
    assert [doubling(1500)(None, attempt) for attempt in (1, 2, 3)] == [1500, 3000, 6000]
    assert doubling(lambda wildcards: 10 * len(str(wildcards)))("abc", 2) == 60
