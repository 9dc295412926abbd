"""The compressor against what can be worked out by hand, on five families of language models."""

import dataclasses
from pathlib import Path

import pytest
import torch
from transformers import DynamicCache, PreTrainedModel

from gta.compressor.blocks import attention_name, copy_encoder, find_blocks
from gta.compressor.encoder import ENCODERS, AttentionOnlyCompressor, CompressorConfig, place
from gta.compressor.memory import mean_pooled, read_memory, truncated
from gta.errors import UserError
from gta.language.models import fingerprint, given_cache

Texts = tuple[torch.Tensor, torch.Tensor]


def memory_keys(compressor: AttentionOnlyCompressor, model: PreTrainedModel, texts: Texts) -> torch.Tensor:
    with torch.no_grad():
        return compressor(model, *texts).keys


def block_outputs(encoder: torch.nn.Module, embeddings: torch.Tensor) -> tuple[list, list, list]:
    """Input, attention's output and output of every block."""
    inputs, attended, outputs = [], [], []
    first = lambda value: value[0] if isinstance(value, tuple) else value  # noqa: E731
    for block in find_blocks(encoder):
        block.register_forward_pre_hook(
            lambda _, args, kwargs: inputs.append(args[0] if args else kwargs["hidden_states"]), with_kwargs=True
        )
        getattr(block, attention_name(block)).register_forward_hook(lambda _, args, output: attended.append(first(output)))
        block.register_forward_hook(lambda _, args, output: outputs.append(first(output)))
    mask = torch.ones(embeddings.shape[:2], dtype=torch.long)
    encoder(inputs_embeds=embeddings, attention_mask=mask, use_cache=True, **given_cache(encoder, DynamicCache()))
    return inputs, attended, outputs


def test_without_mlp_a_block_adds_its_attention_and_nothing_else(language_model: PreTrainedModel, texts: Texts) -> None:
    encoder = copy_encoder(language_model, "zero")
    inputs, attended, outputs = block_outputs(encoder, texts[0])
    assert len(outputs) == 3
    for before, attention, after in zip(inputs, attended, outputs, strict=True):
        assert torch.equal(after, before + attention)
        assert not torch.allclose(after, before)


def test_identity_leaves_a_norm_behind(llama: PreTrainedModel, texts: Texts) -> None:
    encoder = copy_encoder(llama, "identity")
    inputs, attended, outputs = block_outputs(encoder, texts[0])
    for block, before, attention, after in zip(find_blocks(encoder), inputs, attended, outputs, strict=True):
        middle = before + attention
        assert torch.allclose(after, middle + block.post_attention_layernorm(middle))


def test_nothing_of_vocabulary_or_mlp_is_carried(language_model: PreTrainedModel) -> None:
    theirs = {id(weight) for weight in language_model.parameters()}
    aoc = AttentionOnlyCompressor(language_model, CompressorConfig("aoc"))
    assert not any(".mlp." in name for name, _ in aoc.named_parameters())
    assert not any(weight.shape[0] == 40 for weight in aoc.parameters())
    attention = AttentionOnlyCompressor(language_model, CompressorConfig("attention"))
    shared = [weight for name, weight in attention.named_parameters() if ".mlp." in name]
    assert shared
    assert all(id(weight) in theirs for weight in shared)


def test_the_same_weights_are_trained_with_and_without_mlp(language_model: PreTrainedModel) -> None:
    with_mlp, without = (
        AttentionOnlyCompressor(language_model, CompressorConfig(name)).trained_weights() for name in ("attention", "aoc")
    )
    assert {name: weight.shape for name, weight in with_mlp.items()} == {name: weight.shape for name, weight in without.items()}


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_trained_weight_learns_and_the_language_model_does_not(
    language_model: PreTrainedModel, texts: Texts, encoder: str
) -> None:
    before = fingerprint(language_model)
    compressor = AttentionOnlyCompressor(language_model, CompressorConfig(encoder, lora_rank=2)).train()
    weights = compressor.trained_weights()
    optimiser = torch.optim.SGD(weights.values(), lr=0.01)
    begin = {name: weight.detach().clone() for name, weight in weights.items()}
    for _ in range(2):  # LoRA's A moves only once its B is no longer zero
        optimiser.zero_grad()
        memory = compressor(language_model, *texts)
        loss = memory.keys.pow(2).sum() + memory.values.pow(3).sum()
        if compressor.begin is not None:
            loss = loss + compressor.begin.pow(2).sum()
        loss.backward()
        optimiser.step()
    still = [name for name, weight in weights.items() if torch.equal(weight, begin[name])]
    assert still == []
    assert fingerprint(language_model) == before
    assert all(weight.grad is None for weight in language_model.parameters())
    assert not any(module.training for module in language_model.modules())


