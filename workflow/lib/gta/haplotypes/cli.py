"""`gta haplotypes`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.haplotypes.settings import HaplotypeSettings

EPILOG = """\
Reads  inputs/   the reference, the genotypes and contigs.tsv
       cohort/   genes.tsv (windows, bp, 0-based half-open) and people.tsv
Writes FILE.npz  the haplotype panels of all windows on the contig: variants and who carries them, never sequences
       FILE.tsv  per window: records seen, applied and skipped by reason, people with missing or unphased calls

A haplotype is the reference with the ALT allele named by its entry of GT at every record. Of overlapping records the first one
wins. Symbolic alleles, breakends and `*` are skipped, missing calls are the reference; both are counted. A REF that differs
from the reference is an error.

example:
  gta haplotypes build --inputs results/demo/inputs --cohort results/demo/cohort --contig sim1 \\
      --out sim1.npz --account sim1.account.tsv
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
    settings.add_arguments(build, HaplotypeSettings)
    build.set_defaults(run=run_build)


def run_build(arguments: argparse.Namespace) -> None:
    """Build the panels of one contig."""
    from gta.files import atomic_path
    from gta.haplotypes.build import build

    chosen = settings.from_arguments(HaplotypeSettings, arguments)
    panels, account = build(arguments.inputs, arguments.cohort, arguments.contig, chosen)
    with atomic_path(arguments.account) as temporary:
        account.to_csv(temporary, sep="\t", index=False)
    panels.save(arguments.out)
    records, people = len(panels.positions), len(panels.people)
    print(f"{arguments.contig}: {len(panels.genes)} windows, {records} records carried by some of {people} people")
