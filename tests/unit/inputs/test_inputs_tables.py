"""Tables that this workflow writes are read as they were."""

from pathlib import Path

import pandas as pd
import pytest

from gta.errors import UserError
from gta.inputs.tables import read_table, write_table


def test_quotation_marks_are_ordinary_characters(tmp_path: Path) -> None:
    table = pd.DataFrame({"gene": ['"A"', 'B"', "C", '"'], "text": ['5" end', "", "it's", '""']})
    write_table(table, tmp_path / "table.tsv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.tsv", ("gene", "text")), table, check_dtype=False)


def test_numbers_have_the_digits_that_are_asked_for(tmp_path: Path) -> None:
    write_table(pd.DataFrame({"x": [1 / 3, 2.0], "n": [1, 2]}), tmp_path / "table.tsv", "%.3g")
    assert (tmp_path / "table.tsv").read_text() == "x\tn\n0.333\t1\n2\t2\n"


@pytest.mark.parametrize("cell", ["a\tb", "a\nb", "a\rb"])
def test_a_cell_that_would_break_the_table_is_refused(tmp_path: Path, cell: str) -> None:
    table = pd.DataFrame({"gene": ["g1", "g2"], "n": [1, 2], "text": ["fine", cell]})
    with pytest.raises(UserError, match=r"table.tsv cannot hold .*, of the column text: it has a tab or a line break"):
        write_table(table, tmp_path / "table.tsv")
