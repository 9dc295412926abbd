"""The environment and the resources of the workflow's jobs."""

import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: How much freed memory a process keeps for what it asks for next, and the size from which a block is given back at once (bytes;
#: the largest that glibc takes).
KEPT_MEMORY, KEPT_BLOCK = 256 * 2**20, 32 * 2**20


def shell_prefix(library: Path, own_environments: bool) -> str:
    """Shell code that Snakemake runs before the command of every job, here and on the nodes of a cluster.

    It makes `python -m gta` work without an installation, and lets the working directory shadow no module. Memory that a batch
    frees is kept for the next one, which glibc would else give back and ask for again: a sixth of the time of a prediction.
    Braces are doubled, because Snakemake formats the text.

    Args:
        library: The folder that holds the package `gta`.
        own_environments: Whether rules run in environments of their own (`--sdm conda`). If not, they run with the interpreter
            that runs Snakemake, even where its environment was not activated.
    """
    words = [
        "set -euo pipefail;",
        f"export PYTHONPATH={shlex.quote(str(library.resolve()))}${{PYTHONPATH:+:$PYTHONPATH}} PYTHONSAFEPATH=1",
        f"MALLOC_TRIM_THRESHOLD_=${{MALLOC_TRIM_THRESHOLD_:-{KEPT_MEMORY}}}",
        f"MALLOC_MMAP_THRESHOLD_=${{MALLOC_MMAP_THRESHOLD_:-{KEPT_BLOCK}}}",
    ]
    if own_environments:
        words.append("PYTHONNOUSERSITE=1")
    else:
        words.append(f"PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
    return " ".join(words).replace("{", "{{").replace("}", "}}") + "; "


def doubling(amount: int | Callable[[Any], int]) -> Callable[..., int]:
    """A resource of a rule, MB or minutes, which doubles with every further attempt at a job (`retries` in a profile).

    Args:
        amount: At the first attempt; or a function of the wildcards that gives it.
    """

    def wanted(wildcards: object, attempt: int) -> int:
        return (amount(wildcards) if callable(amount) else amount) * 2 ** (attempt - 1)

    return wanted
