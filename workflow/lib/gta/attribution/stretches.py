"""The stretches of a window whose bases matter most, and their logos."""

from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from logomaker import Logo
from matplotlib import pyplot as plt

from gta.report.style import STYLE, save

#: Width of a stretch, bp, and how many are kept of a gene.
WIDTH, NUMBER = 30, 3

#: Letters in the colours that sequence logos have.
COLOURS = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}


def base_importance(mutations: pd.DataFrame) -> pd.DataFrame:
    """What each base near the TSS contributes to the predicted mean.

    Args:
        mutations: The table of `mutate` for one gene.

    Returns:
        `position base importance` by position: minus the mean effect of the three changes of the base, ln expression; positive:
        the base as it is raises the prediction.
    """
    bases = mutations[mutations["kind"] == "base"].groupby("position", sort=True).agg(
        base=("ref", "first"), importance=("effect_mean", "mean")
    )  # fmt: skip
    return bases.assign(importance=-bases["importance"]).reset_index()


def strongest(importance: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """The stretches of WIDTH successive bases with the greatest sums of absolute importance, none overlapping another."""
    position, left = importance["position"].to_numpy(), importance["importance"].abs().to_numpy().copy()
    if len(left) < WIDTH:
        return
    whole = position[WIDTH - 1 :] - position[: len(position) - WIDTH + 1] == WIDTH - 1
    for _ in range(NUMBER):
        sums = np.where(whole, np.convolve(left, np.ones(WIDTH), mode="valid"), -np.inf)
        first = int(np.argmax(sums))
        if not np.isfinite(sums[first]) or sums[first] <= 0:
            return
        yield importance.iloc[first : first + WIDTH]
        left[first : first + WIDTH] = 0
        low, high = max(0, first - WIDTH + 1), first + WIDTH
        whole[low:high] = False


@mpl.rc_context(STYLE)
def draw_logos(title: str, contig: str, stretches: list[pd.DataFrame], path: Path) -> None:
    """Draw letters as high as their base is important; below the line those that lower the prediction.

    Args:
        title: The gene.
        contig: Its contig.
        stretches: Tables of `strongest`.
        path: The file to write.
    """
    figure, axes = plt.subplots(len(stretches), 1, figsize=(9, 1.9 * len(stretches)), squeeze=False)
    for axis, stretch in zip(axes[:, 0], stretches, strict=True):
        first = int(stretch["position"].iloc[0])
        values = stretch["importance"].to_numpy()
        heights = values[:, None] * (stretch["base"].to_numpy()[:, None] == np.array(list(COLOURS)))
        Logo(pd.DataFrame(heights, columns=list(COLOURS)), ax=axis, color_scheme=COLOURS, flip_below=False, width=0.9)
        axis.set_ylim(min(0, values.min()) * 1.1, max(0, values.max()) * 1.1)
        ticks = np.arange(0, len(stretch), 5)
        axis.set_xticks(ticks, [f"{first + tick + 1:,}" for tick in ticks])
        axis.set_ylabel("importance\n(ln expression)")
    axes[0, 0].set_title(f"{title}: strongest stretches near the TSS, plus strand", parse_math=False)
    axes[-1, 0].set_xlabel(f"position on {contig} (bp, counted from 1)", parse_math=False)
    save(figure, path)
    plt.close(figure)
