"""Regeneration against a plain forward pass and against transformers' own greedy generation."""

import torch
from transformers import PreTrainedModel

from gta.compressor.encoder import AttentionOnlyCompressor, CompressorConfig
from gta.compressor.memory import read_memory
from gta.compressor.regeneration import (
    IGNORED,
    begin_embedding,
    embed_prompt,
    labels_of,
    pad_tokens,
    regenerate,
    text_logits,
    token_losses,
)

TEXTS = [[5, 6, 7, 8], [9, 10]]


def test_labels_end_with_the_end_of_the_text_and_leave_padding_out() -> None:
    tokens, mask = pad_tokens(TEXTS)
    assert labels_of(tokens, mask, 1).tolist() == [[5, 6, 7, 8, 1], [9, 10, 1, IGNORED, IGNORED]]


def test_padding_has_no_part_in_the_loss(llama: PreTrainedModel) -> None:
    begin = begin_embedding(llama, None)
    compressor = AttentionOnlyCompressor(llama, CompressorConfig()).eval()

    def losses(texts: list[list[int]], row: int) -> torch.Tensor:
        tokens, mask = pad_tokens(texts)
        memory = compressor(llama, *embed_prompt(llama, tokens, mask))
        logits = text_logits(llama, memory, begin, tokens, mask)
        return token_losses(logits, labels_of(tokens, mask, 1))[row]

    with torch.no_grad():
        together, alone = losses(TEXTS, 1), losses(TEXTS[1:], 0)
    assert torch.allclose(together[:3], alone, atol=1e-5)
    assert together[3:].tolist() == [0, 0]


def test_memory_that_is_the_text_itself_gives_the_plain_forward_pass(language_model: PreTrainedModel) -> None:
    tokens, mask = pad_tokens([[5, 6, 7], [8, 9, 10]])
    embedded = language_model.get_input_embeddings()(tokens)
    with torch.no_grad():
        memory = read_memory(language_model, embedded, mask)
        after = text_logits(language_model, memory, begin_embedding(language_model, None), tokens, mask)
        whole = torch.cat([tokens, torch.zeros(2, 1, dtype=torch.long), tokens], dim=1)
        plain = language_model(input_ids=whole).logits[:, 3:]
    assert torch.allclose(after, plain, atol=1e-4)


def test_batched_greedy_writing_is_that_of_transformers(language_model: PreTrainedModel) -> None:
    """Two memories of different lengths in one batch, against `generate` on each prompt alone."""
    tokens, mask = pad_tokens(TEXTS)
    memory = read_memory(language_model, language_model.get_input_embeddings()(tokens), mask)
    written = regenerate(language_model, memory, begin_embedding(language_model, None), samples=2, limit=6)
    for text, ours in zip(TEXTS, written, strict=True):
        prompt = torch.tensor([[*text, 0]])
        theirs = language_model.generate(
            prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=6, do_sample=False, pad_token_id=2
        )[0, prompt.shape[1] :].tolist()
        theirs = theirs[: theirs.index(1)] if 1 in theirs else theirs
        assert ours == theirs


def test_a_text_is_overfitted_and_written_again_only_with_its_own_memory(llama: PreTrainedModel) -> None:
    texts = [[5, 6, 7, 8], [20, 21, 22, 23]]
    tokens, mask = pad_tokens(texts)
    compressor = AttentionOnlyCompressor(llama, CompressorConfig(memory_tokens=4)).train()
    begin = begin_embedding(llama, None)
    optimiser = torch.optim.Adam(compressor.trained_weights().values(), lr=0.02)
    for _ in range(250):
        memory = compressor(llama, *embed_prompt(llama, tokens, mask))
        loss = token_losses(text_logits(llama, memory, begin, tokens, mask), labels_of(tokens, mask, 1)).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        memory = compressor(llama, *embed_prompt(llama, tokens, mask))
    assert regenerate(llama, memory, begin, 2, 6) == texts
    assert regenerate(llama, memory.rolled(), begin, 2, 6) == texts[::-1]
    assert regenerate(llama, memory.towards(memory.rolled(), 0.0), begin, 2, 6) == texts
    assert regenerate(llama, memory.towards(memory.rolled(), 1.0), begin, 2, 6) == texts[::-1]
