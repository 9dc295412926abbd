"""Pooling a network's bins to fewer tiles: fine next to the TSS, coarse far away."""

import numpy as np
import torch


def bin_edges(bins: int, tiles: int) -> np.ndarray:
    """Borders of the tiles, in bins.

    The tiles of either half are as even in the logarithm of their distance from the middle as whole bins allow, so that the
    first ones hold one bin each.

    Args:
        bins: Number of bins, even.
        tiles: Number of tiles that is wanted.

    Returns:
        (T + 1,) int64, from 0 to `bins`, symmetrical about the middle; T is the even number at or below `tiles`, or `bins` if
        that is smaller.
    """
    half = bins // 2
    count = max(1, min(tiles // 2, half))
    steps = np.arange(1, count + 1)
    edges = np.round(np.geomspace(1, half, count)).astype(np.int64) if count > 1 else np.array([half])
    # At least one bin each, from the middle on and from the end back.
    edges = np.maximum.accumulate(edges - steps) + steps
    edges = np.minimum(edges, half - (count - steps))
    edges[-1] = half
    return np.concatenate([half - edges[::-1], [half], half + edges])


def pool_bins(features: torch.Tensor, edges: np.ndarray) -> torch.Tensor:
    """Means over the bins of each tile.

    Args:
        features: (B, bins, F).
        edges: (T + 1,) borders of the tiles, in bins.

    Returns:
        (B, T, F).
    """
    lengths = torch.from_numpy(np.diff(edges)).to(features.device)
    tile = torch.repeat_interleave(torch.arange(len(lengths), device=features.device), lengths)
    sums = torch.zeros(len(features), len(lengths), features.shape[2], dtype=features.dtype, device=features.device)
    return sums.index_add_(1, tile, features) / lengths[None, :, None].to(features.dtype)
