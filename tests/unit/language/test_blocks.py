"""Language models that are cut to their first blocks, and the precision in which they read."""

from pathlib import Path

import pytest
import torch
from transformers import (
    AlbertConfig,
    AutoModel,
    AutoModelForCausalLM,
    BertConfig,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MPNetConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from gta.errors import UserError
from gta.language.cache import read_prompts
from gta.language.models import (
    fingerprint,
    has_fast_bfloat16,
    keep_first_blocks,
    load_frozen,
    set_precision,
    write_first_blocks,
)
from gta.language.prompts import Prompt

SMALL = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "vocab_size": 50, "intermediate_size": 64}
CONFIGS: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**SMALL, num_key_value_heads=2),
    "gpt2": GPT2Config(n_embd=32, n_layer=4, n_head=4, vocab_size=50),
    "gpt_neox": GPTNeoXConfig(**SMALL, hidden_dropout=0.0, attention_dropout=0.0),
    # Its blocks are of two kinds, which the configuration lists.
    "gemma3": Gemma3TextConfig(**SMALL, num_key_value_heads=2, head_dim=8, sliding_window=3, sliding_window_pattern=2),
    "bert": BertConfig(**SMALL, max_position_embeddings=40),
    "mpnet": MPNetConfig(**SMALL, max_position_embeddings=40),
}
ENCODERS = ("bert", "mpnet")
#: The norm after the last block of causal models.
NORMS = {"llama": "norm", "gpt2": "ln_f", "gpt_neox": "final_layer_norm", "gemma3": "norm"}
IDS = torch.tensor([[3, 14, 15, 9, 2, 6, 5]])


def build(name: str) -> PreTrainedModel:
    torch.manual_seed(0)
    kind = AutoModel if name in ENCODERS else AutoModelForCausalLM
    without = {"add_pooling_layer": False} if name == "bert" else {}
    # Configurations are changed by cutting: each model has its own.
    return kind.from_config(type(CONFIGS[name]).from_dict(CONFIGS[name].to_dict()), **without).requires_grad_(False).eval()


@pytest.mark.parametrize("name", CONFIGS)
def test_a_cut_model_makes_what_the_whole_one_has_after_that_block(name: str, tmp_path: Path) -> None:
    whole, cut = build(name), build(name)
    keep_first_blocks(cut, 2)
    expected = whole.base_model(IDS, output_hidden_states=True).hidden_states
    found = cut.base_model(IDS, output_hidden_states=True)
    assert len(found.hidden_states) == 3 and cut.config.num_hidden_layers == 2
    torch.testing.assert_close(found.hidden_states[1], expected[1])
    last = expected[2] if name in ENCODERS else getattr(whole.base_model, NORMS[name])(expected[2])
    torch.testing.assert_close(found.last_hidden_state, last)
    cut.save_pretrained(tmp_path)
    back = load_frozen(tmp_path)
    assert back.config.num_hidden_layers == 2 and fingerprint(back) == fingerprint(cut) != fingerprint(whole)
    torch.testing.assert_close(back.base_model(IDS).last_hidden_state, last)
    assert read_prompts(back, [Prompt("a", "", IDS[0].tolist(), 0)], "x").states.shape[:2] == (1, 3)


def test_the_first_blocks_are_written_in_the_precision_in_which_they_were(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "models" / "stories260k-llama"
    load_frozen(folder).bfloat16().save_pretrained(tmp_path / "whole")
    for file in folder.glob("tokenizer*"):
        (tmp_path / "whole" / file.name).write_bytes(file.read_bytes())
    write_first_blocks(tmp_path / "whole", 2, tmp_path / "cut")
    assert load_frozen(tmp_path / "cut", stored=True).dtype == torch.bfloat16
    assert "first 2 blocks" in (tmp_path / "cut" / "checksums.tsv").read_text().splitlines()[0]
    with pytest.raises(UserError, match=r"language\.blocks: 9 are wanted, but the language model has 5"):
        write_first_blocks(tmp_path / "whole", 9, tmp_path / "more")
    assert not (tmp_path / "more").exists()


def test_blocks_that_share_their_weights_are_not_told_apart() -> None:
    torch.manual_seed(0)
    model = AutoModel.from_config(AlbertConfig(**SMALL, embedding_size=16))
    with pytest.raises(UserError, match="the blocks of a model of the kind albert cannot be told apart"):
        keep_first_blocks(model, 2)


def test_bfloat16_states_are_close_to_those_of_float32() -> None:
    prompts = [Prompt("a", "", IDS[0].tolist(), 0), Prompt("b", "", [7, 8], 0)]
    model = build("llama")
    exact = read_prompts(model, prompts, "x").states
    set_precision(model, "bfloat16")
    assert model.dtype == torch.bfloat16 and model.base_model.rotary_emb.inv_freq.dtype == torch.float32
    rounded = read_prompts(model, prompts, "x").states
    assert rounded.dtype == torch.float32
    difference = (rounded - exact).norm(dim=-1) / exact.norm(dim=-1)
    assert 0 < difference.max() < 0.03


@pytest.mark.parametrize(
    ("fast", "large", "expected"), [(True, 1, torch.bfloat16), (True, 10**9, torch.float32), (False, 1, torch.float32)]
)
def test_large_models_read_in_bfloat16_where_the_cpu_has_it(
    monkeypatch: pytest.MonkeyPatch, fast: bool, large: int, expected: torch.dtype
) -> None:
    monkeypatch.setattr("gta.language.models.has_fast_bfloat16", lambda: fast)
    monkeypatch.setattr("gta.language.models.LARGE", large)
    model = build("llama")
    set_precision(model, "auto")
    assert model.dtype == expected
    set_precision(model, "float32")
    assert model.dtype == torch.float32


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_bf16 sse\n", True),
        ("processor\t: 0\nflags\t\t: fpu amx_bf16\n", True),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("processor\t: 0\nflags\t\t: fpu avx512f avx512_vnni\n", False),
        ("", False),
    ],
)
def test_what_the_cpu_says_of_itself(monkeypatch: pytest.MonkeyPatch, text: str, expected: bool) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self, **_: text)
    assert has_fast_bfloat16() is expected
