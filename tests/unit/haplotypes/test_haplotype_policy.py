"""What a haplotype is where records are not ordinary: sequences worked out by hand."""

import numpy as np
import pytest

from gta.errors import UserError

#           0         1         2         3
#           0123456789012345678901234567890123456789
SEQUENCE = "ACGTACGTACGTACGTACGTACGTACGTACGTACGTACGT"


def changed(**bases: str) -> str:
    """SEQUENCE with some bases replaced: p5="T" puts T at index 5."""
    letters = list(SEQUENCE)
    for place, base in bases.items():
        letters[int(place[1:])] = base
    return "".join(letters)


def test_each_entry_of_gt_makes_its_haplotype(make_world):
    world = make_world(SEQUENCE, [(6, "C", "T", ["0|1", "1|0"]), (11, "G", "A,C", ["2|1", "0|0"])])
    panel = world.panel()
    assert world.sequences(panel, 0) == [changed(p10="C"), changed(p5="T", p10="A")]
    assert world.sequences(panel, 1) == [changed(p5="T"), SEQUENCE]
    assert panel.carriers.tolist() == [[1, 2], [3, 0]]
    assert panel.alleles.tolist() == [[0, 0], [0, 2], [1, 1], [1, 0]]


def test_the_reference_is_row_0_even_if_nobody_carries_it(make_world):
    panel = make_world(SEQUENCE, [(6, "C", "T", ["1|1", "1|1"])]).panel()
    assert panel.alleles.tolist() == [[0], [1]]
    assert panel.carriers.tolist() == [[1, 1], [1, 1]]


def test_lower_case_reference_and_record_come_out_in_upper_case(make_world):
    world = make_world(SEQUENCE.lower(), [(6, "c", "t", ["0|1", "0|0"])])
    assert world.sequences(world.panel(), 0) == [SEQUENCE, changed(p5="T")]


def test_window_beyond_the_contig_is_padded_with_n(make_world):
    world = make_world(SEQUENCE, [(1, "A", "G", ["0|1", "0|0"])], windows=[(-10, 50)])
    panel = world.panel()
    assert world.sequences(panel, 0)[1] == "N" * 10 + changed(p0="G") + "N" * 10
    assert world.account()["padded_bases"] == 20


def test_snv_mode_leaves_out_longer_variants_and_counts_them(make_world):
    records = [
        (6, "C", "T", ["1|0", "0|0"]),
        (9, "AC", "A", ["1|0", "0|0"]),  # a deletion
        (14, "C", "CTT,G", ["1|2", "0|0"]),  # an insertion beside an SNV
        (21, "ACG", "TCA", ["0|1", "0|0"]),  # two substitutions written as one
    ]
    world = make_world(SEQUENCE, records)
    assert world.sequences(world.panel(), 0) == [changed(p5="T"), changed(p13="G")]
    account = world.account()
    assert (account["records_seen"], account["records_applied"], account["skipped_not_snv"]) == (4, 2, 3)


def test_missing_entries_are_the_reference_and_counted(make_world):
    records = [(6, "C", "T", [".|1", "1|."]), (10, "C", "T", [".", "./."])]
    world = make_world(SEQUENCE, records)
    panel = world.panel()
    assert world.sequences(panel, 0) == [SEQUENCE, changed(p5="T")]
    assert world.sequences(panel, 1) == [changed(p5="T"), SEQUENCE]
    assert world.account()["people_missing"] == 2


def test_haploid_call_gives_one_haplotype(make_world):
    world = make_world(SEQUENCE, [(6, "C", "T", ["1", "0|1"]), (10, "C", "T", [".", "0|0"])])
    panel = world.panel()
    assert panel.carriers.tolist() == [[1, -1], [0, 1]]
    assert world.sequences(panel, 0) == [changed(p5="T")]
    assert world.account()["people_haploid"] == 1


def test_haploid_in_part_of_the_window_is_diploid_with_the_reference(make_world):
    world = make_world(SEQUENCE, [(6, "C", "T", ["1", "0|0"]), (10, "C", "T", ["0|1", "0|0"])])
    assert world.sequences(world.panel(), 0) == [changed(p5="T"), changed(p9="T")]
    account = world.account()
    assert (account["people_haploid"], account["people_haploid_in_part"]) == (0, 1)


