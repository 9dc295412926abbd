"""The files are what their formats and the contract between the stages ask for."""

import gzip
import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pysam
import pysam.bcftools
import pytest

import gta
from gta.simulate.names import gene_names, gene_symbols, person_names
from gta.simulate.run import simulate
from gta.simulate.settings import SimulateSettings
from gta.simulate.write import published

FILES = {
    "reference.fa", "reference.fa.fai", "genotypes.vcf.gz", "genotypes.vcf.gz.tbi", "genes.gtf", "expression.bed.gz",
    "annotation.tsv", "people.tsv", "truth_elements.tsv", "truth_variants.tsv", "truth_genes.tsv",
    "truth_modulation.tsv",
}  # fmt: skip
COLUMNS = {
    "annotation.tsv": "gene_id symbol biotype description go_bp go_mf",
    "people.tsv": "person population",
    "truth_elements.tsv": "gene contig start end strand motif matrix_id effect distance kind",
    "truth_variants.tsv": "gene contig pos ref alt matrix_id effect_per_allele allele_frequency element_start element_end",
    "truth_genes.tsv": "gene level genetic_variance noise_variance covariate_variance heritability text_class",
    "truth_modulation.tsv": "text_class motif multiplier",
}


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_files_and_columns_are_those_of_the_contract(cohort: Any, small: SimulateSettings) -> None:
    assert {path.name for path in cohort.folder.iterdir()} == FILES
    for name, columns in COLUMNS.items():
        assert (cohort.folder / name).read_text().splitlines()[0] == columns.replace(" ", "\t")
    with gzip.open(cohort.folder / "expression.bed.gz", "rt") as handle:
        header = handle.readline().rstrip("\n").split("\t")
    assert header == ["#chr", "start", "end", "gene", "length", "strand", *person_names(small)]


def test_same_seed_same_bytes_other_seed_other_bytes(cohort: Any, tmp_path: Path, small: SimulateSettings) -> None:
    simulate(small, tmp_path / "again")
    assert digests(tmp_path / "again") == digests(cohort.folder)
    simulate(replace(small, seed=6), tmp_path / "other")
    other, first = digests(tmp_path / "other"), digests(cohort.folder)
    # Without modulation its table holds ones, whatever the seed.
    assert {name for name in FILES if other[name] == first[name]} == {"people.tsv", "truth_modulation.tsv"}


def test_vcf_records(cohort: Any, small: SimulateSettings) -> None:
    with pysam.VariantFile(str(cohort.folder / "genotypes.vcf.gz")) as vcf:
        assert list(vcf.header.samples) == person_names(small)
        assert {name: c.length for name, c in vcf.header.contigs.items()} == {
            name: len(sequence) for name, sequence in cohort.sequences.items()
        }
        assert all(sample.phased for record in vcf for sample in record.samples.values())
        beyond_n = next(vcf.fetch("sim2", 10_000, 20_000))
        assert beyond_n.chrom == "sim2"
    free_from = dict.fromkeys(cohort.sequences, 0)
    for r in cohort.records:
        assert r.position >= free_from[r.contig]
        free_from[r.contig] = r.position + len(r.ref)
        assert cohort.sequences[r.contig][r.position : r.position + len(r.ref)].upper() == r.ref
        assert r.alt != r.ref
        assert re.fullmatch("[ACGT]+", r.alt)
        assert 0 < np.mean(r.calls) < 1
        assert min(len(r.ref), len(r.alt)) == 1
        assert r.ref[0] == r.alt[0] or len(r.ref) == len(r.alt) == 1
        assert abs(len(r.ref) - len(r.alt)) <= 10


def test_bcftools_has_nothing_to_normalise(cohort: Any, tmp_path: Path) -> None:
    reference, vcf = str(cohort.folder / "reference.fa"), str(cohort.folder / "genotypes.vcf.gz")
    pysam.bcftools.norm("-f", reference, "-c", "e", "-o", str(tmp_path / "norm.vcf"), vcf, catch_stdout=False)
    untouched = f"{len(cohort.records)}/0/0/0"
    assert re.search(rf"total/split/(joined/)?realigned.*:\t{untouched}", pysam.bcftools.norm.get_messages())


