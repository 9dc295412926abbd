"""Figure: mean correlation across people in thirds of the genes, by what is known of the genes."""

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gta.evaluation.models import SEEN_GENES, UNSEEN_GENES
from gta.evaluation.tables import read_numbers
from gta.report.style import GREY, STYLE, model_styles, nothing_to_draw, save

_TITLES = {
    "expression": "mean expression\nln(TPM + 0.01)",
    "cv_r2": "predictable from genotypes\nelastic net, cross-validated R2",
    "n_variants": "usable variants\nin the window",
    "distance": "best variant's distance\nfrom the TSS (kb)",
}
_REGIMES = {SEEN_GENES: "seen genes", UNSEEN_GENES: "unseen genes"}


def _bounds(row: pd.Series, name: str) -> str:
    """The range of a part, to be read below the axis."""
    digits = {"cv_r2": 2, "expression": 1}.get(name, 0)
    low, high = (round(value / 1000 if name == "distance" else value, digits) + 0.0 for value in (row["low"], row["high"]))
    return f"{low:.{digits}f} to\n{high:.{digits}f}"


def _draw(axis: Axes, rows: pd.DataFrame, models: list[str], name: str) -> None:
    """A property in a regime: a line per model over the parts."""
    styles = model_styles(models)
    groups = list(dict.fromkeys(rows["group"]))
    axis.axhline(0, color=GREY, linewidth=0.7)
    for number, model in enumerate(models):
        own = rows[rows["model"] == model].set_index("group")
        own = own.reindex([group for group in groups if group in own.index])
        x = np.array([groups.index(group) for group in own.index]) + 0.6 / len(models) * (number - (len(models) - 1) / 2)
        error = np.abs(np.stack([own["value"] - own["ci_low"], own["ci_high"] - own["value"]]))
        style = styles[model]
        axis.errorbar(
            x,
            own["value"],
            yerr=error,
            color=style.colour,
            marker=style.marker,
            linestyle=style.line,
            markersize=4,
            linewidth=0.9,
            elinewidth=0.6,
        )
    labels = [_bounds(rows[rows["group"] == group].iloc[0], name) for group in groups]
    axis.set_xticks(range(len(groups)), labels, fontsize=7)


@mpl.rc_context(STYLE)
def draw(table: pd.DataFrame) -> Figure:
    """Mean Spearman correlation of thirds of the genes: a row per regime across people, a column per property.

    Args:
        table: `dependence.tsv`; its groups of genes and trends are left to the table.

    Returns:
        The figure; a sentence in its place if every part of the genes was too small for a mean.
    """
    rows = table[(table["metric"] == "mean_spearman") & (table["property"] != "group")]
    regimes = [regime for regime in _REGIMES if (rows["regime"] == regime).any()]
    names = [name for name in _TITLES if (rows["property"] == name).any()]
    if not regimes:
        return nothing_to_draw("Too few genes to divide into thirds.")
    # A model that predicts everybody alike has nothing to show here.
    models = list(dict.fromkeys(rows.loc[rows["value"] != 0, "model"]))
    figure = Figure(figsize=(2.3 * len(names) + 0.6, 2.2 * len(regimes) + 0.9))
    axes = figure.subplots(len(regimes), len(names), sharey=True, squeeze=False)
    for row, regime in enumerate(regimes):
        for column, name in enumerate(names):
            chosen = rows[(rows["regime"] == regime) & (rows["property"] == name)]
            _draw(axes[row, column], chosen, models, name)
            axes[row, column].set_xlabel("range in each third of the genes", fontsize=7)
            if row == 0:
                axes[row, column].set_title(_TITLES[name])
        sizes = rows.loc[rows["regime"] == regime, "n_genes"]
        size = f"{sizes.min():.0f}" if sizes.min() == sizes.max() else f"{sizes.min():.0f} to {sizes.max():.0f}"
        axes[row, 0].set_ylabel(f"mean Spearman\n{_REGIMES[regime]}\n(n = {size} in each third)")
    styles = model_styles(models)
    handles = [
        Line2D([], [], color=styles[m].colour, marker=styles[m].marker, linestyle=styles[m].line, markersize=4, label=m)
        for m in models
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=math.ceil(len(models) / math.ceil(len(models) / 5)))
    return figure


def dependence(table: Path, out: Path) -> None:
    """Read, draw and write the figure."""
    numbers = ("low", "high", "n_genes", "value", "ci_low", "ci_high")
    save(draw(read_numbers(table, ("model", "regime", "property", "group", "metric"), numbers)), out)
