"""The headline: one row per model, one column per regime, in a form to read in a terminal."""

from pathlib import Path

import numpy as np
import pandas as pd

from gta.errors import UserError
from gta.evaluation.models import ACROSS_GENES, HEADLINE_METRICS, REGIMES
from gta.evaluation.tables import read_numbers

_TITLES = {
    "across_genes": "across unseen genes",
    "seen_genes_unseen_people": "across unseen people, seen genes",
    "unseen_genes_unseen_people": "across unseen people, unseen genes",
}

_FOOTNOTE = (
    "value [bootstrap interval over genes]; * above what permuted data give (null_high).\n"
    "Across genes: Spearman correlation of predicted and observed levels. Across people: Spearman correlation gene by gene,\n"
    "mean over genes, where a constant prediction counts as 0. Several seeds: mean over seeds. -: the model says nothing of it."
)


_NO_INDIVIDUALS = "Across individuals: does not apply, as no model predicts differences between them (mean expression only)."


def regimes_with_predictions(summary: pd.DataFrame) -> list[str]:
    """Return the regimes in which some model predicts a gene; in a study without genotypes this is `across_genes` alone."""
    predicted = summary.groupby("regime")["n_genes"].max()
    return [regime for regime in REGIMES if regime == ACROSS_GENES or predicted.get(regime, 0) > 0]


def read_summary(path: Path) -> pd.DataFrame:
    """`summary.tsv` of an evaluation, numbers as float64.

    Raises:
        UserError: if the file is absent or lacks a column.
    """
    intervals = ("ci_low", "ci_high", "people_ci_low", "people_ci_high")
    numbers = ("n_seeds", "n_genes", "n_people", "n_constant", "value", *intervals, "null_mean", "null_high", "p_value")
    return read_numbers(path, ("model", "regime", "metric"), numbers)


def _cell(row: pd.Series) -> str:
    if np.isnan(row["value"]):
        return "-"
    star = "*" if row["value"] > row["null_high"] else " "
    return f"{row['value']:+.2f} [{row['ci_low']:+.2f}, {row['ci_high']:+.2f}]{star}"


def enrichment_lines(path: Path) -> list[str]:
    """What an attribution's `enrichment.tsv` says, one line per region; none if no element was known.

    Raises:
        UserError: if the file is absent or lacks a column.
    """
    table = read_numbers(path, ("region", "measure"), ("n_genes", "n_positive", "auroc", "ci_low", "ci_high"))
    lines = []
    for region, rows in table.groupby("region", sort=False):
        size = f"{rows['n_positive'].iloc[0]:.0f} tiles with known elements, {rows['n_genes'].iloc[0]:.0f} genes"
        values = [f"{row.measure} {row.auroc:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]" for row in rows.itertuples()]
        lines.append(f"Attribution, {region} tiles ({size}), AUROC: {'; '.join(values)}")
    return lines


def headline(folder: Path) -> str:
    """The headline table of an evaluation folder as text.

    Args:
        folder: What `gta evaluation score` wrote.

    Returns:
        Lines without a trailing newline; models in the order of the summary.

    Raises:
        UserError: if the folder holds no summary, or an empty one.
    """
    summary = read_summary(folder / "summary.tsv")
    chosen = summary[summary["metric"] == summary["regime"].map(HEADLINE_METRICS)]
    if chosen.empty:
        raise UserError(f"{folder / 'summary.tsv'} has no row to show: run `gta evaluation score` again.")
    names = list(dict.fromkeys(chosen["model"]))
    columns = [["model", "", *names]]
    regimes = regimes_with_predictions(chosen)
    for regime in regimes:
        rows = chosen[chosen["regime"] == regime].set_index("model")
        size = f"n = {rows['n_genes'].max():.0f} genes, {rows['n_people'].max():.0f} people"
        columns.append([_TITLES[regime], size, *(_cell(rows.loc[name]) for name in names)])
    widths = [max(map(len, column)) for column in columns]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in zip(*columns, strict=True)]
    lines.insert(2, "  ".join("-" * width for width in widths))
    footnotes = [*_FOOTNOTE.splitlines(), *([_NO_INDIVIDUALS] if regimes == [ACROSS_GENES] else [])]
    return "\n".join(line.rstrip() for line in [*lines, "", *footnotes])
