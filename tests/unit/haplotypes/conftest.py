"""Small folders of inputs and cohort, written by hand."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pysam
import pysam.bcftools
import pytest

from gta.haplotypes import Panel, Reference, open_reference
from gta.haplotypes.build import build
from gta.haplotypes.settings import HaplotypeSettings

#: POS (1-based, as in VCF), REF, ALT, one GT per person.
Record = tuple[int, str, str, Sequence[str]]

HEADER = """\
##fileformat=VCFv4.3
##contig=<ID={contig},length={length}>
##ALT=<ID=DEL,Description="Deletion">
##INFO=<ID=END,Number=1,Type=Integer,Description="End">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">
"""


@dataclass(frozen=True)
class World:
    """A folder with `inputs/` and `cohort/`."""

    folder: Path
    contig: str

    @property
    def inputs(self) -> Path:
        return self.folder / "inputs"

    @property
    def cohort(self) -> Path:
        return self.folder / "cohort"

    @property
    def reference(self) -> Reference:
        return open_reference(self.inputs)

    def build(self, **settings: str):
        return build(self.inputs, self.cohort, self.contig, HaplotypeSettings(**settings))

    def panel(self, gene: str = "g1", **settings: str) -> Panel:
        return self.build(**settings)[0].panel(gene)

    def account(self, **settings: str) -> dict[str, object]:
        return self.build(**settings)[1].iloc[0].to_dict()

    def sequences(self, panel: Panel, person: int) -> list[str]:
        """The sequences of a person's haplotypes, as text."""
        rows = [row for row in panel.carriers[person] if row >= 0]
        return [panel.sequence(row, self.reference).tobytes().decode() for row in rows]


def write_vcf(path: Path, contig: str, length: int, people: Sequence[str], records: Sequence[Record], form: str) -> str:
    """Write indexed genotypes; gives the file's name. A record's REF may be followed by `;INFO`, its GTs preceded by FORMAT."""
    lines = [
        HEADER.format(contig=contig, length=length),
        "\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]),
    ]
    lines[-1] += "\t" + "\t".join(people) + "\n"
    for position, ref, alt, calls in records:
        ref, _, info = ref.partition(";")
        layout = "GT:DP" if ":" in calls[0] else "DP" if calls[0].isdigit() and len(calls[0]) > 1 else "GT"
        lines.append("\t".join([contig, str(position), ".", ref, alt, ".", ".", info or ".", layout, *calls]) + "\n")
    for earlier in path.glob("genotypes.*"):
        earlier.unlink()
    plain = path / "plain.vcf"
    plain.write_text("".join(lines))
    if form == "bcf":
        name = "genotypes.bcf"
        with pysam.VariantFile(str(plain)) as source, pysam.VariantFile(str(path / name), "wb", header=source.header) as target:
            for record in source:
                target.write(record)
        pysam.bcftools.index("-f", str(path / name), catch_stdout=False)
    else:
        name = "genotypes.vcf.gz"
        pysam.tabix_compress(str(plain), str(path / name), force=True)
        pysam.tabix_index(str(path / name), preset="vcf", force=True, csi=form == "csi")
    plain.unlink()
    return name


@pytest.fixture
def make_world(tmp_path: Path) -> Callable[..., World]:
    """Write a world: sequence of the contig, records, windows (start, end) with the TSS at their middle."""

    def make(
        sequence: str,
        records: Sequence[Record],
        windows: Sequence[tuple[int, int]] = ((0, 40),),
        people: Sequence[str] = ("anna", "bert"),
        chosen: Sequence[str] | None = None,
        contig: str = "chr1",
        genotypes_name: str = "1",
        form: str = "vcf.gz",
    ) -> World:
        world = World(tmp_path, contig)
        world.inputs.mkdir(exist_ok=True)
        world.cohort.mkdir(exist_ok=True)
        fasta = world.inputs / "reference.fa"
        fasta.write_text(f">{contig}\n" + "".join(sequence[at : at + 50] + "\n" for at in range(0, len(sequence), 50)))
        pysam.faidx(str(fasta))
        name = write_vcf(world.inputs, genotypes_name, len(sequence), people, records, form)
        (world.inputs / "inputs.json").write_text(json.dumps({"reference": "reference.fa", "genotypes": name}))
        (world.inputs / "contigs.tsv").write_text(
            "contig\tlength\tgenotypes_name\tgenes_name\texpression_name\n"
            f"{contig}\t{len(sequence)}\t{genotypes_name}\t{contig}\t\nchrEmpty\t100\t\t\t\n"
        )
        genes = ["gene\tsymbol\tbiotype\tcontig\tstrand\ttss\twindow_start\twindow_end\tblock\tsplit"]
        for number, (start, end) in enumerate(windows, start=1):
            genes.append(
                f"g{number}\tS{number}\tprotein_coding\t{contig}\t+\t{start + (end - start) // 2}\t{start}\t{end}\t0\ttrain"
            )
        (world.cohort / "genes.tsv").write_text("\n".join(genes) + "\n")
        listed = "".join(f"{person}\tX\ttrain\n" for person in (people if chosen is None else chosen))
        (world.cohort / "people.tsv").write_text("person\tpopulation\tsplit\n" + listed)
        return world

    return make


def random_sequence(rng: np.random.Generator, length: int) -> str:
    return "".join(rng.choice(list("ACGT"), length))
