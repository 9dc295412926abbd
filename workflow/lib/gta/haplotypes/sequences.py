"""From alleles to sequence: what each allele does to the reference, and splicing it in."""

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
        text: The replacing bases of all alleles, one after the other.
        text_starts: (R, A + 1) int64, where in `text` those of each allele begin.
        text_lengths: (R, A + 1) int64, how many they are.
        letters: (R, A + 1) uint8, the new base of a single-base replacement, 0 for any other allele.
        deleted: (R, A + 1) int32, how many bases the allele takes away, 0 if it takes none or adds some.
    """

    positions: np.ndarray
    furthest: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    text: bytes
    text_starts: np.ndarray
    text_lengths: np.ndarray
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
        text_starts, text_lengths = (np.zeros(shape, dtype=np.int64) for _ in range(2))
        letters, deleted = np.zeros(shape, dtype=np.uint8), np.zeros(shape, dtype=np.int32)
        spans = np.fromiter(map(len, refs), dtype=np.int64, count=len(refs))
        # Nearly every allele replaces one base by another: these are filled in at once, and the others one by one.
        single = np.fromiter((len(one) == 1 and len(one[0]) == 1 for one in alts), dtype=bool, count=len(alts)) & (spans == 1)
        numbers = np.flatnonzero(single)
        text = bytearray(b"".join([alts[number][0] for number in numbers.tolist()]))
        if len(numbers):
            bases = np.frombuffer(b"".join([refs[number] for number in numbers.tolist()]), dtype=np.uint8)
            new = np.frombuffer(bytes(text), dtype=np.uint8)
            changed = new != bases
            letters[numbers, 1] = new * changed
            ends[numbers, 1] += 1
            starts[numbers, 1] += ~changed
            text_starts[numbers, 1], text_lengths[numbers, 1] = np.arange(len(numbers)), changed
        for record in np.flatnonzero(~single).tolist():
            ref = refs[record]
            for allele, alt in enumerate(alts[record], start=1):
                common = common_prefix(ref, alt)
                text_starts[record, allele], text_lengths[record, allele] = len(text), len(alt) - common
                text += alt[common:]
                starts[record, allele] += common
                ends[record, allele] += len(ref)
                deleted[record, allele] = max(0, len(ref) - len(alt))
                if len(ref) - common == len(alt) - common == 1:
                    letters[record, allele] = alt[-1]
        furthest = np.maximum.accumulate(positions + spans) if len(refs) else np.zeros(0, dtype=np.int64)
        return cls(positions, furthest, starts, ends, bytes(text), text_starts, text_lengths, letters, deleted)

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


@dataclass(frozen=True)
class Carried:
    """The edits that D haplotypes carry, one after the other by haplotype and position: E in all.

    A haplotype's own coordinate of a reference position is that position and the sum of what the edits before it add.

    Attributes:
        rows: (E,) int64, the haplotype, ascending.
        starts: (E,) int64, first reference base that is replaced, bp.
        ends: (E,) int64, one past the last.
        text_starts: (E,) int64, where in the table's text the new bases begin.
        text_lengths: (E,) int64.
        letters: (E,) uint8, the new base of a single-base replacement, else 0.
        shifts: (E,) int64, the sum of the bases that the haplotype's edits before this one add.
        firsts: (D + 1,) int64, the first edit of each haplotype, and E.
    """

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    text_starts: np.ndarray
    text_lengths: np.ndarray
    letters: np.ndarray
    shifts: np.ndarray
    firsts: np.ndarray

    @classmethod
    def of(cls, edits: EditTable, columns: slice, patterns: np.ndarray) -> "Carried":
        """The edits of allele patterns.

        Args:
            edits: What the alleles do.
            columns: The records that the patterns speak of.
            patterns: (D, columns) uint8, alleles.
        """
        width = patterns.shape[1]
        places = np.flatnonzero(patterns)
        rows = places // width if width else places
        flat = (places - rows * width + columns.start) * edits.starts.shape[1] + patterns.ravel()[places]
        starts, ends, lengths = (each.ravel()[flat] for each in (edits.starts, edits.ends, edits.text_lengths))
        added = lengths - (ends - starts)
        total = np.zeros(len(flat) + 1, dtype=np.int64)
        np.cumsum(added, out=total[1:])
        firsts = np.searchsorted(rows, np.arange(len(patterns) + 1))
        shifts = total[:-1] - total[firsts[:-1]][rows]
        return cls(
            rows, starts, ends, edits.text_starts.ravel()[flat], lengths, edits.letters.ravel()[flat], shifts, firsts
        )

    def shifts_at(self, position: int) -> np.ndarray:
        """What the bases that stand before a reference position have more than the reference, on each haplotype.

        The i-th base of an ALT allele stands at the i-th base of REF, and those that ALT has more than REF stand at the last
        base of REF.

        Args:
            position: The position, bp, 0-based.

        Returns:
            (D,) int64, bp.
        """
        before = self.ends <= position
        # Of an edit across the position, as many new bases stand before it as old ones, if it has so many.
        across = ~before & (self.starts < position)
        added = np.where(before, self.text_lengths - (self.ends - self.starts), 0)
        if across.any():
            taken = position - self.starts[across]
            added[across] = np.minimum(self.text_lengths[across], taken) - taken
        total = np.zeros(len(added) + 1, dtype=np.int64)
        np.cumsum(added, out=total[1:])
        return total[self.firsts[1:]] - total[self.firsts[:-1]]


def build_sequences(
    bases: np.ndarray,
    offset: int,
    edits: EditTable,
    columns: slice,
    patterns: np.ndarray,
    anchor: int,
    left: int,
    right: int,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Sequences of fixed length, walked outwards from an anchor in reference coordinates.

    A sequence is made of the last `left` bases that stand before the anchor and the first `right` bases that stand at or after it
    (`Carried.shifts_at` says where a base stands): a slice of the whole haplotype.

    Args:
        bases: Reference bases, uint8, wide enough for every pattern.
        offset: Position of the first of them, bp, 0-based.
        edits: What the alleles do.
        columns: The records that the patterns speak of.
        patterns: (D, columns) uint8, alleles.
        anchor: Position from which the walk goes, bp, 0-based.
        left: Number of bases before the anchor.
        right: Number of bases from the anchor on.
        out: (D, left + right) uint8 to write to, whose rows are contiguous; a new array if None.

    Returns:
        (D, left + right) uint8.
    """
    length = left + right
    if out is None:
        out = np.empty((len(patterns), length), dtype=np.uint8)
    carried = Carried.of(edits, columns, patterns)
    #: What takes a haplotype's own coordinate to an index of its sequence.
    origins = left - anchor - carried.shifts_at(anchor)
    _splice(bases, offset, edits.text, carried, origins, anchor - left - offset, out)
    letters = np.flatnonzero(carried.letters)
    rows = carried.rows[letters]
    places = carried.starts[letters] + carried.shifts[letters] + origins[rows]
    inside = (places >= 0) & (places < length)
    out[rows[inside], places[inside]] = carried.letters[letters[inside]]
    return out


