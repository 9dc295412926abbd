"""Tiles that grow with the distance from the TSS."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gta.features.pooling import bin_edges, pool_bins


@given(st.integers(1, 4000), st.integers(2, 600))
def test_tiles_fill_the_window_symmetrically_and_grow_outwards(half: int, tiles: int) -> None:
    edges = bin_edges(2 * half, tiles)
    widths = np.diff(edges)
    assert edges[0] == 0 and edges[-1] == 2 * half and (widths >= 1).all()
    assert len(widths) == min(2 * half, 2 * (tiles // 2))
    assert widths.tolist() == widths[::-1].tolist()
    if tiles >= 4:
        assert widths[len(widths) // 2] == 1 or (half > 1 and len(widths) == 2)


def test_published_geometry() -> None:
    # 896 bins, 16 tiles: geometric steps 1, 2.4, 5.7, 13.7, 32.7, 78.3, 187.2, 448 from the TSS.
    assert bin_edges(896, 16)[8:].tolist() == [448, 449, 450, 454, 462, 481, 526, 635, 896]


def test_means_by_hand() -> None:
    features = torch.tensor([[[1.0], [3.0], [5.0], [6.0], [8.0], [9.0]]])
    assert pool_bins(features, np.array([0, 2, 3, 6])).flatten().tolist() == pytest.approx([2.0, 5.0, 23 / 3])
