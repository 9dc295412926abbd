"""Files: nothing half-written in place of a result."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gta.errors import UserError
from gta.files import atomic_path, require_file, sha256, staged_files


def test_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "table.tsv.gz"
    with atomic_path(target) as temporary:
        assert temporary.suffixes == [".tsv", ".gz"]
        temporary.write_text("half")
        assert not target.exists()
        temporary.write_text("whole")
    assert target.read_text() == "whole"
    assert list(target.parent.iterdir()) == [target]


def test_earlier_file_survives_a_failure(tmp_path: Path) -> None:
    target = tmp_path / "table.tsv"
    target.write_text("earlier")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    assert target.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("writer", [atomic_path, staged_files])
def test_a_failure_leaves_no_folder_behind(tmp_path: Path, writer: Callable[..., Any]) -> None:
    with pytest.raises(ZeroDivisionError), writer(tmp_path / "new" / "inside"):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    with pytest.raises(ZeroDivisionError), writer(tmp_path / "new" / "inside"):
        (tmp_path / "new" / "by another").touch()
        raise ZeroDivisionError
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["by another"]


def test_folder_replaces_an_earlier_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "old.json").write_text("old")
    with atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "new.json").write_text("new")
    assert [path.name for path in target.iterdir()] == ["new.json"]


def test_a_result_of_snakemake_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "pages"
    (target / "cohort").mkdir(parents=True)
    (target / ".snakemake_timestamp").touch()
    with atomic_path(target) as temporary:
        (temporary / "cohort").mkdir(parents=True)
    assert [path.name for path in target.iterdir()] == ["cohort"]


@pytest.mark.parametrize("other", ["calls.vcf", "folder/inside.json"])
def test_a_folder_of_other_things_is_never_replaced(tmp_path: Path, other: str) -> None:
    target = tmp_path / "precious"
    (target / other).parent.mkdir(parents=True)
    (target / other).touch()
    with pytest.raises(UserError, match="precious is a folder: give the path of a file"), atomic_path(target) as temporary:
        temporary.write_text("a file")
    with pytest.raises(UserError, match="precious would be replaced whole, but holds"), atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "new.json").write_text("new")
    assert (target / other).exists()
    assert list(tmp_path.iterdir()) == [target]


def test_others_may_read_what_a_cautious_writer_made(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "x") as temporary:
        temporary.touch(mode=0o600)
    (tmp_path / "y").touch()
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "y").stat().st_mode


def test_staged_files_come_together_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("stays")
    (tmp_path / "a").write_text("earlier")
    with pytest.raises(ZeroDivisionError), staged_files(tmp_path) as folder:
        (folder / "a").write_text("half")
        raise ZeroDivisionError
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"other": "stays", "a": "earlier"}
    with staged_files(tmp_path) as folder:
        (folder / "a").write_text("new")
        (folder / "link").symlink_to("other")
    assert (tmp_path / "a").read_text() == "new"
    assert (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "link", "other"]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc" * 100_000)
    assert sha256(tmp_path / "a") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    assert require_file(tmp_path / "here", "table") == tmp_path / "here"
    with pytest.raises(UserError, match=r"^The table .*absent does not exist: check the path\.$"):
        require_file(tmp_path / "absent", "table")
    with pytest.raises(UserError, match=r"is not a file: give the path of a file\.$"):
        require_file(tmp_path, "table")
