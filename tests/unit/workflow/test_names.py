"""Reading names from the user's files."""

import gzip
from pathlib import Path

import pysam
import pytest

from gta.errors import UserError
from gta.workflow import names

HEADER = "##fileformat=VCFv4.2\n##contig=<ID=1>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tÅsa\tp 2\n"


def test_people_of_plain_and_compressed_vcf_and_bcf(tmp_path: Path) -> None:
    plain = tmp_path / "a.vcf"
    plain.write_text(HEADER, encoding="utf-8")
    packed = tmp_path / "a.vcf.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert names.people_of_genotypes(str(plain)) == ["Åsa", "p 2"]
    assert names.people_of_genotypes(str(packed)) == ["Åsa", "p 2"]


@pytest.mark.parametrize("n_people", [1, 300])
def test_people_of_bcf(tmp_path: Path, n_people: int) -> None:
    people = [f"P{i}" for i in range(n_people)]
    header = pysam.VariantHeader()
    header.contigs.add("1")
    for person in people:
        header.add_sample(person)
    with pysam.VariantFile(str(tmp_path / "a.bcf"), "wb", header=header):
        pass
    assert names.people_of_genotypes(str(tmp_path / "a.bcf")) == people


def test_length_of_the_bcf_header_may_hold_the_byte_of_a_newline(tmp_path: Path) -> None:
    text = HEADER.encode()
    text = text.replace(b"##contig=<ID=1>", b"##contig=<ID=1>\n##x=" + b"x" * (0x10A - len(text) - 6))
    assert (len(text) + 1) % 256 == ord("\n")
    bcf = b"BCF\x02\x02" + (len(text) + 1).to_bytes(4, "little") + text + b"\0"
    (tmp_path / "a.bcf").write_bytes(gzip.compress(bcf))
    assert names.people_of_genotypes(str(tmp_path / "a.bcf")) == ["Åsa", "p 2"]


def test_file_that_is_no_vcf_has_no_people(tmp_path: Path) -> None:
    (tmp_path / "a.vcf").write_text("hello\n")
    assert names.people_of_genotypes(str(tmp_path / "a.vcf")) == []


def test_truncated_gzip_is_explained(tmp_path: Path) -> None:
    content = gzip.compress(("##x\n" * 100_000 + HEADER).encode())
    (tmp_path / "a.vcf.gz").write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match=r"a\.vcf\.gz is cut short or damaged"):
        names.people_of_genotypes(str(tmp_path / "a.vcf.gz"))


def test_expression_table(tmp_path: Path) -> None:
    path = tmp_path / "e.bed"
    rows = ["#Chr start end pid gid strand A B", "1 0 1 G1 x + 1 2", "1 5 6 G2 x - 1 2"]
    path.write_text("## made by hand\n" + "".join(row.replace(" ", "\t") + "\n" for row in rows))
    assert names.people_of_expression(str(path)) == ["A", "B"]
    assert names.genes_of_expression(str(path)) == ["G1", "G2"]


def test_gtf(tmp_path: Path) -> None:
    path = tmp_path / "g.gtf.gz"
    exons = "".join(f'1\ta\texon\t1\t2\t.\t+\t.\tx "y; gene_id Z"; gene_id "{gene}";\n' for gene in ("a;b", "G2.5", "a;b"))
    path.write_bytes(gzip.compress(("#x\n" + exons).encode()))
    assert names.genes_of_gtf(str(path)) == ["a;b", "G2.5"]
    # Where there are lines of genes, they alone are genes.
    gene = '1\ta\tgene\t1\t2\t.\t+\t.\tgene_id "G1"; x "y";\n'
    path.write_bytes(gzip.compress((gene + exons).encode()))
    assert names.genes_of_gtf(str(path)) == ["G1"]


def test_real_files(real_data: Path) -> None:
    folder = real_data / "geuvadis-chr22"
    people = names.people_of_genotypes(str(folder / "genotypes.vcf.gz"))
    with pysam.VariantFile(str(folder / "genotypes.vcf.gz")) as records:
        assert people == list(records.header.samples)
    assert len(names.genes_of_expression(str(folder / "expression.rpkm.bed.gz"))) == 608
    assert len(names.people_of_expression(str(folder / "expression.rpkm.bed.gz"))) == 358
    assert set(people) <= set(names.people_of_expression(str(folder / "expression.rpkm.bed.gz")))


def test_expression_table_with_four_leading_columns(tmp_path: Path) -> None:
    path = tmp_path / "e.bed"
    path.write_text("#chr\tstart\tend\tgene\tA\n1\t0\t1\tG1\t0.5\n")
    assert names.people_of_expression(str(path)) == ["A"]
    assert names.genes_of_expression(str(path)) == ["G1"]
