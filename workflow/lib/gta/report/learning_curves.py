"""Figure: how training went, one line per seed of every model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gta.errors import UserError
from gta.evaluation.tables import read_numbers
from gta.report.style import STYLE, model_styles, save

#: Column of the history, title of its panel, label of its axis.
PANELS = (
    ("train_loss", "loss, training", "loss (weighted sum)"),
    ("valid_loss", "loss, validation", "loss (weighted sum)"),
    ("valid_spearman_genes", "across genes, validation", "Spearman correlation"),
    ("valid_spearman_people", "across people, validation", "Spearman correlation"),
)


def run_of(path: Path) -> tuple[str, str]:
    """Model and seed of a history from its folders: `.../gta/seed1/history.tsv` is ("gta", "1").

    Raises:
        UserError: if the path is not of that form.
    """
    seed, model = path.absolute().parent.name, path.absolute().parent.parent.name
    if not (seed.startswith("seed") and seed[4:].isdecimal() and model):
        raise UserError(f"{path}: a history lies in MODEL/seedN/history.tsv, which names model and seed: give it by that path.")
    return model, seed[4:]


@mpl.rc_context(STYLE)
def draw(histories: Mapping[tuple[str, str], pd.DataFrame]) -> Figure:
    """Losses and validation correlations over epochs: a panel each, colour and line by model, one line per seed.

    Args:
        histories: (model, seed) to its `history.tsv`.
    """
    styles = model_styles(model for model, _ in histories)
    figure = Figure(figsize=(8.2, 5.4))
    axes = figure.subplots(2, 2, sharex=True)
    for axis, (column, title, label) in zip(axes.flat, PANELS, strict=True):
        for (model, _), history in histories.items():
            style = styles[model]
            drawn = history.dropna(subset=[column])
            # A line of one epoch would not be seen.
            marker = style.marker if len(drawn) < 40 else ""
            axis.plot(
                drawn["epoch"],
                drawn[column],
                color=style.colour,
                linestyle=style.line,
                linewidth=1.1,
                marker=marker,
                markersize=3,
                alpha=0.85,
            )
        if all(history[column].isna().all() for history in histories.values()):
            note = "does not apply: nothing about individuals was trained"
            axis.text(0.5, 0.6, note, transform=axis.transAxes, ha="center", va="center", fontsize=8)
            axis.set_yticks([])
        axis.set_title(title)
        axis.set_ylabel(label)
        axis.xaxis.get_major_locator().set_params(integer=True)
    for axis in axes[1]:
        axis.axhline(0, color="#999999", linewidth=0.7, zorder=0)
        axis.set_xlabel("epoch")
    seeds = {model: sum(1 for other, _ in histories if other == model) for model, _ in histories}
    handles = [
        Line2D(
            [], [], color=style.colour, linestyle=style.line, marker=style.marker, markersize=4,
            label=f"{model} ({seeds[model]} seed{'s' if seeds[model] > 1 else ''})",
        )
        for model, style in styles.items()
    ]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), handlelength=3.2)
    return figure


def learning_curves(history_files: Sequence[Path], out: Path) -> None:
    """Read, draw and write the figure.

    Raises:
        UserError: if a file is wrong, or two are of the same model and seed.
    """
    histories: dict[tuple[str, str], pd.DataFrame] = {}
    columns = ("epoch", *(column for column, _, _ in PANELS))
    for path in history_files:
        run = run_of(path)
        if run in histories:
            raise UserError(f"Two histories are of model {run[0]} with seed {run[1]} (the second is {path}): give each once.")
        histories[run] = read_numbers(path, (), columns)
    save(draw(histories), out)
