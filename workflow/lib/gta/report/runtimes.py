"""Figure and table: time and memory of every step, from the benchmark files that Snakemake writes."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from gta.cli import STAGES
from gta.errors import UserError
from gta.evaluation.tables import read_numbers
from gta.files import atomic_path
from gta.inputs.tables import write_table
from gta.report.style import GREY, STYLE, save

#: Columns of the table: seconds of wall clock, seconds of all cores, peak of resident memory in MiB.
COLUMNS = ("step", "job", "seconds", "cpu_seconds", "max_rss_mib")


def read_benchmarks(folder: Path) -> pd.DataFrame:
    """All benchmark files of a folder as one table, steps in the order of the stages.

    `haplotypes/chr1.tsv` is job `chr1` of step `haplotypes`; `aligner/train/gta.tsv` is job `gta` of step `aligner/train`;
    `cohort.tsv`, in the folder itself, is step `cohort` with a single job of that name. The jobs under `report/` are left out:
    they still run while this is drawn, and which of them are done would be chance.

    Args:
        folder: With files of Snakemake's `benchmark:` (columns `s`, `cpu_time`, `max_rss`; `NA` for a job that was too short to
            be measured). A file of several lines (repeats) gives several rows.

    Raises:
        UserError: if the folder does not exist, holds no benchmark file, or a file is of another form.
    """
    if not folder.is_dir():
        raise UserError(f"The folder of benchmarks {folder} does not exist: give the one that the workflow wrote.")
    parts = []
    for path in sorted(folder.rglob("*.tsv")):
        where = path.relative_to(folder)
        if where.parts[0] == "report":
            continue
        table = read_numbers(path, (), ("s", "cpu_time", "max_rss"))
        step = where.stem if where.parent == Path() else where.parent.as_posix()
        values = (step, where.stem, table["s"], table["cpu_time"], table["max_rss"])
        parts.append(pd.DataFrame(dict(zip(COLUMNS, values, strict=True))))
    if not parts:
        raise UserError(f"The folder of benchmarks {folder} holds no .tsv file: run the workflow first.")
    jobs = pd.concat(parts, ignore_index=True)
    order = {stage: number for number, stage in enumerate(STAGES)}
    rank = jobs["step"].str.split("/").str[0].map(order).fillna(len(order))
    return jobs.assign(rank=rank).sort_values(["rank", "step", "job"], kind="stable").drop(columns="rank").reset_index(drop=True)


def _spread(axis: "mpl.axes.Axes", jobs: pd.DataFrame, column: str, steps: list[str]) -> None:
    """A dot for each job and a bar for the longest of a step, on a logarithmic axis."""
    for place, step in enumerate(steps):
        values = jobs.loc[jobs["step"] == step, column].dropna()
        if values.empty:
            axis.annotate("too short to be measured", (0.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=8)
            continue
        axis.plot([values.min(), values.max()], [place, place], color=GREY, linewidth=1.2, zorder=1)
        axis.plot(values, [place] * len(values), marker="o", linestyle="", markersize=5, color="#0072B2", alpha=0.6, zorder=2)
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(axis="x", color="#dddddd", linewidth=0.6)
    axis.set_axisbelow(True)


@mpl.rc_context(STYLE)
def draw(jobs: pd.DataFrame) -> Figure:
    """Wall-clock seconds and peak memory of every job, a row per step.

    Args:
        jobs: From `read_benchmarks`.
    """
    steps = list(dict.fromkeys(jobs["step"]))
    figure = Figure(figsize=(8.2, 0.3 * len(steps) + 1.1))
    time, memory = figure.subplots(1, 2, sharey=True)
    _spread(time, jobs, "seconds", steps)
    _spread(memory, jobs, "max_rss_mib", steps)
    counts = jobs["step"].value_counts()
    labels = [f"{step} ({counts[step]} job{'s' if counts[step] > 1 else ''})" for step in steps]
    time.set_yticks(range(len(steps)), labels)
    time.set_ylim(len(steps) - 0.4, -0.6)
    time.set_xlabel("wall clock (seconds)")
    memory.set_xlabel("peak memory (MiB)")
    return figure


def runtimes(benchmarks: Path, out: Path, table: Path) -> None:
    """Read, draw and write the figure and the table of jobs."""
    jobs = read_benchmarks(benchmarks)
    save(draw(jobs), out)
    with atomic_path(table) as temporary:
        write_table(jobs, temporary, "%.6g")
