"""Windows around the TSS, and the unknown bases in them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pysam

from gta.errors import UserError

#: Bases of a contig that are looked at together: bounds the memory.
CHUNK = 1 << 24


def add_windows(genes: pd.DataFrame, window_length: int) -> pd.DataFrame:
    """Add `window_start window_end` (0-based half-open): the TSS base stands at index window_length // 2; start may be negative.

    Args:
        genes: With the column `tss` (0-based).
        window_length: Length in bp.
    """
    start = genes["tss"] - window_length // 2
    return genes.assign(window_start=start, window_end=start + window_length)


#: Letters that say nothing: N, and whatever is no code of DNA (U, X, gaps). Ambiguity codes of two or three bases say something.
_UNKNOWN = np.ones(256, dtype=bool)
_UNKNOWN[list(b"ACGTRYSWKMBDHVacgtryswkmbdhv")] = False


def unknown_runs(fasta: pysam.FastaFile, contig: str) -> npt.NDArray[np.int64]:
    """Runs of bases in a contig that are unknown: N, or no code of DNA.

    Returns:
        (runs, 2) start and end, 0-based half-open, ascending.
    """
    edges = np.array([position for chunk in _edges(fasta, contig) for position in chunk], dtype=np.int64)
    return edges.reshape(-1, 2)


def _edges(fasta: pysam.FastaFile, contig: str) -> Iterator[npt.NDArray[np.int64]]:
    """Positions where known bases turn into unknown ones or back; even in number."""
    length = fasta.get_reference_length(contig)
    inside = False
    for start in range(0, length, CHUNK):
        bases = np.frombuffer(fasta.fetch(contig, start, min(start + CHUNK, length)).encode(), dtype=np.uint8)
        unknown = _UNKNOWN[bases]
        changes = np.flatnonzero(np.diff(unknown, prepend=inside)) + start
        inside = bool(unknown[-1])
        yield changes
    if inside:
        yield np.array([length])


def count_unknown(
    runs: npt.NDArray[np.int64], starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Bases of intervals that lie in runs.

    Args:
        runs: (runs, 2), from `unknown_runs`.
        starts: Starts of the intervals; may be negative.
        ends: Their ends; may lie past the contig's end.

    Returns:
        One count per interval.
    """
    sums = np.concatenate([[0], np.cumsum(runs[:, 1] - runs[:, 0])])

    def before(positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Bases in runs left of each position."""
        n_started = np.searchsorted(runs[:, 0], positions, side="left")
        last_end = np.concatenate([[0], runs[:, 1]])[n_started]
        return sums[n_started] - np.maximum(0, last_end - positions) * (n_started > 0)

    return before(ends) - before(starts)


def window_gaps(genes: pd.DataFrame, reference: Path) -> pd.DataFrame:
    """How much of each window is unknown.

    Args:
        genes: With `contig window_start window_end`; every contig is in the reference.
        reference: Indexed FASTA.

    Returns:
        `padding` (bases past either end of the contig) and `unknown` (N, or no code of DNA, within it), in bp; index of `genes`.

    Raises:
        UserError: if the reference cannot be opened.
    """
    gaps = pd.DataFrame({"padding": 0, "unknown": 0}, index=genes.index)
    try:
        opened = pysam.FastaFile(str(reference))
    except (OSError, ValueError) as error:
        raise UserError(f"The reference {reference} cannot be opened through its index: run `gta inputs` again.") from error
    with opened as fasta:
        for contig, there in genes.groupby("contig", sort=False):
            name = str(contig)
            starts, ends = there["window_start"].to_numpy(), there["window_end"].to_numpy()
            beyond = np.maximum(0, -starts) + np.maximum(0, ends - fasta.get_reference_length(name))
            gaps.loc[there.index, "padding"] = beyond
            gaps.loc[there.index, "unknown"] = count_unknown(unknown_runs(fasta, name), starts, ends)
    return gaps
