"""What language models of many kinds take for words, how far they read, and which cannot be read in parts."""

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    BioGptConfig,
    ElectraConfig,
    EsmConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    ModernBertConfig,
    OPTConfig,
    Phi3Config,
    Phi3ForCausalLM,
    PretrainedConfig,
    PreTrainedModel,
    RobertaConfig,
    RobertaForCausalLM,
    RobertaModel,
    XGLMConfig,
)

from gta.aligner.reading import make_reader, prompt_memory, read_after
from gta.compressor.memory import untrained
from gta.compressor.prompts import compress_prompts
from gta.errors import UserError
from gta.language.cache import read_prompts
from gta.language.models import embed, load_frozen, word_embeddings
from gta.language.prompts import Prompt, closing_tokens, tokenize
from gta.language.prototypes import kmeans_prototypes
from gta.networks.folder import first_position, positions_read
from tiny_networks import change_config, tokenizer, write_network

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48, "vocab_size": 60}
TEXT = {**SMALL, "pad_token_id": 0, "max_position_embeddings": 64}
ROOT = 32**0.5
#: Configuration, and how much larger words arrive than they are in the table.
WORDS: dict[str, tuple[PretrainedConfig, float]] = {
    "llama": (LlamaConfig(**TEXT), 1),
    "gemma": (GemmaConfig(**TEXT, head_dim=8, num_key_value_heads=4), ROOT),
    "gemma2": (Gemma2Config(**TEXT, head_dim=8), ROOT),
    "gemma3": (Gemma3TextConfig(**TEXT, head_dim=8), ROOT),
    "biogpt": (BioGptConfig(**TEXT), ROOT),
    "xglm": (XGLMConfig(d_model=32, num_layers=2, attention_heads=4, ffn_dim=48, vocab_size=60, pad_token_id=0), ROOT),
    "opt": (OPTConfig(**TEXT, ffn_dim=48, word_embed_proj_dim=32), 1),
    "modernbert": (ModernBertConfig(**TEXT), 1),
    "electra": (ElectraConfig(**SMALL, embedding_size=16), 1),
    "esm": (EsmConfig(**TEXT, mask_token_id=59, token_dropout=True, position_embedding_type="rotary"), 1 - 0.15 * 0.8),
}
ENCODERS = ("modernbert", "electra", "esm")


def build(config: PretrainedConfig, encoder: bool = False) -> PreTrainedModel:
    torch.manual_seed(0)
    return (AutoModel if encoder else AutoModelForCausalLM).from_config(config).requires_grad_(False).eval()


@pytest.mark.parametrize("name", WORDS)
def test_words_are_measured_where_the_model_reads_them(name: str) -> None:
    config, factor = WORDS[name]
    model = build(config, name in ENCODERS)
    words = word_embeddings(model)
    table = model.get_input_embeddings().weight
    torch.testing.assert_close(words, factor * table)
    ids = torch.tensor([[5, 9, 17, 33, 4, 21]])
    torch.testing.assert_close(embed(model, ids), words[ids])
    # The proof: given in the place of ids they are read the same.
    read = model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
    given = model.base_model(inputs_embeds=words[ids], attention_mask=torch.ones_like(ids)).last_hidden_state
    torch.testing.assert_close(given, read, atol=1e-5, rtol=1e-5)


def test_prototypes_lie_where_words_arrive() -> None:
    model = build(WORDS["gemma2"][0])
    # As many centres as words are the words.
    vectors = kmeans_prototypes(model, 60, seed=1).vectors
    assert vectors.norm(dim=1).sort().values == pytest.approx(word_embeddings(model).norm(dim=1).sort().values, abs=1e-4)


def test_scaled_words_are_not_scaled_twice_in_large_vocabularies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gta.language.models.CHUNK", 7)
    model = build(WORDS["gemma2"][0])
    torch.testing.assert_close(word_embeddings(model), ROOT * model.get_input_embeddings().weight)


def write(folder: Path, kind: type, config: PretrainedConfig) -> Path:
    """A folder of a model whose attention is far from even, so that wrong positions and masks show."""
    model = write_network(folder, kind, config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5 if parameter.dim() > 1 else 1)
    model.save_pretrained(folder)
    return folder