def test_keys_only_compressor_has_no_dead_weights_in_its_last_block(llama: PreTrainedModel) -> None:
    trained = AttentionOnlyCompressor(llama, CompressorConfig()).trained_weights()
    last = {name.removeprefix("encoder.layers.2.") for name in trained if ".layers.2." in name}
    assert last == {"input_layernorm.weight", "self_attn.k_proj.weight", "self_attn.v_proj.weight"}


@pytest.mark.parametrize("positions", ["prefix", "continued", "restarted"])
@pytest.mark.parametrize("hand_over", ["kv", "embeds"])
def test_padding_changes_nothing(language_model: PreTrainedModel, texts: Texts, positions: str, hand_over: str) -> None:
    config = CompressorConfig(positions=positions, hand_over=hand_over, memory_tokens=2)
    compressor = AttentionOnlyCompressor(language_model, config).eval()
    embeddings, mask = texts
    alone = compressor(language_model, embeddings[:1, :4], mask[:1, :4])
    garbage = torch.full((2, 3, 16), 7.0)
    hidden = torch.zeros(2, 3, dtype=torch.long)
    for parts in (lambda a, b: [a, b], lambda a, b: [b, a]):
        padded = compressor(
            language_model,
            torch.cat(parts(embeddings[:, :4], garbage), dim=1),
            torch.cat(parts(mask[:, :4], hidden), dim=1),
        )
        assert torch.allclose(padded.keys[0], alone.keys[0], atol=1e-5)
        assert torch.allclose(padded.values[0], alone.values[0], atol=1e-5)
        assert padded.next_positions[0] == alone.next_positions[0]


def test_positions_by_hand() -> None:
    mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    text, memory, after = place(mask, 2, "prefix")
    assert text[0, :3].tolist() == [2, 3, 4]
    assert memory.tolist() == [[0, 1], [0, 1]]
    assert after.tolist() == [2, 2]
    text, memory, after = place(mask, 2, "continued")
    assert text[1].tolist() == [0, 1, 2, 3]
    assert memory.tolist() == [[3, 4], [4, 5]]
    assert after.tolist() == [5, 6]
    assert place(mask, 2, "restarted")[2].tolist() == [2, 2]


@pytest.mark.parametrize("positions", ["prefix", "continued", "restarted"])
def test_memory_depends_on_the_text_but_for_the_first_layer(
    language_model: PreTrainedModel, texts: Texts, positions: str
) -> None:
    """Positions that jump, without a mask, would make transformers hide the text from the memory, with no warning."""
    compressor = AttentionOnlyCompressor(language_model, CompressorConfig(positions=positions)).eval()
    one, other = memory_keys(compressor, language_model, texts)
    assert torch.equal(one[0], other[0])
    assert all((one[layer] - other[layer]).abs().max() > 1e-4 for layer in (1, 2))


def test_memory_equals_the_language_models_own_cache_when_nothing_was_removed(llama: PreTrainedModel, texts: Texts) -> None:
    """The whole model as its encoder, untrained: the memory tokens are read as any tokens behind the text."""
    compressor = AttentionOnlyCompressor(llama, CompressorConfig("attention", positions="continued", memory_tokens=3)).eval()
    memory = compressor.memory.expand(2, -1, -1)
    with torch.no_grad():
        own = DynamicCache()
        llama.base_model(inputs_embeds=torch.cat([texts[0], memory], dim=1), use_cache=True, **given_cache(llama, own))
        made = compressor(llama, *texts)
    for layer in range(3):
        assert torch.allclose(made.keys[:, layer], own.layers[layer].keys[:, :, 6:], atol=1e-5)
        assert torch.allclose(made.values[:, layer], own.layers[layer].values[:, :, 6:], atol=1e-5)


