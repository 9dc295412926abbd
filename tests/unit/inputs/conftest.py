"""A small set of a user's files, in which contigs, genes and people are named differently from file to file."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pysam
import pytest

from gta.inputs.run import InputFiles

HEADER = '##fileformat=VCFv4.2\n##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
PEOPLE = ["P1", "P2", "P3"]


class Files:
    """Writes a user's files into a folder; `change` writes one of them anew."""

    def __init__(self, folder: Path):
        self.folder = folder
        generator = np.random.default_rng(1)
        self.sequences = {name: "".join(generator.choice(list("ACGT"), 3000)) for name in ("chr1", "chr2", "chrM")}
        self.paths = InputFiles(
            reference=self.write("ref.fa", self.fasta()),
            genotypes=self.bgzip("people.vcf.gz", self.vcf()),
            genes=self.write("genes.gtf", self.gtf()),
            expression=self.write("expression.bed", self.bed()),
            annotation=self.write("words.tsv", self.words()),
        )

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_text(text)
        return path

    def gzip(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.write_bytes(gzip.compress(text.encode(), mtime=0))
        return path

    def bgzip(self, name: str, text: str) -> Path:
        path = self.folder / name
        with pysam.BGZFile(str(path), "wb", None) as handle:
            handle.write(text.encode())
        return path

    def change(self, **paths: Path) -> InputFiles:
        return replace(self.paths, **paths)

    def fasta(self) -> str:
        return "".join(f">{name} some words\n{bases}\n" for name, bases in self.sequences.items())

    def record(self, contig: str, position: int) -> str:
        ref = self.sequences[f"chr{contig}"][position - 1]
        alt = "A" if ref != "A" else "C"
        return f"{contig}\t{position}\t.\t{ref}\t{alt}\t.\t.\t.\tGT\t0|1\t1|1\t0|0\n"

    def vcf(self, records: list[tuple[str, int]] | None = None, people: list[str] | None = None) -> str:
        columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
        records = records if records is not None else [("1", 100), ("1", 1600), ("2", 50), ("2", 2000)]
        return HEADER + "\t".join(columns + (people or PEOPLE)) + "\n" + "".join(self.record(*where) for where in records)

    def gtf(self) -> str:
        return (
            "#!genome-build test\n"
            'chr2\tX\tgene\t501\t900\t.\t-\t.\tgene_id "ENSG00000000003.4"; gene_type "lincRNA"; gene_name "C";\n'
            'chr1\tX\tgene\t1001\t1500\t.\t+\t.\tgene_id "ENSG00000000001.1"; gene_type "protein_coding"; gene_name "A";\n'
            'chr1\tX\tgene\t201\t300\t.\t-\t.\tgene_id "ENSG00000000002.1"; gene_type "protein_coding"; gene_name "B";\n'
            'chrUn_1\tX\tgene\t1\t300\t.\t-\t.\tgene_id "ENSG00000000009.1"; gene_type "protein_coding"; gene_name "Z";\n'
        )

    def bed(self, rows: dict[str, str] | None = None, people: str = "P3\tP1\tP9") -> str:
        rows = rows or {
            "1\t1000\t1001\tENSG00000000001.7": "0.5\t0\t17.25",
            "1\t299\t300\tENSG00000000002.1": "1\t2\t3",
            "2\t899\t900\tENSG00000000003": "4\t5\t6e2",
        }
        lines = [f"{leading}\t1000\t+\t{values}\n" for leading, values in rows.items()]
        return f"#chr\tstart\tend\tgene\tlength\tstrand\t{people}\n" + "".join(lines)

    def words(self) -> str:
        return (
            "gene_id\tsymbol\tdescription\tgo_bp\n"
            'ENSG00000000001\tA1\tbinds "A" boxes\tgrowth\n'
            "ENSG00000000003.4\t\t\t\n"
            "ENSG00000000777.1\tQ\tnot in the other files\tdeath\n"
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "user"
    folder.mkdir()
    return Files(folder)