def test_a_causal_class_that_reads_both_ways_is_refused(tmp_path: Path) -> None:
    """Embedding models made of causal ones: their kind says causal, a key of config.json says otherwise."""
    config = Gemma3TextConfig(**TEXT, head_dim=8)
    folder = write(tmp_path / "gemma", AutoModelForCausalLM, config)
    assert load_frozen(folder).config.model_type == "gemma3_text"
    change_config(folder, use_bidirectional_attention=True)
    with pytest.raises(UserError, match="what it makes of words changes with what follows"):
        load_frozen(folder)


def test_a_causal_head_on_an_encoder_is_refused(tmp_path: Path) -> None:
    config = RobertaConfig(**TEXT, is_decoder=True)
    folder = write(tmp_path / "decoder", RobertaForCausalLM, config)
    load_frozen(folder)
    change_config(folder, is_decoder=False)
    with pytest.raises(UserError, match=r"cannot be used"):
        load_frozen(folder)


def test_hidden_states_of_different_widths_are_refused(tmp_path: Path) -> None:
    """As those of OPT-350m, whose last ones are as narrow as its words."""
    folder = write(tmp_path, AutoModelForCausalLM, OPTConfig(**TEXT, ffn_dim=48, word_embed_proj_dim=16))
    with pytest.raises(UserError, match="its hidden states have different shapes"):
        load_frozen(folder)


def test_encoders_that_take_no_embeddings_of_words_are_refused(tmp_path: Path) -> None:
    """ESM leaves out its positions, too, where it is given embeddings."""
    config = EsmConfig(**TEXT, mask_token_id=59, position_embedding_type="absolute")
    folder = write(tmp_path, AutoModel, config)
    change_config(folder, architectures=["EsmForMaskedLM"])
    with pytest.raises(UserError, match="it reads embeddings of words otherwise than words"):
        load_frozen(folder)


def prompts_of(*lengths: int) -> list[Prompt]:
    return [Prompt(f"G{number}", "", [4 + i % 50 for i in range(length)], 0) for number, length in enumerate(lengths)]


def test_more_tokens_than_positions_are_refused_with_the_gene_that_has_them(tmp_path: Path) -> None:
    folder = write(tmp_path, GPT2LMHeadModel, GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=60, n_positions=16))
    model = load_frozen(folder)
    assert read_prompts(model, prompts_of(3, 16), "x").lengths.tolist() == [3, 16]
    with pytest.raises(UserError, match=r"The prompt of gene G1 takes 17 positions, but the language model has 16"):
        read_prompts(model, prompts_of(3, 17), "x")
    with pytest.raises(UserError, match=r"The prompt of gene G0 takes 17 positions"):
        compress_prompts(model, prompts_of(16), untrained("truncate", 2), "x")
    cache = read_prompts(model, prompts_of(3, 10), "x")
    make_reader(model, cache, ["G0", "G1"], 16, "pretrained", "full", 1, "x")
    with pytest.raises(UserError, match="A prompt and a window take 17 positions, but the language model has 16"):
        make_reader(model, cache, ["G0", "G1"], 17, "pretrained", "full", 1, "x")


def test_the_first_positions_of_roberta_mean_padding(tmp_path: Path) -> None:
    """Of 18 positions two are left free, so that 16 tokens are read: 512 of the 514 of the published ones."""
    config = RobertaConfig(**{**SMALL, "max_position_embeddings": 18}, pad_token_id=1)
    folder = write(tmp_path, RobertaModel, config)
    model = load_frozen(folder)
    read_prompts(model, prompts_of(16), "x")
    with pytest.raises(UserError, match=r"takes 19 positions, but the language model has 18"):
        read_prompts(model, prompts_of(17), "x")
    described = config.to_dict()
    assert (positions_read(described), first_position(described)) == (18, 2)


def test_tokens_that_the_model_does_not_have_are_refused() -> None:
    model = build(LlamaConfig(**TEXT))
    with pytest.raises(UserError, match=r"prompt of gene G0 has the token 60, but the language model has embeddings of 60"):
        read_prompts(model, [Prompt("G0", "", [5, 60], 0)], "x")


