"""The user's small tables and lists: separators, line ends, blanks, quotation marks and encodings as users meet them."""

import gzip
from pathlib import Path

import pytest

from gta.errors import UserError
from gta.inputs.text_tables import annotation_columns, clean, number_of, read_list, read_text_table, warning_of_mangled
from gta.inputs.user_tables import read_populations, read_user_annotation

TEXT = "gene_id\tsymbol\tdescription\nG1\tA\tone\nG2\tB\ttwo\n"
CELLS = [["G1", "A", "one"], ["G2", "B", "two"]]


def write(folder: Path, text: str | bytes, name: str = "table.tsv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        gzip.compress(b"\xef\xbb\xbf" + TEXT.encode(), mtime=0),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.encode() + b"\n\t\t\n \n",
        TEXT.rstrip().encode(),
        TEXT.replace("\n", "\t\n").encode(),
        TEXT.replace("\t", " \t").replace("\n", "  \n").encode(),
        TEXT.replace("\t", "\u00a0\t\u200b").encode(),
        ("# made by hand\n## and so on\n\n#" + TEXT).encode(),
        TEXT.replace("G1", '"G1"').replace("one", '"one"').encode(),
        "\n".join("\t".join(f'"{cell}"' for cell in line.split("\t")) for line in TEXT.splitlines()).encode(),
    ],
    ids=[
        "plain",
        "mark",
        "gzip",
        "crlf",
        "cr",
        "empty_lines",
        "no_end",
        "tabs",
        "blanks",
        "odd_blanks",
        "remarks",
        "quoted",
        "all_quoted",
    ],
)
def test_one_table_in_many_forms(tmp_path: Path, content: bytes) -> None:
    table = read_text_table(write(tmp_path, content), "table")
    assert [name for name in table.header if name] == ["gene_id", "symbol", "description"]
    assert [cells[:3] for _, cells in table.rows] == CELLS
    assert read_user_annotation(tmp_path / "table.tsv")["gene"].tolist() == ["G1", "G2"]


def test_tabs_and_line_breaks_in_quotation_marks_are_blanks(tmp_path: Path) -> None:
    text = 'gene_id\tdescription\tnote\nG1\t"first line\nsecond\tline"\tx\nG2\t"says ""yes"""\ty\nG3\tz\t"ends\r\nlate"\n'
    table = read_text_table(write(tmp_path, text), "table")
    assert [cells for _, cells in table.rows] == [
        ["G1", "first line second line", "x"],
        ["G2", 'says "yes"', "y"],
        ["G3", "z", "ends late"],
    ]
    # Lines are those of the file.
    assert [number for number, _ in table.rows] == [2, 4, 5]


def test_a_quoted_line_break_in_the_last_of_two_columns(tmp_path: Path) -> None:
    table = read_text_table(write(tmp_path, 'gene\ttext\nG1\t"one\ntwo"\nG2\tthree\n'), "table")
    assert [cells for _, cells in table.rows] == [["G1", "one two"], ["G2", "three"]]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (['G1\t"A" boxes', 'G2\tthe "B" box'], ['"A" boxes', 'the "B" box']),
        (['G1\t"never closed', "G2\tx"], ['"never closed', "x"]),
        (['G1\t"opened', 'G2\tclosed"'], ['"opened', 'closed"']),
        (['G1\t5" end', "G2\t3'"], ['5" end', "3'"]),
        (['G1\t""', 'G2\t"'], ["", '"']),
        (['G1\t"a', "G2\tb", 'G1\tc"'], ['"a', "b", 'c"']),
    ],
)
def test_other_quotation_marks_are_characters(tmp_path: Path, cells: list[str], expected: list[str]) -> None:
    table = read_text_table(write(tmp_path, "gene\ttext\n" + "\n".join(cells) + "\n"), "table")
    assert [row[1] for _, row in table.rows] == expected
    assert {row[0] for _, row in table.rows} == {"G1", "G2"}


