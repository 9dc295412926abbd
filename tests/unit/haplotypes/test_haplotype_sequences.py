"""Sequences and tiles against a rule that goes base by base, for any records and any anchor."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gta.errors import UserError
from gta.haplotypes import MAX_MARGIN, Panel
from gta.haplotypes.sequences import EditTable, common_prefix, distinct_rows, longest_deletions

START, END, TSS, TILE = 1000, 1064, 1032, 16
REACH = (600, 1500)


class PlainReference:
    """A reference held in memory, in the place of a file."""

    def __init__(self, sequence: bytes):
        self.sequence = np.frombuffer(sequence, dtype=np.uint8)

    def fetch(self, contig: str, start: int, end: int) -> np.ndarray:
        return self.sequence[start:end]


def standing_bases(sequence: bytes, panel: Panel, row: int) -> list[tuple[int, int]]:
    """(position at which it stands, base) of every base of a whole haplotype, by the rule of `build_sequences`."""
    standing, at = [], 0
    for record in np.flatnonzero(panel.alleles[row]):
        position, ref = int(panel.positions[record]), panel.refs[record]
        alt = panel.alts[record][panel.alleles[row, record] - 1]
        standing += [(place, sequence[place]) for place in range(at, position)]
        standing += [(position + min(number, len(ref) - 1), base) for number, base in enumerate(alt)]
        at = position + len(ref)
    return standing + [(place, sequence[place]) for place in range(at, len(sequence))]


def walked(standing: list[tuple[int, int]], anchor: int, left: int, right: int) -> bytes:
    before = bytes(base for place, base in standing if place < anchor)
    after = bytes(base for place, base in standing if place >= anchor)
    return before[len(before) - left :] + after[:right]


@st.composite
def panels(draw: st.DrawFn) -> tuple[bytes, Panel]:
    """A reference and a panel of records that do not overlap, in and around the window; half of the panels have SNVs only."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sequence = bytes(rng.choice(np.frombuffer(b"ACGT", dtype=np.uint8), 2000))
    only_snv, spread = draw(st.booleans()), draw(st.integers(4, 30))
    positions, refs, alts = [], [], []
    at = 900
    while True:
        at += int(rng.integers(1, spread))
        if at > 1200:
            break
        length = 1 if only_snv else int(rng.choice([1, 1, 2, 5, 20]))
        ref = sequence[at : at + length]
        choices = [bytes([base]) for base in b"ACGT" if bytes([base]) != ref]
        if not only_snv:
            choices += [ref[:1], ref + b"GATTACA", b"TC", bytes(reversed(ref))]
        listed = tuple(dict.fromkeys(choice for choice in rng.permutation(np.array(choices, dtype=object)) if choice != ref))[:2]
        positions.append(at)
        refs.append(ref)
        alts.append(listed)
        at += length
    alleles = rng.integers(0, 2 + 1, (5, len(positions)))
    alleles = np.minimum(alleles, [len(listed) for listed in alts])
    alleles[0] = 0
    carriers = np.array([[1, 2], [3, -1], [4, 0]], dtype=np.int32)
    return sequence, Panel(
        gene="g",
        contig="c",
        start=START,
        end=END,
        tss=TSS,
        reach=REACH,
        people=["a", "b", "c"],
        positions=np.array(positions, dtype=np.int64),
        refs=refs,
        alts=alts,
        alleles=alleles.astype(np.uint8),
        carriers=carriers,
    )


@given(panels(), st.integers(0, 40))
def test_sequences_and_tiles_follow_the_rule_base_by_base(case, margin):
    sequence, panel = case
    reference = PlainReference(sequence)
    tiles, index = panel.tiles(reference, TILE, margin)
    assert len(np.unique(tiles, axis=0)) == len(tiles)
    assert np.array_equal(np.unique(index), np.arange(len(tiles)))
    for row in range(len(panel.alleles)):
        standing = standing_bases(sequence, panel, row)
        assert panel.sequence(row, reference).tobytes() == walked(standing, TSS, TSS - START, END - TSS)
        for tile, left in enumerate(range(START, END, TILE)):
            assert tiles[index[row, tile]].tobytes() == walked(standing, left, margin, TILE + margin)


@given(panels())
def test_the_tiles_of_a_haplotype_of_snvs_are_its_sequence(case):
    sequence, panel = case
    if any(len(allele) > 1 for listed in (*panel.alts, tuple(panel.refs)) for allele in listed):
        return
    reference = PlainReference(sequence)
    tiles, index = panel.tiles(reference, TILE)
    for row in range(len(panel.alleles)):
        assert tiles[index[row]].tobytes() == panel.sequence(row, reference).tobytes()