def test_density_kinds_and_populations_of_variants(cohort: Any, small: SimulateSettings) -> None:
    # Human-like: a site in 150 bp or so in 60 to 120 people, two transitions to a transversion, mild differences of populations.
    length = sum(map(len, cohort.sequences.values()))
    assert 120 < length / len(cohort.records) < 220
    snvs = [r for r in cohort.records if len(r.ref) == len(r.alt)]
    assert 1 - len(snvs) / len(cohort.records) == pytest.approx(small.indel_share, abs=0.03)
    transitions = sum({r.ref, r.alt} in ({"A", "G"}, {"C", "T"}) for r in snvs)
    assert transitions / len(snvs) == pytest.approx(2 / 3, abs=0.06)
    calls = np.array([r.calls for r in cohort.records])
    half = small.people
    p1, p2 = calls[:, : small.people // 2].mean(axis=(1, 2)), calls[:, small.people // 2 :].mean(axis=(1, 2))
    between = p1 * (1 - p2) + p2 * (1 - p1)
    within = (p1 * (1 - p1) + p2 * (1 - p2)) * half / (half - 1)
    fst = 1 - within.sum() / between.sum()  # Hudson's estimator as a ratio of sums
    assert 0.01 < fst < 0.15


def test_composition_of_the_reference(cohort: Any) -> None:
    outside, islands = [], []
    for contig, sequence in cohort.sequences.items():
        assert sequence[:10_000] == "N" * 10_000
        assert "N" not in sequence[10_000:].upper()
        bases = np.frombuffer(sequence.encode(), dtype=np.uint8).copy()
        for tss in cohort.expression.loc[cohort.expression["#chr"] == contig, "start"]:
            islands.append(sequence[tss - 500 : tss + 500])
            bases[tss - 500 : tss + 500] = ord("N")
        outside.append(bases[10_000:].tobytes().decode())
    assert all(island.isupper() for island in islands)

    def composition(pieces: list[str]) -> tuple[float, float]:
        text = "".join(pieces).upper()
        length, c, g = len(text) - text.count("N"), text.count("C"), text.count("G")
        return (c + g) / length, text.count("CG") * length / (c * g)

    gc, cpg = composition(outside)
    assert gc == pytest.approx(0.41, abs=0.03)
    assert cpg == pytest.approx(0.26, abs=0.04)
    gc, cpg = composition(islands)
    assert gc == pytest.approx(0.64, abs=0.03)
    assert cpg == pytest.approx(1.0, abs=0.1)
    whole = "".join(cohort.sequences.values())
    assert sum(map(str.islower, whole)) / len(whole) == pytest.approx(0.45, abs=0.04)


def test_gtf_agrees_with_the_bed(cohort: Any, small: SimulateSettings) -> None:
    rows = [line.split("\t") for line in (cohort.folder / "genes.gtf").read_text().splitlines() if line[0] != "#"]
    symbols = dict(zip(gene_names(small), gene_symbols(small), strict=False))
    order = []
    exonic: dict[str, int] = {}
    ends: dict[str, tuple[int, int]] = {}
    bed = cohort.expression.set_index("gene")
    for contig, _, feature, start, end, _, strand, _, attributes in rows:
        fields = dict(re.findall(r'(\w+) "([^"]*)"', attributes))
        gene = fields["gene_id"]
        assert fields["gene_name"] == symbols[gene]
        assert (contig, strand) == (bed.loc[gene, "#chr"], bed.loc[gene, "strand"])
        if feature == "gene":
            order.append(gene)
            ends[gene] = int(start), int(end)
            assert bed.loc[gene, "start"] == (int(start) if strand == "+" else int(end)) - 1
            assert bed.loc[gene, "end"] == bed.loc[gene, "start"] + 1
        if feature == "exon":
            assert ends[gene][0] <= int(start) <= int(end) <= ends[gene][1]
            exonic[gene] = exonic.get(gene, 0) + int(end) - int(start) + 1
            if re.search("exon_number 1;", attributes):
                assert ends[gene][0 if strand == "+" else 1] == int(start if strand == "+" else end)
    assert order == gene_names(small) == list(bed.index)
    assert exonic == bed.length.to_dict()


def test_genes_are_spaced_and_away_from_the_ends(cohort: Any, small: SimulateSettings) -> None:
    for contig, tss in cohort.expression.groupby("#chr").start:
        gaps = np.diff(tss)
        assert gaps.min() >= small.mean_spacing * 9 // 13
        assert tss.min() >= small.margin
        assert len(cohort.sequences[contig]) - tss.max() > small.margin


def test_people_are_in_equal_blocks(cohort: Any, small: SimulateSettings) -> None:
    people = pd.read_csv(cohort.folder / "people.tsv", sep="\t")
    assert list(people.person) == person_names(small)
    assert list(people.population) == ["POP1"] * 30 + ["POP2"] * 30


def test_expression_is_positive(cohort: Any) -> None:
    assert (cohort.expression.iloc[:, 6:].to_numpy() > 0).all()


def test_a_failure_leaves_nothing_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("kept")
    with pytest.raises(RuntimeError), published(tmp_path) as temporary:
        (temporary / "half.tsv").write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    with published(tmp_path) as temporary:
        (temporary / "whole.tsv").write_text("whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.txt", "whole.tsv"]


def test_names_need_nothing_heavy() -> None:
    code = (
        "import sys, gta.simulate.names, gta.simulate.settings, gta.simulate.cli;"
        "print([m for m in ('numpy', 'pandas', 'msprime', 'pysam', 'pyjaspar') if m in sys.modules])"
    )
    library = str(Path(gta.__file__).parents[1])
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": library}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
