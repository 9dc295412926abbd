"""The split of genes."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gta.cohort.blocks import cut_into_blocks, overlaps, split_genes
from gta.cohort.settings import CohortSettings
from gta.errors import UserError


def silent(line: str) -> None:
    pass


def genes_at(places: list[tuple[str, int]]) -> pd.DataFrame:
    places = sorted(places)
    return pd.DataFrame(
        {"gene": [f"G{number}" for number in range(len(places))], "contig": [c for c, _ in places], "tss": [t for _, t in places]}
    )


def test_blocks_by_hand():
    contigs = pd.Series(["a"] * 7 + ["b"] * 2)
    # One block each; the third and fourth go to a (7, then 3.5 per block, against 2).
    assert cut_into_blocks(contigs, 4).tolist() == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert cut_into_blocks(contigs, 1).tolist() == [0] * 7 + [1] * 2
    assert cut_into_blocks(contigs, 100).tolist() == list(range(9))


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 20))
def test_blocks_are_contiguous_even_and_within_contigs(sizes, n_blocks):
    contigs = pd.Series(np.repeat([f"c{number}" for number in range(len(sizes))], sizes))
    block = cut_into_blocks(contigs, n_blocks)
    assert set(np.diff(block)) <= {0, 1}
    assert block[-1] + 1 == max(len(sizes), min(n_blocks, sum(sizes)))
    for contig in contigs.unique():
        there = np.bincount(block[contigs == contig])
        assert np.ptp(there[there > 0]) <= 1
    assert contigs.groupby(block).nunique().max() == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.booleans()), min_size=1, max_size=12), st.integers(1, 10))
def test_overlaps_are_those_of_every_pair(genes, length):
    contigs, tss, others = (np.array(column) for column in zip(*genes, strict=True))
    expected = [
        any(c == contig and max(t, place) < min(t, place) + length for c, t, other in genes if other)
        for contig, place, _ in genes
    ]
    assert overlaps(contigs, tss, others, length).tolist() == expected


@settings(deadline=None, max_examples=40)
@given(
    places=st.sets(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 5000)), min_size=3, max_size=80),
    window_length=st.sampled_from([2, 50, 400]),
    gene_blocks=st.integers(3, 12),
    seed=st.integers(0, 5),
)
def test_no_windows_of_two_splits_overlap(places, window_length, gene_blocks, seed):
    genes = genes_at(list(places))
    chosen = CohortSettings(window_length=window_length, gene_blocks=gene_blocks)
    try:
        kept, dropped = split_genes(genes, chosen, seed, silent)
    except UserError:
        assume(False)
    assert sorted([*kept["gene"], *dropped]) == sorted(genes["gene"])
    assert set(kept["split"]) == {"train", "valid", "test"}
    for contig, there in kept.groupby("contig"):
        starts, split = there["tss"].to_numpy(), there["split"].to_numpy()
        near = np.abs(starts[:, None] - starts[None, :]) < window_length
        assert not (near & (split[:, None] != split[None, :])).any(), contig
    again, _ = split_genes(genes, chosen, seed, silent)
    assert again.equals(kept)


def test_dropped_genes_overlap_what_their_reason_says():
    genes = genes_at([("a", 100 * number) for number in range(60)])
    chosen = CohortSettings(window_length=250, gene_blocks=6)
    kept, dropped = split_genes(genes, chosen, 3, silent)
    tss = genes.set_index("gene")["tss"]
    assert dropped
    for gene, reason in dropped.items():
        own, other = reason.split()[0], reason.split()[-2]
        assert reason == f"{own} gene whose window overlaps that of a {other} gene"
        assert (abs(kept.loc[kept["split"] == other, "tss"] - tss[gene]) < 250).any()
    assert not any(reason.startswith("test") for reason in dropped.values())


def test_fractions_are_reached():
    genes = genes_at([(contig, 1000 * number) for contig in "abcd" for number in range(100)])
    kept, dropped = split_genes(genes, CohortSettings(window_length=2, gene_blocks=40), 1, silent)
    assert not dropped
    assert kept["split"].value_counts().to_dict() == {"train": 260, "test": 100, "valid": 40}


def test_the_assignment_that_loses_no_gene_is_found():
    """Four clusters far apart, each two blocks: only assignments of whole clusters lose nothing."""
    genes = genes_at([("a", 1_000_000 * cluster + 100 * number) for cluster in range(4) for number in range(20)])
    chosen = CohortSettings(window_length=5000, gene_blocks=8, test_genes=0.25, valid_genes=0.25)
    for seed in range(5):
        kept, dropped = split_genes(genes, chosen, seed, silent)
        assert not dropped
        assert kept["split"].value_counts().to_dict() == {"train": 40, "valid": 20, "test": 20}


def test_seeds_give_other_splits():
    genes = genes_at([(contig, 1000 * number) for contig in "abcd" for number in range(20)])
    chosen = CohortSettings(window_length=2, gene_blocks=12)
    splits = {tuple(split_genes(genes, chosen, seed, silent)[0]["split"]) for seed in range(4)}
    assert len(splits) == 4


@pytest.mark.parametrize("places", [[("a", 0), ("a", 9000)], [("a", number) for number in range(30)]])
def test_no_split_is_possible(places):
    """Too few genes; or all windows overlap each other."""
    with pytest.raises(UserError, match=r"cannot be split .* change gene_blocks"):
        split_genes(genes_at(places), CohortSettings(window_length=1000), 1, silent)
