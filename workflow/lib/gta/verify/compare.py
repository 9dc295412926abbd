"""What has changed since a run was finished."""

from pathlib import Path

from gta.errors import UserError
from gta.files import sha256
from gta.provenance.files import Checksum, read, result_files


def changes(results: Path) -> list[str]:
    """One line for every file that is missing, was changed, or came later.

    Args:
        results: Folder of a run with `provenance/files.tsv`.

    Raises:
        UserError: if it has none.
    """
    recorded = read(results / "provenance" / "files.tsv")
    lines = [line for row in recorded if (line := _change(row, results)) is not None]
    known = {row.file for row in recorded if row.kind == "result"}
    new = [path.relative_to(results).as_posix() for path in result_files(results)]
    return lines + [f"result {name}: came after the run" for name in new if name not in known]


def _change(row: Checksum, results: Path) -> str | None:
    path = results / row.file if row.kind == "result" else Path(row.file)
    what = f"{row.kind} {row.file}"
    if not path.is_file():
        return f"{what}: is missing"
    size = path.stat().st_size
    if size != row.bytes:
        return f"{what}: has {size:,} bytes, not {row.bytes:,}"
    return f"{what}: has other content of the same size" if sha256(path) != row.sha256 else None


def verify(results: Path) -> None:
    """Print what has changed.

    Raises:
        UserError: if anything has.
    """
    found = changes(results)
    for line in found:
        print(line)
    if found:
        raise UserError(
            f"{len(found)} files of {results} are not those of its run: to make changed results again, with all that depends on"
            f" them, run the workflow with --forcerun and their names below {results}."
        )
    print(f"All files of {results} are those of its run.")
