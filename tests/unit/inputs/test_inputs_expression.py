"""The expression matrix."""

import gzip

import numpy as np
import pytest

from gta.errors import UserError
from gta.inputs.expression import read_expression

HEADER = "#chr\tstart\tend\tgene\tlength\tstrand\tP1\tP2\n"
ROW = "1\t10\t11\tG1\t900\t+\t0.1\t2e3\n"


def read(tmp_path, text):
    path = tmp_path / "expression.bed"
    path.write_text(text)
    return read_expression(path)


def test_values_are_kept_to_the_last_bit(tmp_path):
    matrix = read(tmp_path, HEADER + ROW + "2\t5\t6\tNA\t1\t-\t0\t0.30000000000000004\n")
    assert matrix.people == ["P1", "P2"]
    assert matrix.genes.to_numpy().tolist() == [["G1", "1", 10, 11], ["NA", "2", 5, 6]]
    np.testing.assert_array_equal(matrix.values, [[0.1, 2000.0], [0.0, 0.1 + 0.2]])


@pytest.mark.parametrize(
    "header", ["#Chr\tstart\tend\tpid\tgid\tstrand\tP1\tP2\n", "## made today\n#Chr\tStart\tEnd\tTargetID\tx\tStrand\tP1\tP2\n"]
)
def test_headers_of_other_programs_gzip_and_windows_line_ends(tmp_path, header):
    path = tmp_path / "expression.bed.gz"
    path.write_bytes(gzip.compress((header + ROW).replace("\n", "\r\n").encode()))
    matrix = read_expression(path)
    assert matrix.people == ["P1", "P2"]
    assert matrix.genes["gene"].tolist() == ["G1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEADER + ROW.replace("0.1", "NA"), "line 2, gene 'G1', person 'P1': 'NA' is not a number"),
        (HEADER + ROW.replace("0.1", ""), "person 'P1': '' is not a number"),
        (HEADER + ROW.replace("2e3", "nan"), "person 'P2': 'nan' is not a number"),
        (HEADER + ROW.replace("2e3", "inf"), "person 'P2': 'inf' is not a number"),
        (HEADER + ROW.replace("2e3", "-0.5"), "person 'P2': -0.5 is negative; give TPM or RPKM before any logarithm"),
        (HEADER + ROW + "\n" + ROW, "gene 'G1' more than once"),
        (HEADER.replace("P2", "P1") + ROW, "person 'P1' more than once"),
        (HEADER.replace("P2", " ") + ROW, "a person without a name"),
        (HEADER + ROW + "1\t10\t11\tG2\t900\t+\t0.1\n", "line 3, has 7 columns where the header has 8"),
        (HEADER + ROW.replace("\t10\t", "\t1e1\t"), "start '1e1'"),
        (HEADER + ROW.replace("\t10\t", "\t12\t"), "start '12' and end '11': whole numbers with start <= end"),
        (HEADER + ROW.replace("0.1", "1_0"), "'1_0' is not a number"),
        (HEADER + ROW.replace("G1", ""), "line 2, has no gene"),
        (HEADER.replace("P2", "P2 ") + ROW, "'P2 ' with a blank"),
        (HEADER.replace("P2", "gene") + ROW, "a person called 'gene'"),
        (HEADER.replace("\tstrand", "") + ROW, "with all six columns before the people"),
        (HEADER.replace("\tlength", "") + ROW, "with all six columns before the people, or with the first four of them alone"),
        ("#chr\tstart\tend\tname\tP1\n" + "1\t10\t11\tG1\t1\n", "with all six columns before the people"),
        ("#chr\tstart\tend\tgene\tP1\n" + "1\t10\t11\tG1\t1\t2\n", "line 2, has 6 columns where the header has 5"),
        ("#chr\tstart\tend\tgene\tP1\n" + "1\t10\t11\tG1\tx\n", "gene 'G1', person 'P1': 'x' is not a number"),
        (HEADER, "no genes"),
        ("#chr\tstart\tend\tgene\tlength\tstrand\n", "no people"),
        (ROW, "does not begin with the header"),
        (HEADER.replace("\t", " ") + ROW, "separated by tabs"),
        (HEADER + ROW.replace("0.1", "0,1"), "'0,1' is not a number; write a point, not a comma"),
        (HEADER + ROW.replace("0.1", "1,234.5"), "'1,234.5' is not a number; write it without signs between thousands"),
        (HEADER + ROW.replace("0.1", "#N/A"), "'#N/A' is not a number; give every value"),
    ],
)
def test_mistakes_are_named(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize("name", ["gene", "Gene_ID", "phenotype_id", "pid"])
def test_four_leading_columns(tmp_path, name):
    matrix = read(tmp_path, f"#Chr\tstart\tend\t{name}\tP1\n1\t10\t11\tG1\t2.5\n")
    assert matrix.people == ["P1"] and matrix.values.tolist() == [[2.5]]
    assert matrix.genes.to_numpy().tolist() == [["G1", "1", 10, 11]]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + (HEADER + ROW).encode(),
        (HEADER + ROW + "\n \n\t\t\n").encode(),
        (HEADER + ROW).replace("\n", "\t\t\n").encode(),
        (HEADER + ROW).replace("\n", "\r").encode(),
        (HEADER + ROW).replace("G1", '"G1"').replace("#chr", '"#chr"').replace("P1", '"P1"').encode(),
        (HEADER + ROW).replace("G1", " G1\u00a0").replace("0.1", " 0.1 ").encode(),
        (HEADER + ROW).replace("#chr\tstart\tend", "#chrom\tchromStart\tchromEnd").encode(),
    ],
    ids=["mark", "empty_lines", "tabs", "cr", "quoted", "blanks", "ucsc"],
)
def test_a_matrix_in_many_forms(tmp_path, content):
    (tmp_path / "e.bed").write_bytes(content)
    matrix = read_expression(tmp_path / "e.bed")
    assert matrix.people == ["P1", "P2"]
    assert matrix.genes["gene"].tolist() == ["G1"] and matrix.values.tolist() == [[0.1, 2000.0]]
