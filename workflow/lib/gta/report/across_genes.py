"""Figure: predicted and observed level of unseen genes, one panel per model."""

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.headline import read_summary
from gta.evaluation.models import ACROSS_GENES, ENSEMBLE, REGIMES, Model
from gta.evaluation.tables import read_predictions
from gta.report.style import GREY, MAX_VECTOR_POINTS, STYLE, model_styles, save


def _title(model: Model, summary: pd.DataFrame) -> str:
    """Name of a model and the correlation of what its panel shows, as the evaluation wrote it."""
    metric = "spearman" if len(model.seeds) == 1 else f"{ENSEMBLE}spearman"
    rows = summary[(summary["model"] == model.name) & (summary["regime"] == ACROSS_GENES) & (summary["metric"] == metric)]
    if rows.empty:
        raise UserError(f"The summary of the evaluation has no row for {model.name}: give the one made of these predictions.")
    row = rows.iloc[0]
    name = model.name if len(model.seeds) == 1 else f"{model.name} ({len(model.seeds)} seeds)"
    return f"{name}\nSpearman {row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"


@mpl.rc_context(STYLE)
def draw(cohort: Cohort, models: Sequence[Model], summary: pd.DataFrame) -> Figure:
    """Scatter of predicted over observed levels (natural-log units, mean over the held-out people) of the test genes.

    In a reference study the mean is over all individuals.

    Args:
        cohort: With the observed expression.
        models: Those without predictions for test genes are left out.
        summary: `summary.tsv` of the evaluation of the same predictions.

    Raises:
        UserError: if no model speaks of test genes.
    """
    genes, people = cohort.gene_numbers(REGIMES[ACROSS_GENES]), cohort.evaluated_individuals
    shown = [model for model in models if len(model.genes_among(genes))]
    if not shown:
        raise UserError("None of these predictions has rows for genes of the split test: there is nothing to draw.")
    n_columns = min(4, len(shown))
    n_rows = math.ceil(len(shown) / n_columns)
    figure = Figure(figsize=(max(2.3 * n_columns, 4.6) + 0.3, 2.5 * n_rows + 0.5))
    axes = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False)
    styles = model_styles(model.name for model in models)
    observed = cohort.expression[:, people].mean(axis=1)
    for axis, model in zip(axes.flat, shown, strict=False):
        spoken = model.genes_among(genes)
        style = styles[model.name]
        axis.axline((0, 0), slope=1, color=GREY, linewidth=0.7, linestyle="--", zorder=0)
        axis.plot(
            observed[spoken],
            model.ensemble[0, spoken].mean(axis=1),
            marker=style.marker,
            linestyle="",
            color=style.colour,
            markersize=5,
            markeredgewidth=0,
            alpha=0.7,
            rasterized=len(spoken) > MAX_VECTOR_POINTS,
        )
        axis.set_title(_title(model, summary))
    for axis in axes.flat[len(shown) :]:
        axis.remove()
    # A panel above an empty place needs its own labels, which sharing takes away.
    for axis in axes.flat[max(0, len(shown) - n_columns) : len(shown)]:
        axis.tick_params(labelbottom=True)
    _equal_limits(axes.flat[0], observed[genes])
    individuals = f"{len(people)} held-out people"
    if cohort.reference_study:
        individuals = f"{len(people)} individuals" if len(people) > 1 else "one individual"
    figure.supxlabel(f"observed: ln(TPM + 0.01)\nmean over {individuals}; n = {len(genes)} unseen genes", fontsize=9)
    figure.supylabel("predicted: ln(TPM + 0.01)", fontsize=9)
    return figure


def _equal_limits(axis: "mpl.axes.Axes", observed: np.ndarray) -> None:
    """Widen the shared limits so that the line of equality runs through all panels."""
    low, high = axis.get_ylim()
    margin = 0.05 * (observed.max() - observed.min())
    low, high = min(low, observed.min() - margin), max(high, observed.max() + margin)
    axis.set_xlim(observed.min() - margin, observed.max() + margin)
    axis.set_ylim(low, high)


def across_genes(cohort_folder: Path, prediction_files: Sequence[Path], summary_file: Path, out: Path) -> None:
    """Read, draw and write the figure."""
    cohort = Cohort.load(cohort_folder)
    models = [Model.of(predictions) for predictions in read_predictions(prediction_files, cohort).values()]
    save(draw(cohort, models, read_summary(summary_file)), out)
