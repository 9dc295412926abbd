"""How all figures look, and how they are written: the same input gives the same bytes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from gta.errors import UserError
from gta.files import atomic_path

#: Settings of matplotlib for every figure: `@mpl.rc_context(STYLE)` on the function that draws.
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
    # Text as outlines: a reader without the font would see other widths, and labels on top of each other.
    "svg.fonttype": "path",
    # Names of clip paths are hashes; without a fixed salt they differ between runs.
    "svg.hashsalt": "gta",
}

#: Above so many points a cloud is embedded as pixels, or the SVG would take seconds to show.
MAX_VECTOR_POINTS = 1500

GREY, LIGHT_GREY = "#555555", "#e4e4e4"

#: Splits: colour and hatching, so that they differ in print too.
SPLIT_STYLES = {"train": ("#0072B2", ""), "valid": ("#E69F00", "////"), "test": ("#D55E00", "....")}


@dataclass(frozen=True)
class ModelStyle:
    """Colour, marker and line of a model: any one of them tells it from the others."""

    colour: str
    marker: Any
    line: Any


# The palette of Okabe and Ito (https://jfly.uni-koeln.de/color/), told apart by readers with any kind of colour vision; its
# yellow, which cannot be seen on white, is replaced by a brown. Baselines that read text have colours of Paul Tol's muted palette
# (https://personal.sron.nl/~pault/), made for the same purpose, and markers of their own.
_BLUE, _VERMILLION, _GREEN, _ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
_PURPLE, _SKY, _BLACK, _BROWN = "#CC79A7", "#56B4E9", "#000000", "#7F5A2A"

#: Models of the shipped configurations have the same look in every figure, whichever others stand beside them.
_KNOWN = {
    "gta": ModelStyle(_BLUE, "o", "-"),
    "no_llm": ModelStyle(_VERMILLION, "s", "--"),
    "llm_to_attention": ModelStyle(_GREEN, "^", "-."),
    "random_llm": ModelStyle(_ORANGE, "D", ":"),
    "shuffled_prompt": ModelStyle(_PURPLE, "v", (0, (5, 1, 1, 1, 1, 1))),
    "blank_prompt": ModelStyle(_SKY, "P", (0, (3, 3))),
    "symbol_prompt": ModelStyle("#6A3D9A", "H", (0, (8, 2, 1, 2))),
    "no_prompt": ModelStyle("#8C2D04", ">", (0, (1, 4))),
    "no_llm_and_prompt": ModelStyle("#882255", "p", (0, (6, 2, 2, 2))),
    "features_and_prompt": ModelStyle("#117733", r"$\clubsuit$", (0, (2, 1))),
    "prompt_ridge": ModelStyle("#332288", (4, 1, 0), (0, (10, 2))),
    "tfidf_ridge": ModelStyle("#44AA99", (6, 1, 0), (0, (3, 1, 1, 1))),
    "text_length": ModelStyle("#999933", r"$\spadesuit$", (0, (1, 3))),
    "elastic_net": ModelStyle(_BLACK, "X", (0, (1, 2))),
    "ridge": ModelStyle(_BROWN, "*", (0, (8, 2))),
    "top_eqtl": ModelStyle("#777777", "d", (0, (4, 1, 1, 1))),
    "mean": ModelStyle("#BBBBBB", "h", (0, (1, 1))),
    "track": ModelStyle("#3B3B98", "<", (0, (6, 1, 2, 1))),
}

#: Looks of models with other names, before those of known models that are not in the figure.
_OTHERS = [
    ModelStyle("#AA4499", (8, 1, 0), (0, (7, 1))),
    ModelStyle("#CC6677", (5, 1, 180), (0, (2, 2, 6, 2))),
    ModelStyle("#88CCEE", (4, 1, 45), (0, (5, 2, 1, 2, 1, 2))),
    ModelStyle("#661100", (6, 0, 30), (0, (2, 4))),
]


def model_styles(models: Iterable[str]) -> dict[str, ModelStyle]:
    """A look for every model: a fixed one for those of the shipped configurations, the free ones in turn for others."""
    names = list(dict.fromkeys(models))
    free = _OTHERS + [style for name, style in _KNOWN.items() if name not in names]
    others = [name for name in names if name not in _KNOWN]
    looks = {name: free[index % len(free)] for index, name in enumerate(others)}
    return {name: _KNOWN.get(name) or looks[name] for name in names}


def nothing_to_draw(reason: str) -> Figure:
    """A figure that only says why it is empty: a small run is no mistake, and its report is made all the same."""
    figure = Figure(figsize=(5, 1.2))
    figure.text(0.5, 0.5, reason, ha="center", va="center", style="italic")
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as SVG, PNG or PDF, by the suffix of the path; without a date, so that bytes do not change.

    Raises:
        UserError: for another suffix.
    """
    metadata = {".svg": {"Date": None}, ".png": {}, ".pdf": {"CreationDate": None}}.get(path.suffix)
    if metadata is None:
        raise UserError(f"{path}: figures are written as .svg, .png or .pdf: give the file one of these endings.")
    with mpl.rc_context(STYLE), atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata=metadata)
