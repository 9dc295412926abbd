"""Text about genes from public files: small files in the form of the originals, answers by hand."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from gta.cli import main
from gta.errors import UserError
from gta.language.annotate import Sources, annotate, read_gene_info, read_go_annotations, read_go_terms

GENE_INFO = """\
#tax_id\tGeneID\tSymbol\tLocusTag\tSynonyms\tdbXrefs\tdescription\tFull_name_from_nomenclature_authority
9606\t1312\tCOMT\t-\tHEL-S-98n|ILOH\tMIM:116790|HGNC:HGNC:2228|Ensembl:ENSG00000093010\tcatechol\tcatechol-O-methyltransferase
9606\t7\tAIM\t-\t-\t-\tabsent in melanoma\t-
9606\t8\tAIM\t-\t-\t-\tthe second of that symbol\t-
"""
SUMMARIES = """\
#tax_id\tGeneID\tSource\tSummary
9606\t1312\tRefSeq\tTransfers a methyl group. [provided by RefSeq, Sep 2008].
9606\t7\tRefSeq\tNo remark here.
9606\t99\tRefSeq\tOf another gene.
"""
ANNOTATIONS = "!gaf-version: 2.2\n" + "".join(
    f"UniProtKB\tP{number}\t{symbol}\t{qualifier}\tGO:{term:07}\tPMID:1\t{evidence}\t\t{aspect}\tname\t\tprotein\ttaxon:9606\t2020\tX\t\t\n"
    for number, (symbol, qualifier, term, evidence, aspect) in enumerate(
        [
            ("COMT", "involved_in", 2, "IDA", "P"),
            ("COMT", "involved_in", 3, "IDA", "P"),
            ("COMT", "involved_in", 3, "IEA", "P"),
            ("COMT", "NOT|involved_in", 4, "IDA", "P"),
            ("COMT", "enables", 5, "ND", "F"),
            ("COMT", "located_in", 6, "IDA", "C"),
            ("COMT", "enables", 7, "IDA", "F"),
            ("ZZZ", "enables", 2, "IDA", "F"),
        ]
    )
)
TERMS = """\
format-version: 1.2

[Term]
id: GO:0000002
name: dopamine catabolic process

[Term]
id: GO:0000003
name: methylation
alt_id: GO:0000033

[Term]
id: GO:0000006
name: membrane
is_obsolete: true

[Term]
id: GO:0000007
name: methyltransferase activity

[Typedef]
id: part_of
name: part of
"""
USER = pd.DataFrame(
    {
        "gene": ["ENSG00000093010.8", "ENSG00000000002"],
        "symbol": ["COMT", "AIM"],
        "biotype": ["protein_coding", "lincRNA"],
        "description": ["", "the user's own"],
        "go_mf": ["mine", ""],
    }
)
GENES = pd.DataFrame(
    {"gene": ["ENSG00000093010.8", "ENSG00000000003"], "symbol": ["COMT", "NEW"], "biotype": ["protein_coding", "snoRNA"]}
)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    (tmp_path / "gene_info.gz").write_bytes(gzip.compress(GENE_INFO.encode()))
    for name, text in (("gene_summary", SUMMARIES), ("goa.gaf", ANNOTATIONS), ("go.obo", TERMS)):
        (tmp_path / name).write_text(text)
    return Sources(tmp_path / "gene_info.gz", tmp_path / "gene_summary", tmp_path / "goa.gaf", tmp_path / "go.obo")


def test_every_column_by_hand(sources: Sources) -> None:
    table = annotate(USER, GENES, sources).set_index("gene")
    assert list(table.index) == ["ENSG00000093010.8", "ENSG00000000002", "ENSG00000000003"]
    assert table.loc["ENSG00000093010.8"].to_dict() == {
        "symbol": "COMT",
        "biotype": "protein_coding",
        "description": "catechol-O-methyltransferase",
        "go_mf": "mine",  # the user's word stands
        "synonyms": "HEL-S-98n, ILOH",
        "summary": "Transfers a methyl group.",
        "go_bp": "methylation; dopamine catabolic process",  # most annotations first; the negated one is not there
        "go_cc": "",  # an obsolete term
    }
    # By its symbol, the first of two rows; no full name of the authority.
    assert table.loc["ENSG00000000002", ["description", "summary"]].tolist() == ["the user's own", "No remark here."]
    assert table.loc["ENSG00000000003"].drop(["symbol", "biotype"]).eq("").all()


def test_names_are_found_by_ensembl_id_before_symbol(sources: Sources) -> None:
    assert sources.gene_info is not None
    info = read_gene_info(sources.gene_info)
    by_id, by_symbol = info.find("ENSG00000093010.99", "AIM"), info.find("ENSG9", "AIM")
    assert by_id is not None and by_id.gene_id == "1312"
    assert by_symbol is not None and (by_symbol.gene_id, by_symbol.name) == ("7", "absent in melanoma")
    assert info.find("ENSG9", "NEW") is None


def test_terms_and_alternative_ids(sources: Sources) -> None:
    assert sources.go_terms is not None
    names = read_go_terms(sources.go_terms)
    assert names["GO:0000003"] == names["GO:0000033"] == "methylation"
    assert "GO:0000006" not in names and "part_of" not in names


def test_the_command_writes_the_table(sources: Sources, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    USER.to_csv(tmp_path / "annotation.tsv", sep="\t", index=False)
    GENES.to_csv(tmp_path / "genes.tsv", sep="\t", index=False)
    words = ["language", "annotate", "--annotation", tmp_path / "annotation.tsv", "--genes", tmp_path / "genes.tsv"]
    words += ["--gene-info", sources.gene_info, "--out", tmp_path / "out.tsv"]
    assert main([str(word) for word in words]) == 0
    assert "description: 2 of 3 genes, 1 of them from the user's table" in capsys.readouterr().out
    assert main([*[str(word) for word in words], "--go-terms", str(sources.go_terms)]) == 1
    assert "data.go_terms: it needs data.go_annotations beside it; give both." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("gene_info.gz", "#tax_id\tGeneID\n9606\t1\n", "has no column 'Symbol'"),
        ("gene_info.gz", GENE_INFO + "9606\t9\n", "line 5, has 2 columns where the header has 8"),
        ("gene_info.gz", GENE_INFO.splitlines()[0] + "\n", "has no rows"),
        ("gene_summary", "<html>\n", "has no column 'GeneID'"),
        ("goa.gaf", ANNOTATIONS + "UniProtKB\tP1\tCOMT\n", "line 10, is no annotation of GAF 2"),
        ("goa.gaf", "!gaf-version: 2.2\n", "holds no annotation"),
        ("go.obo", "format-version: 1.2\n", "names no term"),
    ],
)
def test_a_broken_file_is_one_sentence(sources: Sources, tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=rf"data\.\w+: .*{name}.*{expected}"):
        annotate(USER, GENES, sources)


def test_no_annotation_of_other_genes_is_kept(sources: Sources) -> None:
    assert sources.go_annotations is not None
    assert {symbol for symbol, _ in read_go_annotations(sources.go_annotations, {"COMT"})} == {"COMT"}
