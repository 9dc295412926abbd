"""Figure: does the known cis signal come back in people who were held out? Correlation over the strength of the best variant."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gta.evaluation.models import SEEN_GENES
from gta.evaluation.tables import read_numbers
from gta.report.style import GREY, STYLE, ModelStyle, model_styles, nothing_to_draw, save

#: A gene has a strong cis variant if the best p-value among the training people is below this.
STRONG = 1e-5
#: Genes with a q-value up to this count as predicted.
LEVEL = 0.05


def joined(per_gene: pd.DataFrame, variants: pd.DataFrame) -> pd.DataFrame:
    """One row per model and gene of the training: `model gene p_value spearman ci_low ci_high significant`.

    Args:
        per_gene: `per_gene.tsv` of the evaluation. Several seeds are averaged; a gene is significant if it is in every seed. A
            constant prediction counts as 0.
        variants: Table of variants of the baseline `top-eqtl`.
    """
    seen = per_gene[per_gene["regime"] == SEEN_GENES]
    seen = seen.assign(
        significant=(seen["q_value"] <= LEVEL) & (seen["spearman"] > 0), **seen[["spearman", "ci_low", "ci_high"]].fillna(0.0)
    )
    columns = {"spearman": "mean", "ci_low": "mean", "ci_high": "mean", "significant": "all"}
    genes = seen.groupby(["model", "gene"], sort=False).agg(columns).reset_index()
    return genes.merge(variants[["gene", "p_value"]], on="gene", validate="many_to_one")


def _draw(axis: Axes, genes: pd.DataFrame, style: ModelStyle, model: str) -> None:
    x = -np.log10(np.maximum(genes["p_value"], 1e-300))
    axis.axhline(0, color=GREY, linewidth=0.7)
    axis.axvline(-np.log10(STRONG), color=GREY, linewidth=0.7, linestyle="--")
    axis.vlines(x, genes["ci_low"], genes["ci_high"], color=style.colour, linewidth=0.6, alpha=0.5)
    for significant, face in ((False, "white"), (True, style.colour)):
        chosen = genes["significant"] == significant
        axis.plot(
            x[chosen],
            genes.loc[chosen, "spearman"],
            marker=style.marker,
            linestyle="",
            color=style.colour,
            markerfacecolor=face,
            markersize=5,
        )
    strong = genes["p_value"] < STRONG
    axis.set_title(
        f"{model} (n = {len(genes)} genes)\n{(strong & genes['significant']).sum()} of {strong.sum()} strong genes predicted,"
        f" {(~strong & genes['significant']).sum()} of {(~strong).sum()} others"
    )
    axis.set_xlabel("best cis variant: -log10 p, training people")


@mpl.rc_context(STYLE)
def draw(genes: pd.DataFrame, models: Sequence[str], n_people: int) -> Figure:
    """Spearman correlation across the held-out people over the strength of each gene's best variant, a panel per model.

    Args:
        genes: From `joined`.
        models: The panels, in this order; those without predictions are left out.
        n_people: Number of held-out people.

    Returns:
        The figure; a sentence in its place if none of the models predicts a gene that has a usable variant.
    """
    shown = [model for model in models if (genes["model"] == model).any()]
    if not shown:
        return nothing_to_draw(f"No gene with a usable variant is predicted by {', '.join(models)}.")
    styles = model_styles(dict.fromkeys(genes["model"]))
    figure = Figure(figsize=(3.2 * len(shown) + 0.4, 3.6))
    axes = figure.subplots(1, len(shown), sharex=True, sharey=True, squeeze=False)[0]
    for axis, model in zip(axes, shown, strict=True):
        _draw(axis, genes[genes["model"] == model], styles[model], model)
    axes[0].set_ylabel(f"Spearman correlation\nacross {n_people} held-out people")
    handles = [
        Line2D([], [], marker="o", linestyle="", color=GREY, label=f"q ≤ {LEVEL:g} (permutations)"),
        Line2D([], [], marker="o", linestyle="", color=GREY, markerfacecolor="white", label="not significant"),
        Line2D([], [], color=GREY, linewidth=0.7, linestyle="--", label=f"p = {STRONG:g}"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def cis_signal(per_gene: Path, variants: Path, models: Sequence[str], out: Path) -> None:
    """Read, draw and write the figure."""
    numbers = ("n_people", "spearman", "ci_low", "ci_high", "q_value")
    table = read_numbers(per_gene, ("model", "seed", "regime", "gene"), numbers)
    genes = joined(table, read_numbers(variants, ("gene",), ("p_value",)))
    save(draw(genes, models, int(table["n_people"].iloc[0]) if len(table) else 0), out)
