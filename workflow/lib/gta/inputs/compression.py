"""Plain, gzip or bgzip: what a file is, whether it is whole, and how to read or re-compress it."""

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, TextIO, cast

from gta.errors import UserError
from gta.files import require_file

Compression = Literal["plain", "gzip", "bgzip"]

#: The empty block that ends every whole BGZF file (SAM specification, section 4.1.2).
BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")

_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip archive or a spreadsheet",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
}
_COPY_BYTES = 1 << 20


def compression_of(path: Path, what: str) -> Compression:
    """How a file is compressed, judged by its first bytes and never by its name.

    Args:
        path: The file.
        what: What the file is, for the error's text: "gene annotation".

    Raises:
        UserError: if the file is missing, empty, compressed with another program, or a bgzip file that is cut short.
    """
    require_file(path, what)
    with path.open("rb") as handle:
        start = handle.read(18)
    if not start:
        raise UserError(f"The {what} {path} is empty: check how it was made or downloaded.")
    for magic, name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise UserError(f"The {what} {path} is {name}: unpack it or save it as plain text; bgzip may compress it again.")
    _refuse_wide_text(start, path, what)
    if not start.startswith(b"\x1f\x8b"):
        return "plain"
    if not (start[3] & 4 and start[12:14] == b"BC"):
        return "gzip"
    with path.open("rb") as handle:
        handle.seek(max(0, path.stat().st_size - len(BGZF_END)))
        if handle.read() != BGZF_END:
            raise UserError(f"The {what} {path} is cut short (it lacks the end marker of bgzip): copy or download it again.")
    return "bgzip"


def _refuse_wide_text(start: bytes, path: Path, what: str) -> None:
    """Refuse text in UTF-16 or UTF-32, told by the byte-order mark that spreadsheets and Windows' editors put first."""
    for marks, name in (((b"\xff\xfe\0\0", b"\0\0\xfe\xff"), "UTF-32"), ((b"\xff\xfe", b"\xfe\xff"), "UTF-16")):
        if start.startswith(marks):
            raise UserError(f"The {what} {path} is text in {name}: convert it with `iconv -f {name} -t UTF-8`.")


def _line_not_utf8(path: Path, kind: Compression) -> int:
    """The number of the first line that is not UTF-8; 0 if there is none."""
    with path.open("rb") if kind == "plain" else gzip.open(path, "rb") as handle:
        for number, line in enumerate(handle, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return 0


@contextmanager
def _damage_explained(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"The {what} {path} is cut short or damaged ({error}): copy or download it again.") from error
    except UnicodeDecodeError as error:
        line = _line_not_utf8(path, compression_of(path, what))
        raise UserError(
            f"The {what} {path}, line {line}, is not text in UTF-8 (the byte {error.object[error.start]:#04x}): check that it"
            " is the right file, or convert it, such as with `iconv -f LATIN1 -t UTF-8`."
        ) from error


@contextmanager
def open_bytes(path: Path, what: str) -> Iterator[IO[bytes]]:
    """Read a file unpacked; damage met while reading becomes a UserError.

    Args:
        path: Plain, gzip or bgzip file.
        what: What the file is, for the error's text.
    """
    kind = compression_of(path, what)
    with _damage_explained(path, what), path.open("rb") if kind == "plain" else gzip.open(path, "rb") as handle:
        yield cast(IO[bytes], handle)


@contextmanager
def open_text(path: Path, what: str) -> Iterator[TextIO]:
    """Read a text file (UTF-8, with or without a byte-order mark) unpacked; damage met while reading becomes a UserError.

    Args:
        path: Plain, gzip or bgzip file.
        what: What the file is, for the error's text.
    """
    kind = compression_of(path, what)
    with _damage_explained(path, what), path.open("rb") if kind == "plain" else gzip.open(path, "rb") as opened:
        start = cast(io.BufferedReader, opened).peek(4)[:4]
        _refuse_wide_text(start, path, what)
        if b"\0" in start:
            raise UserError(f"The {what} {path} is no text in UTF-8 (it begins {start!r}): check the path, or convert it.")
        # It ends a line at LF, CR LF and CR alone.
        with io.TextIOWrapper(cast(IO[bytes], opened), encoding="utf-8-sig") as handle:
            yield handle


def require_last_line_whole(path: Path, what: str) -> None:
    """Refuse a plain text file whose last line has no end: a compressed file tells when it is cut short, a plain one only so.

    Args:
        path: Plain, gzip or bgzip file, not empty.
        what: What the file is, for the error's text.
    """
    if compression_of(path, what) != "plain":
        return
    with path.open("rb") as handle:
        handle.seek(-1, os.SEEK_END)
        if handle.read() not in b"\r\n":
            raise UserError(
                f"The {what} {path} ends in the middle of a line, so it may be cut short: copy or download it again, or add a"
                " line break at its end if it is whole."
            )


def first_bytes(path: Path, what: str, n: int = 64) -> bytes:
    """The first bytes of a file's unpacked content."""
    with open_bytes(path, what) as handle:
        return handle.read(n)


def bgzip_copy(source: Path, target: Path, what: str) -> None:
    """Write a bgzip copy of a plain or gzip file. The same content gives the same bytes.

    Args:
        source: Plain or gzip file.
        target: The copy's path.
        what: What the file is, for the error's text.
    """
    import pysam  # here alone, because a dry run reads text without it

    with open_bytes(source, what) as handle, pysam.BGZFile(str(target), "wb", None) as copy:
        while chunk := handle.read(_COPY_BYTES):
            copy.write(chunk)
