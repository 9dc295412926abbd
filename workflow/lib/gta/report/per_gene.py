"""Figure: correlations across people of every gene, by regime and model."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gta.errors import UserError
from gta.evaluation.headline import read_summary
from gta.evaluation.models import HEADLINE_METRICS, SEEN_GENES, UNSEEN_GENES
from gta.evaluation.tables import read_numbers
from gta.report.style import GREY, LIGHT_GREY, MAX_VECTOR_POINTS, STYLE, ModelStyle, model_styles, save

_TITLES = {SEEN_GENES: "seen genes, unseen people", UNSEEN_GENES: "unseen genes, unseen people"}


def gene_means(per_gene: pd.DataFrame) -> pd.DataFrame:
    """Spearman correlation by model, regime and gene, averaged over seeds; an undefined one counts as 0, as in the summary."""
    filled = per_gene.assign(spearman=per_gene["spearman"].fillna(0.0))
    return filled.groupby(["model", "regime", "gene"], sort=False)["spearman"].mean().reset_index()


def _draw_model(axis: Axes, place: float, values: np.ndarray, style: ModelStyle, row: pd.Series | None) -> None:
    """One model's row: a dot per gene, a box, and the mean with its interval and its null."""
    # Golden-ratio steps spread the dots evenly, and the same in every run.
    jitter = ((np.arange(len(values)) * 0.618034) % 1.0 - 0.5) * 0.5
    axis.plot(
        values,
        place + jitter,
        marker=style.marker,
        linestyle="",
        color=style.colour,
        markersize=3,
        markeredgewidth=0,
        alpha=0.35,
        rasterized=len(values) > MAX_VECTOR_POINTS,
    )
    axis.boxplot(
        values,
        positions=[place],
        orientation="horizontal",
        widths=0.62,
        showfliers=False,
        medianprops={"color": style.colour, "linewidth": 1.6},
        boxprops={"color": style.colour},
        whiskerprops={"color": style.colour},
        capprops={"color": style.colour},
        manage_ticks=False,
    )
    if row is not None and not np.isnan(row["value"]):
        axis.plot([row["null_high"]] * 2, [place - 0.4, place + 0.4], color="black", linewidth=1.2, linestyle=(0, (2, 1)))
        error = np.maximum([[row["value"] - row["ci_low"]], [row["ci_high"] - row["value"]]], 0)
        axis.errorbar(
            row["value"], place, xerr=error, marker="D", markersize=5, color="black", markerfacecolor="white", capsize=3
        )


@mpl.rc_context(STYLE)
def draw(per_gene: pd.DataFrame, summary: pd.DataFrame) -> Figure:
    """Boxes and dots of per-gene Spearman correlations: a panel per regime, a row per model.

    Args:
        per_gene: `per_gene.tsv`; seeds are averaged gene by gene.
        summary: `summary.tsv`, for the mean over genes, its interval and its null.

    Raises:
        UserError: if `per_gene` is empty.
    """
    means = gene_means(per_gene)
    if means.empty:
        raise UserError("The table of per-gene correlations is empty: there is nothing to draw.")
    models = list(dict.fromkeys(means["model"]))
    styles = model_styles(models)
    figure = Figure(figsize=(9.2, 0.5 * len(models) + 1.9))
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for axis, regime in zip(axes, _TITLES, strict=True):
        in_regime = means[means["regime"] == regime]
        n_people = per_gene.loc[per_gene["regime"] == regime, "n_people"]
        n_genes = in_regime["gene"].nunique()
        if len(n_people):
            # Unrelated rankings of n people have a correlation with standard deviation 1 / sqrt(n - 1).
            half = 1.96 / np.sqrt(n_people.iloc[0] - 1)
            axis.axvspan(-half, half, color=LIGHT_GREY, zorder=0, linewidth=0)
        axis.axvline(0, color=GREY, linewidth=0.7, zorder=1)
        chosen = summary[(summary["regime"] == regime) & (summary["metric"] == HEADLINE_METRICS[regime])]
        for place, model in enumerate(models):
            values = in_regime.loc[in_regime["model"] == model, "spearman"].to_numpy()
            if len(values):
                rows = chosen[chosen["model"] == model]
                _draw_model(axis, place, values, styles[model], None if rows.empty else rows.iloc[0])
            else:
                axis.text(0, place, "no predictions for these genes", ha="center", va="center", fontsize=8, style="italic")
        size = f"n = {n_genes} genes, {n_people.iloc[0]:.0f} people" if len(n_people) else "no genes"
        axis.set_title(f"{_TITLES[regime]} ({size})")
        axis.set_xlabel("Spearman correlation across people, one per gene")
    axes[0].set_yticks(range(len(models)), models)
    axes[0].set_ylim(len(models) - 0.4, -0.6)
    handles = [
        Line2D([], [], marker="o", linestyle="", color=GREY, alpha=0.5, markersize=4, label="gene (mean over seeds)"),
        Line2D([], [], marker="D", color="black", markerfacecolor="white", markersize=5, label="mean over genes, interval"),
        Line2D([], [], color="black", linewidth=1.2, linestyle=(0, (2, 1)), label="upper bound of the mean's null"),
        Patch(color=LIGHT_GREY, label="95 % of single genes, if predictions said nothing"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, columnspacing=1.2, handletextpad=0.5)
    return figure


def per_gene(per_gene_file: Path, summary_file: Path, out: Path) -> None:
    """Read, draw and write the figure."""
    table = read_numbers(per_gene_file, ("model", "seed", "regime", "gene"), ("n_people", "spearman"))
    save(draw(table, read_summary(summary_file)), out)
