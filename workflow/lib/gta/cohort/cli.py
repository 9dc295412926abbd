"""`gta cohort`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.cohort.settings import CohortSettings, FoldSettings

DESCRIPTION = """\
Chooses people (with genotypes and expression) and genes (with expression, a TSS and a full window), splits both into
train, valid and test, and corrects expression for hidden factors. Windows of genes in different splits never overlap,
and nothing is fitted on held-out people.

In a reference study (inputs without genotypes) all individuals are used for the mean expression of each gene, and genes alone
are split."""

EPILOG = """\
reads   the folder written by `gta inputs`
writes  into the folder:
  people.tsv, genes.tsv     who and what, with splits; windows 0-based half-open, the TSS base at window_length // 2
  expression.parquet        ln(TPM + 0.01) without hidden factors, genes x people
  gene_statistics.tsv       mean, sd (ln units) and mean TPM of each gene over the training people
  dropped.tsv, summary.tsv  everything left out with its reason, and counts

With --folds every gene is held out (split test), and genes.tsv has a column `fold`; `gta folds cohort` writes the cohort of a
fold. With --genes-without-expression predict, genes.tsv has genes of the split unmeasured, without values in the other files.

example:
  gta cohort --inputs results/inputs --window-length 196608 --unit rpkm --hidden-factors 10 --seed 1 --out results/cohort

docs/inputs.md explains how the splits and the correction are made.
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    parser = stages.add_parser(
        "cohort",
        help="choose and split people and genes, and correct expression",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(parser)
    parser.set_defaults(run=run)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a cohort, of the whole study or of a fold."""
    parser.add_argument("--inputs", type=Path, required=True, metavar="DIR", help="folder written by `gta inputs`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.add_argument(
        "--folds", type=settings.whole_number, metavar="N", help="number of folds of a cross-validation over the study [none]"
    )
    parser.add_argument("--folds-by", choices=("chromosome",), default="chromosome", help="what a fold holds out [chromosome]")
    settings.add_seed(parser, "the splits of people and genes")
    settings.add_arguments(parser, CohortSettings)


def fold_settings(arguments: argparse.Namespace) -> FoldSettings | None:
    """The settings of the folds that were given on the command line, if there are any."""
    if arguments.folds is None:
        return None
    return settings.from_mapping(FoldSettings, {"by": arguments.folds_by, "number": arguments.folds}, "--folds")


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    from gta.cohort.run import make_cohort

    chosen = settings.from_arguments(CohortSettings, arguments)
    make_cohort(arguments.inputs, arguments.out, chosen, arguments.seed, fold_settings(arguments))
