"""Dosages counted by hand."""

import numpy as np

from gta.haplotypes import dosages

SEQUENCE = "ACGT" * 10


def test_dosages_by_variant_and_person(make_world):
    records = [
        (2, "C", "T", ["1|1", "1|1", "1|1"]),  # before the window
        (6, "C", "T", ["0|1", "1|1", "0|0"]),
        (11, "G", "A,C", ["2|1", "0|2", "0|0"]),
        (31, "G", "A", ["1|1", "1|1", "1|1"]),  # behind it
    ]
    panel = make_world(SEQUENCE, records, windows=[(5, 25)], people=("anna", "bert", "carl")).panel()
    found = dosages(panel)
    assert (found.positions.tolist(), found.refs, found.alts) == ([5, 10, 10], [b"C", b"G", b"G"], [b"T", b"A", b"C"])
    assert found.counts.dtype == np.float32
    assert found.counts.tolist() == [[1, 1, 1], [2, 0, 1], [0, 0, 0]]


def test_frequency_is_the_minor_allele_s_among_the_given_people(make_world):
    records = [
        (6, "C", "T", ["1|1", "1|1", "1|1", "1|0"]),  # 1/8 are REF
        (11, "G", "A", ["0|0", "0|0", "0|0", "1|1"]),
        (15, "G", "A", ["1|1", "1|1", "1|1", "1|1"]),
    ]
    panel = make_world(SEQUENCE, records, people=("a", "b", "c", "d")).panel()
    assert dosages(panel, 0.125).positions.tolist() == [5, 10]
    assert dosages(panel, 0.126).positions.tolist() == [10]
    assert dosages(panel, 0.25, among=np.array([0, 3])).positions.tolist() == [5, 10]
    assert dosages(panel, 0.05, among=np.array([0, 1])).positions.tolist() == []
    assert dosages(panel, 0.05, among=np.array([0, 1])).counts.shape == (4, 0)


def test_haploid_counts_twice_and_ambiguity_codes_count_half(make_world):
    records = [(6, "C", "T", ["1", "0/1"]), (11, "G", "A,C", ["0", "2/1"])]
    panel = make_world(SEQUENCE, records).panel(unphased="iupac")
    assert panel.alts == [(b"T", b"Y"), (b"A", b"C", b"M")]
    found = dosages(panel)
    assert found.alts == [b"T", b"A", b"C"]
    assert found.counts.tolist() == [[2, 0, 0], [1, 1, 1]]
