"""Fetching a file over HTTP: resumed where it was cut off, retried where the server is busy, verified before it counts."""

import hashlib
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError

from gta.download.manifest import PublicFile
from gta.errors import UserError

#: Seconds without a connection or a byte after which an attempt is given up.
CONNECT_TIMEOUT, READ_TIMEOUT = 30, 60
#: Longest wait between two attempts, seconds.
LONGEST_WAIT = 120
CHUNK = 1 << 20
#: Answers of a server that may be another one later (RFC 9110).
BUSY = (408, 425, 429, 500, 502, 503, 504)


class _TryAgainError(Exception):
    """An attempt failed in a way that another may not; `wait` is what the server asks for, seconds."""

    def __init__(self, reason: str, wait: float | None = None):
        super().__init__(reason)
        self.wait = wait


def fetch(file: PublicFile, target: Path, attempts: int = 8, sleep: Callable[[float], None] = time.sleep) -> None:
    """Fetch a file; nothing stands at `target` before it is whole and verified.

    What has arrived is kept in `.NAME.part` beside it, from which the next attempt, or the next call, goes on: if the server
    allows that and still has the same file (`If-Range`, RFC 9110).

    Args:
        file: What to fetch.
        target: Where to put it.
        attempts: So many failures in a row without a new byte are one too many.
        sleep: Waits, in seconds.

    Raises:
        UserError: if the server has no such file, fails too often, or what it gives is not what was published.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part, validator = target.parent / f".{target.name}.part", target.parent / f".{target.name}.etag"
    if file.bytes is not None:
        free = shutil.disk_usage(target.parent).free + _size(part)
        if free < file.bytes:
            raise UserError(
                f"{target.parent} has {free:,} bytes left, but {file.name} is {file.bytes:,} bytes: make room or choose another"
                " folder."
            )
    failures, mismatches = 0, 0
    with requests.Session() as session:
        while True:
            before = _size(part)
            try:
                _attempt(session, file.url, part, validator)
            except (_TryAgainError, requests.ConnectionError, requests.Timeout, HTTPError) as error:
                failures = failures + 1 if _size(part) <= before else 1
                if failures >= attempts:
                    raise UserError(
                        f"{file.url} could not be fetched: {error}; {_size(part):,} bytes are kept, start again later to go on."
                    ) from error
                wait = getattr(error, "wait", None)
                wait = min(LONGEST_WAIT, 2.0**failures if wait is None else wait)
                print(f"{file.name}: {error}; again in {wait:g} s from byte {_size(part):,}", file=sys.stderr, flush=True)
                sleep(wait)
                continue
            except requests.RequestException as error:
                raise UserError(f"{file.url} could not be fetched: {error}; check the address in the manifest.") from error
            wrong = _difference(file, part)
            if wrong is None:
                break
            # A resumed file may be made of two versions; fetched whole it cannot.
            part.unlink()
            validator.unlink(missing_ok=True)
            mismatches += 1
            if mismatches == 2:
                raise UserError(
                    f"{file.url} is not the file that was published: {wrong}, twice; nothing was kept. If the publisher has a new"
                    " version, look at what changed and renew the manifest."
                )
            print(f"{file.name}: {wrong}; once more from the beginning", file=sys.stderr, flush=True)
    part.replace(target)
    validator.unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _attempt(session: requests.Session, url: str, part: Path, validator: Path) -> None:
    """One request; appends to `part` what it brings. Returns when the file is complete by the server's own account."""
    have = _size(part)
    # The bytes as they are published: no compression on the way.
    headers = {"Accept-Encoding": "identity"}
    if have and validator.exists():
        headers |= {"Range": f"bytes={have}-", "If-Range": validator.read_text(encoding="utf-8")}
    with session.get(url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)) as answer:
        if answer.status_code in BUSY:
            wait = None
            with suppress(TypeError, ValueError):
                wait = float(answer.headers.get("Retry-After"))  # type: ignore[arg-type]  # a date or nothing: our own wait
            raise _TryAgainError(f"the server says {answer.status_code} {answer.reason}", wait)
        if answer.status_code == 416:
            if answer.headers.get("Content-Range") == f"bytes */{have}":
                return
            part.unlink()
            raise _TryAgainError("the server's file is shorter than what has arrived", 0)
        if answer.status_code not in (200, 206):
            raise UserError(f"{url}: the server says {answer.status_code} {answer.reason}; check the address in the manifest.")
        resumed = answer.status_code == 206
        start, total = _content_range(answer) if resumed else (0, _content_length(answer))
        if resumed and start != have:
            part.unlink()
            raise _TryAgainError(f"the server went on at byte {start}, not at {have}", 0)
        if not resumed:
            tag = answer.headers.get("ETag") or ""
            # A weak tag does not promise the same bytes.
            same = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")
            validator.unlink(missing_ok=True)
            part.unlink(missing_ok=True)
            if same:
                validator.write_text(same, encoding="utf-8")
        with part.open("ab") as sink:
            # read1 hands over whatever has arrived, so that nothing is lost when the connection ends.
            while chunk := answer.raw.read1(CHUNK):
                sink.write(chunk)
    if total is not None and _size(part) < total:
        raise _TryAgainError(f"the connection ended at byte {_size(part):,} of {total:,}")


def _content_range(answer: requests.Response) -> tuple[int, int | None]:
    """First byte and total size of a partial answer: `bytes 100-199/200`."""
    try:
        span, total = answer.headers["Content-Range"].removeprefix("bytes ").split("/")
        return int(span.split("-")[0]), None if total == "*" else int(total)
    except (KeyError, ValueError):
        raise _TryAgainError("the server sent a part of the file without saying which") from None


def _content_length(answer: requests.Response) -> int | None:
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _difference(file: PublicFile, path: Path) -> str | None:
    """How a file differs from what was published; None if it does not."""
    if file.bytes is not None and _size(path) != file.bytes:
        return f"it has {_size(path):,} bytes, not {file.bytes:,}"
    for name, expected in (("md5", file.md5), ("sha256", file.sha256)):
        if expected is not None:
            with path.open("rb") as handle:
                found = hashlib.file_digest(handle, name).hexdigest()
            if found != expected:
                return f"its {name} is {found}, not {expected}"
    return None
