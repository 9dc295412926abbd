"""Which files of a results folder count, and their checksums."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gta.errors import UserError
from gta.files import SNAKEMAKE_MARK, require_file, sha256

#: Folders of the stages whose tables and arrays count; logs, times and the report's pages differ from run to run.
FOLDERS = (
    *("simulated", "inputs", "cohort", "haplotypes", "features", "language", "compressor", "aligner"),
    *("baselines", "predictions", "evaluation", "attribution"),
)
#: Not of the result: times of the jobs, learning curves, in which times stand, and pictures of what stands in the tables.
LEFT_OUT = ("runtimes.tsv", "compression.tsv", "history.tsv", SNAKEMAKE_MARK)
PICTURES = "figures"
HEADER = ("kind", "file", "bytes", "sha256")


@dataclass(frozen=True)
class Checksum:
    """A row of `provenance/files.tsv`.

    Attributes:
        kind: `input` or `result`.
        file: Path: of a result inside the results folder, of an input as the configuration gives it.
        bytes: Size.
        sha256: SHA-256 in hexadecimal.
    """

    kind: str
    file: str
    bytes: int
    sha256: str


def result_files(results: Path) -> Iterator[Path]:
    """The files that count, sorted; links (to inputs) are left out."""
    for folder in FOLDERS:
        for path in sorted((results / folder).rglob("*")):
            inside = path.relative_to(results)
            hidden = any(part.startswith(".writing-") or part == PICTURES for part in inside.parts)
            if path.is_file() and not path.is_symlink() and not hidden and path.name not in LEFT_OUT:
                yield path


def of_results(results: Path) -> list[Checksum]:
    """Checksums of all results."""
    return [
        Checksum("result", path.relative_to(results).as_posix(), path.stat().st_size, sha256(path))
        for path in result_files(results)
    ]


def of_inputs(checksums: Path, paths: Mapping[str, str]) -> list[Checksum]:
    """Checksums of the inputs as the stage `inputs` found them.

    Args:
        checksums: Its `checksums.tsv`: `file bytes sha256`, files by their name in the configuration.
        paths: Name in the configuration -> path.
    """
    lines = require_file(checksums, "table of checksums").read_text(encoding="utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    return [Checksum("input", paths.get(name, name), int(size), digest) for name, size, digest in rows]


def read(path: Path) -> list[Checksum]:
    """Read `files.tsv`.

    Raises:
        UserError: if it is missing or damaged.
    """
    lines = require_file(path, "list of checksums").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    if not rows or tuple(rows[0]) != HEADER or any(len(row) != len(HEADER) or not row[2].isdecimal() for row in rows[1:]):
        raise UserError(f"{path} is no list of checksums of a run: let the workflow make it again.")
    return [Checksum(kind, file, int(size), digest) for kind, file, size, digest in rows[1:]]


def text_of(checksums: list[Checksum]) -> str:
    """`files.tsv`."""
    rows = [HEADER, *((row.kind, row.file, str(row.bytes), row.sha256) for row in checksums)]
    return "".join("\t".join(row) + "\n" for row in rows)
