"""The same sequences as `bcftools consensus` (in the pysam wheel) over thousands of random contigs, real and simulated data.

bcftools is asked for whole contigs, so that no rule depends on where a window begins, once plainly and once with `--mark-ins lc
--mark-del -`: there every letter but the lower-case ones is one base of the reference, which tells where each base stands. From
that the tests cut windows by themselves.

Where we differ from bcftools on purpose, it gets what we take the records for: alleles that are not used are the reference
(`*`, symbolic ones, breakends; in SNV mode whatever is longer than a base), and the reference is in upper case.
"""

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pysam
import pysam.bcftools
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from gta.haplotypes import HaplotypeReader, Window
from gta.haplotypes.settings import HaplotypeSettings
from gta.simulate.run import simulate
from gta.simulate.settings import SimulateSettings

CONTIGS, EXAMPLES = 40, 50
PEOPLE = ("zoe", "anna", "bert")
MARKS = ("--mark-ins", "lc", "--mark-del", "-")
HEADER = """\
##fileformat=VCFv4.3
##ALT=<ID=DEL,Description="Deletion">
##ALT=<ID=DUP,Description="Duplication">
##ALT=<ID=NON_REF,Description="Anything">
##FILTER=<ID=q10,Description="Low">
##INFO=<ID=END,Number=1,Type=Integer,Description="End">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
"""
NOT_SEQUENCE = ("<DEL>", "<DUP>", "*", "G]c1:5]", "<NON_REF>", "<*>")


@dataclass(frozen=True)
class Record:
    """A record; calls as entries (None: missing) and the mark between them."""

    position: int  # 0-based
    ref: str
    alts: tuple[str, ...]
    calls: tuple[tuple[tuple[int | None, ...], str], ...]
    info: str
    layout: str

    def line(self, contig: str, used: frozenset[int] | None = None) -> str:
        """The line of a VCF; alleles that are not `used` are called as the reference, unless it is None."""

        def entry(allele: int | None) -> str:
            return "." if allele is None else str(allele if used is None or allele in used else 0)

        texts = [mark.join(map(entry, entries)) for entries, mark in self.calls]
        cells = {"GT": texts, "GT:DP": [f"{text}:7" for text in texts], "DP:GT": [f"12:{text}" for text in texts]}[self.layout]
        alts = ",".join(self.alts) or "."
        quality = "q10" if self.position % 3 == 0 else "PASS"
        return "\t".join([contig, str(self.position + 1), ".", self.ref, alts, ".", quality, self.info, self.layout, *cells])

    def used(self, variants: str) -> frozenset[int]:
        """The alleles that we use."""
        return frozenset(
            number
            for number, alt in enumerate(self.alts, start=1)
            if alt not in NOT_SEQUENCE and (variants == "all" or len(alt) == len(self.ref) == 1)
        )


def random_record(rng: np.random.Generator, sequence: str, position: int, haploid: bool, phased: bool) -> Record:
    """A record of a random kind."""

    def letters(low: int, high: int) -> str:
        return "".join(rng.choice(list("ACGT"), int(rng.integers(low, high))))

    kind = rng.choice(
        [
            "snv",
            "snv",
            "snv",
            "insertion",
            "long",
            "deletion",
            "mnp",
            "complex",
            "tandem",
            "many",
            "no_sequence",
            "block",
            "mixed",
        ]
    )
    base, info = sequence[position], "."
    ref = sequence[position : position + int(rng.integers(2, 9))] if kind in ("deletion", "mnp", "complex", "tandem") else base
    if kind == "snv":
        alts = [rng.choice([letter for letter in "ACGT" if letter != base])]
    elif kind == "insertion":
        alts = [base + letters(1, 6)]
    elif kind == "long":
        alts = [base + letters(40, 80)]
    elif kind == "deletion":
        alts = [ref[-1] if position == 0 else base]
    elif kind == "mnp":
        alts = [letters(len(ref), len(ref) + 1)]
    elif kind == "complex":
        alts = [letters(1, 9), ref[0] + letters(0, 4)]
    elif kind == "tandem":
        alts = [ref + ref[1:], ref[:1] + ref[2:], ref[0] + letters(1, 3) + ref[1:]]
    elif kind == "many":
        alts = [letter for letter in "ACGT" if letter != base] + [base + letters(length, length + 1) for length in range(1, 10)]
    elif kind == "block":
        alts, info = [str(rng.choice(["<NON_REF>", "<*>"]))], f"END={min(len(sequence), position + 20)}"
    elif kind == "mixed":
        alts = [rng.choice([letter for letter in "ACGT" if letter != base]), base + letters(1, 3), str(rng.choice(NOT_SEQUENCE))]
    else:
        alts, info = [str(rng.choice(NOT_SEQUENCE[:4]))], f"END={min(len(sequence), position + 9)}"
    alts = [alt for alt in dict.fromkeys(map(str, alts)) if alt != ref]
    calls = []
    for person in range(len(PEOPLE)):
        entries = [int(allele) for allele in rng.integers(0, len(alts) + 1, 1 if haploid and person == 1 else 2)]
        calls.append((tuple(None if rng.random() < 0.05 else entry for entry in entries), "|" if phased else "/"))
    return Record(position, ref, tuple(alts), tuple(calls), info, str(rng.choice(["GT", "GT", "GT", "GT:DP", "DP:GT"])))


