"""Small cohorts whose haplotypes are built by the haplotypes stage's own command."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from gta.haplotypes import PanelSet, Reference, open_reference

Made = tuple[PanelSet, Reference, pd.DataFrame]


def build_panels(inputs: Path, cohort: Path, genes: pd.DataFrame, people: list[str], contig: str, **settings: str) -> Made:
    """Panels of genes, whose reference and genotypes lie in `inputs` already."""
    from gta.haplotypes.build import build
    from gta.haplotypes.settings import HaplotypeSettings

    genes.to_csv(cohort / "genes.tsv", sep="\t", index=False)
    pd.DataFrame({"person": people, "population": "x", "split": "train"}).to_csv(cohort / "people.tsv", sep="\t", index=False)
    panels, _ = build(inputs, cohort, contig, HaplotypeSettings(**settings))
    return panels, open_reference(inputs), genes


def gene_table(contig: str, tss: list[int], strands: list[str], length: int) -> pd.DataFrame:
    """Rows of `cohort/genes.tsv`, genes named G1, G2, ..."""
    names = [f"G{number + 1}" for number in range(len(tss))]
    return pd.DataFrame(
        {
            "gene": names,
            "symbol": names,
            "biotype": "protein_coding",
            "contig": contig,
            "strand": strands,
            "tss": tss,
            "window_start": [position - length // 2 for position in tss],
            "window_end": [position + length - length // 2 for position in tss],
            "block": 0,
            "split": "train",
        }
    )


@pytest.fixture(scope="session")
def make_panels(tmp_path_factory) -> Callable[..., Made]:
    """Makes a contig of 4 kb with 20 variants in five people, and panels of two windows of 1,024 bp on either strand.

    With `indels`, every fourth variant is a deletion of two bases.
    """

    def make(indels: bool = False) -> Made:
        folder = tmp_path_factory.mktemp("cohort")
        inputs, cohort = folder / "inputs", folder / "cohort"
        inputs.mkdir()
        cohort.mkdir()
        generator = np.random.default_rng(7)
        bases = generator.choice(list("ACGT"), size=4000)
        (inputs / "reference.fa").write_text(">c1\n" + "".join(bases) + "\n")
        pysam.faidx(str(inputs / "reference.fa"))
        people = [f"P{i}" for i in range(5)]
        lines = ["##fileformat=VCFv4.2", "##contig=<ID=c1,length=4000>"]
        lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">')
        lines.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]))
        for number, position in enumerate(sorted(generator.choice(np.arange(600, 2400, 3), size=20, replace=False))):
            ref, alt = bases[position], "ACGT".replace(bases[position], "")[0]
            if indels and number % 4 == 0:
                ref, alt = "".join(bases[position : position + 3]), ref
            calls = [f"{a}|{b}" for a, b in generator.integers(0, 2, size=(5, 2))]
            lines.append("\t".join(["c1", str(position + 1), ".", ref, alt, ".", "PASS", ".", "GT", *calls]))
        (inputs / "genotypes.vcf").write_text("\n".join(lines) + "\n")
        pysam.tabix_compress(str(inputs / "genotypes.vcf"), str(inputs / "genotypes.vcf.gz"), force=True)
        pysam.tabix_index(str(inputs / "genotypes.vcf.gz"), preset="vcf", force=True)
        (inputs / "inputs.json").write_text('{"reference": "reference.fa", "genotypes": "genotypes.vcf.gz"}')
        (inputs / "contigs.tsv").write_text("contig\tlength\tgenotypes_name\tgenes_name\texpression_name\nc1\t4000\tc1\tc1\tc1\n")
        genes = gene_table("c1", [1100, 1900], ["+", "-"], 1024)
        return build_panels(inputs, cohort, genes, people, "c1", variants="all" if indels else "snv")

    return make


@pytest.fixture(scope="module")
def made(make_panels) -> Made:
    """The small cohort, SNVs only."""
    return make_panels()


@pytest.fixture(scope="session")
def chr22(real_data, tmp_path_factory) -> Made:
    """The first 12 people of the real cohort, windows of 14,336 bp around three genes of chromosome 22."""
    folder = tmp_path_factory.mktemp("chr22")
    inputs, cohort = folder / "inputs", folder / "cohort"
    inputs.mkdir()
    cohort.mkdir()
    source = real_data / "geuvadis-chr22"
    for name in ("reference.fa.gz", "reference.fa.gz.fai", "reference.fa.gz.gzi", "genotypes.vcf.gz", "genotypes.vcf.gz.tbi"):
        (inputs / name).symlink_to(source / name)
    (inputs / "inputs.json").write_text('{"reference": "reference.fa.gz", "genotypes": "genotypes.vcf.gz"}')
    (inputs / "contigs.tsv").write_text(
        "contig\tlength\tgenotypes_name\tgenes_name\texpression_name\n22\t22000000\t22\tchr22\tchr22\n"
    )
    with pysam.VariantFile(str(source / "genotypes.vcf.gz")) as file:
        people = list(file.header.samples)[:12]
    # COMT, with dense genotypes; TXNRD2 on the minus strand beside it; CECR1 on the minus strand.
    genes = gene_table("22", [19_929_262, 19_929_359, 17_702_744], ["+", "-", "-"], 14_336)
    return build_panels(inputs, cohort, genes, people, "22")
