"""From alleles to sequence: what each allele does to the reference, and splicing it in."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EditTable:
    """What each allele of R records does to the reference, with the bases that REF and ALT begin with in common cut off.

    Allele a of record r replaces the reference interval [starts[r, a], ends[r, a]) by `texts[r][a]`; an interval without
    bases is an insertion before starts[r, a]. Allele 0 does nothing. A is the greatest number of ALT alleles.

    Attributes:
        positions: (R,) int64, position of the first REF base of each record, bp, 0-based, ascending.
        furthest: (R,) int64, the greatest end of a REF among this record and those before it.
        starts: (R, A + 1) int64.
        ends: (R, A + 1) int64.
        texts: Replacing bases of each record and allele.
        letters: (R, A + 1) uint8, the new base of a single-base replacement, 0 for any other allele.
        deleted: (R, A + 1) int32, how many bases the allele takes away, 0 if it takes none or adds some.
    """

    positions: np.ndarray
    furthest: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    texts: list[list[bytes]]
    letters: np.ndarray
    deleted: np.ndarray

    @classmethod
    def of(cls, positions: np.ndarray, refs: list[bytes], alts: list[tuple[bytes, ...]]) -> "EditTable":
        """The table of records.

        Args:
            positions: (R,) int64, positions of the records, ascending, bp, 0-based.
            refs: REF of each record.
            alts: ALT alleles of each record.
        """
        shape = (len(refs), 1 + max(map(len, alts), default=0))
        starts, ends = (np.repeat(positions[:, None], shape[1], axis=1) for _ in range(2))
        letters, deleted = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.int32)
        texts: list[list[bytes]] = []
        for record, (ref, record_alts) in enumerate(zip(refs, alts, strict=True)):
            texts.append([b""])
            for allele, alt in enumerate(record_alts, start=1):
                common = common_prefix(ref, alt)
                texts[-1].append(alt[common:])
                starts[record, allele] += common
                ends[record, allele] += len(ref)
                deleted[record, allele] = max(0, len(ref) - len(alt))
                if len(ref) - common == len(alt) - common == 1:
                    letters[record, allele] = alt[-1]
        spans = np.fromiter(map(len, refs), dtype=np.int64, count=len(refs))
        furthest = np.maximum.accumulate(positions + spans) if len(refs) else np.zeros(0, dtype=np.int64)
        return cls(positions, furthest, starts, ends, texts, letters, deleted)

    def touching(self, start: np.ndarray | int, end: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
        """First and one past the last record such that all records whose REF touches [start, end) lie between."""
        return np.searchsorted(self.furthest, start, side="right"), np.searchsorted(self.positions, end, side="left")


def common_prefix(ref: bytes, alt: bytes) -> int:
    """How many bases REF and ALT begin with in common."""
    length = 0
    for one, other in zip(ref, alt, strict=False):
        if one != other:
            break
        length += 1
    return length


def distinct_rows(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct rows of a table, in order of their first appearance.

    Args:
        table: (H, R) uint8.

    Returns:
        first (D,) int64, the first row of each kind, ascending; and inverse (H,) int64, the kind of each row.
    """
    if table.shape[1] == 0:
        return np.zeros(1, dtype=np.int64), np.zeros(len(table), dtype=np.int64)
    rows = np.ascontiguousarray(table).view(np.dtype((np.void, table.shape[1]))).ravel()
    _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse]


