"""`gta report`: figures and tables for the report."""

import argparse
from pathlib import Path
from typing import Any

from gta.settings import whole_number

_FIGURE = "The format of the figure follows from the ending of --out: .svg, .png or .pdf."

_ACROSS_GENES = f"""\
Draws predicted and observed levels of the unseen genes (split test), averaged over the held-out people, a panel per model.
Several seeds of a model are averaged. The titles carry Spearman's correlation and its interval as the evaluation wrote them.

reads
  --cohort       folder with people.tsv, genes.tsv, expression.parquet
  --predictions  MODEL.seedN.parquet or MODEL.parquet, those that were evaluated
  --summary      summary.tsv of the evaluation
{_FIGURE}
"""

_PER_GENE = f"""\
Draws Spearman correlations across the held-out people, a dot per gene, for seen genes and for unseen genes: a row per model, with
the mean over genes, its bootstrap interval and its null.

reads
  --per-gene     per_gene.tsv of the evaluation
  --summary      summary.tsv of the evaluation
{_FIGURE}
"""

_LEARNING_CURVES = f"""\
Draws loss and validation correlation over epochs: colour and line by model, one line per seed.

reads
  --history      MODEL/seedN/history.tsv; the folders name model and seed
{_FIGURE}
"""

_RUNTIMES = f"""\
Draws wall-clock seconds and peak memory of every job, a row per step, and writes the same as a table.

reads
  --benchmarks   folder of Snakemake's benchmark files: STEP/JOB.tsv or STEP.tsv
writes
  --out          the figure
  --table        tab-separated: step, job, seconds (wall clock), cpu_seconds, max_rss_mib
{_FIGURE}
"""

_COHORT = f"""\
Draws how many people and genes are in each split, and where the genes' windows lie: windows of different splits do not overlap.

reads
  --cohort       folder with people.tsv and genes.tsv
{_FIGURE}
"""

_TABLE = """\
Writes a table as one HTML page that sorts, searches and needs no network. Decimal numbers are rounded to four digits.

reads
  --tsv          any tab-separated table with a header line
"""


def _across_genes(arguments: argparse.Namespace) -> None:
    from gta.report.across_genes import across_genes

    across_genes(arguments.cohort, arguments.predictions, arguments.summary, arguments.out)


def _per_gene(arguments: argparse.Namespace) -> None:
    from gta.report.per_gene import per_gene

    per_gene(arguments.per_gene, arguments.summary, arguments.out)


def _learning_curves(arguments: argparse.Namespace) -> None:
    from gta.report.learning_curves import learning_curves

    learning_curves(arguments.history, arguments.out)


def _runtimes(arguments: argparse.Namespace) -> None:
    from gta.report.runtimes import runtimes

    runtimes(arguments.benchmarks, arguments.out, arguments.table)


def _cohort(arguments: argparse.Namespace) -> None:
    from gta.report.cohort import cohort

    cohort(arguments.cohort, arguments.out)


def _table(arguments: argparse.Namespace) -> None:
    from gta.report.table import table

    table(arguments.tsv, arguments.title, arguments.description, arguments.out, arguments.max_rows)


def add_parser(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `report` with one action per figure, and `table`."""
    stage = stages.add_parser("report", help="draw the figures and tables of the report")
    actions = stage.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, help: str, description: str, example: str, run: Any) -> argparse.ArgumentParser:
        parser = actions.add_parser(
            name,
            help=help,
            description=description,
            epilog=f"example\n  gta report {name} {example}\n",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="what to write")
        parser.set_defaults(run=run)
        return parser

    file: dict[str, Any] = {"type": Path, "required": True, "metavar": "FILE"}
    folder: dict[str, Any] = {"type": Path, "required": True, "metavar": "DIR"}

    parser = action(
        "across-genes",
        "predicted and observed levels of unseen genes",
        _ACROSS_GENES,
        "--cohort cohort --predictions predictions/*.parquet --summary evaluation/summary.tsv --out across_genes.svg",
        _across_genes,
    )
    parser.add_argument("--cohort", **folder, help="folder of the stage cohort")
    parser.add_argument("--predictions", nargs="+", **file, help="one Parquet file per model and seed")
    parser.add_argument("--summary", **file, help="summary.tsv of the evaluation")

    parser = action(
        "per-gene",
        "correlations across people of every gene",
        _PER_GENE,
        "--per-gene evaluation/per_gene.tsv --summary evaluation/summary.tsv --out per_gene.svg",
        _per_gene,
    )
    parser.add_argument("--per-gene", **file, help="per_gene.tsv of the evaluation")
    parser.add_argument("--summary", **file, help="summary.tsv of the evaluation")

    parser = action(
        "learning-curves",
        "loss and validation correlation over epochs",
        _LEARNING_CURVES,
        "--history aligner/*/seed*/history.tsv --out learning_curves.svg",
        _learning_curves,
    )
    parser.add_argument("--history", nargs="+", **file, help="history.tsv of every training")

    parser = action(
        "runtimes",
        "time and memory of every step",
        _RUNTIMES,
        "--benchmarks benchmarks --out runtimes.svg --table runtimes.tsv",
        _runtimes,
    )
    parser.add_argument("--benchmarks", **folder, help="folder of benchmark files")
    parser.add_argument("--table", **file, help="where the table of jobs is written")

    parser = action(
        "cohort",
        "people, genes and windows by split",
        _COHORT,
        "--cohort cohort --out cohort.svg",
        _cohort,
    )
    parser.add_argument("--cohort", **folder, help="folder of the stage cohort")

    parser = action(
        "table",
        "a table as a self-contained HTML page",
        _TABLE,
        "--tsv evaluation/summary.tsv --title Summary --description 'One row per model, regime and metric.' --out summary.html",
        _table,
    )
    parser.add_argument("--tsv", **file, help="the table")
    parser.add_argument("--title", required=True, metavar="TEXT", help="heading of the page")
    parser.add_argument("--description", required=True, metavar="TEXT", help="what the table holds, in a sentence or two")
    parser.add_argument("--max-rows", type=whole_number, default=20_000, metavar="N", help="longest table shown whole [20000]")
