"""Writing the provenance of a run."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from gta import __version__
from gta.errors import UserError
from gta.files import staged_files
from gta.provenance.files import of_inputs, of_results, text_of

#: Packages whose version can change a number.
PACKAGES = (
    *("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "pysam", "torch", "transformers", "tokenizers", "safetensors"),
    *("huggingface-hub", "enformer-pytorch", "borzoi-pytorch", "pyjaspar", "msprime", "matplotlib", "snakemake"),
)
_REPOSITORY = Path(__file__).resolve().parents[4]


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(_REPOSITORY), *words], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def code() -> Iterator[tuple[str, str]]:
    """Version, commit of the checkout, and whether its files differ from it."""
    yield "gta", __version__
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no")
    yield "commit", commit or "unknown"
    yield "changed since the commit", "unknown" if commit is None or changed is None else ("yes" if changed else "no")


def software() -> Iterator[tuple[str, str]]:
    """Versions of Python and the packages that are installed."""
    yield "python", platform.python_version()
    for name in PACKAGES:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue


def _field(path: Path, name: str) -> str | None:
    """The value of the first line `name : value` of a file of /proc."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.split(":")[0].strip() == name), None)


def hardware() -> Iterator[tuple[str, str]]:
    """System, processor, memory and GPUs of the machine that this step runs on."""
    yield "system", f"{platform.system()} {platform.machine()}"
    yield "processor", _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown"
    yield "processors", str(os.cpu_count())
    yield "memory", _field(Path("/proc/meminfo"), "MemTotal") or "unknown"
    gpus = [_field(path, "Model") or "unknown" for path in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))]
    yield "GPUs", ", ".join(gpus) or "none"


def flattened(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """`a.b.c` and the value as JSON, of a nested configuration."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flattened(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", json.dumps(value, ensure_ascii=False)


def write_provenance(results: Path, config: str, downloads: Path | None, out: Path) -> None:
    """Write `run.tsv` (`section what value`) and `files.tsv` (`kind file bytes sha256`).

    Neither holds a time, nor the checksum of anything that does.

    Args:
        results: Folder of the results, finished.
        config: The checked configuration as JSON, with the paths of the inputs under `data`.
        downloads: Table of the checksums of the public files that were fetched, if there are any.
        out: Folder to write into.

    Raises:
        UserError: if the configuration is not JSON, or the inputs' checksums are missing.
    """
    try:
        values = json.loads(config)
    except ValueError as error:
        raise UserError(f"--config is not JSON ({error}): pass what the workflow passes.") from error
    sections = {"code": code(), "software": software(), "hardware": hardware(), "configuration": flattened(values)}
    rows = [("section", "what", "value"), *((name, what, value) for name, pairs in sections.items() for what, value in pairs)]
    paths = {key: path for key, path in values.get("data", {}).items() if path is not None}
    inputs = of_inputs(results / "inputs" / "checksums.tsv", paths) + (of_inputs(downloads, {}) if downloads else [])
    checksums = inputs + of_results(results)
    with staged_files(out) as folder:
        text = "".join("\t".join(" ".join(cell.split()) for cell in row) + "\n" for row in rows)
        (folder / "run.tsv").write_text(text, encoding="utf-8")
        (folder / "files.tsv").write_text(text_of(checksums), encoding="utf-8")
    print(f"{len(checksums)} files", file=sys.stderr)
