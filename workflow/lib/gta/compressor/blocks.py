"""Surgery on a causal language model: its blocks, an encoder without their MLPs, and what of it can be trained."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import DynamicCache, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from gta.errors import UserError
from gta.language.cache import keys_and_values
from gta.language.models import given_cache

#: Names under which the families of transformers keep a block's attention.
ATTENTION = ("self_attn", "attn", "attention")


class ZeroMLP(nn.Module):
    """In an MLP's place: adds nothing to the residual stream.

    `nn.Identity` would not do that: a block computes h + mlp(norm(h)), so identity leaves h + norm(h).
    """

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Zeros of the input's shape."""
        return torch.zeros_like(hidden)


def find_blocks(model: nn.Module) -> nn.ModuleList:
    """The list of a decoder's blocks: the only list whose items all have an attention and an `mlp`.

    Raises:
        UserError: if there is none, or more than one.
    """
    lists = [module for module in model.modules() if isinstance(module, nn.ModuleList) and len(module) > 0]
    found = [blocks for blocks in lists if all(hasattr(block, "mlp") and attention_name(block) for block in blocks)]
    if len(found) != 1:
        raise UserError(
            f"A compressor cannot be made of {type(model).__name__}: {len(found)} lists of blocks with an attention and an `mlp`"
            " were found, and one is needed; use a decoder of the kind of Llama, Mistral, Qwen, GPT-2 or GPT-NeoX."
        )
    return found[0]


def attention_name(block: nn.Module) -> str | None:
    """The name of the block's attention; None if it has none."""
    return next((name for name in ATTENTION if hasattr(block, name)), None)


def copy_encoder(language_model: PreTrainedModel, mlp: str) -> nn.Module:
    """A copy of the language model without vocabulary and head, to be fed with embeddings.

    Args:
        language_model: A causal language model.
        mlp: What becomes of the MLPs: `zero` (nothing is added in their place), `identity` (the published code: the block adds
            norm(h)) or `shared` (the language model's own modules, not copied).

    Returns:
        The copy with every weight frozen. Embeddings and MLPs are never duplicated.
    """
    base = language_model.base_model
    words = language_model.get_input_embeddings()
    memo: dict[int, Any] = {id(words): nn.Identity()}
    for block in find_blocks(base):
        memo[id(block.mlp)] = {"zero": ZeroMLP, "identity": nn.Identity, "shared": lambda kept=block.mlp: kept}[mlp]()
    encoder = copy.deepcopy(base, memo)
    for name, parameter in encoder.named_parameters():
        if ".mlp." not in name:
            parameter.requires_grad_(False)
    return encoder.eval()


def attention_projections(encoder: nn.Module) -> list[str]:
    """Full names of the linear maps inside the attentions (queries, keys, values, output)."""
    names = []
    modules = {id(module): name for name, module in encoder.named_modules()}
    for block in find_blocks(encoder):
        attention = getattr(block, str(attention_name(block)))
        names += [modules[id(part)] for part in attention.modules() if isinstance(part, nn.Linear | Conv1D)]
    return names


def weights_in_use(encoder: nn.Module, width: int, embeds: bool) -> list[str]:
    """Names of the weights that the memory depends on, MLPs left out.

    The others are dead: with keys and values handed over, the last block's queries and output and the last norm have no effect;
    nor has a norm whose MLP was removed. Found by one backward pass, since families name and place their norms differently; it
    works on the meta device too.

    Args:
        encoder: As `copy_encoder` makes it.
        width: Width of its embeddings, D.
        embeds: Whether its last hidden states are handed over; otherwise keys and values.
    """
    weights = {name: weight for name, weight in encoder.named_parameters() if ".mlp." not in name}
    before = {name: weight.requires_grad for name, weight in weights.items()}
    for weight in weights.values():
        weight.requires_grad_(True)
    some = next(iter(weights.values()))
    inputs = torch.ones(1, 3, width, device=some.device, dtype=some.dtype)
    with torch.enable_grad():
        # A mask of four axes is used as it is; one of two axes would be looked into, which the meta device cannot.
        hidden, cache = run(encoder, inputs, inputs.new_zeros(1, 1, 3, 3), torch.arange(3)[None])
        output = hidden if embeds else torch.stack(list(keys_and_values(cache)))
        gradients = torch.autograd.grad(output.sum(), list(weights.values()), allow_unused=True)
    for name, weight in weights.items():
        weight.requires_grad_(before[name])
    return [name for name, gradient in zip(weights, gradients, strict=True) if gradient is not None]


def run(
    encoder: nn.Module, embeddings: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor
) -> tuple[torch.Tensor, DynamicCache]:
    """Let a decoder read embeddings under a causal mask.

    The mask is always given: without one, transformers takes a jump of the positions for a border between packed texts, and
    lets nothing pass over it.

    Args:
        encoder: A decoder without head.
        embeddings: (B, T, D).
        mask: (B, T) int64, 1 where there is a token; or (B, 1, T, T), added to the attention's scores.
        positions: (B, T) int64.

    Returns:
        Hidden states of the last layer, (B, T, D), and the keys and values of all layers.
    """
    cache = DynamicCache()
    output = encoder(
        inputs_embeds=embeddings,
        attention_mask=mask,
        position_ids=positions.to(embeddings.device),
        use_cache=True,
        **given_cache(encoder, cache),
    )
    return output.last_hidden_state, cache


def dropouts(module: nn.Module) -> Iterator[nn.Module]:
    """The dropout layers of adapters."""
    for name, part in module.named_modules():
        if "lora_dropout" in name:
            yield part
