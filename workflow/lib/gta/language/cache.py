"""The prompt cache: keys and values of each gene's prompt, computed once and reused for every person and every step.

Under a causal mask nothing that follows the prompt can change its keys and values, and the language model is frozen, so reading
the prompt once per gene is exact.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import DynamicCache, PreTrainedModel

from gta.language.prompts import Prompt
from gta.tensors import load_arrays, save_arrays


@dataclass(frozen=True)
class PromptCache:
    """Keys and values of all prompts.

    Attributes:
        genes: Names, in the order of the first axis.
        keys: (G, layers, heads, N, head width) float32, rotated to positions 0..n-1; padded at the end with zeros.
        values: The same shape.
        lengths: (G,) int64, tokens of each prompt, n <= N.
        model: Fingerprint of the language model that made them.
    """

    genes: list[str]
    keys: torch.Tensor
    values: torch.Tensor
    lengths: torch.Tensor
    model: str

    def prefix(self, rows: torch.Tensor) -> tuple[DynamicCache, torch.Tensor]:
        """A fresh cache for a batch of samples.

        Args:
            rows: (B,) int64, the row of each sample's gene.

        Returns:
            The cache, as long as the batch's longest prompt (n), and its mask (B, n), 1 where there is a token. The
            language model writes into the cache, so it serves one forward pass only.
        """
        lengths = self.lengths[rows]
        longest = int(lengths.max())
        keys, values = self.keys[rows, :, :, :longest], self.values[rows, :, :, :longest]
        layers = [(keys[:, layer], values[:, layer]) for layer in range(keys.shape[1])]
        mask = (torch.arange(longest)[None, :] < lengths[:, None]).long()
        return DynamicCache(layers), mask

    def save(self, path: Path | str) -> None:
        """Write the cache as one safetensors file."""
        arrays = {"keys": self.keys.numpy(), "values": self.values.numpy(), "lengths": self.lengths.numpy()}
        save_arrays(path, arrays, {"genes": self.genes, "model": self.model})

    @classmethod
    def load(cls, path: Path | str) -> "PromptCache":
        """Read a cache.

        Raises:
            UserError: if the file is absent, truncated or no prompt cache.
        """
        arrays, about = load_arrays(path, "prompt cache", ("keys", "values", "lengths"))
        keys, values, lengths = (torch.from_numpy(arrays[name]) for name in ("keys", "values", "lengths"))
        return cls(about["genes"], keys, values, lengths, about["model"])


@torch.no_grad()
def read_prompts(model: PreTrainedModel, prompts: list[Prompt], model_fingerprint: str) -> PromptCache:
    """Let the language model read each prompt and keep the keys and values of every layer.

    Prompts are read one at a time, so that no padding can disturb them.
    """
    longest = max(len(prompt.tokens) for prompt in prompts)
    keys, values = [], []
    for prompt in prompts:
        tokens = torch.tensor([prompt.tokens])
        cache = model(input_ids=tokens, attention_mask=torch.ones_like(tokens), use_cache=True).past_key_values
        padding = (0, 0, 0, longest - len(prompt.tokens))
        keys.append(torch.stack([torch.nn.functional.pad(layer.keys[0], padding) for layer in cache.layers]))
        values.append(torch.stack([torch.nn.functional.pad(layer.values[0], padding) for layer in cache.layers]))
    lengths = torch.tensor([len(prompt.tokens) for prompt in prompts])
    genes = [prompt.gene for prompt in prompts]
    return PromptCache(genes, torch.stack(keys), torch.stack(values), lengths, model_fingerprint)
