"""Does attribution point at the elements that are known?"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
from scipy.stats import rankdata

from gta.attribution.known import ELEMENTS, is_bigwig, read_element_rows
from gta.attribution.tiles import MEASURES
from gta.errors import UserError
from gta.files import require_file
from gta.haplotypes import Reference
from gta.inputs.names import match_genes

#: Tiles by the distance of their nearest edge from the TSS, bp: from, and below. Those from 2 kb on are not the promoter's.
REGIONS = {
    "all": (0, np.inf),
    "distal": (2000, np.inf),
    "2-10kb": (2000, 10_000),
    "10-50kb": (10_000, 50_000),
    "from_50kb": (50_000, np.inf),
}

COLUMNS = [
    *("region", "measure", "n_genes", "n_tiles", "n_positive", "auroc", "ci_low", "ci_high"),
    *("difference", "difference_low", "difference_high", "over_gc", "over_gc_low", "over_gc_high"),
    *("same_distance", "beyond", "beyond_low", "beyond_high"),
    *("auprc", "auprc_low", "auprc_high", "base_rate"),
]

#: Of a track of signal, the stretches count as elements in which this share of its bases, those with the greatest values, lies.
STRONGEST_SHARE = 0.05


def read_elements(path: Path) -> pd.DataFrame:
    """Known elements, from a table of genes and their elements, a BED file or a bigWig (its strongest stretches).

    Returns:
        `gene contig start end`, bp, 0-based half-open; gene is empty where an element belongs to no gene in particular
        (BED, bigWig).

    Raises:
        UserError: if the file is none of these.
    """
    if is_bigwig(path):
        return _strongest_stretches(path)
    return pd.DataFrame(read_element_rows(path), columns=["gene", "contig", "start", "end"])


def _strongest_stretches(path: Path) -> pd.DataFrame:
    """The stretches of a track of signal with the greatest values; neighbours are joined.

    Raises:
        UserError: if the file is no bigWig or has no value.
    """
    require_file(path, ELEMENTS)
    try:
        with pyBigWig.open(str(path)) as track:
            parts = [
                pd.DataFrame(track.intervals(contig), columns=["start", "end", "value"]).assign(contig=contig)
                for contig in track.chroms()
                if track.intervals(contig)
            ]
    except RuntimeError as error:
        raise UserError(f"The {ELEMENTS} {path} is no bigWig: give a whole one, or BED.") from error
    if not parts:
        raise UserError(f"The {ELEMENTS} {path} has no value: check how it was made, or leave it out.")
    signal = pd.concat(parts, ignore_index=True)
    ranked = signal.sort_values("value", ascending=False, kind="stable")
    bases = (ranked["end"] - ranked["start"]).cumsum()
    least = ranked["value"].iloc[int(np.searchsorted(bases, STRONGEST_SHARE * bases.iloc[-1]))]
    strong = signal[signal["value"] >= least]
    begins = (strong["start"] != strong["end"].shift()) | (strong["contig"] != strong["contig"].shift())
    joined = strong.groupby(begins.cumsum()).agg(contig=("contig", "first"), start=("start", "first"), end=("end", "last"))
    return joined.assign(gene="").reset_index(drop=True)[["gene", "contig", "start", "end"]]


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


def with_genes_of(elements: pd.DataFrame, genes: list[str], path: Path) -> pd.DataFrame:
    """Elements by the cohort's names of their genes; those of other genes are left out, those of no gene stay.

    Raises:
        UserError: if all elements are of genes, and none of these is in the cohort.
    """
    named = match_genes(sorted(set(elements["gene"]) - {""}), genes).names
    chosen = elements[(elements["gene"] == "") | elements["gene"].isin(named)]
    if chosen.empty:
        raise UserError(
            f"The {ELEMENTS} {path} names no gene of the cohort (it names {elements['gene'].iloc[0]!r}, the cohort {genes[0]!r}):"
            " give the same kind of gene ids."
        )
    return chosen.assign(gene=chosen["gene"].map(lambda gene: named.get(gene, ""))).reset_index(drop=True)


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


def auroc(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """Area under the ROC curve; ties count half (Mann-Whitney U / n m).

    Args:
        score: (S, T) scores of the T tiles of S windows.
        positive: (G, T) bool, the tiles with known elements of G windows.

    Returns:
        (G, S): how well each window's scores rank the known tiles of each window; NaN where a window has one class only.
    """
    ranks = rankdata(score, axis=1)
    n_positive = positive.sum(axis=1, keepdims=True).astype(float)
    pairs = n_positive * (positive.shape[1] - n_positive)
    above = positive.astype(float) @ ranks.T - n_positive * (n_positive + 1) / 2
    return np.divide(above, pairs, out=np.full_like(above, np.nan), where=pairs > 0)


def average_precision(positive: np.ndarray, score: np.ndarray) -> float:
    """Average precision, the sum over thresholds of precision times the gain in recall, as scikit-learn defines it.

    Args:
        positive: (T,) bool, at least one of them true.
        score: (T,) scores; equal ones share a threshold.
    """
    order = np.argsort(-score, kind="stable")
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    found = np.cumsum(positive[order])[last]
    return float((np.diff(found, prepend=0) * found / (last + 1)).sum() / found[-1])


def gc_content(tiles: pd.DataFrame, reference: Reference) -> np.ndarray:
    """Share of G and C among the known bases of each tile, (tiles,); 0.5 where no base is known."""
    shares = np.full(len(tiles), 0.5)
    for row, (contig, start, end) in enumerate(tiles[["contig", "start", "end"]].itertuples(index=False)):
        counts = np.bincount(reference.fetch(str(contig), int(start), int(end)), minlength=256)
        known = counts[[65, 67, 71, 84]].sum()
        if known:
            shares[row] = counts[[67, 71]].sum() / known
    return shares


def nearest_edge(tiles: pd.DataFrame) -> np.ndarray:
    """Distance from the TSS to the nearest base of each tile, (tiles,), bp; 0 in the tile that holds it."""
    half = (tiles["end"] - tiles["start"] - 1).to_numpy() / 2
    return np.asarray(np.maximum(np.ceil(tiles["distance"].abs().to_numpy() - half), 0))


def _interval(values: np.ndarray, resampled: np.ndarray) -> list[float]:
    return [float(value) for value in np.quantile(values[resampled].mean(axis=1), [0.025, 0.975])]


def enrichment(tiles: pd.DataFrame, elements: pd.DataFrame, gc: np.ndarray, bootstraps: int, seed: int) -> pd.DataFrame:
    """How well each measure ranks the tiles with known elements above the other tiles of the same window.

    AUROC and AUPRC are taken within each gene and averaged over genes, with percentile intervals from resampling genes. Beside
    the measures stand what they must beat: nearness to the TSS alone, and GC content. Last, `same_distance` is the AUROC of the
    same measure taken from the tiles of all other genes at the same distance from their TSS (the mean over these genes): what a
    measure has above it (`beyond`) is knowledge of this gene's sequence, and no habit of looking near the TSS.

    Args:
        tiles: The table of tiles; all windows have tiles at the same distances.
        elements: The known elements.
        gc: (tiles,) GC content.
        bootstraps: Resamples of genes.
        seed: Seed of the resampling.

    Returns:
        One row per region and measure. Regions: `all` tiles; `distal` ones, whose nearest edge is at least 2 kb from the TSS; and
        classes of the distance of the nearest edge. `difference` is to nearness to the TSS on the same genes, `over_gc` to
        GC content; `base_rate` is the AUPRC that chance has.
    """
    rows: list[dict[str, object]] = []
    if elements.empty:
        return pd.DataFrame(columns=COLUMNS)
    # In the gene's direction, tile by tile, windows of either strand are alike.
    order = np.lexsort((tiles["distance"], pd.factorize(tiles["gene"])[0]))
    shape = (tiles["gene"].nunique(), -1)
    scores = {measure: tiles[measure].abs().to_numpy() for measure in MEASURES}
    scores |= {"nearness_to_tss": -tiles["distance"].abs().round().to_numpy(), "gc_content": gc}
    by_gene = {name: score[order].reshape(shape) for name, score in scores.items()}
    marked = mark_tiles(tiles, elements)[order].reshape(shape)
    edge = np.median(nearest_edge(tiles)[order].reshape(shape), axis=0)
    generator = np.random.default_rng(seed)
    for region, (low, high) in REGIONS.items():
        within = (edge >= low) & (edge < high)
        known = marked[:, within]
        chosen = np.flatnonzero(known.any(axis=1) & ~known.all(axis=1))
        if not len(chosen):
            continue
        known = known[chosen]
        resampled = generator.integers(len(chosen), size=(bootstraps, len(chosen)))
        nearness, gc_alone = (
            np.diag(auroc(by_gene[name][chosen][:, within], known)) for name in ("nearness_to_tss", "gc_content")
        )
        for name, score in by_gene.items():
            own = score[chosen][:, within]
            crossed = auroc(own, known)
            values = np.diag(crossed)
            others = (crossed.sum(axis=1) - values) / (len(chosen) - 1) if len(chosen) > 1 else np.full_like(values, np.nan)
            precision = np.array([average_precision(*pair) for pair in zip(known, own, strict=True)])
            difference, over_gc, beyond = values - nearness, values - gc_alone, values - others
            numbers = [
                *(values.mean(), *_interval(values, resampled)),
                *(difference.mean(), *_interval(difference, resampled)),
                *(over_gc.mean(), *_interval(over_gc, resampled)),
                *(others.mean(), beyond.mean(), *_interval(beyond, resampled)),
                *(precision.mean(), *_interval(precision, resampled), known.mean(axis=1).mean()),
            ]
            counts = (len(chosen), known.size, int(known.sum()))
            rows.append(dict(zip(COLUMNS, (region, name, *counts, *numbers), strict=True)))
    return pd.DataFrame(rows, columns=COLUMNS)
