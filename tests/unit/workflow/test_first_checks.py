"""What a dry run sees in the user's files: their beginnings, and the tables that only late stages read."""

import gzip
import time
from pathlib import Path
from typing import Any

import pytest

from gta.errors import UserError
from gta.workflow import names
from gta.workflow.config import check

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=22>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG1\tHG2\tHG9\n"
GTF = '{contig}\tx\tgene\t1\t4\t.\t+\t.\tgene_id "{gene}"; gene_name "{symbol}";\n'


EXPRESSION = "#chr\tstart\tend\tgene_id\tHG1\tHG2\n22\t1\t2\tENSG00000000001.4\t1\t2\n7\t1\t2\tENSG00000000002\t1\t2\n"


class Study:
    """A user's files and configuration; `change` writes a file anew."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.config: dict[str, Any] = {
            "data_dir": str(folder),
            "results": str(folder / "results"),
            "data": {"reference": "r.fa", "genotypes": "g.vcf", "genes": "g.gtf", "expression": "e.bed", "annotation": "a.tsv"},
            "cohort": {"contigs": ["22"]},
        }
        self.change("r.fa", ">22 x\nACGT\n>7\nACGT\n")
        self.change("g.vcf", HEADER + "22\t5\t.\tA\tG\t.\t.\t.\tGT\t0|1\t1|0\t0|0\n")
        genes = (
            ("chr22", "ENSG00000000001.1", "ONE"),
            ("chr7", "ENSG00000000002.1", "TWO"),
            ("chrX", "ENSG00000000003.1", "SIX"),
        )
        self.change("g.gtf", "".join(GTF.format(contig=contig, gene=gene, symbol=symbol) for contig, gene, symbol in genes))
        self.change("e.bed", EXPRESSION)
        self.change("a.tsv", "gene_id\tsymbol\nENSG00000000001\tONE\n")

    def change(self, name: str, text: str | bytes) -> None:
        (self.folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    def said(self) -> str:
        with pytest.raises(UserError) as caught:
            check(self.config)
        return str(caught.value)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(tmp_path)


def test_whole_files_pass(study: Study) -> None:
    assert check(study.config).contigs == ["22"]


def test_contigs_are_found_without_an_index(study: Study) -> None:
    study.config["cohort"] = {"contigs": ["chr22"]}
    assert study.said() == "cohort.contigs: 'chr22' is no contig of the data; did you mean '22'?"
    (study.folder / "r.fa").write_bytes(gzip.compress(b">22 x\nACGT\n>7\nACGT\n", mtime=0))
    assert "did you mean '22'?" in study.said()
    study.config["cohort"] = {"contigs": ["7"]}
    assert check(study.config).contigs == ["7"]


def test_an_index_that_is_older_than_the_reference_is_not_believed(study: Study) -> None:
    index = study.folder / "r.fa.fai"
    index.write_text("chr22\t4\t6\t4\t5\n")
    data = check(study.config, files=False).data
    assert names.contigs_of_data(data) == ["chr22"]
    time.sleep(0.02)
    study.change("r.fa", ">22\nACGT\n")
    assert names.contigs_of_data(data) == ["22"]


@pytest.mark.parametrize("text", [">a\nAC\n>b c\nA\n>d", "\n>a\n>b\tx\n>d\r\n"])
def test_the_names_in_a_fasta(study: Study, text: str) -> None:
    study.change("r.fa", text)
    assert names.contigs_of_data(check(study.config, files=False).data) == ["a", "b", "d"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("r.fa", "@read\nACGT\n", "data.reference: .* is not FASTA"),
        ("g.vcf", "hello\n", "data.genotypes: .* is neither VCF nor BCF"),
        ("g.vcf", HEADER.replace("\tHG1\tHG2\tHG9", ""), "its header names no person"),
        ("g.vcf", HEADER.replace("HG1\tHG2", "Q1\tQ2"), "no person in common: the one has 'Q1', 'Q2', 'HG9', the other 'HG1'"),
        ("e.bed", "#chr\tstart\tend\tname\tHG1\n", "does not begin with the header `#chr start end"),
        ("e.bed", "#chr\tstart\tend\tgene\tHG1\tHG1\n", "names the person 'HG1' more than once"),
        ("e.bed", "#chr\tstart\n".encode("utf-16"), "is text in UTF-16"),
        ("g.gtf", "22 x gene 1 4 . + . gene_id\n", "line 1, has 1 columns instead of 9"),
        ("a.tsv", "gen\tsymbol\nG\tS\n", "no column gene_id or gene"),
        ("a.tsv", "gene,symbol\nG,S\n", "if commas separate them"),
        ("p.tsv", "person\tcountry\nHG1\tx\n", "no column population or pop"),
    ],
)
def test_files_that_begin_wrongly(study: Study, name: str, text: str | bytes, message: str) -> None:
    study.change(name, text)
    if name == "p.tsv":
        study.config["data"]["populations"] = name
    with pytest.raises(UserError, match=message):
        check(study.config)


def test_genotypes_that_are_not_phased(study: Study) -> None:
    rows = "22\t{}\t.\tA\tG\t.\t.\t.\tDP:GT\t3:0/1\t3:1/0\t3:0/1\n"
    study.change("g.vcf", HEADER + "".join(rows.format(position) for position in (5, 6)))
    said = study.said()
    # HG9 has no expression: nobody reads those calls.
    assert "4 of the first 4 heterozygous calls" in said and "(such as 0/1 of HG1 at 22:5)" in said
    study.config["haplotypes"] = {"unphased": "as_listed"}
    check(study.config)
    # Homozygotes have no phase, and single unphased calls may lie in no window.
    study.config["haplotypes"] = {}
    phased = "22\t7\t.\tA\tG\t.\t.\t.\tGT\t0|1\t1|0\t0/1\n22\t8\t.\tA\tG\t.\t.\t.\tGT\t0/1\t1/1\t./.\n"
    study.change("g.vcf", HEADER + phased)
    check(study.config)


@pytest.mark.parametrize(
    ("key", "name", "text", "message"),
    [
        (
            "elements",
            "e.bed.gz",
            b"chrUn\t1\t2\n",
            "no contig of .* is in the reference: it has 'chrUn', the reference '22'",
        ),
        ("elements", "x.bed", b"22\t1\t2\n22\tx\t2\n", "data.elements: The file of known elements .*, line 2, is not BED"),
        ("elements", "x.tsv", b"gene\tcontig\tstart\tend\nENSG9\t22\t1\t2\n", "no gene of .* is in the data: it has 'ENSG9'"),
        ("elements", "x.tsv", b"gene\tcontig\tstart\tend\nG\t22\t1e3\t2\n", "line 2, has gene 'G', contig '22', start '1e3'"),
        ("elements", "x.bw", b"no bigwig", "data.elements: .* is no bigWig"),
        ("eqtls", "q.tsv", b"gene\tvariant\tslope\nENSG9\t22_1_A_G\t1\n", "data.eqtls: no gene of .* is in the data"),
        ("eqtls", "q.tsv", b"gene\tvariant\tslope\nENSG9\tchrUn_1_A_G\t1\n", "data.eqtls: no contig of .* is in the reference"),
        ("eqtls", "q.tsv", b"gene\tvariant\tslope\nG\t22_1_A_G\t0,5\n", "line 2: slope is '0,5', not a number; write a point"),
        ("eqtls", "q.tsv", b"gene\tvariant\tslope\nG\trs12\t1\n", "line 2, has the variant 'rs12'"),
        ("gene_groups", "q.tsv", b"gene\tgroup\nENSG9\ttrain\n", "data.gene_groups: no gene of .* is in the data"),
        ("gene_groups", "q.tsv", b"gene\tset\nENSG9\ttrain\n", "data.gene_groups: .* has no column group"),
    ],
)
def test_tables_of_late_stages_are_refused_at_once(study: Study, key: str, name: str, text: bytes, message: str) -> None:
    study.change(name, gzip.compress(text, mtime=0) if name.endswith("gz") else text)
    study.config["data"][key] = name
    with pytest.raises(UserError, match=message):
        check(study.config)


@pytest.mark.parametrize(
    ("key", "name", "text"),
    [
        ("elements", "x.bed", b"chrom\tchromStart\tchromEnd\nchr22\t1\t2\n"),
        (
            "elements",
            "x.tsv.gz",
            gzip.compress(b"\xef\xbb\xbfGene_ID\tChr\tStart\tEnd\r\nENSG00000000002.9 \t7\t1\t2\r\n", mtime=0),
        ),
        ("eqtls", "q.tsv", b"\xef\xbb\xbfGene\tVariant_ID\tSlope\tP-value\r\nENSG00000000003\tchr7_1_A_G_b38\t-1e-3 \t0.1\r\n"),
        ("gene_groups", "q.tsv", b"Gene\tGROUP\rENSG00000000001\ttrain\r"),
    ],
)
def test_tables_of_late_stages_in_many_forms(study: Study, key: str, name: str, text: bytes) -> None:
    study.change(name, text)
    study.config["data"][key] = name
    check(study.config)


def test_contigs_of_a_list_of_genes(study: Study) -> None:
    study.config["cohort"] = {"contigs": ["7", "22"]}
    study.config["predict"] = {"genotypes": "g.vcf", "genes": "genes.txt"}
    study.change("genes.txt", "ENSG00000000001\nONE\n")
    assert check(study.config).predict_contigs == ["22"]
    study.change("genes.txt", "TWO \r\nONE\r\n")
    assert check(study.config).predict_contigs == ["7", "22"]
    study.config["predict"]["contigs"] = ["7"]
    assert check(study.config).predict_contigs == ["7"]
    study.config["predict"]["contigs"] = []
    study.change("genes.txt", "SIX\n")
    assert "predict.genes: no gene of" in study.said() and "lies on a contig of the study (7, 22)" in study.said()
    # Which name is wrong is for the job to say, which knows them all.
    study.change("genes.txt", "ONE\nNOPE\n")
    assert check(study.config).predict_contigs == ["7", "22"]


def test_jobs_take_the_contigs_of_a_list_from_the_table_of_the_study(study: Study) -> None:
    study.config["cohort"] = {"contigs": ["7", "22"]}
    study.config["predict"] = {"genotypes": "g.vcf", "genes": "genes.txt"}
    study.change("genes.txt", "ENSG00000000002.8\n")
    started = check(study.config)
    (study.folder / "g.gtf").unlink()
    (study.folder / "results" / "inputs").mkdir(parents=True)
    (study.folder / "results" / "inputs" / "genes.tsv").write_text(
        "gene\tsymbol\tcontig\nENSG00000000001.4\tONE\t22\nENSG00000000002\tTWO\t7\n"
    )
    assert check(study.config, files=False).predict_contigs == started.predict_contigs == ["7"]


def test_contigs_of_a_list_of_simulated_genes(tmp_path: Path) -> None:
    (tmp_path / "genes.txt").write_text("SIMG00001.1\n")
    (tmp_path / "new.vcf").write_text(HEADER)
    predict = {"genotypes": "new.vcf", "genes": "genes.txt"}
    config = {"simulation": {"contigs": 2, "genes": 6}, "data_dir": str(tmp_path), "predict": predict}
    assert check(config).predict_contigs == ["sim1"]
    (tmp_path / "genes.txt").write_text("SIMG00006.1\n")
    assert check(config).predict_contigs == check(config, files=False).predict_contigs == ["sim2"]
