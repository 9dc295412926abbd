"""Genes and TSS from a GTF."""

import pytest

from gta.errors import UserError
from gta.inputs.genes import read_genes


def read(tmp_path, *lines):
    path = tmp_path / "genes.gtf"
    path.write_text("".join(f"{line}\n" for line in lines))
    messages = []
    return read_genes(path, messages.append), messages


def line(feature="gene", contig="1", start=101, end=200, strand="+", attributes='gene_id "G1";'):
    return f"{contig}\tX\t{feature}\t{start}\t{end}\t.\t{strand}\t.\t{attributes}"


def test_tss_is_the_first_transcribed_base(tmp_path):
    genes, _ = read(tmp_path, line(), line(strand="-", attributes='gene_id "G2";'))
    # 1-based closed 101..200 is 0-based half-open [100, 200); its bases are 100 .. 199.
    assert genes[["gene", "start", "end", "tss"]].to_numpy().tolist() == [["G1", 100, 200, 100], ["G2", 100, 200, 199]]


@pytest.mark.parametrize("key", ["gene_type", "gene_biotype"])
def test_names_and_biotypes_of_gencode_and_ensembl(tmp_path, key):
    genes, _ = read(tmp_path, line(attributes=f'gene_id "G1"; gene_name "SYM; no"; level 2; {key} "lincRNA"; havana_gene "O1";'))
    assert genes.loc[0, "biotype"] == "lincRNA"
    genes, _ = read(tmp_path, line(attributes=f'gene_id "G1"; transcript_id "T"; {key} "lincRNA"; gene_name "SYM";'))
    assert genes.loc[0, ["gene", "symbol", "biotype"]].tolist() == ["G1", "SYM", "lincRNA"]


def test_without_gene_lines_the_span_of_transcripts_counts(tmp_path):
    genes, messages = read(
        tmp_path,
        line("exon", start=151, end=180),
        line("transcript", start=121, end=300),
        line("CDS", start=1, end=5000),
        line("exon", start=401, end=500, strand="-", attributes='gene_id "G2";'),
    )
    assert genes[["gene", "start", "end", "tss"]].to_numpy().tolist() == [["G1", 120, 300, 120], ["G2", 400, 500, 499]]
    assert "no gene lines" in messages[0]


def test_a_gene_at_two_places_is_kept_at_the_first(tmp_path):
    genes, messages = read(tmp_path, line(contig="X"), line(contig="Y", start=901, end=950))
    assert genes[["gene", "contig", "start"]].to_numpy().tolist() == [["G1", "X", 100]]
    assert messages == ["genes: 1 lines repeat a gene id at another place and are left out (the first place is kept)"]
    # The same without gene lines: exons elsewhere do not stretch the gene.
    genes, _ = read(tmp_path, line("exon", contig="X"), line("exon", contig="Y", start=901, end=950))
    assert genes[["contig", "start", "end"]].to_numpy().tolist() == [["X", 100, 200]]


def test_par_y_has_its_own_id(tmp_path):
    genes, _ = read(tmp_path, line(contig="X"), line(contig="Y", attributes='gene_id "G1_PAR_Y";'))
    assert genes["gene"].tolist() == ["G1", "G1_PAR_Y"]


def test_genes_without_strand_are_left_out(tmp_path):
    genes, messages = read(tmp_path, line(), line(strand=".", attributes='gene_id "G2";'))
    assert genes["gene"].tolist() == ["G1"]
    assert "1 genes without a strand" in messages[0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1 X gene 1 2 . + . gene_id"], "line 1, has 1 columns"),
        ([line(), line(start="x")], "line 2, has start 'x'"),
        ([line(start=300)], "1 <= start <= end"),
        ([line(start=0)], "1 <= start <= end"),
        ([line(attributes="ID=gene:G1;Name=A")], "gffread"),
        ([line("CDS")], "no lines of genes"),
        (["# only a comment"], "no lines of genes"),
        (
            [line(strand="*"), line(strand=".", attributes='gene_id "G2";')],
            r"none of its 2 genes .*'G1' has '\*'",
        ),
        ([line(strand="")], "none of its 1 genes on which strand"),
    ],
)
def test_broken_files(tmp_path, lines, message):
    with pytest.raises(UserError, match=message):
        read(tmp_path, *lines)