@pytest.mark.parametrize("alt", ["<DEL>", "*", "G]1:30]", "]1:30]G", "."])
def test_alleles_that_are_no_sequence_are_skipped(make_world, alt):
    calls = ["0|0", "0|0"] if alt == "." else ["1|0", "1|1"]
    world = make_world(SEQUENCE, [(7, "G;END=20", alt, calls), (10, "C", "T", ["1|0", "0|0"])])
    assert world.sequences(world.panel(variants="all"), 0) == [changed(p9="T"), SEQUENCE]
    account = world.account(variants="all")
    assert account["skipped_symbolic"] == (alt != ".")
    assert account["records_applied"] == 1


def test_symbolic_deletion_that_only_its_end_brings_into_the_window_is_not_seen(make_world):
    records = [(2, "C;END=39", "<DEL>", ["1|1", "1|1"]), (31, "G", "T", ["1|0", "0|0"])]
    world = make_world(SEQUENCE, records, windows=[(20, 40)])
    assert world.account()["records_seen"] == 1
    assert world.sequences(world.panel(), 0)[0] == changed(p30="T")[20:]


def test_duplicate_records_first_wins_on_each_haplotype(make_world):
    records = [(6, "C", "T", ["1|0", "0|0"]), (6, "C", "G", ["1|1", "0|0"])]
    world = make_world(SEQUENCE, records)
    assert world.sequences(world.panel(), 0) == [changed(p5="T"), changed(p5="G")]
    account = world.account()
    assert (account["skipped_overlap"], account["haplotypes_with_overlap_skipped"]) == (1, 1)
    assert account["records_applied"] == 2


def test_overlap_first_by_position_wins(make_world):
    # The deletion of bases 6-9 covers the SNV at 8 on the first haplotype only.
    records = [(6, "CGTAC", "C", ["1|0", "0|0"]), (9, "A", "T", ["1|1", "0|0"])]
    world = make_world(SEQUENCE, records, windows=[(0, 40)])
    first, second = world.sequences(world.panel(variants="all"), 0)
    # Walked outwards from index 20: four more bases come in from the left, where the contig ends.
    assert first == "NNNN" + SEQUENCE[:6] + SEQUENCE[10:]
    assert second == changed(p8="T")
    assert world.account(variants="all")["skipped_overlap"] == 1


def test_record_before_the_window_decides_too(make_world):
    # The deletion begins at 17, before the window, and takes 18-21; the SNV at 21 is lost with it, the one at 22 is not.
    records = [(18, "CGTAC", "C", ["1|0", "0|0"]), (22, "C", "T", ["1|1", "0|0"]), (23, "G", "A", ["1|1", "0|0"])]
    world = make_world(SEQUENCE, records, windows=[(20, 40)])
    first, second = world.sequences(world.panel(variants="all"), 0)
    assert second == changed(p21="T", p22="A")[20:]
    # The window reaches out by the two bases that it lost, and takes 16 and 17 in, beyond the deletion.
    assert first == changed(p22="A")[16:18] + changed(p22="A")[22:]


def test_chain_of_overlaps_is_decided_from_its_beginning(make_world):
    # The first record covers the second, which is skipped, so that the third applies. Seen from the window alone, which the first
    # does not touch, the second would win over the third.
    records = [
        (405, "ACGTA", "A", ["1|0", "0|0"]),
        (407, "GTACGTA", "G", ["1|0", "0|0"]),
        (411, "G", "T", ["1|0", "0|0"]),
    ]
    long = SEQUENCE * 20
    world = make_world(long, records, windows=[(409, 449)])
    sequence = world.sequences(world.panel(variants="all"), 0)[0]
    assert sequence == long[409] + "T" + long[411:449]
    assert world.account(variants="all")["skipped_overlap"] == 1


def test_insertion_keeps_the_tss_in_the_middle(make_world):
    records = [(6, "C", "CTT", ["1|0", "0|0"]), (21, "A", "AGG", ["0|1", "0|0"]), (20, "T", "TCC", ["0|0", "1|0"])]
    world = make_world(SEQUENCE, sorted(records), windows=[(0, 40)])
    panel = world.panel(variants="all")
    first, second = world.sequences(panel, 0)
    assert first == (SEQUENCE[:6] + "TT" + SEQUENCE[6:])[2:]
    assert second == SEQUENCE[:21] + "GG" + SEQUENCE[21:38]
    # Inserted behind base 19: it belongs to the bases before the TSS.
    assert world.sequences(panel, 1)[0] == (SEQUENCE[:20] + "CC" + SEQUENCE[20:])[2:]
    assert {sequence[20] for sequence in (first, second)} == {"A"}


def test_deletion_over_the_tss(make_world):
    world = make_world(SEQUENCE, [(19, "GTACG", "G", ["1|0", "0|0"])], windows=[(0, 40)])
    # 19-22 are gone: 23 is the first base at or after the TSS.
    assert world.sequences(world.panel(variants="all"), 0)[0] == "N" + SEQUENCE[:19] + SEQUENCE[23:] + "NNN"


