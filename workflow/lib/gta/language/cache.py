"""The prompt cache: what the language model makes of each gene's prompt, computed once and reused for every person and step.

Under a causal mask nothing that follows the prompt can change its keys and values, and the language model is frozen, so reading
the prompt once per gene is exact. An encoder reads in both directions: of its prompts only token ids and pooled hidden states are
kept; so it is with prompts whose keys and values would take too much memory, which are read anew for each batch.
"""

import hashlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm import tqdm
from transformers import DynamicCache, PreTrainedModel

from gta.errors import UserError
from gta.files import atomic_path, require_file
from gta.language.models import first_position, given_cache, reads_both_ways, require_positions, vocabulary_rows
from gta.language.prompts import Prompt
from gta.tensors import KEY

#: Stands for "no token" in front of a prompt.
NO_TOKEN = -1
#: The hidden states of a batch of prompts take at most so many bytes.
MAX_BATCH_BYTES = 2**29
#: Pooled states of all prompts that would take more bytes than this are kept in float16, whose rounding (2^-11 of a value) is
#: finer than that of bfloat16.
LARGE_STATES = 2**29


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
        keys: (R, layers, heads, N, head width), rotated to the slots' positions; zeros in front. None for an encoder, or if
            they would take too much memory: then prompts are read anew where they are needed.
        values: The same shape; None with the keys.
        states: (R, layers + 1, 2, D) float32, or float16 where they would take more than half a GB; hidden states of each prompt
            as a whole: of every layer (0: token embeddings; the last: after the final norm) the mean over its tokens and the last
            token's. See `pooled_states`.
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
            ValueError: if there are no keys, for an encoder or for want of memory.
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
        mask: (B, n) int64, 1 where there is a token; padded on either side.

    Returns:
        (B, layers + 1, 2, D) float32: the mean over the tokens, and the state of the last one.
    """
    weights = mask.float() / mask.sum(dim=1, keepdim=True)
    rows, last = torch.arange(len(mask), device=mask.device), mask.shape[1] - 1 - mask.flip(1).argmax(dim=1)
    layers = [
        torch.stack([torch.einsum("bn,bnd->bd", weights, layer.float()), layer[rows, last].float()], dim=1)
        for layer in hidden_states
    ]
    return torch.stack(layers, dim=1)


def bytes_per_slot(model: PreTrainedModel) -> int:
    """Bytes of keys and values that each token of a prompt takes; 0 for an encoder."""
    if reads_both_ways(model):
        return 0
    ids = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    memory = read_words(model, ids, torch.ones(1, dtype=torch.long))[0]
    return sum(part.numel() * part.element_size() for part in memory)


@torch.no_grad()
def read_words(
    model: PreTrainedModel, ids: torch.Tensor, lengths: torch.Tensor, states: bool = False
) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor | None]:
    """Let a causal model read texts of different length.

    They are padded at the end, which nothing in front of it sees under a causal mask, however far attention reaches back.

    Args:
        model: The frozen causal model.
        ids: (B, n) int64, padded at the end.
        lengths: (B,) int64 on the CPU.
        states: Whether hidden states are wanted.

    Returns:
        Keys and values, each (B, layers, heads, n, head width), moved so that the padding is in front; and the pooled hidden
        states, (B, layers + 1, 2, D) float32, or None.
    """
    # A plain cache keeps all slots of every layer; the model's own would drop those that a window cannot reach.
    cache = DynamicCache()
    output = model.base_model(input_ids=ids, use_cache=True, output_hidden_states=states, **given_cache(model.base_model, cache))
    source = (torch.arange(ids.shape[1])[None] - (ids.shape[1] - lengths[:, None])).clamp(min=0).to(ids.device)
    rows = torch.arange(len(ids), device=ids.device)[:, None]
    keys, values = (part.movedim(3, 1)[rows, source].movedim(1, 3) for part in keys_and_values(cache))
    return (keys, values), pooled_states(output.hidden_states, _mask(ids, lengths)) if states else None


@torch.no_grad()
def read_states(model: PreTrainedModel, ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """Let a causal model or an encoder read texts of different length, and keep no keys and values.

    Args:
        model: The frozen language model.
        ids: (B, n) int64, padded at the end.
        lengths: (B,) int64 on the CPU.

    Returns:
        The pooled hidden states, (B, layers + 1, 2, D) float32.
    """
    mask = _mask(ids, lengths)
    if reads_both_ways(model):
        positions = first_position(model) + torch.arange(ids.shape[1], device=ids.device)[None].expand_as(ids)
        output = model.base_model(input_ids=ids, attention_mask=mask, position_ids=positions, output_hidden_states=True)
    else:
        output = model.base_model(input_ids=ids, use_cache=False, output_hidden_states=True)
    return pooled_states(output.hidden_states, mask)


def _mask(ids: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
    """(B, n) int64 where the ids are: 1 where there is a token, of texts padded at the end."""
    return (torch.arange(ids.shape[1])[None] < lengths[:, None]).long().to(ids.device)


def batches_of_similar_length(lengths: torch.Tensor, tokens: int) -> list[torch.Tensor]:
    """Divide texts into batches, so that little of each is padding.

    Args:
        lengths: (R,) int64.
        tokens: A batch has at most so many tokens, padding included, or one text.

    Returns:
        Numbers of the texts of each batch, longest first: what memory will not hold shows at once.
    """
    order = torch.argsort(lengths, descending=True, stable=True)
    batches, at = [], 0
    while at < len(order):
        size = max(1, tokens // int(lengths[order[at]]))
        batches.append(order[at : at + size])
        at += size
    return batches


def read_prompts(
    model: PreTrainedModel,
    prompts: list[Prompt],
    model_fingerprint: str,
    examples: dict[str, list[str]] | None = None,
    *,
    max_cache_gb: float = float("inf"),
) -> PromptCache:
    """Let the language model read each distinct prompt and keep pooled hidden states and, if they fit, keys and values.

    Prompts of similar length are read together.

    Args:
        model: The frozen language model, causal or encoder.
        prompts: One prompt for each gene.
        model_fingerprint: Its fingerprint.
        examples: Genes that are in-context examples of each gene, if there are any.
        max_cache_gb: Keys and values are kept if they take at most so many GB; nothing is said of them if there is no limit.

    Raises:
        UserError: if a prompt has more tokens than the model has positions, or tokens that it does not have.
    """
    require_fitting(model, prompts)
    distinct = list(dict.fromkeys(tuple(prompt.tokens) for prompt in prompts))
    number = {tokens: row for row, tokens in enumerate(distinct)}
    lengths = torch.tensor([len(tokens) for tokens in distinct])
    longest = int(lengths.max())
    ids = torch.tensor([list(tokens) + [0] * (longest - len(tokens)) for tokens in distinct])
    both_ways = reads_both_ways(model)
    gigabytes = bytes_per_slot(model) * ids.numel() / 1e9
    keep = not both_ways and gigabytes <= max_cache_gb
    if not both_ways and math.isfinite(max_cache_gb):
        print(_sentence(len(distinct), gigabytes, max_cache_gb))
    keys = values = states = None
    # The hidden states of all layers of a batch are in memory at once.
    budget = max(longest, min(4096, MAX_BATCH_BYTES // (4 * (_layers(model) + 1) * model.config.hidden_size)))
    bar = tqdm(total=int(lengths.sum()), desc="tokens", unit="token", unit_scale=True, file=sys.stderr, mininterval=5)
    with bar, torch.inference_mode():
        for rows in batches_of_similar_length(lengths, budget):
            some = lengths[rows]
            words = ids[rows, : int(some.max())].to(model.device)
            if keep:
                made, states_of_batch = read_words(model, words, some, states=True)
                assert states_of_batch is not None
                pooled = states_of_batch
                if keys is None or values is None:
                    keys, values = (_zeros(len(distinct), part, longest) for part in made)
                for kept, part in zip((keys, values), made, strict=True):
                    for row, length, slots in zip(rows.tolist(), some.tolist(), part.cpu(), strict=True):
                        kept[row, :, :, longest - length :] = slots[:, :, slots.shape[2] - length :]
            else:
                pooled = read_states(model, words, some)
            if states is None:
                states = _zeros_of_states(len(distinct), pooled)
            states = _store(states, rows, pooled.cpu())
            bar.update(int(some.sum()))
    assert states is not None
    padding = torch.arange(longest)[None] < longest - lengths[:, None]
    source = (torch.arange(longest)[None] - (longest - lengths[:, None])).clamp(min=0)
    return PromptCache(
        genes=[prompt.gene for prompt in prompts],
        rows=torch.tensor([number[tuple(prompt.tokens)] for prompt in prompts]),
        lengths=lengths,
        next_positions=lengths + first_position(model),
        tokens=ids.gather(1, source).masked_fill(padding, NO_TOKEN),
        keys=keys,
        values=values,
        states=states,
        model=model_fingerprint,
        examples=examples or {},
    )


def require_fitting(model: PreTrainedModel, prompts: list[Prompt], extra: int = 0) -> None:
    """Refuse prompts that the language model cannot read.

    Args:
        model: The language model.
        prompts: One prompt for each gene.
        extra: Tokens that are read with each prompt.

    Raises:
        UserError: if a prompt has more tokens than the model has positions, or tokens that it does not have.
    """
    longest = max(prompts, key=lambda prompt: len(prompt.tokens))
    require_positions(
        model,
        first_position(model) + len(longest.tokens) + extra,
        f"The prompt of gene {longest.gene} takes",
        "lower language.max_prompt_tokens, or choose a model that reads more",
    )
    rows = vocabulary_rows(model)
    for prompt in prompts:
        if max(prompt.tokens) >= rows:
            raise UserError(
                f"language.model: the prompt of gene {prompt.gene} has the token {max(prompt.tokens)}, but the language model has"
                f" embeddings of {rows} (0 to {rows - 1}): its tokenizer is another model's; download both again."
            )


def _sentence(prompts: int, gigabytes: float, limit: float) -> str:
    """What becomes of keys and values, and why."""
    size = f"Keys and values of {prompts} distinct prompts take {gigabytes:.3g} GB"
    if gigabytes <= limit:
        return f"{size}, at most language.max_cache_gb ({limit:g}), and are kept."
    return (
        f"{size}, more than language.max_cache_gb ({limit:g}): only pooled hidden states are kept, and what reads aligned tokens"
        " after a prompt reads that anew for each batch (a compressor of prompts would spare that)."
    )


def _layers(model: PreTrainedModel) -> int:
    return int(model.config.num_hidden_layers)


def _zeros(rows: int, like: torch.Tensor, slots: int) -> torch.Tensor:
    """(rows, layers, heads, slots, head width), zeros, on the CPU; outside of inference mode, for trainings read it."""
    with torch.inference_mode(False):
        return torch.zeros(rows, *like.shape[1:3], slots, like.shape[4], dtype=like.dtype)


def _zeros_of_states(rows: int, like: torch.Tensor) -> torch.Tensor:
    """Room for the pooled states of all prompts: float16 where they are large."""
    dtype = torch.float16 if 4 * rows * like[0].numel() > LARGE_STATES else torch.float32
    with torch.inference_mode(False):
        return torch.zeros(rows, *like.shape[1:], dtype=dtype)


def _store(states: torch.Tensor, rows: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
    """Put pooled states into their rows; float32 takes the place of float16 if a number is out of its range."""
    if states.dtype == torch.float16 and float(pooled.abs().max()) > torch.finfo(torch.float16).max:
        with torch.inference_mode(False):
            states = states.float()
    states[rows] = pooled.to(states.dtype)
    return states
