"""Does attribution point at the elements that are known?"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from gta.attribution.tiles import MEASURES
from gta.errors import UserError
from gta.inputs.compression import open_text
from gta.inputs.tables import read_table

WHAT = "file of known elements"

#: Tiles whose centre is nearer to the TSS than this are the promoter's; bp.
PROMOTER = 2000


def read_elements(path: Path) -> pd.DataFrame:
    """Known elements, from a truth table of a simulation or from a BED file.

    Returns:
        `gene contig start end`, bp, 0-based half-open; gene is empty where an element belongs to no gene in particular (BED).

    Raises:
        UserError: if the file is neither.
    """
    if path.name.endswith(".tsv"):
        columns = ("gene", "contig", "start", "end")
        try:
            return read_table(path, columns, ("start", "end"))[list(columns)]
        except UserError as error:
            raise UserError(
                f"{error} A file named .tsv must be the truth of a simulation; give other elements as .bed."
            ) from error
    rows = []
    with open_text(path, WHAT) as handle:
        for number, line in enumerate(handle, start=1):
            fields = line.rstrip("\r\n").split("\t")
            if not line.strip() or line.startswith(("#", "track", "browser")):
                continue
            if len(fields) < 3 or not (fields[1].isdecimal() and fields[2].isdecimal()) or int(fields[1]) > int(fields[2]):
                raise UserError(
                    f"The {WHAT} {path}, line {number}, is not BED ({line[:60].rstrip()!r}): contig, start and end, separated by"
                    " tabs, with 0 <= start <= end are needed."
                )
            rows.append(("", fields[0], int(fields[1]), int(fields[2])))
    if not rows:
        raise UserError(f"The {WHAT} {path} names no element: check how it was made, or leave it out.")
    return pd.DataFrame(rows, columns=["gene", "contig", "start", "end"])


def require_shared_contigs(elements: pd.DataFrame, contigs: list[str], path: Path) -> None:
    """Refuse elements none of which lies on a contig of the reference.

    Raises:
        UserError: with an example of both names.
    """
    known = set(elements["contig"])
    if known and not known & set(contigs):
        raise UserError(
            f"No element of {path} is on a contig of the reference: it has {sorted(known)[0]!r}, the reference {contigs[0]!r}; "
            "rename the contigs in the file of elements."
        )


def mark_tiles(tiles: pd.DataFrame, elements: pd.DataFrame) -> np.ndarray:
    """Which tiles overlap a known element of their gene (or of no gene in particular).

    Args:
        tiles: The table of tiles.
        elements: The table of `read_elements`.

    Returns:
        (tiles,) bool.
    """
    marked = np.zeros(len(tiles), dtype=bool)
    general = elements[elements["gene"] == ""]
    by_gene = dict(iter(elements.groupby("gene")))
    for gene, rows in tiles.groupby("gene", sort=False):
        known = pd.concat([general, by_gene[gene]]) if gene in by_gene and gene != "" else general
        known = known[known["contig"] == rows["contig"].iloc[0]]
        starts, ends = rows["start"].to_numpy()[:, None], rows["end"].to_numpy()[:, None]
        overlaps = (starts < known["end"].to_numpy()[None, :]) & (ends > known["start"].to_numpy()[None, :])
        marked[rows.index] = overlaps.any(axis=1)
    return marked


def auroc(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve; ties count half. NaN if there is only one class (Mann-Whitney U / n m)."""
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return float("nan")
    ranks = rankdata(score)
    return float((ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def enrichment(tiles: pd.DataFrame, elements: pd.DataFrame, bootstraps: int, seed: int) -> pd.DataFrame:
    """How well each measure ranks the tiles with known elements above the other tiles of the same window.

    The AUROC is taken within each gene and averaged over genes, with a percentile interval from resampling genes; beside it
    stands that of nearness to the TSS alone, which is what any attribution must beat. `region` is all tiles, or the distal ones
    only (centre at least 2 kb from the TSS).

    Args:
        tiles: The table of tiles.
        elements: The known elements.
        bootstraps: Resamples of genes.
        seed: Seed of the resampling.

    Returns:
        `region measure n_genes n_tiles n_positive auroc ci_low ci_high difference difference_low difference_high`, the
        difference being to nearness to the TSS on the same genes.
    """
    marked = mark_tiles(tiles, elements)
    scores = {measure: tiles[measure].abs().to_numpy() for measure in MEASURES}
    scores["nearness_to_tss"] = -tiles["distance"].abs().to_numpy()
    generator = np.random.default_rng(seed)
    rows = []
    for region, within in (("all", np.ones(len(tiles), bool)), ("distal", (tiles["distance"].abs() >= PROMOTER).to_numpy())):
        groups = [np.flatnonzero(within & (tiles["gene"] == gene).to_numpy()) for gene in tiles["gene"].unique()]
        groups = [group for group in groups if 0 < marked[group].sum() < len(group)]
        if not groups:
            continue
        by_gene = {name: np.array([auroc(score[group], marked[group]) for group in groups]) for name, score in scores.items()}
        resampled = generator.integers(len(groups), size=(bootstraps, len(groups)))
        for name, values in by_gene.items():
            difference = values - by_gene["nearness_to_tss"]
            low, high = np.quantile(values[resampled].mean(axis=1), [0.025, 0.975])
            difference_low, difference_high = np.quantile(difference[resampled].mean(axis=1), [0.025, 0.975])
            rows.append(
                {
                    "region": region,
                    "measure": name,
                    "n_genes": len(groups),
                    "n_tiles": int(sum(map(len, groups))),
                    "n_positive": int(sum(marked[group].sum() for group in groups)),
                    "auroc": values.mean(),
                    "ci_low": low,
                    "ci_high": high,
                    "difference": difference.mean(),
                    "difference_low": difference_low,
                    "difference_high": difference_high,
                }
            )
    columns = ["region", "measure", "n_genes", "n_tiles", "n_positive", "auroc", "ci_low", "ci_high"]
    return pd.DataFrame(rows, columns=[*columns, "difference", "difference_low", "difference_high"])