def test_unphased_heterozygotes(make_world):
    records = [(6, "C", "T", ["0/1", "1/1"]), (10, "C", "G,A", ["1/2", "0|1"]), (15, "G", "GA", ["1/0", "0/0"])]
    world = make_world(SEQUENCE, records)
    with pytest.raises(UserError, match=r"1:6 .* unphased heterozygote \(anna\)"):
        world.build()
    assert world.sequences(world.panel(unphased="as_listed"), 0) == [changed(p9="G"), changed(p5="T", p9="A")]
    coded = world.panel(unphased="iupac")
    assert world.sequences(coded, 0) == [changed(p5="Y", p9="R")] * 2
    assert world.sequences(coded, 1) == [changed(p5="T"), changed(p5="T", p9="G")]
    longer = world.sequences(world.panel(unphased="iupac", variants="all"), 0)
    assert longer == [(changed(p5="Y", p9="R")[:15] + "A" + changed()[15:])[1:], changed(p5="Y", p9="R")]
    assert world.account(unphased="as_listed")["people_unphased"] == 1


def test_unphased_call_of_an_allele_that_is_not_used_is_no_error(make_world):
    world = make_world(SEQUENCE, [(6, "C", "CT", ["0/1", "0|0"])])
    assert world.account()["people_unphased"] == 0


def test_ref_mismatch_names_the_record_and_both_bases(make_world):
    world = make_world(SEQUENCE, [(6, "C", "T", ["0|1", "0|0"]), (11, "A", "T", ["0|0", "0|0"])])
    with pytest.raises(UserError, match=r"1:11 .* has REF A, but the reference has G"):
        world.build()


def test_ref_may_be_a_base_of_the_reference_s_ambiguity_code(make_world):
    world = make_world(changed(p5="M"), [(6, "A", "T", ["0|1", "0|0"])])
    assert world.sequences(world.panel(), 0) == [changed(p5="M"), changed(p5="T")]


def test_account_of_an_ordinary_window(make_world):
    records = [
        (3, "G", "A", ["1|0", "0|0"]),  # before the window
        (6, "C", "T", ["0|0", "0|0"]),  # carried by nobody
        (11, "G", "A", ["1|0", "0|0"]),
        (31, "G", "A", ["1|0", "0|0"]),  # behind it
    ]
    account = make_world(SEQUENCE, records, windows=[(5, 25)]).account()
    assert account == {
        "gene": "g1",
        "contig": "chr1",
        "window_start": 5,
        "window_end": 25,
        "records_seen": 2,
        "records_applied": 1,
        "records_not_carried": 1,
        "skipped_filter": 0,
        "skipped_not_snv": 0,
        "skipped_symbolic": 0,
        "skipped_overlap": 0,
        "haplotypes_with_overlap_skipped": 0,
        "people_missing": 0,
        "people_unphased": 0,
        "people_haploid": 0,
        "people_haploid_in_part": 0,
        "padded_bases": 0,
        "padded_sequences": 0,
        "distinct_haplotypes": 2,
    }


def test_sequence_reaches_out_as_far_as_deletions_make_it(make_world):
    letters = np.random.default_rng(0).choice(list("ACGT"), 12000)
    letters[[4999, 5989, 6099, 9200]] = list("CGAT")
    sequence = "".join(letters)
    records = [
        (5000, "C", "CGG", ["1|0", "0|0"]),  # before the window, and needed
        (5990, sequence[5989:6000], "G", ["1|0", "0|0"]),  # takes 10 bases left of the TSS
        (6100, sequence[6099:9100], "A", ["1|0", "0|0"]),  # and 3,000 right of it
        (9201, "T", "C", ["1|1", "0|0"]),  # behind the window, and needed
    ]
    world = make_world(sequence, records, windows=[(5000, 7000)])
    panel = world.panel(variants="all")
    left = sequence[4992:5000] + "GG" + sequence[5000:5990]
    right = sequence[6000:6100] + sequence[9100:9200] + "C" + sequence[9201:10000]
    assert world.sequences(panel, 0) == [left + right, sequence[5000:7000]]
    tiles, index = panel.tiles(world.reference, 500, 20)
    first, _, third, _ = (tiles[row].tobytes().decode() for row in index[panel.carriers[0, 0]])
    assert first == sequence[4982:5000] + "GG" + sequence[5000:5520]
    assert third == left[-20:] + right[:520]
