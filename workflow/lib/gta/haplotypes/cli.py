"""`gta haplotypes`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from gta import settings
from gta.haplotypes.settings import HaplotypeSettings

EPILOG = """\
Reads  inputs/   the reference, the genotypes and contigs.tsv
       cohort/   genes.tsv (windows, bp, 0-based half-open) and people.tsv
Writes FILE.npz  the haplotype panels of all windows on the contig: variants and who carries them, never sequences; without
                 genotypes the reference haplotype alone
       FILE.tsv  per window: records seen, applied and skipped by reason, people with missing or unphased calls

A haplotype is the reference with the ALT allele named by its entry of GT at every record. Of overlapping records the first one
wins. Symbolic alleles, breakends and `*` are skipped, missing calls are the reference; both are counted. A REF that differs
from the reference is an error.

example:
  gta haplotypes build --inputs results/demo/inputs --cohort results/demo/cohort --contig sim1 \\
      --out sim1.npz --account sim1.account.tsv
"""

EXPORT_EPILOG = """\
Reads  VCF      bgzipped VCF or BCF; an index that is missing is made in a temporary folder
       FASTA    the reference, plain or bgzipped; contigs `22` and `chr22` are the same
       WINDOWS  table with the columns window contig start end tss strand; bp, 0-based half-open; start may be negative
Writes OUT      table `window person haplotype sequence`, or FASTA (`>window|person|haplotype`) if it ends in .fa, .fasta or .fna

Sequences are upper case, as long as the window, and hold the TSS base at index tss - start: with insertions and deletions they
are walked outwards from there. Beyond the contig's ends stands N. Windows and people come in the order in which they are asked
for. A person with haploid calls has haplotype 1 only.

example:
  gta haplotypes export --vcf genotypes.vcf.gz --fasta reference.fa --windows windows.tsv --variants all \\
      --people HG00096,HG00097 --out sequences.tsv
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    parser = stages.add_parser("haplotypes", help="the personal sequences of every window, as variants")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    build = actions.add_parser(
        "build",
        help="the panels of one contig",
        description="Build the haplotype panels of all windows on one contig.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    build.add_argument("--inputs", type=Path, required=True, help="folder written by `gta inputs`")
    build.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    build.add_argument("--contig", required=True, help="name of the contig in the reference")
    build.add_argument("--out", type=Path, required=True, help="panels to write, .npz")
    build.add_argument("--account", type=Path, required=True, help="account to write, .tsv")
    build.add_argument(
        "--tile-length", type=settings.whole_number, help="also count the distinct sequences of tiles of this length, bp"
    )
    settings.add_arguments(build, HaplotypeSettings)
    build.set_defaults(run=run_build)

    export = actions.add_parser(
        "export",
        help="personal sequences as text",
        description="Write the personal sequences of windows as a table or FASTA, for inspection and for other programs.",
        epilog=EXPORT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_argument("--vcf", type=Path, required=True, help="genotypes, .vcf.gz or .bcf")
    export.add_argument("--fasta", type=Path, required=True, help="reference")
    export.add_argument("--windows", type=Path, required=True, help="table of windows, .tsv")
    export.add_argument("--people", help="names with commas between, or a file with one name per line [everybody]")
    export.add_argument(
        "--raw",
        action="store_true",
        help="the unpadded consensus of each interval, of whatever length, as bcftools consensus gives it",
    )
    export.add_argument("--strand-aware", action="store_true", help="the reverse complement in windows of the minus strand")
    export.add_argument("--out", type=Path, required=True, help="sequences to write, .tsv or .fa")
    export.add_argument("--account", type=Path, help="also write what became of the records of each window, .tsv")
    settings.add_arguments(export, HaplotypeSettings)
    export.set_defaults(run=run_export)


def run_build(arguments: argparse.Namespace) -> None:
    """Build the panels of one contig."""
    from gta.files import atomic_path
    from gta.haplotypes.build import build
    from gta.inputs.tables import write_table

    chosen = settings.from_arguments(HaplotypeSettings, arguments)
    panels, account = build(arguments.inputs, arguments.cohort, arguments.contig, chosen, arguments.tile_length)
    with atomic_path(arguments.account) as temporary:
        write_table(account, temporary)
    panels.save(arguments.out)
    records, people = len(panels.positions), len(panels.people)
    print(f"{arguments.contig}: {len(panels.genes)} windows, {records} records carried by some of {people} people")


def run_export(arguments: argparse.Namespace) -> None:
    """Write personal sequences as text."""
    from gta.haplotypes.export import export, read_people
    from gta.haplotypes.reader import HaplotypeReader
    from gta.haplotypes.windows import read_windows

    chosen = settings.from_arguments(HaplotypeSettings, arguments)
    windows = read_windows(arguments.windows)
    people = None if arguments.people is None else read_people(arguments.people)
    reader = HaplotypeReader(arguments.vcf, arguments.fasta, people, chosen)
    written = export(reader, windows, arguments.out, arguments.raw, arguments.strand_aware, arguments.account)
    print(f"{written} sequences of {len(reader.people)} people in {len(windows)} windows", file=sys.stderr)