def test_fresh_lora_is_the_language_model_and_merging_keeps_the_memory(language_model: PreTrainedModel, texts: Texts) -> None:
    lora = AttentionOnlyCompressor(language_model, CompressorConfig("lora", lora_rank=2)).eval()
    plain = AttentionOnlyCompressor(language_model, CompressorConfig("attention")).eval()
    assert torch.allclose(memory_keys(lora, language_model, texts), memory_keys(plain, language_model, texts), atol=1e-5)
    before = fingerprint(language_model)
    with torch.no_grad():
        for name, weight in lora.trained_weights().items():
            weight.add_(0.1 if "lora" in name else 0)
    adapted = memory_keys(lora, language_model, texts)
    assert not torch.allclose(adapted, memory_keys(plain, language_model, texts), atol=1e-3)
    lora.merge()
    assert torch.allclose(memory_keys(lora, language_model, texts), adapted, atol=1e-4)
    assert fingerprint(language_model) == before


@pytest.mark.parametrize("encoder", ENCODERS)
def test_saved_and_read_again(llama: PreTrainedModel, texts: Texts, tmp_path: Path, encoder: str) -> None:
    config = CompressorConfig(encoder, memory_tokens=2, lora_rank=2, language_model_sha256=fingerprint(llama))
    compressor = AttentionOnlyCompressor(llama, config).eval()
    with torch.no_grad():
        for weight in compressor.trained_weights().values():
            weight.add_(0.1)
    compressor.save_pretrained(tmp_path / "saved")
    again = AttentionOnlyCompressor.from_pretrained(tmp_path / "saved", llama)
    assert again.config == config
    assert torch.equal(memory_keys(again, llama, texts), memory_keys(compressor, llama, texts))


def test_reading_refuses_another_language_model_and_a_broken_folder(llama: PreTrainedModel, tmp_path: Path) -> None:
    config = CompressorConfig(language_model_sha256=fingerprint(llama))
    AttentionOnlyCompressor(llama, config).save_pretrained(tmp_path / "saved")
    with torch.no_grad():
        next(llama.parameters()).add_(1)
    with pytest.raises(UserError, match="another language model"):
        AttentionOnlyCompressor.from_pretrained(tmp_path / "saved", llama)
    (tmp_path / "saved" / "config.json").write_text("{}")
    with pytest.raises(UserError, match="no complete compressor"):
        AttentionOnlyCompressor.from_pretrained(tmp_path / "saved", llama)


def test_a_decoder_without_mlp_modules_is_refused() -> None:
    from transformers import OPTConfig, OPTForCausalLM

    config = OPTConfig(vocab_size=20, hidden_size=8, num_hidden_layers=1, ffn_dim=8, num_attention_heads=2, word_embed_proj_dim=8)
    with pytest.raises(UserError, match="cannot be made of OPT"):
        AttentionOnlyCompressor(OPTForCausalLM(config), CompressorConfig())


@pytest.mark.parametrize("wrong", [{"encoder": "mlp"}, {"positions": "none"}, {"memory_tokens": 0}])
def test_a_wrong_configuration_is_refused(llama: PreTrainedModel, wrong: dict) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        AttentionOnlyCompressor(llama, dataclasses.replace(CompressorConfig(), **wrong))


def test_mean_pooling_by_hand(llama: PreTrainedModel) -> None:
    """Five tokens in two pieces: tokens 0-2 and 3-4; one token stays one."""
    embeddings = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(3))
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 0, 0, 0]])
    pooled = mean_pooled(llama, embeddings, mask, 2)
    by_hand = torch.stack([embeddings[0, :3].mean(dim=0), embeddings[0, 3:].mean(dim=0)])
    expected = read_memory(llama, by_hand[None], torch.ones(1, 2, dtype=torch.long))
    assert torch.allclose(pooled.keys[0], expected.keys[0], atol=1e-5)
    assert pooled.mask.tolist() == [[1, 1], [1, 0]]
    assert pooled.next_positions.tolist() == [2, 1]


def test_truncation_is_the_beginning_of_the_language_models_own_cache(llama: PreTrainedModel, texts: Texts) -> None:
    own = DynamicCache()
    llama.base_model(inputs_embeds=texts[0], use_cache=True, **given_cache(llama, own))
    cut = truncated(llama, *texts, tokens=4)
    assert torch.allclose(cut.keys[:, 2], own.layers[2].keys[:, :, :4], atol=1e-5)