def test_quotation_marks_of_two_cells_do_not_make_one(tmp_path: Path) -> None:
    table = read_text_table(write(tmp_path, 'gene\ta\tb\nG1\t"x\ty"\n'), "table")
    assert table.rows == [(2, ["G1", '"x', 'y"'])]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gene_id,symbol\nG1,A\n", "single column, 'gene_id,symbol'.*separated by tabs.*if commas separate them"),
        ("gene_id;symbol\nG1;A\n", "if semicolons separate them"),
        ("gene_id symbol\nG1 A\n", "if blanks separate them"),
        ("gene\tSymbol\tsymbol\nG1\tA\tB\n", "columns 'Symbol' and 'symbol', which differ by case alone"),
        ("gene\tx\tx \nG1\tA\tB\n", "two columns named 'x'"),
        ("gene\tx\nG1\tA\tB\n", "line 2, has 3 columns where the header has 2.*row.names = FALSE"),
        ("gene\tx\nG1\ta text\nthat goes on\n", "line 3, is text without any tab .'that goes on'.*line break inside the cell"),
        (b"gene\tx\nG1\tcaf\xe9\n", "line 2, is not text in UTF-8 .the byte 0xe9.*iconv"),
        (TEXT.encode("utf-16"), "is text in UTF-16: convert it"),
        (gzip.compress(TEXT.encode("utf-16"), mtime=0), "is text in UTF-16: convert it"),
        (TEXT.encode("utf-16-le"), "no text in UTF-8"),
        (TEXT.encode("utf-32"), "is text in UTF-32"),
    ],
)
def test_broken_tables(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_text_table(write(tmp_path, text), "table")


@pytest.mark.parametrize(
    "header",
    [
        "gene_id\tsymbol\tbiotype\tdescription",
        "Gene_ID\tSymbol\tBiotype\tDescription",
        "GENE\t SYMBOL\tBIOTYPE \tDESCRIPTION",
        "Gene stable ID\tGene name\tGene type\tGene description",
        "ensembl_gene_id\thgnc_symbol\tgene.biotype\tdescription",
        "\ufeff#gene_id\tsymbol\tbiotype\tDescription",
    ],
)
def test_the_known_columns_of_the_annotation_in_any_case_and_of_biomart(tmp_path: Path, header: str) -> None:
    table = read_user_annotation(write(tmp_path, f"{header}\tGO_BP\nG1\tA\tlincRNA\tbinds\tgrowth\n"))
    assert table.to_dict("records") == [
        {"gene": "G1", "symbol": "A", "biotype": "lincRNA", "description": "binds", "GO_BP": "growth"}
    ]


def test_ids_without_version_come_first_and_further_columns_stay() -> None:
    header = ["Gene stable ID version", "Gene stable ID", "Gene name", "symbol"]
    assert annotation_columns(header, "x") == {
        "Gene stable ID version": "Gene stable ID version",
        "Gene stable ID": "gene",
        "Gene name": "Gene name",
        "symbol": "symbol",
    }
    with pytest.raises(UserError, match="columns 'gene id' and 'gene_id', and one alone can be gene_id"):
        annotation_columns(["gene id", "gene_id"], "The table x")


def test_blanks_around_individuals_and_other_names_of_the_columns(tmp_path: Path) -> None:
    table = read_populations(write(tmp_path, "Sample name\tSex\tPopulation code\nHG1 \tmale\tGBR\u00a0\n HG2\tfemale\tYRI\n"))
    assert table.to_dict("records") == [
        {"person": "HG1", "population": "GBR", "sex": "male"},
        {"person": "HG2", "population": "YRI", "sex": "female"},
    ]
    with pytest.raises(UserError, match="names 'HG1' in lines 2 and 3"):
        read_populations(write(tmp_path, "person\tpopulation\nHG1\tGBR\nHG1 \tYRI\n"))


def test_what_says_that_text_is_missing_is_no_text(tmp_path: Path) -> None:
    rows = ["G1\tNA\tNA\tx", "G2\tNA\t#N/A\t.", "G3\t-\tNaN\tNULL", "NA\tB\tNAD binding\tN/A"]
    table = read_user_annotation(write(tmp_path, "gene\tsymbol\tdescription\tnote\n" + "\n".join(rows)))
    assert table.to_numpy().tolist() == [
        ["G1", "", "", "x"],
        ["G2", "", "", ""],
        ["G3", "", "", ""],
        ["NA", "B", "NAD binding", ""],
    ]


def test_lists(tmp_path: Path) -> None:
    path = write(tmp_path, b'\xef\xbb\xbf# genes\r\nG1 \r\n\r\n"G2"\t\r\nG1\r\nG3', "list.txt")
    assert read_list(path, "list") == {"G1": 2, "G2": 4, "G3": 6}
    assert list(read_list(write(tmp_path, b"G1\rG2\r", "mac.txt"), "list")) == ["G1", "G2"]
    with pytest.raises(UserError, match=r"line 1, has 2 columns: keep the names alone"):
        read_list(write(tmp_path, "G1\tA\n"), "list")
    with pytest.raises(UserError, match="UTF-16"):
        read_list(write(tmp_path, "G1\n".encode("utf-16")), "list")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0,5", "write a point, not a comma"),
        ("1,234.5", "without signs between thousands"),
        ("1.234,5", "without signs between thousands"),
        ("NA", "give every value"),
        ("#N/A", "give every value"),
        ("-inf", "give every value"),
        ("1_7", "give every value"),
    ],
)
def test_what_is_no_number(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        number_of(text)


def test_numbers_and_cells() -> None:
    assert number_of(" -1.5e-3") == -0.0015
    assert clean("\u00a0a\u00a0b\u200b \t\n") == "a b"


def test_names_that_a_spreadsheet_has_changed() -> None:
    changed = ["1-Mar", "Sep-02", "2001-03-01", "1. Mrz", "3/1/2001", "2.31E+13"]
    warning = warning_of_mangled([*changed, "MARCH1", "SEPT2", "DEC1", "NKX2-1", "oct-1"], "annotation")
    assert warning is not None and "warning: 6 names" in warning and "'1-Mar'" in warning
    assert warning_of_mangled(["MARCH1", "H2-K1", "apr-1", "7SK", "1-8D"], "annotation") is None
