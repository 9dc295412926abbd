"""Windows and their unknown bases."""

import numpy as np
import pandas as pd
import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gta.cohort import windows
from gta.cohort.windows import add_windows, count_unknown, unknown_runs, window_gaps


def fasta(tmp_path, **contigs):
    path = tmp_path / "reference.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    pysam.faidx(str(path))
    return path


def test_the_tss_base_stands_in_the_middle():
    table = add_windows(pd.DataFrame({"tss": [100, 3]}), 10)
    assert table[["window_start", "window_end"]].to_numpy().tolist() == [[95, 105], [-2, 8]]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 100])
def test_runs_do_not_depend_on_the_chunks(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(windows, "CHUNK", chunk)
    path = fasta(tmp_path, a="NNACnnGTRNACX-u", b="ACGTr", c="N.*", d="A")
    with pysam.FastaFile(str(path)) as handle:
        runs = [unknown_runs(handle, name).tolist() for name in "abcd"]
    assert runs == [[[0, 2], [4, 6], [9, 10], [12, 15]], [], [[0, 3]], []]


@settings(deadline=None)
@given(st.text("AN", min_size=1, max_size=40), st.lists(st.tuples(st.integers(-10, 50), st.integers(0, 30)), max_size=10))
def test_counts_are_those_of_the_string(bases, intervals):
    padded = "A" * 10 + bases + "A" * 60
    edges = np.flatnonzero(np.diff(np.array([base == "N" for base in "A" + bases + "A"]).astype(int)))
    starts = np.array([start for start, _ in intervals], dtype=np.int64)
    ends = starts + np.array([length for _, length in intervals], dtype=np.int64)
    expected = [padded[start + 10 : end + 10].count("N") for start, end in zip(starts, ends, strict=True)]
    assert count_unknown(edges.reshape(-1, 2), starts, ends).tolist() == expected


def test_gaps_count_n_and_what_lies_past_the_ends(tmp_path):
    path = fasta(tmp_path, a="NNACGTACGN", b="ACGTACGTAC")
    table = pd.DataFrame(
        {"contig": ["a", "b", "a", "b"], "window_start": [-3, 2, 2, 8], "window_end": [3, 8, 9, 14]}, index=[7, 1, 5, 3]
    )
    gaps = window_gaps(table, path)
    assert gaps.index.tolist() == [7, 1, 5, 3]
    assert gaps.to_numpy().tolist() == [[3, 2], [0, 0], [0, 0], [4, 0]]
