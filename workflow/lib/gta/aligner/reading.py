"""Reading aligned tokens: after a gene's prompt whose keys and values are cached, or together with it."""

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from gta.errors import UserError
from gta.language.cache import PromptCache


@dataclass(frozen=True)
class Reader:
    """What an aligner needs to read with: the frozen language model, its prompts, and which gene reads which."""

    language_model: PreTrainedModel | None
    prompts: PromptCache | None
    rows: torch.Tensor | None


def make_reader(
    language_model: PreTrainedModel,
    prompts: PromptCache,
    genes: list[str],
    tiles: int,
    use: bool,
    mode: str,
    seed: int,
    sha256: str,
) -> Reader:
    """The reader of a model of the configuration.

    Raises:
        UserError: if the prompts were read by another language model, or prompt and tiles are longer than it reads.
    """
    if not use:
        return Reader(None, None, None)
    limit = getattr(language_model.config, "max_position_embeddings", None)
    longest = int(prompts.next_positions.max()) + tiles
    if limit is not None and longest > limit:
        raise UserError(
            f"A prompt and the {tiles} tiles of a window are {longest} tokens, but the language model reads {limit} at the most: "
            "lower language.max_prompt_tokens or raise features.tile_length."
        )
    if prompts.model != sha256:
        raise UserError("The prompt cache was made by another language model: make the prompts again.")
    return Reader(language_model, prompts, prompt_rows(prompts, genes, mode, seed))


def read_after_prompt(
    language_model: PreTrainedModel, tokens: torch.Tensor, prompts: PromptCache, rows: torch.Tensor
) -> torch.Tensor:
    """Let the frozen causal language model read aligned tokens after each sample's prompt.

    Args:
        language_model: The frozen model.
        tokens: (B, T, D) aligned tokens.
        prompts: Cache of the prompts' keys and values.
        rows: (B,) row of the cache for each sample.

    Returns:
        (B, T, D) hidden states of the last layer. Token t of a sample stands at the prompt's `next_positions` + t, whatever the
        padding of the batch: positions and mask are given explicitly.
    """
    cache, mask = prompts.prefix(rows, tokens.device, language_model.dtype)
    samples, length = tokens.shape[:2]
    positions = prompts.next_positions[rows.cpu()].to(tokens.device)[:, None] + torch.arange(length, device=tokens.device)
    output = language_model.base_model(
        inputs_embeds=tokens.to(language_model.dtype),
        attention_mask=torch.cat([mask, mask.new_ones(samples, length)], dim=1),
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
    )
    return output.last_hidden_state.to(tokens.dtype)


def prompt_rows(prompts: PromptCache, genes: list[str], mode: str, seed: int) -> torch.Tensor:
    """The row of the prompt cache that each gene reads.

    Args:
        prompts: The cache.
        genes: The genes of the cohort.
        mode: `shuffled`: the prompt of another gene, no gene keeping its own; every other mode: the gene's own.
        seed: Seed of the shuffling.

    Returns:
        (genes,) int64.

    Raises:
        UserError: if a gene has no prompt.
    """
    known = dict(zip(prompts.genes, prompts.rows.tolist(), strict=True))
    missing = [gene for gene in genes if gene not in known]
    if missing:
        raise UserError(f"The prompt cache holds no prompt of gene {missing[0]}: make the prompts again for the present cohort.")
    rows = torch.tensor([known[gene] for gene in genes])
    if mode == "shuffled":
        # Along a random cycle through all genes, so that none keeps its own prompt.
        cycle = torch.randperm(len(genes), generator=torch.Generator().manual_seed(seed))
        shuffled = rows.clone()
        shuffled[cycle] = rows[cycle.roll(1)]
        return shuffled
    return rows