def random_contig(rng: np.random.Generator) -> tuple[str, list[Record]]:
    """A soft-masked reference with some codes of several bases, and the records on it, many of which overlap."""
    letters = rng.choice(list("ACGT"), int(rng.integers(60, 160)))
    codes = set(rng.choice(len(letters), 2, replace=False).tolist()) if rng.random() < 0.3 else set()
    for place in codes:
        letters[place] = rng.choice(list("NRYM"))
    sequence = "".join(letters)
    haploid, phased = rng.random() < 0.2, rng.random() < 0.8
    records: list[Record] = []
    for position in np.sort(rng.integers(0, len(sequence) - 9, int(rng.integers(0, 25)))).tolist():
        if not codes & set(range(position, position + 9)):
            records.append(random_record(rng, sequence, 0 if rng.random() < 0.02 and not records else position, haploid, phased))
            if rng.random() < 0.05:
                records.append(records[-1])
    if codes & set(range(9)):
        # A record may stand there twice.
        records = [record for record in records if record.position]
    return sequence, records


def write_fasta(path: Path, sequences: dict[str, str]) -> Path:
    path.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
    return path


def write_vcf(path: Path, sequences: dict[str, str], records: dict[str, list[Record]], variants: str | None = None) -> Path:
    lines = [HEADER + "".join(f"##contig=<ID={name},length={len(sequence)}>\n" for name, sequence in sequences.items())]
    lines.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *PEOPLE]) + "\n")
    for name, some in records.items():
        lines += [record.line(name, None if variants is None else record.used(variants)) + "\n" for record in some]
    with pysam.BGZFile(str(path), "wb", None) as out:
        out.write("".join(lines).encode())
    pysam.tabix_index(str(path), preset="vcf", force=True)
    return path


def consensus(fasta: Path, vcf: Path, person: str, haplotype: str, *options: str) -> dict[str, str]:
    """The consensus of every entry of a FASTA."""
    out = fasta.with_suffix(".consensus")
    arguments = ["-f", str(fasta), "-s", person, "-H", haplotype, "-o", str(out), *options, str(vcf)]
    pysam.bcftools.consensus(*arguments, catch_stdout=False)
    with pysam.FastxFile(str(out)) as entries:
        return {entry.name: entry.sequence or "" for entry in entries}


class Standing:
    """A whole haplotype, and at which base of the reference each of its bases stands."""

    def __init__(self, marked: str, offset: int = 0):
        letters = np.frombuffer(marked.encode(), dtype=np.uint8)
        places = np.cumsum((letters < ord("a")) | (letters > ord("z"))) - 1 + offset
        kept = letters != ord("-")
        self.text, self.places = marked.replace("-", "").upper(), places[kept]

    def raw(self, start: int, end: int) -> str:
        low, high = np.searchsorted(self.places, [start, end]).tolist()
        return self.text[low:high]

    def fixed(self, start: int, end: int, tss: int) -> str:
        middle, left, right = int(np.searchsorted(self.places, tss)), tss - start, end - tss
        before, after = self.text[max(0, middle - left) : middle], self.text[middle : middle + right]
        return before.rjust(left, "N") + after.ljust(right, "N")


def anchored_behind(marked: str, records) -> str:
    """The mark-up of a haplotype, changed where an insertion or deletion at the first base of the contig has its anchor behind.

    bcftools puts the bases of ALT at the first ones of REF. We keep the anchor where it is: what is before it goes or comes.
    """
    for record in records:
        for alt in record.alts if record.position == 0 else ():
            ref, gone = record.ref, len(record.ref) - len(alt)
            if not set(alt) <= set("ACGT") or ref[0] == alt[0]:
                continue
            if gone > 0 and ref.endswith(alt) and marked.startswith(alt + "-" * gone):
                return "-" * gone + alt + marked[len(ref) :]
            if gone < 0 and alt.endswith(ref) and marked.startswith(alt[: len(ref)] + alt[len(ref) :].lower()):
                return alt[:-gone].lower() + ref + marked[len(alt) :]
    return marked


