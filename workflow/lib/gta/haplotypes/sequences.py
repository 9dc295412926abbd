"""From alleles to sequence: what each allele does to the reference, and splicing it in."""

from dataclasses import dataclass

import numpy as np

#: Up to so many alleles it is worth looking whether all of them replace single bases.
FEW = 1 << 16


@dataclass(frozen=True)
class EditTable:
    """What each allele of R records does to the reference; bases that are there for orientation only (`anchors`) are cut off.

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
                before, behind = anchors(ref, alt, positions[record] == 0)
                kept = alt[before : len(alt) - behind]
                text_starts[record, allele], text_lengths[record, allele] = len(text), len(kept)
                text += kept
                starts[record, allele] += before
                ends[record, allele] += len(ref) - behind
                deleted[record, allele] = max(0, len(ref) - len(alt))
                if len(ref) == len(alt) and len(kept) == 1:
                    letters[record, allele] = kept[0]
        furthest = np.maximum.accumulate(positions + spans) if len(refs) else np.zeros(0, dtype=np.int64)
        return cls(positions, furthest, starts, ends, bytes(text), text_starts, text_lengths, letters, deleted)

    def touching(self, start: np.ndarray | int, end: np.ndarray | int) -> tuple[np.ndarray, np.ndarray]:
        """First and one past the last record such that all records whose REF touches [start, end) lie between."""
        return touching(self.positions, self.furthest, start, end)


def touching(
    positions: np.ndarray, furthest: np.ndarray, start: np.ndarray | int, end: np.ndarray | int
) -> tuple[np.ndarray, np.ndarray]:
    """First and one past the last record such that all records whose REF touches [start, end) lie between.

    Args:
        positions: (R,) int64, positions of the records, ascending, bp, 0-based.
        furthest: (R,) int64, the greatest end of a REF among each record and those before it.
        start: First base of one or more intervals.
        end: One past their last base.
    """
    return np.searchsorted(furthest, start, side="right"), np.searchsorted(positions, end, side="left")


def anchors(ref: bytes, alt: bytes, first: bool) -> tuple[int, int]:
    """How many bases at the beginning and at the end of REF and ALT are there for orientation only.

    The bases that both begin with. At the first base of a contig there is none before, so an insertion or deletion there is
    written with what follows it (VCF 4.3, section 1.6.1): if one of REF and ALT ends with the other, all of the shorter one.

    Args:
        ref: REF.
        alt: ALT.
        first: Is the record at the first base of its contig?
    """
    before = common_prefix(ref, alt)
    shorter, longer = sorted((ref, alt), key=len)
    follows = first and not before and len(shorter) < len(longer) and longer.endswith(shorter)
    return before, len(shorter) if follows else 0


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
    """What D haplotypes carry, by haplotype and position: S single-base replacements, and E edits of any other kind.

    A haplotype's own coordinate of a reference position is that position and the sum of what the edits before it add.

    Attributes:
        rows: (E,) int64, the haplotype of each edit, ascending.
        starts: (E,) int64, first reference base that is replaced, bp.
        ends: (E,) int64, one past the last.
        text_starts: (E,) int64, where in the table's text the new bases begin.
        text_lengths: (E,) int64.
        shifts: (E,) int64, the sum of the bases that the haplotype's edits before this one add.
        firsts: (D + 1,) int64, the first edit of each haplotype, and E.
        places: (S,) int64, where each single-base replacement stands, in the haplotype's own coordinate, bp.
        letters: (S,) uint8, the new bases.
        letter_firsts: (D + 1,) int64, the first single-base replacement of each haplotype, and S.
    """

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    text_starts: np.ndarray
    text_lengths: np.ndarray
    shifts: np.ndarray
    firsts: np.ndarray
    places: np.ndarray
    letters: np.ndarray
    letter_firsts: np.ndarray

    @classmethod
    def of(cls, edits: EditTable, columns: slice, patterns: np.ndarray) -> "Carried":
        """The edits of allele patterns.

        Args:
            edits: What the alleles do.
            columns: The records that the patterns speak of.
            patterns: (D, columns) uint8, alleles.
        """
        count, width = patterns.shape
        cells = np.flatnonzero(patterns != 0)
        row_firsts = np.searchsorted(cells, np.arange(count + 1) * width)
        # Number of each carried allele in the table, row by row of the table.
        table = edits.starts.shape[1]
        alleles = cells - np.repeat(np.arange(count) * width - columns.start, np.diff(row_firsts))
        alleles *= table
        alleles += patterns.ravel()[cells]
        letters = edits.letters.ravel()[alleles]
        is_edit = letters == 0
        chosen = np.flatnonzero(is_edit)
        firsts = np.searchsorted(chosen, row_firsts)
        per_row = np.diff(firsts)
        starts, ends, lengths, text_starts = (
            each.ravel()[alleles[chosen]] for each in (edits.starts, edits.ends, edits.text_lengths, edits.text_starts)
        )
        total = np.zeros(len(chosen) + 1, dtype=np.int64)
        np.cumsum(lengths - (ends - starts), out=total[1:])
        before = total[firsts[:-1]]
        single = np.flatnonzero(~is_edit)
        letter_firsts = row_firsts - firsts
        # How many edits come before a single-base replacement: all that are not such, up to its place.
        places = total[single - np.arange(len(single))]
        places -= np.repeat(before, np.diff(letter_firsts))
        places += edits.starts.ravel()[alleles[single]]
        return cls(
            rows=np.repeat(np.arange(count), per_row),
            starts=starts,
            ends=ends,
            text_starts=text_starts,
            text_lengths=lengths,
            shifts=total[:-1] - np.repeat(before, per_row),
            firsts=firsts,
            places=places,
            letters=letters[single],
            letter_firsts=letter_firsts,
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
        # Of an edit across the position, as many new bases stand before it as old ones, if it has so many.
        taken = np.clip(position - self.starts, 0, None)
        added = np.where(
            self.ends <= position, self.text_lengths - (self.ends - self.starts), np.minimum(self.text_lengths, taken) - taken
        )
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
    if patterns.size <= FEW and _replace_bases(bases, anchor - left - offset, offset, edits, columns, patterns, out):
        return out
    # Equal haplotypes are made once, and copied.
    kinds: dict[bytes, int] = {}
    kind_of = [kinds.setdefault(pattern.tobytes(), len(kinds)) for pattern in patterns]
    carried = Carried.of(edits, columns, np.frombuffer(b"".join(kinds), dtype=np.uint8).reshape(len(kinds), patterns.shape[1]))
    # What takes a haplotype's own coordinate to an index of its sequence.
    origins = left - anchor - carried.shifts_at(anchor)
    source = memoryview(bases.tobytes() + edits.text)
    starts, ends, edges = _pieces(len(bases), offset, carried, origins, anchor - left - offset, length)
    places = carried.places + np.repeat(origins, np.diff(carried.letter_firsts))
    inside = (places >= 0) & (places < length)
    places, letters = places[inside], carried.letters[inside]
    within = np.concatenate([[0], np.cumsum(inside)])[carried.letter_firsts].tolist()
    # A sequence is still in the processor's cache when its single bases are written. Pieces are kept as numbers: tens of
    # thousands of slices would set off Python's search for unreachable objects again and again.
    made: list[np.ndarray] = []
    for kind, sequence in zip(kind_of, out, strict=True):
        if kind < len(made):
            sequence[:] = made[kind]
            continue
        made.append(sequence)
        first, last = edges[kind], edges[kind + 1]
        if last - first == 1:
            memoryview(sequence)[:] = source[starts[first] : ends[first]]
        else:
            some = zip(starts[first:last], ends[first:last], strict=True)
            memoryview(sequence)[:] = b"".join([source[start:end] for start, end in some])
        first, last = within[kind], within[kind + 1]
        sequence[places[first:last]] = letters[first:last]
    return out


def _replace_bases(
    bases: np.ndarray, first: int, offset: int, edits: EditTable, columns: slice, patterns: np.ndarray, out: np.ndarray
) -> bool:
    """Make the sequences of patterns that only replace single bases, as those of nearly all tiles; False: some do more.

    Args:
        bases: Reference bases, uint8.
        first: Index in them of the sequences' first base.
        offset: Position of the first of them, bp, 0-based.
        edits: What the alleles do.
        columns: The records that the patterns speak of.
        patterns: (D, columns) uint8, alleles.
        out: (D, length) uint8 to write to.
    """
    rows, records = np.nonzero(patterns)
    alleles = patterns[rows, records]
    records += columns.start
    letters = edits.letters[records, alleles]
    if not letters.all():
        return False
    out[:] = bases[first : first + out.shape[1]]
    places = edits.starts[records, alleles] - offset - first
    inside = (places >= 0) & (places < out.shape[1])
    out[rows[inside], places[inside]] = letters[inside]
    return True


def _pieces(
    n_bases: int, offset: int, carried: Carried, origins: np.ndarray, plain: int, length: int
) -> tuple[list[int], list[int], list[int]]:
    """What sequences are made of but for their single-base replacements: pieces of the reference and new texts in turn.

    Args:
        n_bases: Number of reference bases; in the source of the pieces the text of all alleles follows them.
        offset: Position of the first of them, bp, 0-based.
        carried: The edits of the D haplotypes.
        origins: (D,) int64, what takes a haplotype's own coordinate to an index of its sequence.
        plain: Where in the source the sequence of a haplotype begins that has no edits.
        length: Length of the sequences, bp.

    Returns:
        Starts and ends of the pieces in the source, and the first piece of each haplotype (D + 1).
    """
    rows, count = carried.rows, len(origins)
    # In each haplotype: a piece of the reference, a text, a piece, a text ... a piece.
    texts = 2 * np.arange(len(rows)) + rows + 1
    first_pieces, last_pieces = 2 * carried.firsts[:-1] + np.arange(count), 2 * carried.firsts[1:] + np.arange(count)
    begins, ends, sources = (np.zeros(2 * len(rows) + count, dtype=np.int64) for _ in range(3))
    begins[texts] = carried.starts + carried.shifts + origins[rows]
    ends[texts] = begins[texts] + carried.text_lengths
    sources[texts] = n_bases + carried.text_starts
    ends[texts - 1] = begins[texts]
    begins[texts + 1] = ends[texts]
    # A piece of the reference after a text goes on where the replaced bases end; a first one leads up to the first text.
    sources[texts + 1] = carried.ends - offset
    edited = carried.firsts[1:] > carried.firsts[:-1]
    begins[first_pieces] = np.where(edited, np.minimum(0, ends[first_pieces]), 0)
    ends[last_pieces] = np.maximum(length, begins[last_pieces])
    sources[first_pieces] = plain
    led, leading = carried.firsts[:-1][edited], first_pieces[edited]
    sources[leading] = carried.starts[led] - offset - (ends - begins)[leading]

    low, high = np.maximum(begins, 0), np.minimum(ends, length)
    sources += low - begins
    ends = sources + high - low
    used = high > low
    of_reference = used.copy()
    of_reference[texts] = False
    if (sources[of_reference] < 0).any() or (ends[of_reference] > n_bases).any():
        raise ValueError("a sequence reaches beyond the reference bases at hand")
    edges = np.concatenate([[0], np.cumsum(used)])[np.append(first_pieces, len(used))].tolist()
    return sources[used].tolist(), ends[used].tolist(), edges
