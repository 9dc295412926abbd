"""Fetching from a server on the loopback interface that misbehaves in the ways that servers do."""

import hashlib
import http.server
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gta.cli import main
from gta.download.fetch import fetch
from gta.download.manifest import PublicFile
from gta.errors import UserError
from gta.provenance.files import of_inputs

CONTENT = bytes(range(256)) * 2_000
MD5 = hashlib.md5(CONTENT).hexdigest()


@dataclass
class Server:
    """What the server does: each function answers one request, the last one all that follow."""

    url: str
    answers: list[Callable[[http.server.BaseHTTPRequestHandler], None]] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)


def answer(
    status: int = 200,
    content: bytes = CONTENT,
    cut_at: int | None = None,
    ranges: bool = True,
    tag: str | None = '"one"',
    announce: bool = True,
    headers: dict[str, str] | None = None,
) -> Callable[[http.server.BaseHTTPRequestHandler], None]:
    """An answer: `cut_at` ends the connection after so many bytes, `ranges=False` knows no Range, `announce=False` no length."""

    def act(request: http.server.BaseHTTPRequestHandler) -> None:
        wanted, body, code = request.headers.get("Range"), content, status
        fields = dict(headers or {})
        if tag:
            fields["ETag"] = tag
        if wanted and ranges and status == 200 and request.headers.get("If-Range", tag) == tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                code, body = 416, b""
                fields["Content-Range"] = f"bytes */{len(content)}"
            else:
                code, body = 206, content[start:]
                fields["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if announce:
            fields["Content-Length"] = str(len(body))
        request.send_response(code)
        for name, value in fields.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body[:cut_at])
        request.close_connection = True

    return act


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            plan.ranges.append(self.headers.get("Range"))
            assert self.headers["Accept-Encoding"] == "identity"
            act = plan.answers.pop(0) if len(plan.answers) > 1 else plan.answers[0]
            act(self)

        def log_message(self, *words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        plan = Server(f"http://127.0.0.1:{listening.server_port}/file.gz")
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield plan
        listening.shutdown()
        thread.join()


def get(server: Server, target: Path, attempts: int = 4, **published: object) -> list[float]:
    """Fetch; gives the waits that were asked for, none of which is waited."""
    waits: list[float] = []
    published = {"bytes": len(CONTENT), "md5": MD5} | published
    fetch(PublicFile("file.gz", server.url, **published), target, attempts, waits.append)  # type: ignore[arg-type]
    return waits


def only(target: Path) -> None:
    """The target is whole and alone in its folder."""
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]


def test_whole_file(server: Server, tmp_path: Path) -> None:
    server.answers = [answer()]
    assert get(server, tmp_path / "a b" / "datei ü.gz") == []
    only(tmp_path / "a b" / "datei ü.gz")


def test_connection_that_is_cut_off_goes_on_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(cut_at=100_000), answer(cut_at=50_000), answer()]
    get(server, tmp_path / "x")
    only(tmp_path / "x")
    assert server.ranges == [None, "bytes=100000-", "bytes=150000-"]


def test_every_new_byte_earns_new_attempts(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(cut_at=60_000)] * 20
    get(server, tmp_path / "x", attempts=2)
    only(tmp_path / "x")


def test_next_call_goes_on(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(cut_at=100_000), answer(503)]
    with pytest.raises(UserError, match=r"503 Service Unavailable; 100,000 bytes are kept, start again later"):
        get(server, tmp_path / "x")
    assert not (tmp_path / "x").exists()
    server.answers, server.ranges = [answer()], []
    get(server, tmp_path / "x")
    only(tmp_path / "x")
    assert server.ranges == ["bytes=100000-"]


def test_server_without_ranges_starts_again(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(cut_at=100_000), answer(ranges=False)]
    get(server, tmp_path / "x")
    only(tmp_path / "x")


def test_file_that_changed_meanwhile_is_not_mixed(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(content=bytes(len(CONTENT)), cut_at=100_000, tag='"old"'), answer()]
    get(server, tmp_path / "x", md5=None, bytes=None)
    only(tmp_path / "x")


def test_without_a_tag_nothing_is_resumed(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(cut_at=100_000, tag=None), answer(tag=None)]
    get(server, tmp_path / "x")
    only(tmp_path / "x")
    assert server.ranges == [None, None]


def test_busy_server_is_asked_again_when_it_says(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(503, b"", headers={"Retry-After": "7"}), answer(429, b""), answer(500, b""), answer()]
    assert get(server, tmp_path / "x") == [7, 4, 8]
    only(tmp_path / "x")


def test_wrong_checksum_is_fetched_once_more_and_then_refused(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(content=CONTENT[::-1])]
    with pytest.raises(UserError, match=f"is not the file that was published: its md5 is .*, not {MD5}, twice"):
        get(server, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []
    assert server.ranges == [None, None]


def test_damage_on_the_way_is_mended(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(content=CONTENT[::-1]), answer()]
    get(server, tmp_path / "x", md5=None, sha256=hashlib.sha256(CONTENT).hexdigest())
    only(tmp_path / "x")


def test_cut_off_is_seen_by_the_published_size_where_the_server_tells_none(server: Server, tmp_path: Path) -> None:
    server.answers = [answer(cut_at=100_000, announce=False), answer()]
    get(server, tmp_path / "x", md5=None)
    only(tmp_path / "x")


@pytest.mark.parametrize("status", [403, 404, 410])
def test_file_that_is_not_there_is_not_asked_for_again(server: Server, tmp_path: Path, status: int) -> None:
    server.answers = [answer(status, b"")]
    with pytest.raises(UserError, match=f"the server says {status} .*check the address in the manifest"):
        get(server, tmp_path / "x")
    assert len(server.ranges) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="could not be fetched"):
        fetch(PublicFile("f", "http://127.0.0.1:9/f"), tmp_path / "f", 2, lambda seconds: None)
    assert list(tmp_path.iterdir()) == []


def test_too_little_room_is_said_before_anything_is_fetched(server: Server, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make room or choose another folder"):
        get(server, tmp_path / "x", bytes=10**18)
    assert server.ranges == []


def test_part_that_is_whole_already(server: Server, tmp_path: Path) -> None:
    # Killed after the last byte, before the name was given.
    (tmp_path / ".x.part").write_bytes(CONTENT)
    (tmp_path / ".x.etag").write_text('"one"')
    server.answers = [answer()]
    get(server, tmp_path / "x")
    only(tmp_path / "x")


def test_what_was_fetched_is_summed_up_for_the_provenance(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(b"one")
    (tmp_path / "b c.gz").write_bytes(b"")
    words = ["download", "checksums", "--files", tmp_path / "a.gz", tmp_path / "b c.gz", "--out", tmp_path / "checksums.tsv"]
    assert main([str(word) for word in words]) == 0
    rows = of_inputs(tmp_path / "checksums.tsv", {})
    assert [(row.kind, row.file, row.bytes) for row in rows] == [
        ("input", str(tmp_path / "a.gz"), 3),
        ("input", str(tmp_path / "b c.gz"), 0),
    ]
    assert rows[0].sha256 == hashlib.sha256(b"one").hexdigest()
    assert main([str(word) for word in [*words[:3], tmp_path / "gone.gz", *words[5:]]]) == 1
