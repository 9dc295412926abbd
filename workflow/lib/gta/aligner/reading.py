"""Reading aligned tokens: by a language model, after a gene's prompt whose keys and values are cached or, if it reads both ways,
together with the prompt; or by one layer of attention in its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel

from gta.compressor.memory import Memory
from gta.errors import UserError
from gta.language.cache import PromptCache, read_words
from gta.language.models import embed, given_cache, require_positions


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
    positions: int,
    kind: str,
    mode: str,
    seed: int,
    sha256: str,
) -> Reader:
    """The reader of a model of the configuration.

    Args:
        language_model: The frozen language model.
        prompts: Its prompts.
        genes: The genes of the cohort.
        positions: How many positions of the language model a prompt and a window take.
        kind: What reads, as in `AlignerSettings.language_model`.
        mode: Which prompt each gene has, as in `AlignerSettings.prompt`.
        seed: Seed of the shuffling of prompts.
        sha256: Fingerprint of the language model.

    Raises:
        UserError: if the prompts were read by another language model, or prompt and tiles are longer than it reads.
    """
    if kind == "none":
        return Reader(None, None, None)
    if kind != "attention":
        require_positions(
            language_model,
            positions,
            "A prompt and a window take",
            "lower language.max_prompt_tokens or aligner.aligned_tokens, raise features.tile_length, or compress"
            " (docs/compressor.md)",
        )
    if prompts.model != sha256:
        raise UserError("The prompt cache was made by another language model: make the prompts again.")
    return Reader(language_model, prompts, prompt_rows(prompts, genes, mode, seed))


def prompt_memory(language_model: PreTrainedModel, prompts: PromptCache, rows: torch.Tensor, device: torch.device) -> Memory:
    """The prompts of a batch of samples: cached ones, or read here and now, each distinct one once.

    Args:
        language_model: The frozen causal model that they were made with.
        prompts: The cache.
        rows: (B,) row of the cache for each sample.
        device: Where the language model is.
    """
    if prompts.keys is None:
        distinct, number = torch.unique(rows, return_inverse=True)
        ids, _, mask = prompts.prompt_tokens(distinct)
        lengths = prompts.lengths[distinct.cpu()]
        # Padding goes to the end, where nothing sees it.
        ids = torch.stack([row.roll(int(length) - len(row)) for row, length in zip(ids, lengths, strict=True)])
        (keys, values), _ = read_words(language_model, ids.to(device), lengths)
        memory = Memory(keys, values, mask.to(device), prompts.next_positions[distinct.cpu()].to(device))
        return memory.rows(number)
    keys, values, mask = prompts.prefix(rows, device, language_model.dtype)
    return Memory(keys, values, mask, prompts.next_positions[rows.cpu()].to(device))


def read_after(language_model: PreTrainedModel, tokens: torch.Tensor, before: Memory) -> torch.Tensor:
    """Let the frozen causal language model read aligned tokens after what stands before them: a prompt, memory, or both.

    Args:
        language_model: The frozen model.
        tokens: (B, T, D) aligned tokens.
        before: Keys and values of B samples; what is missing is in front.

    Returns:
        (B, T, D) hidden states of the last layer. Token t of a sample stands at `next_positions` + t, whatever the padding of the
        batch: positions and mask are given explicitly.
    """
    samples, length = tokens.shape[:2]
    output = language_model.base_model(
        inputs_embeds=tokens.to(language_model.dtype),
        attention_mask=torch.cat([before.mask, before.mask.new_ones(samples, length)], dim=1),
        position_ids=before.next_positions[:, None] + torch.arange(length, device=tokens.device),
        use_cache=True,
        **given_cache(language_model.base_model, before.cache()),
    )
    return output.last_hidden_state.to(tokens.dtype)


def read_with_prompt(
    language_model: PreTrainedModel, tokens: torch.Tensor, prompts: PromptCache, rows: torch.Tensor
) -> torch.Tensor:
    """Let a frozen encoder read prompt and aligned tokens together, each seeing all others.

    Args:
        language_model: The frozen encoder.
        tokens: (B, T, D) aligned tokens.
        prompts: Token ids of the prompts.
        rows: (B,) row of the cache for each sample.

    Returns:
        (B, T, D) hidden states of the last layer at the aligned tokens, whose positions follow those of the prompt.
    """
    words, mask = embedded_prompts(language_model, prompts, rows, tokens.device)
    samples, length = tokens.shape[:2]
    _, positions, _ = prompts.prompt_tokens(rows)
    following = prompts.next_positions[rows.cpu()][:, None] + torch.arange(length)
    output = language_model.base_model(
        inputs_embeds=torch.cat([words, tokens.to(words.dtype)], dim=1),
        attention_mask=torch.cat([mask, mask.new_ones(samples, length)], dim=1),
        position_ids=torch.cat([positions, following], dim=1).to(tokens.device),
    )
    return output.last_hidden_state[:, words.shape[1] :].to(tokens.dtype)


def embedded_prompts(
    language_model: PreTrainedModel, prompts: PromptCache, rows: torch.Tensor, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """The word embeddings of prompts, (B, n, D), and their mask, (B, n) int64, 1 where there is a token; padded in front."""
    ids, _, mask = prompts.prompt_tokens(rows)
    return embed(language_model, ids.to(device)), mask.to(device)


class PromptAttention(nn.Module):
    """One trained layer of attention in the language model's place (LLM2Attn of Tan et al. 2024, arXiv:2406.16964).

    Every aligned token attends to the word embeddings of the prompt and to all aligned tokens. Words have no order here; of tiles
    the aligned tokens know where they lie.
    """

    def __init__(self, width: int, heads: int):
        """Build the layer with fresh weights, for vectors of `width` numbers."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, tokens: torch.Tensor, words: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the tokens have become.

        Args:
            tokens: (B, T, D) aligned tokens.
            words: (B, n, D) word embeddings of the prompts.
            mask: (B, n) int64, 1 where there is a word.

        Returns:
            (B, T, D), the normalised tokens plus what they attend to.
        """
        sequence = self.norm(torch.cat([words.to(tokens.dtype), tokens], dim=1))
        hidden = torch.cat([mask == 0, mask.new_zeros(tokens.shape[:2], dtype=torch.bool)], dim=1)
        queries = sequence[:, words.shape[1] :]
        heard, _ = self.attention(queries, sequence, sequence, key_padding_mask=hidden, need_weights=False)
        return queries + heard


def prompt_rows(prompts: PromptCache, genes: list[str], mode: str, seed: int) -> torch.Tensor:
    """The row of the prompt cache that each gene reads.

    Args:
        prompts: The cache.
        genes: The genes of the cohort.
        mode: `shuffled`: the prompt of another gene, no gene keeping its own or reading its own expression in the examples of
            the other; every other mode: the gene's own.
        seed: Seed of the shuffling.

    Returns:
        (genes,) int64.

    Raises:
        UserError: if a gene has no prompt, or the examples leave no way to shuffle.
    """
    known = dict(zip(prompts.genes, prompts.rows.tolist(), strict=True))
    missing = [gene for gene in genes if gene not in known]
    if missing:
        raise UserError(f"The prompt cache holds no prompt of gene {missing[0]}: make the prompts again for the present cohort.")
    rows = torch.tensor([known[gene] for gene in genes])
    return rows[_shuffled(genes, prompts.examples, seed)] if mode == "shuffled" else rows


def _shuffled(genes: list[str], examples: Mapping[str, Sequence[str]], seed: int) -> torch.Tensor:
    """Return the number of the gene whose prompt each gene reads, (genes,) int64: a permutation.

    Args:
        genes: The genes.
        examples: Genes whose expression the prompt of a gene states; they do not read it.
        seed: Seed of the permutation.

    Raises:
        UserError: if there is no such permutation within reach.
    """
    # Along a random cycle through all genes, so that none keeps its own prompt.
    generator = torch.Generator().manual_seed(seed)
    cycle = torch.randperm(len(genes), generator=generator)
    source = torch.empty_like(cycle)
    source[cycle] = cycle.roll(1)
    if not examples:
        return source
    stated = [set(examples.get(gene, ())) for gene in genes]

    def allowed(reader: int, read: int) -> bool:
        return reader != read and genes[reader] not in stated[read]

    read = source.tolist()
    for reader in range(len(genes)):
        if not allowed(reader, read[reader]):
            others = torch.randperm(len(genes), generator=generator).tolist()
            # An exchange must be right for both, so that no gene that was right becomes wrong.
            swap = next((other for other in others if allowed(reader, read[other]) and allowed(other, read[reader])), None)
            if swap is None:
                raise UserError(
                    f"prompt: shuffled: no prompt of another gene can be given to {genes[reader]}, whose expression is an"
                    " in-context example in too many of them: lower language.examples, or choose more genes."
                )
            read[reader], read[swap] = read[swap], read[reader]
    return torch.tensor(read)
