"""The prompt cache: what the language model makes of each gene's prompt, computed once and reused for every person and step.

Under a causal mask nothing that follows the prompt can change its keys and values, and the language model is frozen, so reading
the prompt once per gene is exact. An encoder reads in both directions: of its prompts only the token ids are kept.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.nn.functional import pad
from transformers import DynamicCache, PreTrainedModel

from gta.errors import UserError
from gta.files import atomic_path, require_file
from gta.language.models import first_position, given_cache, reads_both_ways
from gta.language.prompts import Prompt
from gta.tensors import KEY

#: Stands for "no token" in front of a prompt.
NO_TOKEN = -1


@dataclass(frozen=True)
class PromptCache:
    """The prompts of all genes as the language model reads them.

    Genes whose prompts are the same share a row. Prompts are padded in front, so that what follows adjoins the last slot: then
    models whose attention reaches back over a limited number of slots see the same as without padding.

    Attributes:
        genes: Names.
        rows: (G,) int64, the row of each gene's prompt.
        lengths: (R,) int64, slots of each prompt, n <= N.
        next_positions: (R,) int64, position of the first token that follows. n, unless the slots are no prompt of n tokens.
        tokens: (R, N) int64, token ids, NO_TOKEN in front; None if the slots stand for no tokens.
        keys: (R, layers, heads, N, head width), rotated to the slots' positions; zeros in front. None for an encoder.
        values: The same shape; None for an encoder.
        states: (R, layers + 1, 2, D) float32, hidden states of each prompt as a whole: of every layer (0: token embeddings; the
            last: after the final norm) the mean over its tokens and the last token's. See `pooled_states`.
        model: Fingerprint of the language model that made them.
        examples: Genes whose expression a gene's prompt states as in-context examples; empty without any.
    """

    genes: list[str]
    rows: torch.Tensor
    lengths: torch.Tensor
    next_positions: torch.Tensor
    tokens: torch.Tensor | None
    keys: torch.Tensor | None
    values: torch.Tensor | None
    states: torch.Tensor
    model: str
    examples: dict[str, list[str]] = field(default_factory=dict)

    def mask(self, rows: torch.Tensor) -> torch.Tensor:
        """(B, n) int64 on the CPU: 1 where a sample has a slot; n is the longest prompt of the batch.

        Args:
            rows: (B,) int64, row of each sample.
        """
        lengths = self.lengths[rows.cpu()]
        longest = int(lengths.max())
        return (torch.arange(longest)[None, :] >= longest - lengths[:, None]).long()

    def prefix(
        self, rows: torch.Tensor, device: torch.device, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The keys and values of a batch of samples.

        Args:
            rows: (B,) int64, the row of each sample's gene.
            device: Where the language model is.
            dtype: Its precision.

        Returns:
            Keys and values, each (B, layers, heads, n, head width), as long as the batch's longest prompt (n), and their mask
            (B, n), 1 where there is a slot.

        Raises:
            ValueError: if there are no keys, because the prompts were made for an encoder.
        """
        if self.keys is None or self.values is None:
            raise ValueError("This prompt cache holds no keys and values.")
        rows, mask = rows.cpu(), self.mask(rows)
        first = self.keys.shape[3] - mask.shape[1]
        # Samples of a gene share its prompt: each is moved once, and the only one of a batch is not copied at all.
        distinct, number = torch.unique(rows, return_inverse=True)
        moved = (kept[:, :, :, first:][distinct].to(device, dtype) for kept in (self.keys, self.values))
        number = number.to(device)
        keys, values = (part.expand(len(rows), -1, -1, -1, -1) if len(distinct) == 1 else part[number] for part in moved)
        return keys, values, mask.to(device)

    def prompt_tokens(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The token ids of a batch of samples.

        Args:
            rows: (B,) int64, the row of each sample's gene.

        Returns:
            On the CPU, each (B, n) int64: ids (0 where there is none), positions, and the mask, 1 where there is a token.

        Raises:
            ValueError: if the slots stand for no tokens.
        """
        if self.tokens is None:
            raise ValueError("This prompt cache holds no token ids.")
        rows, mask = rows.cpu(), self.mask(rows)
        longest = mask.shape[1]
        ids = self.tokens[:, self.tokens.shape[1] - longest :][rows].clamp(min=0)
        positions = self.next_positions[rows][:, None] - longest + torch.arange(longest)
        return ids, positions.clamp(min=0), mask

    def sha256(self) -> str:
        """SHA-256 of what decides everything that a reader takes from it.

        Keys and values follow from the token ids and the model, and may be large; they are read only if there are no ids.
        """
        about = [self.genes, self.model, *([self.examples] if self.examples else [])]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
        for name, tensor in sorted(self._tensors().items()):
            if self.tokens is None or name not in ("keys", "values", "states"):
                digest.update(name.encode())
                for part in tensor:
                    digest.update(part.contiguous().reshape(-1).view(torch.uint8).numpy())
        return digest.hexdigest()

    def save(self, path: Path | str) -> None:
        """Write the cache as one safetensors file."""
        about = {"genes": self.genes, "model": self.model, **({"examples": self.examples} if self.examples else {})}
        with atomic_path(path) as temporary:
            save_file(self._tensors(), temporary, metadata={KEY: json.dumps(about, sort_keys=True)})

    @classmethod
    def load(cls, path: Path | str) -> "PromptCache":
        """Open a cache. Keys and values are mapped into memory: what is not used is not read.

        Raises:
            UserError: if the file is absent, truncated or no prompt cache.
        """
        path = require_file(path, "prompt cache")
        try:
            with safe_open(path, framework="pt") as handle:
                about = json.loads((handle.metadata() or {})[KEY])
                tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118 (no mapping)
            return cls(
                genes=about["genes"],
                rows=tensors["rows"],
                lengths=tensors["lengths"],
                next_positions=tensors["next_positions"],
                tokens=tensors.get("tokens"),
                keys=tensors.get("keys"),
                values=tensors.get("values"),
                states=tensors["states"],
                model=about["model"],
                examples=about.get("examples", {}),
            )
        except (SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{path} is no complete prompt cache ({error}): remove it and run again.") from error

    def _tensors(self) -> dict[str, torch.Tensor]:
        names = ("rows", "lengths", "next_positions", "tokens", "keys", "values", "states")
        return {name: tensor.contiguous() for name in names if (tensor := getattr(self, name)) is not None}


def keys_and_values(cache: DynamicCache) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of all layers, each (B, layers, heads, T, head width)."""
    layers: list[Any] = list(cache.layers)
    return torch.stack([layer.keys for layer in layers], dim=1), torch.stack([layer.values for layer in layers], dim=1)


def pooled_states(hidden_states: Sequence[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
    """Hidden states of texts as a whole, from those of their tokens.

    Args:
        hidden_states: Of every layer (B, n, D), as transformers gives them: embeddings first, the last one normalised.
        mask: (B, n) int64, 1 where there is a token; padded in front.

    Returns:
        (B, layers + 1, 2, D) float32: the mean over the tokens, and the state of the last one.
    """
    weights = mask.float() / mask.sum(dim=1, keepdim=True)
    layers = [
        torch.stack([torch.einsum("bn,bnd->bd", weights, layer.float()), layer[:, -1].float()], dim=1) for layer in hidden_states
    ]
    return torch.stack(layers, dim=1)


@torch.no_grad()
def read_prompts(
    model: PreTrainedModel, prompts: list[Prompt], model_fingerprint: str, examples: dict[str, list[str]] | None = None
) -> PromptCache:
    """Let the language model read each distinct prompt and keep the keys and values of every layer, and pooled hidden states.

    Prompts are read one at a time, so that no padding can disturb them.

    Args:
        model: The frozen language model, causal or encoder.
        prompts: One prompt for each gene.
        model_fingerprint: Its fingerprint.
        examples: Genes that are in-context examples of each gene, if there are any.
    """
    distinct = list(dict.fromkeys(tuple(prompt.tokens) for prompt in prompts))
    number = {tokens: row for row, tokens in enumerate(distinct)}
    longest = max(map(len, distinct))
    lengths = torch.tensor([len(tokens) for tokens in distinct])
    keys: list[torch.Tensor] = []
    values: list[torch.Tensor] = []
    states: list[torch.Tensor] = []
    both_ways = reads_both_ways(model)
    for tokens in distinct:
        ids = torch.tensor([tokens], device=model.device)
        mask = torch.ones_like(ids)
        if both_ways:
            positions = first_position(model) + torch.arange(len(tokens), device=model.device)[None]
            output = model.base_model(input_ids=ids, attention_mask=mask, position_ids=positions, output_hidden_states=True)
            states.append(pooled_states(output.hidden_states, mask)[0].cpu())
            continue
        # A plain cache keeps all slots of every layer; the model's own would drop those that a window cannot reach.
        cache = DynamicCache()
        output = model.base_model(
            input_ids=ids,
            attention_mask=mask,
            use_cache=True,
            output_hidden_states=True,
            **given_cache(model.base_model, cache),
        )
        states.append(pooled_states(output.hidden_states, mask)[0].cpu())
        padding = (0, 0, longest - len(tokens), 0)
        for kept, made in zip((keys, values), keys_and_values(cache), strict=True):
            kept.append(pad(made[0], padding).cpu())
    return PromptCache(
        genes=[prompt.gene for prompt in prompts],
        rows=torch.tensor([number[tuple(prompt.tokens)] for prompt in prompts]),
        lengths=lengths,
        next_positions=lengths + first_position(model),
        tokens=torch.tensor([[NO_TOKEN] * (longest - len(tokens)) + list(tokens) for tokens in distinct]),
        keys=torch.stack(keys) if keys else None,
        values=torch.stack(values) if values else None,
        states=torch.stack(states),
        model=model_fingerprint,
        examples=examples or {},
    )
