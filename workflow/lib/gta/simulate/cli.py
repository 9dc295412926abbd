"""`python -m gta simulate`: write a simulated cohort."""

import argparse
from pathlib import Path
from typing import Any

from gta.settings import add_arguments, from_arguments
from gta.simulate.settings import SimulateSettings

_DESCRIPTION = """\
Simulate a cohort with a known answer: genotypes, reference, genes, expression, annotation text, and the truth.

Reads nothing. Writes into DIR (coordinates are 0-based half-open, except in VCF and GTF):
  reference.fa, .fai         contigs sim1, sim2, ...; lower case marks repeats
  genotypes.vcf.gz, .tbi     phased SNVs and short indels of people P001, P002, ...
  genes.gtf                  gene, transcript and exon lines
  expression.bed.gz          TPM, one row per gene, one column per person
  annotation.tsv             text of every gene, and of further genes without expression
  people.tsv                 person and population
  truth_elements.tsv         each planted transcription-factor site and its effect on ln expression
  truth_variants.tsv         each variant that changes a site, with its effect per ALT allele
  truth_genes.tsv            what the expression of each gene is made of: variances in squared ln units
  truth_modulation.tsv       multiplier of a site's effect for each text class and factor: 1 without text_modulates

Expression follows a stated rule; docs/simulation.md gives it in full. The same settings give the same bytes.
"""

_EPILOG = """\
examples:
  python -m gta simulate --out results/demo/simulated
  python -m gta simulate --out small --seed 7 --people 40 --genes 12 --annotated-genes 50
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command to the command line."""
    parser = stages.add_parser(
        "simulate",
        help="write a simulated cohort with a known answer",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", required=True, type=Path, metavar="DIR", help="folder to write; files of these names are replaced"
    )
    add_arguments(parser, SimulateSettings)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from gta.simulate.run import simulate

    simulate(from_arguments(SimulateSettings, arguments), arguments.out)
