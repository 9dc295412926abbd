"""The benchmark of the aligner runs, and compares ways of reading that have the same result."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "aligner.py"


def test_three_ways_to_read_a_prompt_are_compared() -> None:
    bench = runpy.run_path(str(BENCHMARK))
    tiny = replace(bench["SMALL"], width=32, inner=32, layers=2, heads=4, key_heads=2, words=50, tiles=8, features=6)
    on_cpu = bench["on_cpu"]
    on_cpu.__globals__["SMALL"] = tiny
    # It asserts itself that the losses agree.
    rows = on_cpu(prompt_tokens=16, steps=1)
    assert [row["way"] for row in rows] == ["cached", "anew", "together"]
    assert all(row["aligned_tokens"] == 8 and row["samples_per_second"] > 0 for row in rows)
    # If one of them reads another prompt, that is noticed.
    other = on_cpu.__globals__["read_with_prompt"]
    on_cpu.__globals__["read_with_prompt"] = lambda model, tokens, cache, rows: other(model, tokens, cache, rows.flip(0))
    with pytest.raises(AssertionError, match="the three ways differ"):
        on_cpu(prompt_tokens=16, steps=1)
