"""Mistakes that reach any stage: the system's refusals, numbers that are none, files of the wrong kind."""

import os
from pathlib import Path

import numpy as np
import pytest

from gta.aligner.settings import AlignerSettings
from gta.cli import main
from gta.errors import UserError
from gta.inputs.tables import read_matrix
from gta.language.cache import PromptCache
from gta.language.prototypes import load_prototypes
from gta.settings import from_mapping
from gta.tensors import load_arrays, save_arrays


def test_a_file_in_the_place_of_the_folder_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file.tsv").write_text("gene\tvalue\nG1\t0.5\n")
    words = ["--results", str(tmp_path), "--table", "file", "T", "D", "--out", str(tmp_path / "file.tsv" / "inside")]
    assert main(["report", "tables", *words]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: The system refused") and "file" in said and "check the path" in said


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(UserError, match=r"aligner\.learning_rate: .* write a finite one"):
        from_mapping(AlignerSettings, {"learning_rate": value}, "aligner")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    save_arrays(tmp_path / "a.safetensors", {"one": np.arange(3)}, {"made": "by hand"})
    assert load_arrays(tmp_path / "a.safetensors", "thing", ("one",))[1] == {"made": "by hand"}
    with pytest.raises(UserError, match="no complete prompt cache"):
        PromptCache.load(tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="no complete file of prototypes"):
        load_prototypes(tmp_path / "a.safetensors")


def test_a_matrix_that_was_cut_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.parquet").write_bytes(b"PAR1" + os.urandom(50))
    with pytest.raises(UserError, match="is not whole"):
        read_matrix(tmp_path / "m.parquet")
