"""Writing and naming files: nothing half-written ever stands in place of a result."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gta.errors import UserError

#: What Snakemake leaves in every folder that is a result.
SNAKEMAKE_MARK = ".snakemake_timestamp"


@contextmanager
def _holder(folder: Path) -> Iterator[Path]:
    """A temporary folder inside `folder`, which is made if need be; if the block fails, no folder made here is left."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    holder = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        yield holder
    except BaseException:
        shutil.rmtree(holder, ignore_errors=True)
        for path in made:
            with suppress(OSError):  # something else was put there meanwhile
                path.rmdir()
        raise
    shutil.rmtree(holder, ignore_errors=True)


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `target`; rename it to `target` if the block succeeds, remove it if it fails.

    Works for a file and for a directory (the block creates it). The suffixes of the target are kept, because many writers
    choose their format by them.

    Raises:
        UserError: if the target is a folder and the result a file, or if the folder holds something that is no earlier result.
    """
    target = Path(target)
    with _holder(target.parent) as holder:
        temporary = holder / target.name
        yield temporary
        if target.is_dir() and not target.is_symlink():
            _refuse_loss(target, temporary)
            shutil.rmtree(target)
        if temporary.is_file() and not temporary.is_symlink():
            temporary.chmod(0o666 & ~_umask())  # some writers make files that only their owner may read
        temporary.replace(target)


def _refuse_loss(old: Path, new: Path) -> None:
    """Refuse to replace a folder that holds anything unlike what the new one holds, judged by name and ending.

    Raises:
        UserError: naming what would be lost.
    """
    if not new.is_dir():
        raise UserError(f"{old} is a folder: give the path of a file to write.")
    names = {path.name for path in new.iterdir()}
    endings = {path.suffix for path in new.iterdir() if path.is_file()}
    for path in sorted(old.iterdir()):
        if path.name != SNAKEMAKE_MARK and path.name not in names and (path.is_dir() or path.suffix not in endings):
            raise UserError(
                f"{old} would be replaced whole, but holds {path.name}, which is no result of this step: name another."
            )


def _umask() -> int:
    """The process's mask of file permissions."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sha256(path: Path | str) -> str:
    """SHA-256 of a file's bytes, as lower-case hexadecimal."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def require_file(path: Path | str, what: str) -> Path:
    """The path, if it is a readable file.

    Raises:
        UserError: naming `what` the file is for, the path and what to do.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"The {what} {path} does not exist: check the path.")
    if not path.is_file():
        raise UserError(f"The {what} {path} is not a file: give the path of a file.")
    if not os.access(path, os.R_OK):
        raise UserError(f"The {what} {path} cannot be read: check its permissions.")
    return path


@contextmanager
def staged_files(folder: Path | str) -> Iterator[Path]:
    """Give a temporary folder inside `folder`; move every file in it to `folder` if the block succeeds, remove all if it fails.

    For a stage that writes several files into a folder which may hold other things too: `atomic_path` would replace the
    whole folder. Links are moved as links.
    """
    folder = Path(folder)
    with _holder(folder) as holder:
        yield holder
        for path in sorted(holder.iterdir()):
            path.replace(folder / path.name)


def checksum_rows(paths: Iterable[Path]) -> list[tuple[str, int, str]]:
    """Rows of a table of checksums: `file bytes sha256` of each file."""
    return [(str(path), path.stat().st_size, sha256(path)) for path in paths]
