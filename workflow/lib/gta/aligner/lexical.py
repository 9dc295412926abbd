"""Which tokens a prompt has: counts of tokens, weighted by how few prompts have them."""

import torch
from torch import nn

from gta.language.cache import PromptCache

#: Tokens in fewer training prompts than this are left out.
MIN_PROMPTS = 3


class TokenCounts(nn.Module):
    """Turns prompts into weighted counts of the language model's tokens, before anything is read.

    The weights are those of tf-idf as scikit-learn computes it with sublinear counts: (1 + ln count) (1 + ln((1 + n) / (1 + d))),
    n training prompts of which d have the token, each prompt brought to length 1.
    """

    ids: torch.Tensor
    weights: torch.Tensor

    def __init__(self, tokens: int):
        """Make room for a vocabulary.

        Args:
            tokens: Size of the vocabulary.
        """
        super().__init__()
        self.register_buffer("ids", torch.arange(tokens))
        self.register_buffer("weights", torch.ones(tokens))

    def take(self, vocabulary: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Take a vocabulary, as `fit_vocabulary` gives it."""
        self.ids.copy_(vocabulary[0])
        self.weights.copy_(vocabulary[1])

    def forward(self, prompts: PromptCache, rows: torch.Tensor) -> torch.Tensor:
        """Return the weighted counts of some prompts, (B, tokens) float32.

        Args:
            prompts: The prompts, with token ids.
            rows: (B,) row of each prompt in the cache.
        """
        ids, _, mask = prompts.prompt_tokens(rows)
        ids, mask = ids.to(self.ids.device), mask.to(self.ids.device)
        place = torch.searchsorted(self.ids, ids).clamp(max=len(self.ids) - 1)
        known = (self.ids[place] == ids) & (mask > 0)
        counts = torch.zeros(len(ids), len(self.ids), device=ids.device)
        counts.scatter_add_(1, place, known.float())
        weighted = torch.where(counts > 0, 1 + counts.clamp(min=1).log(), 0.0) * self.weights
        return nn.functional.normalize(weighted, dim=1)


def fit_vocabulary(prompts: PromptCache, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose the tokens of some prompts that are counted, and weigh them.

    Args:
        prompts: The prompts, with token ids.
        rows: (n,) row of the prompt of each training gene.

    Returns:
        Ascending ids of the tokens, (tokens,) int64, and their weights, (tokens,) float32. A token that all prompts have tells
        nothing, and is left out.
    """
    ids, _, mask = prompts.prompt_tokens(rows)
    size = int(ids.max()) + 1
    having = torch.zeros(size, dtype=torch.long)
    for some, present in zip(ids, mask, strict=True):
        having[torch.unique(some[present > 0])] += 1
    chosen = torch.nonzero((having >= MIN_PROMPTS) & (having < len(rows))).squeeze(1)
    return chosen, 1 + torch.log((1 + len(rows)) / (1 + having[chosen].float()))
