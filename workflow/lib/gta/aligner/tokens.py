"""From tiles to fewer aligned tokens: fine next to the TSS, coarse far away."""

import numpy as np
import torch

from gta.features.pooling import bin_edges, pool_bins


def token_edges(upstream: int, downstream: int, tokens: int | None) -> list[int]:
    """Borders of the tokens, in tiles.

    Args:
        upstream: Tiles before the TSS.
        downstream: Tiles behind it.
        tokens: The most tokens that are wanted, shared in proportion; None: no pooling.

    Returns:
        Ascending from 0 to the number of tiles; empty if every tile is a token. Next to the TSS a token is one tile.
    """
    tiles = upstream + downstream
    if tokens is None or tokens >= tiles:
        return []
    before = min(max(round(tokens * upstream / tiles), int(upstream > 0)), tokens - int(downstream > 0))
    left, right = (_half(count, wanted) for count, wanted in ((upstream, before), (downstream, tokens - before)))
    return sorted({*(upstream - left).tolist(), *(upstream + right).tolist()})


def _half(tiles: int, tokens: int) -> np.ndarray:
    """Borders of one side by distance from the TSS, from 0 to the number of tiles."""
    if tiles == 0:
        return np.array([0])
    edges = bin_edges(2 * tiles, 2 * tokens)
    return edges[len(edges) // 2 :] - tiles


def pool_content(content: torch.Tensor, change: torch.Tensor, edges: list[int]) -> torch.Tensor:
    """The content of tokens from that of their tiles.

    What every haplotype has is averaged. The projected differences from the reference are summed: most tiles of a haplotype have
    none, and in a mean a variant would count less the farther from the TSS it lies.

    Args:
        content: (B, T, D) of each tile.
        change: (B, T, D) projected differences from the reference haplotype.
        edges: Borders of the N tokens, in tiles.

    Returns:
        (B, N, D).
    """
    borders = np.array(edges)
    lengths = torch.from_numpy(np.diff(borders)).to(change)
    return pool_bins(content, borders) + pool_bins(change, borders) * lengths[None, :, None]
