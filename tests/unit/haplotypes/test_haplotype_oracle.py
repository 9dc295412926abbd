"""The same haplotypes as `bcftools consensus`, an independent tool, on random and on real records."""

from pathlib import Path

import numpy as np
import pysam
import pysam.bcftools
import pytest

from gta.haplotypes import Reference
from gta.haplotypes.build import Source, build_panels
from gta.haplotypes.genotypes import Genotypes
from gta.haplotypes.settings import HaplotypeSettings


def consensus(fasta: Path, vcf: Path, person: str, haplotype: int, *options: str) -> str:
    """Sequence of a FASTA of one entry by bcftools, upper case. An entry called `22:101-200` stands for that region."""
    out = fasta.with_suffix(".out")
    arguments = ["-f", str(fasta), "-s", person, "-H", str(haplotype), "-o", str(out), *options, str(vcf)]
    pysam.bcftools.consensus(*arguments, catch_stdout=False)
    return "".join(out.read_text().split("\n")[1:]).upper()


def random_records(rng: np.random.Generator, sequence: str, count: int, people: int) -> list[tuple]:
    """Records of all kinds, many of them at the same place or overlapping."""
    records = []
    for position in np.sort(rng.integers(0, len(sequence) - 12, count)).tolist():
        kind = rng.choice(["snv", "snv", "insertion", "deletion", "replacement", "many"])
        ref = sequence[position] if kind in ("snv", "insertion") else sequence[position : position + rng.integers(2, 8)]

        def letters(length: int) -> str:
            return "".join(rng.choice(list("ACGT"), length))

        if kind == "snv":
            alts = [rng.choice([base for base in "ACGT" if base != ref])]
        elif kind == "insertion":
            alts = [ref + letters(rng.integers(1, 6))]
        elif kind == "deletion":
            alts = [ref[0]]
        elif kind == "replacement":
            alts = [letters(len(ref))]
        else:
            alts = [ref[0], ref + letters(3)]
        if ref in alts:
            continue
        calls = ["|".join(map(str, rng.integers(0, len(alts) + 1, 2))) for _ in range(people)]
        records.append((position + 1, ref, ",".join(alts), calls))
    return records


@pytest.mark.parametrize("seed", range(15))
def test_random_overlapping_records_of_a_whole_contig(make_world, seed):
    rng = np.random.default_rng(seed)
    # In upper case: where the reference is soft-masked, bcftools 1.24 loses an SNV that an insertion follows at the same place.
    sequence = "".join(rng.choice(list("ACGT"), 300))
    records = random_records(rng, sequence, 40, 2)
    world = make_world(sequence, records, windows=[(-400, 700)], contig="1")
    for variants, options in (("all", []), ("snv", ["-i", "strlen(REF)=1 & strlen(ALT)=1"])):
        panel = world.panel(variants=variants)
        for number, person in enumerate(panel.people):
            for haplotype, ours in enumerate(world.sequences(panel, number), start=1):
                theirs = consensus(world.inputs / "reference.fa", world.inputs / "genotypes.vcf.gz", person, haplotype, *options)
                assert ours.strip("N") == theirs


@pytest.fixture(scope="module")
def chr22(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str], Path]:
    """Folder of the real data, some of its people, and an empty folder."""
    folder = real_data / "geuvadis-chr22"
    people = pysam.TabixFile(str(folder / "genotypes.vcf.gz")).header[-1].split("\t")[9:]
    return folder, people[::80], tmp_path_factory.mktemp("chr22")


@pytest.mark.parametrize("variants", ["snv", "all"])
def test_real_windows(chr22, variants):
    folder, people, scratch = chr22
    reference = Reference(folder / "reference.fa.gz")
    genotypes = Genotypes(folder / "genotypes.vcf.gz", people)
    source = Source(genotypes, reference, "22", "22", HaplotypeSettings(variants=variants))
    length, flank = 49152, 2000
    # The last one holds the dense stretch around COMT (rs165774 ... at 19.95 Mb) with many indels.
    middles = [17_650_000, 19_170_000, 19_929_000, 19_951_000]
    windows = np.array([(tss - length // 2, tss + length // 2, tss) for tss in middles])
    panels, account = build_panels(source, [str(tss) for tss in middles], windows)
    assert account["records_applied"].tolist()[-1] > 140
    options = ["-i", "strlen(REF)=1 & strlen(ALT)=1"] if variants == "snv" else []
    for start, end, tss in windows.tolist():
        panel = panels.panel(str(tss))
        # No record lies across the TSS, so that the two sides can be made apart.
        assert not ((panel.positions < tss) & (panel.edits.ends[:, 1] > tss)).any()
        for number, person in enumerate(people):
            for haplotype in (1, 2):
                sides = []
                for low, high in ((start - flank, tss), (tss, end + flank)):
                    fasta = scratch / "side.fa"
                    fasta.write_text(f">22:{low + 1}-{high}\n{reference.fetch('22', low, high).tobytes().decode()}\n")
                    sides.append(consensus(fasta, folder / "genotypes.vcf.gz", person, haplotype, *options))
                expected = sides[0][-(tss - start) :] + sides[1][: end - tss]
                ours = panel.sequence(panel.carriers[number, haplotype - 1], reference)
                assert ours.tobytes().decode() == expected