def scaled(positions: int, **scaling: object) -> dict[str, object]:
    return {"max_position_embeddings": positions, "rope_scaling": scaling}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"model_type": "gpt2", "n_positions": 1024}, 1024),
        ({"model_type": "llama", "max_position_embeddings": 4096}, 4096),
        ({"model_type": "bloom", "seq_length": 2048, "n_positions": 5}, None),
        ({"model_type": "falcon", "max_position_embeddings": 2048, "alibi": True}, None),
        ({"model_type": "x"}, None),
        # Static scaling reads as far as it says.
        (scaled(131072, rope_type="llama3", original_max_position_embeddings=8192), 131072),
        (scaled(131072, type="yarn", original_max_position_embeddings=32768), 131072),
        # As Phi-3 writes it, in older and newer releases.
        (
            {"max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rope_scaling": {"type": "longrope"}},
            4096,
        ),
        ({"max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "rope_scaling": {"type": "su"}}, 4096),
        (
            {
                "max_position_embeddings": 131072,
                "rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 4096},
            },
            4096,
        ),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "dynamic", "factor": 4.0}}, 4096),
        (
            {
                "max_position_embeddings": 99,
                "rope_parameters": {"full_attention": {"rope_type": "longrope", "original_max_position_embeddings": 9}},
            },
            9,
        ),
    ],
)
def test_how_far_a_model_reads(config: dict[str, object], expected: int | None) -> None:
    assert positions_read(config) == expected


def longrope() -> Phi3Config:
    scaling = {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [9.0] * 4}
    return Phi3Config(**TEXT, original_max_position_embeddings=16, rope_scaling=scaling)


def test_rotary_positions_that_change_with_the_length_limit_what_is_read(tmp_path: Path) -> None:
    """Phi-3: from 16 positions on its frequencies are others, for all positions, also those of keys that were kept."""
    model = load_frozen(write(tmp_path, Phi3ForCausalLM, longrope()))
    tokens = 0.02 * torch.randn(1, 6, 32, generator=torch.Generator().manual_seed(1))

    def difference(prompt: int) -> float:
        cache = read_prompts(model, prompts_of(prompt), "x")
        read = read_after(model, tokens, prompt_memory(model, cache, cache.rows, tokens.device))
        words = embed(model, torch.tensor([prompts_of(prompt)[0].tokens]))
        whole = model.base_model(inputs_embeds=torch.cat([words, tokens], dim=1), use_cache=False).last_hidden_state[:, prompt:]
        return float((read - whole).abs().max())

    # 16 positions are read as at once; across the switch they would not be, which is why it is refused.
    assert difference(10) < 1e-5 < 1e-3 < difference(11)
    cache = read_prompts(model, prompts_of(10), "x")
    make_reader(model, cache, ["G0"], 16, "pretrained", "full", 1, "x")
    with pytest.raises(UserError, match="has 16 before its rotary positions change with the length of the text"):
        make_reader(model, cache, ["G0"], 17, "pretrained", "full", 1, "x")
    with pytest.raises(UserError, match="The prompt of gene G0 takes 17 positions"):
        read_prompts(model, prompts_of(17), "x")


@pytest.mark.parametrize(
    ("template", "closing"),
    [
        ("$A", []),
        ("<s> $A", []),
        ("<s> $A </s>", [2]),
        ("$A <pad>", [0]),
        ("<s> $A </s> <pad>", [2, 0]),
        ("<s> <unk> $A <s>", [1]),
    ],
)
def test_what_a_tokenizer_puts_behind_texts_is_for_encoders(template: str, closing: list[int]) -> None:
    made = tokenizer(template)
    assert closing_tokens(made) == closing
    before = {"<s> <unk> $A <s>": [1, 3], "$A": [], "$A <pad>": []}.get(template, [1])
    texts = {"long": "w5 w6 w7 w8", "short": "w9", "unknown": "gene", "empty": ""}
    words = {"long": [5, 6, 7, 8], "short": [9], "unknown": [3], "empty": []}
    causal = {prompt.gene: prompt.tokens for prompt in tokenize(texts, made, 10)}
    encoder = {prompt.gene: prompt.tokens for prompt in tokenize(texts, made, 10, encoder=True)}
    for name in ("long", "short", "unknown"):
        assert causal[name] == before + words[name]
        assert encoder[name] == before + words[name] + closing
    # Nothing to read is the token that begins a text.
    assert causal["empty"] == (before or [1])
    assert encoder["empty"] == (before + closing or [1])
    limit = len(before) + len(closing) + 2
    (cut,) = tokenize({"long": texts["long"]}, made, limit, encoder=True)
    assert cut.tokens == [*before, 5, 6, *closing] and cut.cut == 2
