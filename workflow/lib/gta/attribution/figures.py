"""Figures: attribution along a gene's window."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd

from gta.attribution.strength import gene_strength
from gta.errors import UserError

mpl.use("Agg")
# The same figure must have the same bytes in every run.
mpl.rcParams["svg.hashsalt"] = "gta"
# Text as outlines: a reader without the font would see other widths, and labels on top of each other.
mpl.rcParams["svg.fonttype"] = "path"

from matplotlib import pyplot as plt  # noqa: E402 (the backend must be chosen first)

RAISES, LOWERS, PERSONAL, KNOWN = "#0072B2", "#D55E00", "#444444", "#009E73"

#: Rows in which the names of neighbouring genes may stand, and the share of the figure's width that a letter takes.
LABEL_ROWS, LABEL_ROOM = 3, 0.007


def require_genes(wanted: list[str], genes: pd.DataFrame) -> None:
    """Refuse a gene to be drawn that is not in the cohort.

    Raises:
        UserError: naming the gene.
    """
    known = set(genes["gene"])
    for gene in wanted:
        if gene not in known:
            raise UserError(
                f"attribution.figure_genes: {gene} is not a gene of the cohort; see cohort/genes.tsv and dropped.tsv."
            )


def chosen_genes(tiles: pd.DataFrame, number: int, wanted: list[str]) -> list[str]:
    """The genes to draw: those named, and those with the largest personal attribution (without any, deletion effects)."""
    strongest = gene_strength(tiles).sort_values(ascending=False, kind="stable").index[:number]
    return list(dict.fromkeys([*wanted, *strongest]))


def draw_gene(
    gene: str, tiles: pd.DataFrame, genes: pd.DataFrame, elements: pd.DataFrame, variants: np.ndarray, folder: Path
) -> Path:
    """Draw one gene's attribution and write `{gene}.svg`.

    Above: deletion effect of each tile on the predicted mean. Middle: personal attribution. Below: variants, known
    elements and the TSSs of the genes in the window.

    Args:
        gene: Name of the gene.
        tiles: The table of tiles.
        genes: `cohort/genes.tsv`.
        elements: Known elements.
        variants: Positions of the cohort's variants, bp, 0-based.
        folder: Existing folder to write to.
    """
    rows = tiles[tiles["gene"] == gene]
    about = genes[genes["gene"] == gene].iloc[0]
    tss, low, high = int(about["tss"]), int(rows["start"].iloc[0]), int(rows["end"].iloc[-1])
    kilobases = (rows["start"].to_numpy() - tss) / 1000
    width = (rows["end"] - rows["start"]).to_numpy() / 1000
    # Names are written with parse_math=False: a dollar sign in one is no formula.
    figure, axes = plt.subplots(3, 1, figsize=(10, 5.6), sharex=True, height_ratios=[3, 2, 1.4], layout="constrained")

    deletion = rows["deletion"].to_numpy()
    colours = np.where(deletion >= 0, RAISES, LOWERS)
    axes[0].bar(kilobases, deletion, width=width, align="edge", color=colours, edgecolor="white", linewidth=0.3)
    axes[0].axhline(0, color="black", linewidth=0.6)
    axes[0].set_ylabel("deletion effect\n(ln expression)")
    personal = rows["personal"].to_numpy()
    axes[1].bar(kilobases, personal, width=width, align="edge", color=PERSONAL, edgecolor="white", linewidth=0.3)
    axes[1].set_ylabel("personal\n(|ln expression|)")
    if not tiles["personal"].any():
        note = "no individual differs from the reference in any gene: does not apply"
        box = {"facecolor": "white", "edgecolor": "none"}
        axes[1].text(0.5, 0.5, note, transform=axes[1].transAxes, ha="center", va="center", fontsize=8, bbox=box)
        axes[1].set_yticks([])

    known = elements[(elements["gene"] == gene) | (elements["gene"] == "")]
    known = known[(known["contig"] == about["contig"]) & (known["start"] < high) & (known["end"] > low)]
    for element in known.itertuples():
        left, right = (int(element.start) - tss) / 1000, (int(element.end) - tss) / 1000
        axes[2].plot([left, right], [0.3, 0.3], color=KNOWN, linewidth=7, solid_capstyle="butt")
        axes[2].plot([(left + right) / 2], [0.3], marker="|", markersize=9, color=KNOWN)
        for axis in axes[:2]:
            axis.axvspan(left, right, color=KNOWN, alpha=0.25, linewidth=0.8)
    places = variants[(variants >= low) & (variants < high)]
    axes[2].vlines((places - tss) / 1000, -0.7, -0.2, color=PERSONAL, linewidth=0.4)
    neighbours = genes[(genes["contig"] == about["contig"]) & genes["tss"].between(low, high - 1)].sort_values("tss")
    room = (high - low) / 1000 * LABEL_ROOM
    free = [-np.inf] * LABEL_ROWS
    for neighbour in neighbours.itertuples():
        at, own = (int(neighbour.tss) - tss) / 1000, neighbour.gene == gene
        # The lowest row where no name is in the way, else the one that is free soonest.
        row = next((row for row, until in enumerate(free) if until <= at), int(np.argmin(free)))
        length = room * (3 + len(str(neighbour.symbol)))
        free[row] = at + length
        # A name that would leave the figure stands on the other side.
        offset, side = ((6, 0), "left") if at + length < (high - tss) / 1000 else ((-6, 0), "right")
        height, colour = 1 + row, "black" if own else "grey"
        axes[2].plot([at], [height], marker=">" if neighbour.strand == "+" else "<", color=colour, markersize=6)
        axes[2].annotate(
            str(neighbour.symbol), (at, height), xytext=offset, textcoords="offset points", va="center", ha=side,
            fontsize=7, color=colour, fontweight="bold" if own else "normal", parse_math=False,
        )  # fmt: skip
    for axis in axes:
        axis.axvline(0, color="black", linewidth=0.8, linestyle=":")
        axis.spines[["top", "right"]].set_visible(False)
    axes[2].set_ylim(-0.9, LABEL_ROWS + 0.7)
    axes[2].set_yticks([-0.45, 0.3, (1 + LABEL_ROWS) / 2], ["variants", "elements", "TSS"])
    axes[2].set_xlim((low - tss) / 1000, (high - tss) / 1000)
    axes[2].set_xlabel(
        f"distance from the TSS of {about['symbol']} along the contig (kb; {about['contig']}:{tss + 1:,},"
        f" gene on the {about['strand']} strand)",
        parse_math=False,
    )
    seeds = int(rows["n_seeds"].iloc[0])
    split = {
        "train": "seen in training",
        "valid": "validation gene",
        "test": "unseen gene",
        "unmeasured": "gene without expression",
    }[str(about["split"])]
    axes[0].set_title(
        f"{about['symbol']} ({gene}), {split}, {len(known)} known elements, {len(places)} variants,"
        f" {'one seed' if seeds == 1 else f'mean of {seeds} seeds'}",
        parse_math=False,
    )
    path = folder / f"{gene.replace('/', '_')}.svg"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
    return path
