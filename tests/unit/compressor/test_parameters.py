"""Numbers of weights, worked out by hand and against published ones."""

import pytest

from gta.compressor.parameters import SHAPES, parameter_table


def test_llama_3_2_1b_by_hand() -> None:
    """Width 2048, 16 blocks, 32 heads of 64 with 8 key-value heads, MLP 8192, vocabulary 128,256, tied."""
    table = parameter_table({"m": SHAPES["Llama-3.2-1B"]}, ["aoc", "attention", "lora"], 16, 64).set_index("encoder")
    vocabulary, width = 128_256 * 2048, 2048
    attention = 2 * width * width + 2 * width * 512
    mlp = 3 * width * 8192
    assert table.loc["(language model)", "total"] == vocabulary + 16 * (attention + mlp + 2 * width) + width == 1_235_814_400
    assert table.loc["aoc", "blocks"] == 16 * (attention + 2 * width)
    memory = 16 * width
    last = 2 * width * width  # queries and output of the last block
    assert table.loc["aoc", "trained"] == 16 * (attention + width) - last + memory == table.loc["attention", "trained"]
    lora = 64 * (2 * (width + width) + 2 * (width + 512))
    assert table.loc["lora", "trained"] == 16 * lora - 64 * 2 * (width + width) + memory
    assert table.loc["aoc", "saved_total"] == pytest.approx(0.652, abs=5e-4)
    assert table.loc["aoc", "saved_blocks"] == pytest.approx(0.828, abs=5e-4)


def test_two_thirds_are_saved_where_the_mlp_is_four_times_as_wide_and_every_head_has_its_keys() -> None:
    """4 DD of attention and 8 DD of MLP: the paper's "roughly 67 %" is a count of blocks of this kind."""
    shapes = {name: SHAPES[name] for name in ("GPT-2", "Pythia-1B")}
    table = parameter_table(shapes, ["aoc"], 4, 64)
    saved = table.loc[table["encoder"] == "aoc", "saved_blocks"]
    assert saved.tolist() == pytest.approx([2 / 3, 2 / 3], abs=2e-3)
