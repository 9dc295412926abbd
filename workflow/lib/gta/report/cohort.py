"""Figure: people and genes by split, and where the genes' windows lie."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gta.cohort.tables import read_genes, read_people
from gta.report.style import GREY, SPLIT_STYLES, STYLE, save


def _draw_counts(axis: Axes, people: pd.DataFrame, genes: pd.DataFrame) -> None:
    """One bar for each split of people and of genes, with its number."""
    places = []
    for start, (what, table) in zip((0.0, 4.0), (("people", people), ("genes", genes)), strict=True):
        for offset, split in enumerate(SPLIT_STYLES):
            n = int((table["split"] == split).sum())
            colour, hatch = SPLIT_STYLES[split]
            share = n / len(table)
            axis.barh(start + offset, share, color=colour, hatch=hatch, edgecolor="white", linewidth=0, height=0.8)
            axis.text(share + 0.02, start + offset, str(n), va="center", fontsize=8)
            places.append((start + offset, f"{what}, {split}"))
    axis.set_yticks([place for place, _ in places], [label for _, label in places])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.12)
    axis.set_xticks([0, 0.5, 1])
    axis.set_xlabel("share")
    axis.set_title(f"{len(people)} people, {len(genes)} genes")


def _draw_windows(axis: Axes, genes: pd.DataFrame) -> None:
    """Windows along the contigs: a row per contig, a lane per split."""
    contigs = list(dict.fromkeys(genes["contig"]))
    for row, contig in enumerate(contigs):
        if row:
            axis.axhline(row - 0.5, color="#dddddd", linewidth=0.6, zorder=0)
        for lane, split in enumerate(SPLIT_STYLES):
            here = genes[(genes["contig"] == contig) & (genes["split"] == split)]
            colour, _ = SPLIT_STYLES[split]
            starts, ends = here["window_start"] / 1e6, here["window_end"] / 1e6
            bars = list(zip(starts, ends - starts, strict=True))
            axis.broken_barh(bars, (row - 0.42 + 0.28 * lane, 0.24), color=colour, alpha=0.6, linewidth=0.4)
            axis.plot(here["tss"] / 1e6, [row - 0.3 + 0.28 * lane] * len(here), marker="|", linestyle="", color="black",
                      markersize=4, markeredgewidth=0.7)  # fmt: skip
    # A dollar sign in a contig's name is no formula.
    axis.set_yticks(range(len(contigs)), contigs, parse_math=False)
    axis.set_ylim(len(contigs) - 0.45, -0.55)
    axis.set_xlabel("position of windows along the contig (Mb); TSS: black tick")
    axis.set_title("windows; in each row from above: " + ", ".join(SPLIT_STYLES))
    axis.tick_params(axis="y", length=0)
    axis.spines["left"].set_color(GREY)


@mpl.rc_context(STYLE)
def draw(people: pd.DataFrame, genes: pd.DataFrame) -> Figure:
    """Counts by split, and the windows along the contigs.

    Args:
        people: `people.tsv` of the cohort.
        genes: `genes.tsv` of the cohort; windows in bp, 0-based half-open.
    """
    n_contigs = genes["contig"].nunique()
    figure = Figure(figsize=(9.2, max(2.4, 0.42 * n_contigs + 1.2)))
    counts, windows = figure.subplots(1, 2, width_ratios=[1, 2.6])
    _draw_counts(counts, people, genes)
    _draw_windows(windows, genes)
    return figure


def cohort(folder: Path, out: Path) -> None:
    """Read, draw and write the figure."""
    save(draw(read_people(folder), read_genes(folder)), out)
