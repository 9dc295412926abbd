"""Prompts in a few memory tokens: a prompt cache whose slots are memory, in the place of one slot per token."""

import torch
from torch.nn.functional import pad
from transformers import PreTrainedModel

from gta.compressor.memory import Compress, Memory
from gta.compressor.regeneration import embed_prompt, first_token, pad_tokens
from gta.language.cache import PromptCache, pooled_states, require_fitting
from gta.language.models import given_cache
from gta.language.prompts import Prompt


@torch.no_grad()
def compress_prompts(
    language_model: PreTrainedModel,
    prompts: list[Prompt],
    compress: Compress,
    model_fingerprint: str,
) -> PromptCache:
    """Compress each distinct prompt and keep the keys and values of its memory tokens.

    Prompts are compressed one at a time, as `gta.language.cache.read_prompts` reads them.

    Args:
        language_model: The frozen language model.
        prompts: One prompt for each gene.
        compress: A trained compressor, or a baseline.
        model_fingerprint: Fingerprint of the language model.

    Raises:
        UserError: if a prompt has more tokens than the model has positions, or tokens that it does not have.
    """
    # The token that begins a text is read in front.
    require_fitting(language_model, prompts, extra=1)
    begin = first_token(language_model)
    distinct = list(dict.fromkeys(tuple(prompt.tokens) for prompt in prompts))
    number = {tokens: row for row, tokens in enumerate(distinct)}
    memories = []
    for tokens in distinct:
        # The token that begins a text is put before every text alike.
        text = list(tokens[1:] if tokens[0] == begin else tokens)
        embedded, mask = embed_prompt(language_model, *(part.to(language_model.device) for part in pad_tokens([text])))
        memories.append(compress(language_model, embedded, mask))
    lengths = torch.tensor([int(memory.mask.sum()) for memory in memories])
    longest = int(lengths.max())
    keys, values = zip(*(_padded_in_front(memory, longest) for memory in memories), strict=True)
    return PromptCache(
        genes=[prompt.gene for prompt in prompts],
        rows=torch.tensor([number[tuple(prompt.tokens)] for prompt in prompts]),
        lengths=lengths,
        next_positions=torch.cat([memory.next_positions for memory in memories]).cpu(),
        tokens=None,
        keys=torch.stack(keys),
        values=torch.stack(values),
        states=torch.cat([states_after(language_model, memory) for memory in memories]),
        model=model_fingerprint,
    )


def states_after(language_model: PreTrainedModel, memory: Memory) -> torch.Tensor:
    """What the language model makes of memory as a whole: hidden states of the token that begins a text, read after it.

    Args:
        language_model: The frozen language model.
        memory: Memory of B sequences.

    Returns:
        (B, layers + 1, 2, D) float32, in the form of `gta.language.cache.pooled_states`; of one token, so both are the same.
    """
    ids = torch.full((len(memory.mask), 1), first_token(language_model), device=memory.mask.device)
    output = language_model.base_model(
        input_ids=ids,
        attention_mask=torch.cat([memory.mask, torch.ones_like(ids)], dim=1),
        position_ids=memory.next_positions[:, None],
        use_cache=True,
        output_hidden_states=True,
        **given_cache(language_model.base_model, memory.cache()),
    )
    return pooled_states(output.hidden_states, torch.ones_like(ids)).cpu()


def embed_cached(
    language_model: PreTrainedModel, prompts: PromptCache, rows: torch.Tensor, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a compressor reads of cached prompts: the same as `compress_prompts` lets it read.

    Args:
        language_model: The frozen language model.
        prompts: Uncompressed prompts with their token ids.
        rows: (B,) row of the cache for each sample.
        device: Where the language model is.

    Returns:
        Embeddings (B, 1 + n, D) and their mask (B, 1 + n) int64. The first slot is the token that begins a text, for prompts
        that do not begin with it themselves.
    """
    ids, _, mask = prompts.prompt_tokens(rows)
    begin = first_token(language_model)
    lacking = ids[torch.arange(len(ids)), mask.argmax(dim=1)] != begin
    ids = torch.cat([torch.full_like(ids[:, :1], begin), ids], dim=1).to(device)
    mask = torch.cat([lacking[:, None].long(), mask], dim=1).to(device)
    return language_model.get_input_embeddings()(ids), mask


def bytes_per_gene(cache: PromptCache, memory_tokens: int | None = None, slot: int = 0) -> float:
    """Bytes of keys and values that a gene's prompt takes, padding left out, averaged over genes; 0 for an encoder's prompts.

    Args:
        cache: The prompts.
        memory_tokens: If each of them is compressed to so many tokens where it is used.
        slot: Bytes of keys and values of one token, for a cache that keeps none.
    """
    if cache.keys is not None:
        slot = 2 * cache.keys[0, :, :, 0].numel() * cache.keys.element_size()
    return slot * (float(cache.lengths[cache.rows].double().mean()) if memory_tokens is None else memory_tokens)


def _padded_in_front(memory: Memory, longest: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values of one memory without the slots that stand for nothing, zeros in front."""
    there = memory.mask[0] == 1
    padding = (0, 0, longest - int(there.sum()), 0)
    keys, values = (pad(part[0][:, :, there], padding).cpu() for part in (memory.keys, memory.values))
    return keys, values
