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

_CIS_SIGNAL = f"""\
Draws, for the genes of the training, Spearman's correlation across the held-out people over the p-value that each gene's best cis
variant has among the training people: a panel per model, filled dots where the correlation is significant (q from permutations).

reads
  --per-gene     per_gene.tsv of the evaluation
  --variants     table of variants of `gta baselines top-eqtl`
{_FIGURE}
"""

_DEPENDENCE = f"""\
Draws the mean of Spearman's correlations across people in thirds of the genes, by expression, predictability from genotypes,
number of variants, and distance of the best variant from the TSS.

reads
  --dependence   dependence.tsv of the evaluation
{_FIGURE}
"""

_OVERVIEW = """\
Writes the page that sums up a run: what it shows in sentences made of its numbers, what was run on what, the headline with
intervals and nulls, what the comparisons say, attribution, figures, limits, versions and checksums. Everything is inside the
page; it needs no network.

reads
  --cohort       folder with people.tsv and genes.tsv
  --evaluation   folder with summary.tsv, comparisons.tsv and per_gene.tsv
  --checksums    checksums.tsv of the inputs
  --training     training.json of every training run
  --runtimes     runtimes.tsv of the run
  --figures      SVG figures, shown in this order
  --attribution  folders of `gta attribution`, named after their models: tiles.tsv, enrichment.tsv, signs.tsv, completeness.tsv
                 and figures/
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

_COMPRESSION = f"""\
Draws what compressed prompts and windows save (bytes per gene, seconds) beside the correlations, a row per model, and writes
the same as a table.

reads
  --training     MODEL/seedN/training.json of every training run, the first model first
  --runtimes     runtimes.tsv of the run
  --evaluation   folder with summary.tsv and comparisons.tsv
writes
  --out          the figure
  --table        tab-separated: one row per model and regime, with the difference from the first model and its paired interval
{_FIGURE}
"""

_COHORT = f"""\
Draws how many people and genes are in each split, and where the genes' windows lie: windows of different splits do not overlap.

reads
  --cohort       folder with people.tsv and genes.tsv
{_FIGURE}
"""

_TABLES = """\
Writes tables as HTML pages, one each, that sort, search and need no network. Decimal numbers are rounded to four digits.

reads
  --table        any tab-separated table with a header line: its path in --results without .tsv

writes
  --out          a folder with a page per table: evaluation/summary.html for evaluation/summary.tsv
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


def _cis_signal(arguments: argparse.Namespace) -> None:
    from gta.report.cis_signal import cis_signal

    cis_signal(arguments.per_gene, arguments.variants, arguments.models, arguments.out)


def _dependence(arguments: argparse.Namespace) -> None:
    from gta.report.dependence import dependence

    dependence(arguments.dependence, arguments.out)


def _overview(arguments: argparse.Namespace) -> None:
    from gta.report.overview import Sources, overview

    sources = Sources(
        arguments.cohort,
        arguments.evaluation,
        arguments.checksums,
        arguments.training,
        arguments.runtimes,
        arguments.figures,
        arguments.simulated,
        arguments.attribution,
    )
    overview(sources, arguments.out)


def _runtimes(arguments: argparse.Namespace) -> None:
    from gta.report.runtimes import runtimes

    runtimes(arguments.benchmarks, arguments.out, arguments.table)


def _compression(arguments: argparse.Namespace) -> None:
    from gta.report.compression import compression

    compression(arguments.training, arguments.runtimes, arguments.evaluation, arguments.out, arguments.table)


def _cohort(arguments: argparse.Namespace) -> None:
    from gta.report.cohort import cohort

    cohort(arguments.cohort, arguments.out)


def _tables(arguments: argparse.Namespace) -> None:
    from gta.report.tables import tables

    tables(arguments.results, arguments.table, arguments.out, arguments.max_rows)


def add_parser(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `report` with one action per figure, and `tables`."""
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
        "cis-signal",
        "correlations over the strength of each gene's best cis variant",
        _CIS_SIGNAL,
        "--per-gene evaluation/per_gene.tsv --variants baselines/top_eqtl.variants.tsv --models elastic_net gta \\\n"
        "      --out cis_signal.svg",
        _cis_signal,
    )
    parser.add_argument("--per-gene", **file, help="per_gene.tsv of the evaluation")
    parser.add_argument("--variants", **file, help="table of variants of `gta baselines top-eqtl`")
    parser.add_argument("--models", nargs="+", required=True, metavar="NAME", help="the models to draw, a panel each")

    parser = action(
        "dependence",
        "correlations by what is known of the genes",
        _DEPENDENCE,
        "--dependence evaluation/dependence.tsv --out dependence.svg",
        _dependence,
    )
    parser.add_argument("--dependence", **file, help="dependence.tsv of the evaluation")

    parser = action(
        "overview",
        "the page that sums up a run",
        _OVERVIEW,
        "--cohort cohort --evaluation evaluation --checksums inputs/checksums.tsv --training aligner/*/seed*/training.json \\\n"
        "      --runtimes evaluation/runtimes.tsv --figures evaluation/figures/*.svg --out overview.html",
        _overview,
    )
    parser.add_argument("--cohort", **folder, help="folder of the stage cohort")
    parser.add_argument("--evaluation", **folder, help="folder of the stage evaluation")
    parser.add_argument("--checksums", **file, help="checksums of the inputs")
    parser.add_argument("--training", nargs="+", **file, help="training.json of every training run")
    parser.add_argument("--runtimes", **file, help="table of jobs")
    parser.add_argument("--figures", nargs="*", default=[], type=Path, metavar="SVG", help="figures to show")
    parser.add_argument(
        "--attribution", nargs="*", default=[], type=Path, metavar="DIR", help="folders of the stage attribution, one per model"
    )
    parser.add_argument("--simulated", action="store_true", help="say that the data are simulated")

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
        "compression",
        "what compressed prompts and windows save and cost",
        _COMPRESSION,
        "--training aligner/gta/seed*/training.json aligner/aoc_8/seed*/training.json \\\n"
        "      --runtimes evaluation/runtimes.tsv --evaluation evaluation --out compression.svg --table compression.tsv",
        _compression,
    )
    parser.add_argument("--training", nargs="+", **file, help="training.json of every training run, the first model first")
    parser.add_argument("--runtimes", **file, help="table of jobs")
    parser.add_argument("--evaluation", **folder, help="folder of the stage evaluation")
    parser.add_argument("--table", **file, help="where the table is written")

    parser = action(
        "cohort",
        "people, genes and windows by split",
        _COHORT,
        "--cohort cohort --out cohort.svg",
        _cohort,
    )
    parser.add_argument("--cohort", **folder, help="folder of the stage cohort")

    parser = action(
        "tables",
        "tables as self-contained HTML pages",
        _TABLES,
        "--results results/demo --table evaluation/summary Summary 'One row per model, regime and metric.' --out pages",
        _tables,
    )
    parser.add_argument("--results", **folder, help="folder of the tables")
    parser.add_argument(
        "--table",
        nargs=3,
        action="append",
        required=True,
        metavar=("NAME", "TITLE", "TEXT"),
        help="a table, the heading of its page, and what it holds in a sentence or two; once for each table",
    )
    parser.add_argument("--max-rows", type=whole_number, default=20_000, metavar="N", help="longest table shown whole [20000]")
