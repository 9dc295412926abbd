"""Regeneration: the frozen language model writes a text again from its memory alone."""

import torch
from torch.nn import functional
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from gta.compressor.encoder import AttentionOnlyCompressor
from gta.compressor.memory import Memory
from gta.errors import UserError
from gta.language.models import given_cache

#: Label that the loss leaves out.
IGNORED = -100

#: Texts that are sampled at once.
SAMPLED_AT_ONCE = 256


def first_token(language_model: PreTrainedModel) -> int:
    """The token that begins a text: the beginning-of-text token, or the end-of-text token of models without one."""
    config = language_model.config
    begin = config.bos_token_id if config.bos_token_id is not None else last_token(language_model)
    return int(begin)


def last_token(language_model: PreTrainedModel) -> int:
    """The token that ends a text.

    Raises:
        UserError: if the language model has none.
    """
    end = language_model.config.eos_token_id
    if end is None:
        raise UserError("The language model names no token that ends a text: set `eos_token_id` in its config.json.")
    return int(end[0] if isinstance(end, list) else end)


def pad_tokens(texts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of texts of different lengths as (B, N) int64, 0 at the end, and their mask."""
    longest = max(map(len, texts))
    tokens = torch.tensor([text + [0] * (longest - len(text)) for text in texts], dtype=torch.long)
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts], dtype=torch.long)
    return tokens, mask


def embed_prompt(language_model: PreTrainedModel, tokens: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What an encoder reads of texts: the token that begins a text, then the text; embeddings (B, 1 + N, D) and mask."""
    begin = tokens.new_full((len(tokens), 1), first_token(language_model))
    embedded = language_model.get_input_embeddings()(torch.cat([begin, tokens], dim=1))
    return embedded, torch.cat([torch.ones_like(begin), mask], dim=1)


def begin_embedding(language_model: PreTrainedModel, compressor: AttentionOnlyCompressor | None) -> torch.Tensor:
    """(D,) what asks the language model to write: the token that begins a text, or the learned one of ICAE."""
    if compressor is not None and compressor.begin is not None:
        return compressor.begin
    token = torch.tensor(first_token(language_model), device=language_model.device)
    embedded: torch.Tensor = language_model.get_input_embeddings()(token)
    return embedded


def text_logits(
    language_model: PreTrainedModel, memory: Memory | None, begin: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Logits of each text's tokens and of its end, given the memory and the tokens before.

    Args:
        language_model: The frozen language model.
        memory: Memory of the texts; None for the control without.
        begin: (D,) embedding that stands before the text.
        tokens: (B, N) int64, padded at the end.
        mask: (B, N) int64, 1 where there is a token.

    Returns:
        (B, N + 1, V); row t predicts token t, the row after the last token its end.
    """
    samples = len(tokens)
    embedded = language_model.get_input_embeddings()(tokens)
    inputs = torch.cat([begin.to(embedded.dtype).expand(samples, 1, -1), embedded], dim=1)
    own = torch.cat([mask.new_ones(samples, 1), mask], dim=1)
    steps = torch.arange(inputs.shape[1], device=tokens.device)
    if memory is None:
        before, positions, cache = mask.new_ones(samples, 0), steps.expand(samples, -1), DynamicCache()
    else:
        before, positions, cache = memory.mask, memory.next_positions[:, None] + steps, memory.cache()
    output = language_model(
        inputs_embeds=inputs,
        attention_mask=torch.cat([before, own], dim=1),
        position_ids=positions,
        use_cache=True,
        **given_cache(language_model, cache),
    )
    logits: torch.Tensor = output.logits
    return logits


def labels_of(tokens: torch.Tensor, mask: torch.Tensor, end: int) -> torch.Tensor:
    """(B, N + 1) int64: each text, then its end; IGNORED behind, so that padding is in no loss."""
    lengths = mask.sum(dim=1)
    labels = torch.cat([tokens.masked_fill(mask == 0, IGNORED), tokens.new_full((len(tokens), 1), IGNORED)], dim=1)
    labels[torch.arange(len(tokens), device=tokens.device), lengths] = end
    return labels


def token_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """(B, N + 1) cross-entropy of each token, nats; 0 where the label is ignored."""
    return functional.cross_entropy(logits.float().transpose(1, 2), labels, ignore_index=IGNORED, reduction="none")


@torch.no_grad()
def regenerate(
    language_model: PreTrainedModel, memory: Memory | None, begin: torch.Tensor, samples: int, limit: int
) -> list[list[int]]:
    """Let the language model write texts greedily, all at once.

    Args:
        language_model: The frozen language model.
        memory: Memory of the texts; None for the control without.
        begin: (D,) embedding that asks for the text.
        samples: Texts to write, B.
        limit: The most tokens of a text.

    Returns:
        Token ids of each text, without its end.
    """
    end = last_token(language_model)
    device = begin.device
    cache = DynamicCache() if memory is None else memory.cache()
    mask = torch.ones(samples, 0, dtype=torch.long, device=device) if memory is None else memory.mask
    position = torch.zeros(samples, dtype=torch.long, device=device) if memory is None else memory.next_positions
    inputs = begin.to(language_model.dtype).expand(samples, 1, -1)
    written, done = [], torch.zeros(samples, dtype=torch.bool, device=device)
    for step in range(limit + 1):
        mask = torch.cat([mask, mask.new_ones(samples, 1)], dim=1)
        logits = language_model(
            inputs_embeds=inputs,
            attention_mask=mask,
            position_ids=(position + step)[:, None],
            use_cache=True,
            **given_cache(language_model, cache),
        ).logits[:, -1]
        chosen = logits.argmax(dim=1).masked_fill(done, end)
        done |= chosen == end
        if bool(done.all()) or step == limit:
            break
        written.append(chosen)
        inputs = language_model.get_input_embeddings()(chosen)[:, None]
    rows = torch.stack(written, dim=1).tolist() if written else [[] for _ in range(samples)]
    return [row[: row.index(end)] if end in row else row for row in rows]


@torch.no_grad()
def sample_texts(
    language_model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, number: int, length: int, seed: int
) -> list[str]:
    """Texts drawn from the language model at temperature 1, each up to its end or `length` tokens."""
    torch.manual_seed(seed)
    texts: list[str] = []
    while len(texts) < number:
        begin = torch.full((min(SAMPLED_AT_ONCE, number - len(texts)), 1), first_token(language_model))
        written = language_model.generate(  # type: ignore[operator]
            begin,
            attention_mask=torch.ones_like(begin),
            do_sample=True,
            top_k=0,
            max_new_tokens=length,
            pad_token_id=first_token(language_model),
        )
        texts += tokenizer.batch_decode(written, skip_special_tokens=True)
    return [" ".join(text.split()) for text in texts]
