"""Memory: what a compressor hands to the frozen language model in a longer sequence's place."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from transformers import DynamicCache, PreTrainedModel

from gta.compressor.blocks import run
from gta.compressor.settings import UNTRAINED
from gta.language.cache import keys_and_values


@dataclass(frozen=True)
class Memory:
    """Keys and values of M memory tokens for B sequences.

    Attributes:
        keys: (B, layers, heads, M, head width), rotated to the positions of the memory tokens.
        values: The same shape.
        mask: (B, M) int64, 1 where there is a token.
        next_positions: (B,) int64, position of the first token that the language model reads after them.
    """

    keys: torch.Tensor
    values: torch.Tensor
    mask: torch.Tensor
    next_positions: torch.Tensor

    def cache(self) -> DynamicCache:
        """A fresh cache; the language model writes into it, so it serves one forward pass or generation only."""
        return DynamicCache([(self.keys[:, layer], self.values[:, layer]) for layer in range(self.keys.shape[1])])

    def rolled(self) -> "Memory":
        """Every sequence with the memory of another one of the batch: a control that shows whether memory is used."""
        return Memory(self.keys.roll(1, 0), self.values.roll(1, 0), self.mask.roll(1, 0), self.next_positions.roll(1, 0))

    def towards(self, other: "Memory", share: float) -> "Memory":
        """The point at `share` (0..1) on the straight line from this memory to another one of the same shape and positions."""
        return Memory(
            torch.lerp(self.keys, other.keys, share),
            torch.lerp(self.values, other.values, share),
            self.mask * other.mask,
            self.next_positions,
        )

    def then(self, other: "Memory") -> "Memory":
        """This memory and another one of the same sequences that begins where this one ends."""
        return Memory(
            torch.cat([self.keys, other.keys.to(self.keys)], dim=3),
            torch.cat([self.values, other.values.to(self.values)], dim=3),
            torch.cat([self.mask, other.mask], dim=1),
            other.next_positions,
        )

    def rows(self, rows: torch.Tensor) -> "Memory":
        """The memory of the sequences with these numbers, (B,) int64."""
        return Memory(self.keys[rows], self.values[rows], self.mask[rows], self.next_positions[rows])

    @property
    def bytes_per_sequence(self) -> int:
        """Bytes of the keys and values of one sequence."""
        return 2 * self.keys[0].numel() * self.keys.element_size()


def memory_of_cache(cache: DynamicCache, tokens: int, mask: torch.Tensor, next_positions: torch.Tensor) -> Memory:
    """The last `tokens` slots of a cache.

    Args:
        cache: Keys and values of all layers.
        tokens: Memory tokens, M >= 1.
        mask: (B, M) int64.
        next_positions: (B,) int64.
    """
    keys, values = (part[:, :, :, -tokens:] for part in keys_and_values(cache))
    return Memory(keys, values, mask, next_positions)


def read_memory(language_model: PreTrainedModel, embeddings: torch.Tensor, mask: torch.Tensor) -> Memory:
    """The memory that the language model itself makes of embeddings at the positions 0, 1, ...

    Args:
        language_model: The frozen language model.
        embeddings: (B, M, D).
        mask: (B, M) int64, 1 where there is a token; what is missing is at the end.
    """
    samples, tokens = mask.shape
    positions = torch.arange(tokens, device=mask.device).expand(samples, -1)
    _, cache = run(language_model.base_model, embeddings, mask, positions)
    return memory_of_cache(cache, tokens, mask, mask.sum(dim=1))


def truncated(language_model: PreTrainedModel, embeddings: torch.Tensor, mask: torch.Tensor, tokens: int) -> Memory:
    """A baseline without training: the first `tokens` tokens of each sequence, (B, N, D), as the language model reads them."""
    return read_memory(language_model, embeddings[:, :tokens], mask[:, :tokens])


def mean_pooled(language_model: PreTrainedModel, embeddings: torch.Tensor, mask: torch.Tensor, tokens: int) -> Memory:
    """A baseline without training: the mean embeddings of `tokens` pieces of each sequence, read by the language model.

    A sequence of n tokens is cut into pieces of equal length, up to one token; one shorter than `tokens` stays as it is.

    Args:
        language_model: The frozen language model.
        embeddings: (B, N, D).
        mask: (B, N) int64, 1 where there is a token; what is missing is at the end.
        tokens: Memory tokens, M.
    """
    lengths = mask.sum(dim=1, keepdim=True)
    pieces = torch.minimum(lengths, torch.full_like(lengths, tokens))
    piece = torch.arange(mask.shape[1], device=mask.device) * pieces // lengths
    member = (piece[:, None, :] == torch.arange(tokens, device=mask.device)[None, :, None]) & (mask[:, None, :] == 1)
    weights = member.to(embeddings.dtype)
    means = weights @ embeddings / weights.sum(dim=2, keepdim=True).clamp(min=1)
    return read_memory(language_model, means, member.any(dim=2).long())


#: What makes memory of a language model, embeddings (B, N, D) and their mask (B, N): a compressor, or a baseline.
Compress = Callable[[PreTrainedModel, torch.Tensor, torch.Tensor], Memory]


def untrained(method: str, tokens: int) -> Compress:
    """One of the baselines UNTRAINED with `tokens` memory tokens; a sequence that is shorter has fewer."""
    return partial(dict(zip(UNTRAINED, (truncated, mean_pooled), strict=True))[method], tokens=tokens)
