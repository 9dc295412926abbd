"""Long context: aligned tokens far from the TSS are compressed, piece by piece, to memory tokens of the language model.

The language model then reads the tokens next to the TSS alone, after the prompt and the memory of all pieces, so that a window
many times longer takes hardly more of it. The compressor is cut out of the language model (gta.compressor) and trained with the
aligner.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import pad
from transformers import PreTrainedModel

from gta.compressor.encoder import AttentionOnlyCompressor
from gta.compressor.memory import Memory


@dataclass(frozen=True)
class Pieces:
    """How the aligned tokens of a window are divided.

    Attributes:
        edges: Borders of the pieces, in tokens, ascending from 0.
        near: Number of the piece next to the TSS, which is not compressed.
    """

    edges: list[int]
    near: int

    @property
    def distal(self) -> list[tuple[int, int]]:
        """First and last + 1 token of each piece that is compressed."""
        every = list(zip(self.edges, self.edges[1:], strict=False))
        return every[: self.near] + every[self.near + 1 :]

    @property
    def uncompressed(self) -> tuple[int, int]:
        """First and last + 1 token of the piece that is not."""
        return self.edges[self.near], self.edges[self.near + 1]

    def positions(self, memory_tokens: int) -> int:
        """How many positions behind the prompt compressor and language model use."""
        first, last = self.uncompressed
        longest = max((end - start for start, end in self.distal), default=0)
        return len(self.distal) * memory_tokens + max(last - first, longest)


def divide(upstream: int, downstream: int, near: int, chunk: int) -> Pieces:
    """Divide the tokens of a window.

    Args:
        upstream: Tokens before the TSS.
        downstream: Tokens behind it.
        near: Tokens around the TSS that are not compressed, half of them on either side.
        chunk: Tokens of every other piece, counted from the TSS on; the outermost ones may be shorter.
    """
    left, right = (range(near // 2, side, chunk) for side in (upstream, downstream))
    before = [upstream - distance for distance in reversed(left)]
    behind = [upstream + distance for distance in right]
    # Where a side is no longer than what is near, the near piece ends with the window.
    edges = sorted({0, *before, *behind, upstream + downstream})
    return Pieces(edges, edges.index(before[-1] if before else 0))


def compress_context(
    compressor: AttentionOnlyCompressor,
    language_model: PreTrainedModel,
    tokens: torch.Tensor,
    pieces: Pieces,
    before: Memory,
) -> tuple[torch.Tensor, Memory]:
    """Compress the distal tokens.

    Args:
        compressor: Hands over keys and values.
        language_model: The language model that it was cut out of.
        tokens: (B, N, D) aligned tokens of whole windows.
        pieces: How they are divided.
        before: What the language model reads first: the memory of the prompts.

    Returns:
        The tokens next to the TSS (B, n, D), and the memory of the prompts and all pieces, in the order along the window. Piece
        c of C has the positions of its M memory tokens at c M to (c + 1) M - 1 behind the prompt, and its own tokens behind
        these; the tokens next to the TSS follow at C M.
    """
    first, last = pieces.uncompressed
    if not pieces.distal:
        return tokens, before
    longest = max(end - start for start, end in pieces.distal)
    parts, masks = [], []
    for start, end in pieces.distal:
        missing = longest - (end - start)
        parts.append(pad(tokens[:, start:end], (0, 0, 0, missing)))
        masks.append(pad(torch.ones(len(tokens), end - start, dtype=torch.long, device=tokens.device), (0, missing)))
    samples, count, slots = len(tokens), len(parts), compressor.config.memory_tokens
    offsets = before.next_positions[:, None] + torch.arange(count, device=tokens.device) * slots
    memory = compressor(
        language_model,
        torch.stack(parts, dim=1).flatten(0, 1),
        torch.stack(masks, dim=1).flatten(0, 1),
        offsets.flatten(),
    )
    keys, values = (_side_by_side(part, samples, count) for part in (memory.keys, memory.values))
    mask = torch.ones(samples, count * slots, dtype=torch.long, device=tokens.device)
    distal = Memory(keys, values, mask, before.next_positions + count * slots)
    return tokens[:, first:last], before.then(distal)


def _side_by_side(part: torch.Tensor, samples: int, count: int) -> torch.Tensor:
    """(B C, layers, heads, M, width) of the pieces of all samples as (B, layers, heads, C M, width)."""
    return part.unflatten(0, (samples, count)).permute(0, 2, 3, 1, 4, 5).flatten(3, 4)
