"""Networks are loaded whole or not at all, by one function."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    AutoModel,
    EsmConfig,
    EsmForMaskedLM,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
    MPNetConfig,
    MPNetForMaskedLM,
    PretrainedConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from gta.errors import UserError
from gta.features.hf import HuggingFaceExtractor
from gta.features.settings import FeatureSettings
from gta.language.models import fingerprint, load_frozen, require_head
from gta.networks.load import load_network, load_state
from tiny_networks import dna_tokenizer, write_network

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 60}
ESM = EsmConfig(**SMALL, max_position_embeddings=64, pad_token_id=0, mask_token_id=59, position_embedding_type="rotary")
ENCODERS: dict[str, tuple[type, PretrainedConfig]] = {
    "esm": (EsmForMaskedLM, ESM),
    "albert": (AlbertForMaskedLM, AlbertConfig(**SMALL, embedding_size=16, max_position_embeddings=64)),
    "mpnet": (MPNetForMaskedLM, MPNetConfig(**SMALL, max_position_embeddings=64)),
}
CPU = torch.device("cpu")


def change(folder: Path, **names: str | None) -> None:
    """Rename weights by a part of their names, or leave them out (None)."""
    weights = load_file(folder / "model.safetensors")
    for part, other in names.items():
        matching = [name for name in weights if part in name]
        assert matching
        for name in matching:
            tensor = weights.pop(name)
            if other is not None:
                weights[name.replace(part, other)] = tensor
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def extractor(folder: Path) -> HuggingFaceExtractor:
    dna_tokenizer().save_pretrained(folder)
    return HuggingFaceExtractor(FeatureSettings(extractor="hf", weights=str(folder), tile_length=16), CPU)


@pytest.mark.parametrize("name", ENCODERS)
def test_weights_that_nobody_reads_may_be_missing(name: str, tmp_path: Path) -> None:
    """Saved for masked words, without a pooler: a whole model, and the same each time."""
    network = write_network(tmp_path, *ENCODERS[name])
    assert not any("pooler" in key for key in load_file(tmp_path / "model.safetensors"))
    first, second = load_frozen(tmp_path), load_frozen(tmp_path)
    assert fingerprint(first) == fingerprint(second)
    ids = torch.tensor([[5, 9, 17, 33]])
    with torch.no_grad():
        expected = network.base_model(ids).last_hidden_state
        torch.testing.assert_close(first(ids).last_hidden_state, expected)
        torch.testing.assert_close(extractor(tmp_path)._model(ids).last_hidden_state, expected)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"esm.": "trunk."}, r"lacks the weights 'embeddings\.word_embeddings\.weight' .*has 'trunk\..* instead"),
        ({"encoder.layer.1.": None}, r"lacks the weights 'encoder\.layer\.1\..* others of its"),
        (
            {"encoder.layer.0.attention.self.query.bias": None},
            r"lacks the weights 'encoder\.layer\.0\.attention\.self\.query\.bias'",
        ),
        ({"word_embeddings": "words"}, r"lacks the weights 'embeddings\.word_embeddings\.weight'"),
    ],
)
def test_an_encoder_that_lacks_weights_is_refused_by_every_loader(
    tmp_path: Path, names: dict[str, str | None], expected: str
) -> None:
    write_network(tmp_path, *ENCODERS["esm"])
    change(tmp_path, **names)
    with pytest.raises(UserError, match=expected):
        extractor(tmp_path)
    with pytest.raises(UserError, match=expected):
        load_frozen(tmp_path)


def test_a_language_model_without_output_layer_is_whole(tmp_path: Path) -> None:
    """As embedding models are saved: what is read of it does not need the layer; what writes texts does."""
    config = LlamaConfig(**SMALL, max_position_embeddings=64, tie_word_embeddings=False)
    whole = write_network(tmp_path / "whole", LlamaForCausalLM, config)
    base: LlamaModel = whole.model
    write_network(tmp_path / "base", LlamaModel, config)
    base.save_pretrained(tmp_path / "base")
    first, second = load_frozen(tmp_path / "base"), load_frozen(tmp_path / "base")
    assert fingerprint(first) == fingerprint(second)
    ids = torch.tensor([[5, 9, 17, 33]])
    torch.testing.assert_close(first.base_model(ids).last_hidden_state, base(ids).last_hidden_state)
    require_head(load_frozen(tmp_path / "whole"), tmp_path)
    with pytest.raises(UserError, match=r"has no output layer \(lm_head\)"):
        require_head(first, tmp_path)


def test_tied_weights_are_not_missing(tmp_path: Path) -> None:
    config = LlamaConfig(**SMALL, max_position_embeddings=64, tie_word_embeddings=True)
    write_network(tmp_path, LlamaForCausalLM, config)
    assert "lm_head.weight" not in load_file(tmp_path / "model.safetensors")
    require_head(load_frozen(tmp_path), tmp_path)


def test_sizes_that_differ_from_the_configuration_are_refused(tmp_path: Path) -> None:
    write_network(tmp_path, LlamaForCausalLM, LlamaConfig(**SMALL, max_position_embeddings=64))
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"] = torch.zeros(30, 16)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"'model\.layers\.1\.mlp\.up_proj\.weight' is 30 x 16 in the file and 24 x 16"):
        load_frozen(tmp_path)


def test_biases_that_would_be_left_out_are_refused(tmp_path: Path) -> None:
    """A Qwen2 whose config.json says Llama: the biases of its attention would be dropped without a word."""
    write_network(tmp_path, Qwen2ForCausalLM, Qwen2Config(**SMALL, num_key_value_heads=2, max_position_embeddings=64))
    LlamaConfig(**SMALL, num_key_value_heads=2, max_position_embeddings=64, architectures=["LlamaForCausalLM"]).save_pretrained(
        tmp_path
    )
    with pytest.raises(UserError, match=r"its file has 'model\.layers\.0\.self_attn\.k_proj\.bias', which this one has not"):
        load_frozen(tmp_path)


def test_weights_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    write_network(tmp_path, LlamaForCausalLM, LlamaConfig(**SMALL, max_position_embeddings=64))
    weights = load_file(tmp_path / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match="numbers that are not finite"):
        load_frozen(tmp_path)


def test_unread_weights_are_zero_and_named(tmp_path: Path) -> None:
    write_network(tmp_path, *ENCODERS["esm"])
    network, spared = load_network(AutoModel, tmp_path, "features.weights", use_safetensors=True)
    assert spared == ["pooler.dense.bias", "pooler.dense.weight"]
    assert float(network.pooler.dense.weight.detach().abs().max()) == 0


def test_own_weights_are_all_there_and_no_others() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    state = {name: tensor + 1 for name, tensor in module.state_dict().items()}
    load_state(module, state, "here", "network", "train it again")
    assert all(torch.equal(module.state_dict()[name], tensor) for name, tensor in state.items())
    for changed, expected in (
        ({name: tensor for name, tensor in state.items() if name != "1.bias"}, "here lacks the weights '1.bias'"),
        (state | {"2.bias": torch.zeros(1)}, "here holds another network: it has the weights '2.bias'"),
        (state | {"0.weight": torch.zeros(2, 2)}, "'0.weight' is 2 x 2, not 3 x 2: train it again"),
    ):
        with pytest.raises(UserError, match=expected):
            load_state(module, changed, "here", "network", "train it again")


@pytest.mark.parametrize(
    "name",
    ["model.layers.2.mlp.up_proj.weight", "layers.2.input_layernorm.weight", "model.layers.0.mlp.second_gate.weight"],
)
def test_more_of_the_blocks_than_the_configuration_describes_is_refused(tmp_path: Path, name: str) -> None:
    """A third block, or a layer of code that transformers does not have: the rest alone is another network."""
    write_network(tmp_path, LlamaForCausalLM, LlamaConfig(**SMALL, max_position_embeddings=64))
    weights = load_file(tmp_path / "model.safetensors") | {name: torch.zeros(16, 16)}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=rf"its file has '.*{name.rpartition('.layers.')[2]}', which this one has not"):
        load_frozen(tmp_path)


def test_what_is_computed_and_heads_may_be_left_out(tmp_path: Path) -> None:
    """Masks of older releases, tables of rotary positions, heads of several tasks."""
    network = write_network(tmp_path, LlamaForCausalLM, LlamaConfig(**SMALL, max_position_embeddings=64))
    weights = load_file(tmp_path / "model.safetensors")
    others = ["self_attn.rotary_emb.inv_freq", "self_attn.bias", "self_attn.masked_bias", "self_attn.rotary_emb.cos_cached"]
    weights |= {f"model.layers.1.{name}": torch.zeros(4) for name in others}
    weights |= {"score.weight": torch.zeros(2, 16), "mtp.layers.0.weight": torch.zeros(3), "lm_head.bias": torch.zeros(60)}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert fingerprint(load_frozen(tmp_path)) == fingerprint(network)
