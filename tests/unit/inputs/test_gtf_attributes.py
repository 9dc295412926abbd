"""Attributes of a GTF, and gene ids that stand at several places."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from gta.inputs.genes import read_genes
from gta.inputs.gtf import attributes_of

WANTED = ("gene_id", "gene_name", "note", "level")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('gene_id "G1"; gene_name "CYCD1;1"; level 2;', {"gene_id": "G1", "gene_name": "CYCD1;1", "level": "2"}),
        ('gene_id "a;b";gene_name "B"', {"gene_id": "a;b", "gene_name": "B"}),
        ('note "x; gene_id Z"; gene_id "Q"', {"note": "x; gene_id Z", "gene_id": "Q"}),
        ('note "x; gene_id \\"Z\\"; y"; gene_id "Q";', {"note": 'x; gene_id "Z"; y', "gene_id": "Q"}),
        ('gene_id "A"; note "the "big" gene; x"; gene_name "B"', {"gene_id": "A", "note": 'the "big" gene; x', "gene_name": "B"}),
        ('gene_id "A" gene_name "B" level 3', {"gene_id": "A", "gene_name": "B", "level": "3"}),
        ("gene_id A;gene_name  B C ;level 1", {"gene_id": "A", "gene_name": "B C", "level": "1"}),
        ("gene_id 'a;b'; gene_name '5x';", {"gene_id": "a;b", "gene_name": "5x"}),
        ('gene_id "A" ; gene_name "B" # gene_name "C"; level 7', {"gene_id": "A", "gene_name": "B"}),
        (';; gene_id "A";; gene_name " B ";\r\n', {"gene_id": "A", "gene_name": "B"}),
        ('tag; gene_id "A"; gene_id "B"', {"gene_id": "A"}),
        ('my_gene_id "X"; gene_id "A"', {"gene_id": "A"}),
        ('gene_id ""; gene_name "3\'"', {"gene_id": "", "gene_name": "3'"}),
        ('gene_id "A', {"gene_id": "A"}),
        ("ID=gene:G1;Name=A", {}),
    ],
)
def test_attributes(text: str, expected: dict[str, str]) -> None:
    assert attributes_of(text, WANTED) == expected


def read(folder: Path, *lines: str, expression: pd.DataFrame | None = None) -> tuple[pd.DataFrame, list[str]]:
    path = folder / "genes.gtf.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + "".join(f"{line}\r\n" for line in lines).encode()))
    messages: list[str] = []
    return read_genes(path, messages.append, expression), messages


def line(feature: str, start: int, end: int, attributes: str, contig: str = "chr1", strand: str = "+") -> str:
    return f"{contig}\tX\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{attributes}"


def exons(gene: str, transcript: str, *places: tuple[int, int], contig: str = "chr1", strand: str = "+") -> list[str]:
    return [line("exon", *place, f'gene_id "{gene}"; transcript_id "{transcript}";', contig, strand) for place in places]


def places(genes: pd.DataFrame) -> list[list[object]]:
    return genes[["contig", "start", "end", "tss"]].to_numpy().tolist()


def test_ids_and_names_with_semicolons(tmp_path: Path) -> None:
    genes, _ = read(
        tmp_path,
        line("gene", 1, 9, 'gene_id "AT1"; gene_name "CYCD1;1"; gene_biotype "protein_coding";'),
        line("gene", 11, 19, 'gene_id "a;b";gene "RefSeq"; note "x; gene_id Z"'),
    )
    assert genes[["gene", "symbol", "biotype"]].to_numpy().tolist() == [
        ["AT1", "CYCD1;1", "protein_coding"],
        ["a;b", "RefSeq", ""],
    ]


def test_a_copy_of_a_gene_without_gene_lines_does_not_stretch_it(tmp_path: Path) -> None:
    copy = exons("A", "NM_1_dup1", (55_001, 56_000), (57_001, 58_000), strand="-")
    genes, messages = read(tmp_path, *exons("A", "NM_1", (5_001, 6_000), (7_001, 8_000), strand="-"), *copy)
    assert places(genes) == [["chr1", 5_000, 8_000, 7_999]]
    assert messages[1] == "genes: 2 lines repeat a gene id at another place and are left out (the first place is kept)"


def test_a_near_copy_and_a_second_name_of_a_transcript_far_away(tmp_path: Path) -> None:
    genes, _ = read(tmp_path, *exons("A", "NM_1", (5_001, 8_000)), *exons("A", "NM_1_dup1", (9_001, 12_000)))
    assert places(genes) == [["chr1", 5_000, 8_000, 5_000]]
    genes, _ = read(tmp_path, *exons("A", "NR_1", (5_001, 8_000)), *exons("A", "NR_2", (90_001, 92_000)))
    assert places(genes) == [["chr1", 5_000, 8_000, 5_000]]


def test_a_transcript_with_two_lines_at_two_places(tmp_path: Path) -> None:
    attributes = 'gene_id "A"; transcript_id "T";'
    lines = [
        line("transcript", 5_001, 8_000, attributes),
        line("exon", 5_001, 5_100, attributes),
        line("exon", 7_901, 8_000, attributes),
        line("transcript", 55_001, 58_000, attributes),
        line("exon", 55_001, 58_000, attributes),
    ]
    assert places(read(tmp_path, *lines)[0]) == [["chr1", 5_000, 8_000, 5_000]]


def test_transcripts_of_one_gene_are_one_place(tmp_path: Path) -> None:
    """They overlap, or nearly so; a long intron is no gap; and an Ensembl id is of one place by definition."""
    genes, messages = read(tmp_path, *exons("A", "T1", (101, 200), (400_001, 400_100)), *exons("A", "T2", (403_001, 404_000)))
    assert places(genes) == [["chr1", 100, 404_000, 100]] and len(messages) == 1
    far = [
        *exons("ENSG00000000001.4", "T1", (101, 200), strand="-"),
        *exons("ENSG00000000001.4", "T2", (90_001, 90_100), strand="-"),
    ]
    assert places(read(tmp_path, *far)[0]) == [["chr1", 100, 90_100, 90_099]]


@pytest.mark.parametrize("contig", ["chr1", "1"])
@pytest.mark.parametrize("feature", ["gene", "transcript"])
def test_the_place_of_the_expression_matrix_is_kept(tmp_path: Path, feature: str, contig: str) -> None:
    first, second = (
        line(feature, at + 1, at + 3_000, f'gene_id "A"; transcript_id "T{at}";', strand="-") for at in (5_000, 90_000)
    )
    elsewhere = line(feature, 1, 3_000, 'gene_id "A"; transcript_id "Y"', contig="chrY")
    matrix = pd.DataFrame({"gene": ["A"], "contig": [contig], "start": [92_999], "end": [93_000]})
    genes, messages = read(tmp_path, elsewhere, first, second, expression=matrix)
    assert places(genes) == [["chr1", 90_000, 93_000, 92_999]]
    assert (
        "2 lines repeat a gene id at another place" in messages[-1] and "of 1 genes that of the expression matrix" in messages[-1]
    )
    # A matrix that gives the whole gene, of which the transcripts are two parts, joins them.
    genes, _ = read(tmp_path, first, second, expression=matrix.assign(start=5_000, end=93_000))
    assert places(genes) == [["chr1", 5_000, 93_000, 92_999]]
    # One that gives neither place leaves the first.
    assert places(read(tmp_path, first, second, expression=matrix.assign(start=0, end=1))[0])[0][1] == 5_000


def test_par_genes_with_and_without_their_own_ids(tmp_path: Path) -> None:
    par = [
        line("gene", 101, 200, 'gene_id "ENSG00000182378.14";', "chrX"),
        line("gene", 51, 150, 'gene_id "ENSG00000182378.14";', "chrY"),
    ]
    assert places(read(tmp_path, *par)[0]) == [["chrX", 100, 200, 100]]
    own = [par[0], par[1].replace(".14", ".14_PAR_Y")]
    assert read(tmp_path, *own)[0]["gene"].tolist() == ["ENSG00000182378.14", "ENSG00000182378.14_PAR_Y"]