def _splice(
    bases: np.ndarray, offset: int, text: bytes, carried: Carried, origins: np.ndarray, plain: int, out: np.ndarray
) -> None:
    """Write sequences without their single-base replacements: pieces of the reference and new texts in turn.

    Args:
        bases: Reference bases, uint8.
        offset: Position of the first of them, bp, 0-based.
        text: The new bases of all alleles.
        carried: The edits of the D haplotypes.
        origins: (D,) int64, index in its sequence less own coordinate of each haplotype.
        plain: Where in `bases` the sequence of a haplotype begins that has no edits but single bases.
        out: (D, L) uint8.
    """
    count, length = out.shape
    chosen = np.flatnonzero(carried.letters == 0)
    rows = carried.rows[chosen]
    firsts = np.searchsorted(rows, np.arange(count + 1))
    # In each haplotype: a piece of the reference, a text, a piece, a text ... a piece.
    text_pieces = 2 * np.arange(len(chosen)) + rows + 1
    last_pieces = 2 * firsts[1:] + np.arange(count)
    begins, ends, sources = (np.zeros(2 * len(chosen) + count, dtype=np.int64) for _ in range(3))
    begins[text_pieces] = carried.starts[chosen] + carried.shifts[chosen] + origins[rows]
    ends[text_pieces] = begins[text_pieces] + carried.text_lengths[chosen]
    sources[text_pieces] = len(bases) + carried.text_starts[chosen]
    ends[text_pieces - 1] = begins[text_pieces]
    begins[text_pieces + 1] = ends[text_pieces]
    ends[last_pieces] = np.maximum(length, begins[last_pieces])
    first_pieces = 2 * firsts[:-1] + np.arange(count)
    begins[first_pieces] = np.minimum(0, ends[first_pieces])
    # A piece of the reference after a text goes on where the replaced bases end; a first one leads up to the first text.
    sources[text_pieces + 1] = carried.ends[chosen] - offset
    edited = firsts[1:] > firsts[:-1]
    sources[first_pieces] = plain
    led = chosen[firsts[:-1][edited]]
    sources[first_pieces[edited]] = carried.starts[led] - offset - (ends - begins)[first_pieces[edited]]

    low, high = np.maximum(begins, 0), np.minimum(ends, length)
    sources += low - begins
    low_enough = high > low
    of_reference = np.ones(len(begins), dtype=bool)
    of_reference[text_pieces] = False
    checked = low_enough & of_reference
    if (sources[checked] < 0).any() or (sources[checked] + (high - low)[checked] > len(bases)).any():
        raise ValueError("a sequence reaches beyond the reference bases at hand")
    kept = np.flatnonzero(low_enough)
    edges = np.searchsorted(kept, np.append(first_pieces, len(begins))).tolist()
    source = memoryview(bases.tobytes() + text)
    letters = np.frombuffer(source, dtype=np.uint8)
    pieces = [
        source[start:end] for start, end in zip(sources[kept].tolist(), (sources + high - low)[kept].tolist(), strict=True)
    ]
    for row, sequence in enumerate(out):
        start, end = edges[row], edges[row + 1]
        if end - start == 1:
            first = int(sources[kept[start]])
            sequence[:] = letters[first : first + length]
        else:
            sequence[:] = np.frombuffer(b"".join(pieces[start:end]), dtype=np.uint8)