def text(sequence: np.ndarray) -> str:
    return sequence.tobytes().decode()


# A seed cannot be made simpler: no shrinking.
@settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck))
@example(seed=162)
@given(seed=st.integers(0, 2**32 - 1))
def test_random_contigs(tmp_path, seed):
    rng = np.random.default_rng(seed)
    drawn = {f"c{number}": random_contig(rng) for number in range(1, CONTIGS + 1)}
    sequences = {name: sequence for name, (sequence, _) in drawn.items()}
    records = {name: some for name, (_, some) in drawn.items()}
    soft_masked = {name: "".join(rng.choice([base, base.lower()]) for base in one) for name, one in sequences.items()}
    fasta = write_fasta(tmp_path / "masked.fa", soft_masked)
    (tmp_path / "masked.fa.fai").unlink(missing_ok=True)
    upper = write_fasta(tmp_path / "upper.fa", sequences)
    vcf = write_vcf(tmp_path / "all.vcf.gz", sequences, records)
    for variants in ("snv", "all"):
        oracle = write_vcf(tmp_path / "oracle.vcf.gz", sequences, records, variants)
        reader = HaplotypeReader(vcf, fasta, PEOPLE, HaplotypeSettings(variants=variants, unphased="as_listed"))
        expected = {
            (number, haplotype): (
                consensus(upper, oracle, person, str(haplotype)),
                consensus(upper, oracle, person, str(haplotype), *MARKS),
            )
            for number, person in enumerate(PEOPLE)
            for haplotype in (1, 2)
        }
        for name, sequence in sequences.items():
            length = len(sequence)
            start = int(rng.integers(-20, length - 1))
            end = int(rng.integers(max(1, start + 1), length + 20))
            windows = [Window("some", name, start, end, int(rng.integers(max(start, 0), min(end, length))))]
            if variants == "all":
                windows.append(Window("whole", name, 0, length, length // 2))
            for window in windows:
                ours = reader.read(window)
                everything = slice(0, 2 * len(PEOPLE))
                fixed, raw = ours.sequences(everything), ours.raw_sequences(everything)
                for (number, haplotype), (plain, marked) in expected.items():
                    if haplotype == 2 and ours.haploid[number]:
                        continue
                    row, standing = 2 * number + haplotype - 1, Standing(anchored_behind(marked[name], records[name]))
                    if window.name == "whole":
                        assert raw[row].decode() == plain[name], records[name]
                    # What is inserted before the first base of a contig stands in a window that begins there.
                    start = window.start or -1
                    assert raw[row].decode() == standing.raw(start, window.end), (window, records[name])
                    assert text(fixed[row]) == standing.fixed(window.start, window.end, window.tss), (window, records[name])


@pytest.mark.parametrize("seed", range(4))
def test_unphased_snvs_as_ambiguity_codes(tmp_path, seed):
    rng = np.random.default_rng(seed)
    sequence = "".join(rng.choice(list("ACGT"), 2000))
    records = []
    for position in np.flatnonzero(rng.random(2000) < 0.1).tolist():
        alts = tuple(rng.permutation([base for base in "ACGT" if base != sequence[position]])[: int(rng.integers(1, 4))].tolist())
        mark = "|" if rng.random() < 0.5 else "/"
        calls = tuple((tuple(rng.integers(0, len(alts) + 1, 2).tolist()), mark) for _ in PEOPLE)
        records.append(Record(position, sequence[position], alts, calls, ".", "GT"))
    fasta = write_fasta(tmp_path / "r.fa", {"c": sequence})
    vcf = write_vcf(tmp_path / "v.vcf.gz", {"c": sequence}, {"c": records})
    ours = HaplotypeReader(vcf, fasta, PEOPLE, HaplotypeSettings(unphased="iupac")).read(Window("w", "c", 0, 2000, 1000))
    for row, sequence_of_row in enumerate(ours.sequences(slice(0, 6))):
        assert text(sequence_of_row) == consensus(fasta, vcf, PEOPLE[row // 2], f"{1 + row % 2}pIu")["c"]


@pytest.mark.parametrize("seed", range(2))
def test_unphased_replacements_as_ambiguity_codes(tmp_path, seed):
    """Alleles of several bases, as many as REF has or as each other, get a code for each base, as bcftools gives it."""
    rng = np.random.default_rng(seed)
    sequence = "".join(rng.choice(list("ACGT"), 2000))
    records = []
    for position in range(3, 1990, 9):
        size = int(rng.integers(1, 5))
        ref = sequence[position : position + size]
        alts = tuple(dict.fromkeys("".join(rng.choice(list("ACGT"), size)) for _ in range(2)))
        alts = tuple(alt for alt in alts if alt != ref) or (ref[:-1] + "ACGT"["ACGT".index(ref[-1]) - 1],)
        calls = tuple((tuple(rng.integers(0, len(alts) + 1, 2).tolist()), "/") for _ in PEOPLE)
        records.append(Record(position, ref, alts, calls, ".", "GT"))
    fasta = write_fasta(tmp_path / "r.fa", {"c": sequence})
    vcf = write_vcf(tmp_path / "v.vcf.gz", {"c": sequence}, {"c": records})
    settings = HaplotypeSettings(variants="all", unphased="iupac")
    ours = HaplotypeReader(vcf, fasta, PEOPLE, settings).read(Window("w", "c", 0, 2000, 1000))
    for row, sequence_of_row in enumerate(ours.sequences(slice(0, 6))):
        assert text(sequence_of_row) == consensus(fasta, vcf, PEOPLE[row // 2], f"{1 + row % 2}pIu")["c"]


@pytest.mark.parametrize("variants", ["snv", "all"])
def test_every_window_of_the_real_data(real_data, tmp_path, variants):
    folder = real_data / "geuvadis-chr22"
    vcf, first, last = folder / "genotypes.vcf.gz", 16_000_000, 22_000_000
    windows = []
    with gzip.open(folder / "expression.rpkm.bed.gz", "rt") as handle:
        for gene in csv.DictReader(handle, delimiter="\t"):
            tss = int(gene["start"])
            if 16_050_000 <= tss < last:
                windows.append(Window(gene["gene"], "chr22", tss - 24_576, tss + 24_576, tss))
    assert len(windows) == 98
    with pysam.FastaFile(str(folder / "reference.fa.gz")) as reference:
        region = reference.fetch("22", first, last).upper()
    fasta = write_fasta(tmp_path / "region.fa", {f"22:{first + 1}-{last}": region})
    people = pysam.TabixFile(str(vcf)).header[-1].split("\t")[9:][::120]
    options = ["-i", "strlen(REF)=1 & strlen(ALT)=1"] if variants == "snv" else []
    reader = HaplotypeReader(vcf, folder / "reference.fa.gz", people, HaplotypeSettings(variants=variants))
    ours = {window.name: reader.read(window) for window in windows}
    for row in range(2 * len(people)):
        (marked,) = consensus(fasta, vcf, people[row // 2], str(1 + row % 2), *options, *MARKS).values()
        standing = Standing(marked, first)
        for window in windows:
            sequence = ours[window.name].sequences(slice(row, row + 1))[0]
            assert text(sequence) == standing.fixed(window.start, window.end, window.tss), window
            assert ours[window.name].raw_sequences(slice(row, row + 1))[0].decode() == standing.raw(window.start, window.end)


def test_every_window_of_a_simulated_cohort(tmp_path):
    small = SimulateSettings(
        people=20, genes=16, annotated_genes=40, mean_spacing=20_000, margin=25_000, max_distal_distance=12_000
    )
    simulate(small, tmp_path)
    vcf, fasta = tmp_path / "genotypes.vcf.gz", tmp_path / "reference.fa"
    with pysam.FastaFile(str(fasta)) as reference:
        upper = write_fasta(tmp_path / "upper.fa", {name: reference.fetch(name).upper() for name in reference.references})
    windows = []
    with (tmp_path / "expression.bed.gz").open("rb") as packed, gzip.open(packed, "rt") as handle:
        for gene in csv.DictReader(handle, delimiter="\t"):
            tss = int(gene["start"])
            windows.append(Window(gene["gene"], gene["#chr"], tss - 16_384, tss + 16_384, tss, gene["strand"]))
    assert len(windows) == 16
    reader = HaplotypeReader(vcf, fasta, settings=HaplotypeSettings(variants="all"))
    ours = {window.name: reader.read(window) for window in windows}
    for number, person in list(enumerate(reader.people))[::5]:
        for haplotype in (1, 2):
            row = 2 * number + haplotype - 1
            whole = consensus(upper, vcf, person, str(haplotype), *MARKS)
            for window in windows:
                sequence = ours[window.name].sequences(slice(row, row + 1))[0]
                assert text(sequence) == Standing(whole[window.contig]).fixed(window.start, window.end, window.tss)
