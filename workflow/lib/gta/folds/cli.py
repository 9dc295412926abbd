"""`gta folds`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.cohort.cli import add_options, fold_settings
from gta.cohort.settings import CohortSettings
from gta.errors import UserError

COHORT = """\
Writes the cohort of one fold, in the same format as `gta cohort`: the genes of the fold are held out (split test), others train
and validate. Every gene of the study is held out in one of the folds. Individuals are split as in the study.

example:
  gta folds cohort --inputs results/run/inputs --folds 5 --fold 1 --seed 1 --out results/run/folds/1/cohort
"""

GATHER = """\
Reads  --study                 cohort of the study; the column `fold` of its genes.tsv says where each gene is held out
       --cohorts               cohort of each fold, in the order of the folds
       --predictions           predictions of one model in each fold, in the same order
Writes --out                   gene, person, mean, deviation, predicted: each gene from the fold in which it was held out; genes
                               without expression as the mean over the folds

example:
  gta folds gather --study results/run/cohort --cohorts results/run/folds/*/cohort \\
      --predictions results/run/folds/*/predictions/ridge.parquet --out results/run/predictions/ridge.parquet
"""

HOMOLOGUES = """\
Groups genes that may be homologous: promoters (1,024 bp around the TSS) that share 16-mers on either strand (Jaccard index 0.05
or more, without 16-mers of more than 50 promoters), or names of one family: symbols with the same letters before the first digit,
as RPL of RPL10A, and full names that differ in numbers and letters only. Groups are what these links connect, directly or not.

Writes --out                   gene, group, reason (sequence, family, or both joined by +), of the genes that are in a group

example:
  gta folds homologues --inputs results/run/inputs --cohort results/run/cohort --annotation results/run/inputs/annotation.tsv \\
      --out homologues.tsv
"""


def add_parser(stages: Any) -> None:
    """Add the sub-commands."""
    stage = stages.add_parser("folds", help="cross-validation over the whole study")
    actions = stage.add_subparsers(dest="action", metavar="ACTION", required=True)

    cohort = actions.add_parser(
        "cohort",
        help="write the cohort of a fold",
        description="Write the cohort of a fold.",
        epilog=COHORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_options(cohort)
    cohort.add_argument("--fold", type=settings.whole_number, required=True, metavar="N", help="the fold, from 1")
    cohort.set_defaults(run=run_cohort)

    gather = actions.add_parser(
        "gather",
        help="put the predictions of the folds together",
        description="Put the predictions of the folds together.",
        epilog=GATHER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    gather.add_argument("--study", type=Path, required=True, metavar="DIR", help="cohort of the study")
    gather.add_argument("--cohorts", type=Path, required=True, nargs="+", metavar="DIR", help="cohort of each fold")
    gather.add_argument("--predictions", type=Path, required=True, nargs="+", metavar="FILE", help="predictions of each fold")
    gather.add_argument("--out", type=Path, required=True, metavar="FILE", help="predictions to write, .parquet")
    gather.set_defaults(run=run_gather)

    homologues = actions.add_parser(
        "homologues",
        help="group homologous genes",
        description="Group homologous genes.",
        epilog=HOMOLOGUES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    homologues.add_argument("--inputs", type=Path, required=True, metavar="DIR", help="folder written by `gta inputs`")
    homologues.add_argument("--cohort", type=Path, required=True, metavar="DIR", help="cohort of the study")
    homologues.add_argument("--annotation", type=Path, required=True, metavar="TSV", help="annotation with full names")
    homologues.add_argument("--out", type=Path, required=True, metavar="TSV", help="table to write")
    homologues.set_defaults(run=run_homologues)


def run_cohort(arguments: argparse.Namespace) -> None:
    """Write the cohort of a fold."""
    from gta.cohort.run import make_cohort

    folds = fold_settings(arguments)
    if folds is None:
        raise UserError("--folds is needed: give the number of folds of the study.")
    chosen = settings.from_arguments(CohortSettings, arguments)
    make_cohort(arguments.inputs, arguments.out, chosen, arguments.seed, folds, arguments.fold)


def run_gather(arguments: argparse.Namespace) -> None:
    """Put the predictions of the folds together."""
    from gta.folds.gather import gather

    n_genes = gather(arguments.study, arguments.cohorts, arguments.predictions, arguments.out)
    print(f"out of fold: {n_genes} genes from {len(arguments.predictions)} folds")


def run_homologues(arguments: argparse.Namespace) -> None:
    """Group homologous genes."""
    from gta.folds.run import find_homologues

    find_homologues(arguments.inputs, arguments.cohort, arguments.annotation, arguments.out)