def longest_deletions(edits: EditTable, alleles: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """How far outside of intervals a sequence may reach that keeps its length in spite of deletions.

    It is the greatest number of bases that any haplotype lacks in the interval, widened on both sides by that number.

    Args:
        edits: What the alleles of the R records do.
        alleles: (H, R) uint8, the alleles of the haplotypes.
        starts: (K,) int64, starts of the intervals, bp.
        ends: (K,) int64, ends of the intervals.

    Returns:
        (K,) int64, bp.
    """
    deleting = np.flatnonzero(edits.deleted.any(axis=1))
    longest = np.zeros(len(starts), dtype=np.int64)
    if not len(deleting):
        return longest
    positions, furthest = edits.positions[deleting], np.maximum.accumulate(edits.ends[deleting].max(axis=1))
    lost = np.zeros((len(deleting) + 1, len(alleles)), dtype=np.int32)
    np.cumsum(edits.deleted[deleting[:, None], alleles.T[deleting]], axis=0, out=lost[1:])
    while True:
        low = np.searchsorted(furthest, starts - longest, side="right")
        high = np.searchsorted(positions, ends + longest, side="left")
        wider = (lost[high] - lost[low]).max(axis=1)
        if np.array_equal(wider, longest):
            return longest
        longest = wider.astype(np.int64)


def build_sequences(
    bases: np.ndarray,
    offset: int,
    edits: EditTable,
    columns: slice,
    patterns: np.ndarray,
    anchor: int,
    left: int,
    right: int,
) -> np.ndarray:
    """Sequences of fixed length, walked outwards from an anchor in reference coordinates.

    The i-th base of an ALT allele stands at the i-th base of REF, and those that ALT has more than REF stand at the last
    base of REF. The sequence is made of the last `left` bases that stand before the anchor and the first `right` bases that
    stand at or after it.

    Args:
        bases: Reference bases, uint8, wide enough for every pattern.
        offset: Position of the first of them, bp, 0-based.
        edits: What the alleles do.
        columns: The records that the patterns speak of.
        patterns: (D, columns) uint8, alleles.
        anchor: Position from which the walk goes, bp, 0-based.
        left: Number of bases before the anchor.
        right: Number of bases from the anchor on.

    Returns:
        (D, left + right) uint8.
    """
    start = anchor - left - offset
    sequences = np.repeat(bases[None, start : start + left + right], len(patterns), axis=0)
    rows, within = np.nonzero(patterns)
    records, alleles = within + columns.start, patterns[rows, within]
    letters = edits.letters[records, alleles]
    places = edits.starts[records, alleles] - (anchor - left)
    inside = (letters > 0) & (places >= 0) & (places < left + right)
    sequences[rows[inside], places[inside]] = letters[inside]
    reference = b""
    for row in np.unique(rows[letters == 0]).tolist():
        reference = reference or bases.tobytes()
        of_row = slice(*np.searchsorted(rows, [row, row + 1]))
        changes = [
            (int(edits.starts[record, allele]), int(edits.ends[record, allele]), edits.texts[record][allele])
            for record, allele in zip(records[of_row].tolist(), alleles[of_row].tolist(), strict=True)
        ]
        spliced = _walk_left(reference, offset, changes, anchor, left) + _walk_right(reference, offset, changes, anchor, right)
        sequences[row] = np.frombuffer(spliced, dtype=np.uint8)
    return sequences


def _walk_right(reference: bytes, offset: int, changes: Iterable[tuple[int, int, bytes]], anchor: int, length: int) -> bytes:
    """The first `length` bases that stand at or after the anchor."""
    pieces, at, missing = [], anchor, length
    for start, end, text in changes:
        if end <= anchor:
            continue
        if start >= at + missing:
            break
        pieces.append(reference[at - offset : max(start, at) - offset])
        pieces.append(text[max(0, anchor - start) :])
        missing -= len(pieces[-2]) + len(pieces[-1])
        at = end
    if missing > 0:
        pieces.append(reference[at - offset : at + missing - offset])
    return b"".join(pieces)[:length]


def _walk_left(reference: bytes, offset: int, changes: list[tuple[int, int, bytes]], anchor: int, length: int) -> bytes:
    """The last `length` bases that stand before the anchor."""
    pieces, at, missing = [], anchor, length
    for start, end, text in reversed(changes):
        if start >= anchor and end > anchor:
            continue
        if end <= at - missing:
            break
        pieces.append(reference[min(end, at) - offset : at - offset])
        pieces.append(text[: anchor - start] if end > anchor else text)
        missing -= len(pieces[-2]) + len(pieces[-1])
        at = start
    if missing > 0:
        pieces.append(reference[at - missing - offset : at - offset])
    joined = b"".join(reversed(pieces))
    return joined[len(joined) - length :]
