"""The user's tables of text."""

import pytest

from gta.errors import UserError
from gta.inputs.user_tables import read_populations, read_user_annotation


def write(tmp_path, text):
    path = tmp_path / "table.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_annotation_keeps_every_column_as_text(tmp_path):
    table = read_user_annotation(write(tmp_path, '\ufeffsymbol\tgene_id\tnote\tcount\nNA\tG1\tsaid "so, twice\t007\n\nB\tG2\n'))
    assert table.columns.tolist() == ["gene", "symbol", "note", "count"]
    assert table.to_numpy().tolist() == [["G1", "NA", 'said "so, twice', "007"], ["G2", "B", "", ""]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("symbol\tdescription\nA\tx\n", "no column gene_id or gene"),
        ("gene\ttext\nG1\tx\nG2\ty\nG1\tz\n", "'G1' in lines 2 and 4"),
        ("gene\ttext\nG1\tx\ty\n", "line 2, has 3 columns where the header has 2"),
        ("gene\ttext\n\tx\n", "line 2, has no gene"),
        ("gene\ttext\ttext\nG1\tx\ty\n", "two columns named 'text'"),
        ("gene\ttext\n", "no rows"),
        ("gene,text\nG1,x\n", "separated by tabs"),
    ],
)
def test_broken_annotation(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_user_annotation(write(tmp_path, text))


def test_panel_file_of_the_1000_genomes_project(tmp_path):
    """Its header ends with two tabs, and it has the population at two levels."""
    table = read_populations(
        write(tmp_path, "sample\tpop\tsuper_pop\tgender\t\t\nHG00096\tGBR\tEUR\tmale\nNA18486\tYRI\tAFR\tmale\n")
    )
    assert table.columns.tolist() == ["person", "population", "sex"]
    assert table.to_numpy().tolist() == [["HG00096", "GBR", "male"], ["NA18486", "YRI", "male"]]


def test_populations_under_our_own_names(tmp_path):
    table = read_populations(write(tmp_path, "Population\tPerson\tage\nGBR\t001\t31\n"))
    assert table.to_numpy().tolist() == [["001", "GBR"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name\tpop\nA\tx\n", "no column person or sample"),
        ("person\tcountry\nA\tx\n", "no column population or pop"),
        ("person\tpop\nA\tx\nA\ty\n", "'A' in lines 2 and 3"),
    ],
)
def test_broken_populations(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_populations(write(tmp_path, text))


def test_a_matrix_with_four_leading_columns_is_no_annotation(tmp_path):
    path = tmp_path / "matrix.bed"
    path.write_text("#chr\tstart\tend\tgene\tP1\n1\t1\t2\tG1\t0.5\n")
    with pytest.raises(UserError, match="looks like an expression matrix"):
        read_user_annotation(path)
