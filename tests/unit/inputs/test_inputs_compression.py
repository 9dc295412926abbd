"""Plain, gzip, bgzip, and files that are cut short."""

import gzip
import subprocess
import sys

import pysam
import pytest

from gta.errors import UserError
from gta.inputs.compression import bgzip_copy, compression_of, open_bytes, open_text

TEXT = "".join(f"line {number}\n" for number in range(20_000))


@pytest.fixture
def three_kinds(tmp_path):
    plain, gz, bgz = tmp_path / "plain", tmp_path / "gz", tmp_path / "bgz"
    plain.write_text(TEXT)
    gz.write_bytes(gzip.compress(TEXT.encode()))
    with pysam.BGZFile(str(bgz), "wb", None) as handle:
        handle.write(TEXT.encode())
    return plain, gz, bgz


def test_kinds_are_told_by_content_not_by_name(three_kinds):
    assert [compression_of(path, "file") for path in three_kinds] == ["plain", "gzip", "bgzip"]
    for path in three_kinds:
        with open_text(path, "file") as handle:
            assert handle.read() == TEXT


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_files_cut_short(three_kinds, tmp_path, keep):
    for path in three_kinds[1:]:
        whole = path.read_bytes()
        cut = tmp_path / "cut"
        cut.write_bytes(whole[: int(len(whole) * keep)])
        with pytest.raises(UserError, match="cut short"), open_bytes(cut, "file") as handle:
            handle.read()


def test_bgzip_cut_between_two_blocks(three_kinds, tmp_path):
    """Python's gzip reads such a file to its early end without complaint."""
    cut = tmp_path / "cut"
    cut.write_bytes(three_kinds[2].read_bytes()[:-28])
    assert gzip.decompress(cut.read_bytes()).decode() == TEXT
    with pytest.raises(UserError, match=r"cut .*cut short.*bgzip"):
        compression_of(cut, "file")


def test_damage_in_the_middle(three_kinds, tmp_path):
    broken = bytearray(three_kinds[1].read_bytes())
    broken[len(broken) // 2 : len(broken) // 2 + 50] = b"\0" * 50
    path = tmp_path / "broken"
    path.write_bytes(broken)
    with pytest.raises(UserError, match="damaged"), open_bytes(path, "file") as handle:
        handle.read()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest", "zip archive or a spreadsheet"),
        (b"\xff\xfea\0", "UTF-16"),
        (b"BZh9rest", "bzip2"),
        (b"caf\xe9\n", "not text in UTF-8"),
    ],
)
def test_files_that_are_something_else(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message), open_text(path, "file") as handle:
        handle.read()


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        compression_of(tmp_path / "nothing", "file")
    with pytest.raises(UserError, match="is not a file"):
        compression_of(tmp_path, "file")


def test_copies_are_bgzip_and_the_same_every_time(three_kinds, tmp_path):
    copies = []
    for number, source in enumerate(three_kinds[:2]):
        target = tmp_path / f"copy{number}.gz"
        bgzip_copy(source, target, "file")
        assert compression_of(target, "file") == "bgzip"
        assert gzip.decompress(target.read_bytes()).decode() == TEXT
        copies.append(target.read_bytes())
    assert copies[0] == copies[1]


def test_messages_of_c_code_are_captured_and_standard_error_comes_back():
    script = (
        "import os, sys\nfrom gta.inputs.htslib import captured_messages\n"
        "with captured_messages() as lines:\n    os.write(2, b'from C\\n')\n"
        "print(lines)\nos.write(2, b'after\\n')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.stdout == "['from C']\n"
    assert done.stderr == "after\n"