def test_equal_sequences_from_different_alleles_are_one_tile():
    # Taking away either of two neighbouring A gives the same sequence; so does writing a base over itself.
    sequence = bytes(b"C" * 1002 + b"AA" + b"G" * 996)
    panel = Panel(
        gene="g",
        contig="c",
        start=START,
        end=END,
        tss=TSS,
        reach=REACH,
        people=["a"],
        positions=np.array([1001, 1002], dtype=np.int64),
        refs=[b"CA", b"AA"],
        alts=[(b"C",), (b"A", b"AA")],
        alleles=np.array([[0, 0], [1, 0], [0, 1], [0, 2]], dtype=np.uint8),
        carriers=np.array([[1, 2]], dtype=np.int32),
    )
    tiles, index = panel.tiles(PlainReference(sequence), TILE)
    assert index.tolist() == [[0, 2, 2, 2], [1, 2, 2, 2], [1, 2, 2, 2], [0, 2, 2, 2]]
    assert [tile.tobytes() for tile in tiles] == [b"CCAA" + b"G" * 12, b"CCA" + b"G" * 13, b"G" * 16]


def test_tile_length_and_margin_are_checked():
    panel = Panel(
        gene="g",
        contig="c",
        start=START,
        end=END,
        tss=TSS,
        reach=REACH,
        people=["a"],
        positions=np.zeros(0, dtype=np.int64),
        refs=[],
        alts=[],
        alleles=np.zeros((1, 0), dtype=np.uint8),
        carriers=np.zeros((1, 2), dtype=np.int32),
    )
    reference = PlainReference(b"A" * 2000)
    with pytest.raises(UserError, match="30 bp does not divide the window of 64 bp"):
        panel.tiles(reference, 30)
    with pytest.raises(UserError, match="margin of 257 bp"):
        panel.tiles(reference, TILE, MAX_MARGIN + 1)
    tiles, index = panel.tiles(reference, TILE, MAX_MARGIN)
    assert tiles.shape == (1, TILE + 2 * MAX_MARGIN)
    assert index.tolist() == [[0, 0, 0, 0]]


def test_what_alleles_do_to_the_reference():
    edits = EditTable.of(
        np.array([10, 20, 30], dtype=np.int64), [b"A", b"CGT", b"TG"], [(b"G", b"ATT"), (b"C", b"CGA"), (b"AGG",)]
    )
    assert edits.starts.tolist() == [[10, 10, 11], [20, 21, 22], [30, 30, 30]]
    assert edits.ends[:, 1:].tolist() == [[11, 11], [23, 23], [32, 30]]
    texts = [
        [edits.text[start : start + length] for start, length in zip(*row, strict=True)]
        for row in zip(edits.text_starts.tolist(), edits.text_lengths.tolist(), strict=True)
    ]
    assert texts == [[b"", b"G", b"TT"], [b"", b"", b"A"], [b"", b"AGG", b""]]
    assert edits.letters.tolist() == [[0, ord("G"), 0], [0, 0, ord("A")], [0, 0, 0]]
    assert edits.deleted.tolist() == [[0, 0, 0], [0, 2, 0], [0, 0, 0]]
    assert edits.furthest.tolist() == [11, 23, 32]
    assert [number.tolist() for number in edits.touching(np.array([0, 22, 23]), np.array([10, 30, 31]))] == [[0, 1, 2], [0, 2, 3]]


def test_common_prefix():
    assert [common_prefix(*pair) for pair in ((b"A", b"T"), (b"CAA", b"C"), (b"C", b"CAA"), (b"CAT", b"CAG"))] == [0, 1, 1, 2]


def test_distinct_rows_keep_their_order():
    first, inverse = distinct_rows(np.array([[0, 0], [2, 1], [0, 0], [1, 2], [2, 1]], dtype=np.uint8))
    assert first.tolist() == [0, 1, 3]
    assert inverse.tolist() == [0, 1, 0, 2, 1]


def test_longest_deletions_widen_until_nothing_more_reaches_in():
    # From [100, 110): a deletion of 5 just inside makes 110-114 needed, where another takes 3, up to 117.
    edits = EditTable.of(np.array([100, 112, 130], dtype=np.int64), [b"AAAAAA", b"CCCC", b"GGG"], [(b"A",), (b"C",), (b"G",)])
    alleles = np.array([[1, 0, 1], [1, 1, 1], [0, 1, 1]], dtype=np.uint8)
    starts, ends = np.array([100, 107, 140]), np.array([110, 110, 150])
    assert longest_deletions(edits, alleles, starts, ends).tolist() == [8, 0, 0]
    assert longest_deletions(edits, alleles[:1], starts, ends).tolist() == [5, 0, 0]
