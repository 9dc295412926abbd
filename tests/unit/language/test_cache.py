"""The prompt cache is exact: reading after it equals reading prompt and tokens in one go."""

import resource
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import (
    BioGptConfig,
    BloomConfig,
    DeepseekV3Config,
    DynamicCache,
    Gemma2Config,
    Gemma3TextConfig,
    GemmaConfig,
    GPT2Config,
    GPTNeoConfig,
    GPTNeoXConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    OPTConfig,
    Phi3Config,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    XGLMConfig,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from gta.aligner.reading import prompt_memory, read_after
from gta.errors import UserError
from gta.language.cache import PromptCache, batches_of_similar_length, bytes_per_slot, read_prompts
from gta.language.models import given_cache, load_frozen, load_tokenizer
from gta.language.prompts import Prompt, tokenize

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 50}
GROUPED = {**SMALL, "intermediate_size": 64, "num_key_value_heads": 2}
CONFIGS: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**GROUPED),
    "mistral": MistralConfig(**GROUPED, sliding_window=None),
    # A window shorter than a prompt: a slot of padding inside of it would push a token out.
    "mistral with a window": MistralConfig(**GROUPED, sliding_window=5),
    "qwen2": Qwen2Config(**GROUPED),
    "qwen3": Qwen3Config(**GROUPED, head_dim=8),
    "gpt2": GPT2Config(n_embd=32, n_layer=3, n_head=4, vocab_size=50),
    "gpt_neox": GPTNeoXConfig(**SMALL, intermediate_size=64, hidden_dropout=0.0, attention_dropout=0.0),
    # Words are scaled by the square root of the width; windows shorter than a prompt in every other block.
    "gemma": GemmaConfig(**GROUPED, head_dim=8, pad_token_id=0),
    "gemma2": Gemma2Config(**GROUPED, head_dim=8, sliding_window=5, pad_token_id=0, final_logit_softcapping=None),
    "gemma3": Gemma3TextConfig(**GROUPED, head_dim=8, sliding_window=5, sliding_window_pattern=2, pad_token_id=0),
    "biogpt": BioGptConfig(**SMALL, intermediate_size=64, pad_token_id=0),
    "xglm": XGLMConfig(d_model=32, num_layers=3, attention_heads=4, ffn_dim=64, vocab_size=50, pad_token_id=0),
    # Positions that are learnt, those of ALiBi, blocks that see a window, and experts.
    "opt": OPTConfig(**SMALL, ffn_dim=64, word_embed_proj_dim=32, pad_token_id=0),
    "bloom": BloomConfig(hidden_size=32, n_layer=3, n_head=4, vocab_size=50, pad_token_id=0),
    "gpt_neo": GPTNeoConfig(
        hidden_size=32, num_layers=2, num_heads=4, vocab_size=50, attention_types=[[["global", "local"], 1]], window_size=5
    ),
    "phi3": Phi3Config(**GROUPED, sliding_window=5, pad_token_id=0),
    "granite": GraniteConfig(**GROUPED, embedding_multiplier=7.0, pad_token_id=0),
    "mixtral": MixtralConfig(**GROUPED, num_local_experts=3, num_experts_per_tok=2),
    # Keys are wider than values.
    "deepseek_v3": DeepseekV3Config(
        **{**GROUPED, "num_key_value_heads": 4},
        kv_lora_rank=8,
        q_lora_rank=8,
        qk_rope_head_dim=8,
        qk_nope_head_dim=8,
        v_head_dim=8,
        n_routed_experts=4,
        n_group=1,
        topk_group=1,
        num_experts_per_tok=2,
        moe_intermediate_size=16,
        first_k_dense_replace=1,
    ),
}


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(request.param)
    with torch.no_grad():
        for parameter in model.parameters():
            # Larger than at the usual start, so that attention is far from even and a wrong position would show.
            parameter.mul_(5 if parameter.dim() > 1 else 1)
    model.requires_grad_(False)
    return model.eval()


PROMPTS = [
    Prompt("long", "", [3, 14, 15, 9, 2, 6, 5], 0),
    Prompt("short", "", [7, 8], 0),
    Prompt("again", "", [3, 14, 15, 9, 2, 6, 5], 0),
    Prompt("middle", "", [1, 30, 30, 4], 0),
]


def test_the_cache_is_given_by_the_name_that_the_model_knows(model: PreTrainedModel) -> None:
    """Whatever this release of transformers calls it: the model writes into it, and no argument is deprecated."""

    class Older(nn.Module):
        def forward(self, input_ids: torch.Tensor, past_key_values: DynamicCache | None = None, **others: object) -> None:
            assert past_key_values is not None

    cache = DynamicCache()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("error", FutureWarning)
        model(input_ids=torch.tensor([[3, 4]]), use_cache=True, **given_cache(model, cache))
    assert cache.get_seq_length() == 2
    Older()(torch.tensor([[3, 4]]), **given_cache(Older(), cache))


def read_after_prompt(model: PreTrainedModel, tokens: torch.Tensor, prompts: PromptCache, rows: torch.Tensor) -> torch.Tensor:
    return read_after(model, tokens, prompt_memory(model, prompts, rows, tokens.device))


def logits_of(model: PreTrainedModel, hidden: torch.Tensor) -> torch.Tensor:
    return model.get_output_embeddings()(hidden)


def uncached(model: PreTrainedModel, prompt: list[int], tokens: torch.Tensor) -> torch.Tensor:
    """Logits over the tokens when prompt and tokens of one sample are read in one go, without cache or padding."""
    words = model.get_input_embeddings()(torch.tensor([prompt]))
    return model(inputs_embeds=torch.cat([words, tokens], dim=1), use_cache=False).logits[:, len(prompt) :]


@pytest.mark.parametrize("length", [6, 1])
def test_logits_and_gradients_equal_the_uncached_forward(model: PreTrainedModel, length: int) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint")
    torch.manual_seed(1)
    tokens = torch.randn(4, length, 32, requires_grad=True)
    numbers = [3, 1, 0, 3]  # of the prompts
    rows = cache.rows[numbers]

    logits = logits_of(model, read_after_prompt(model, tokens, cache, rows))
    (gradient,) = torch.autograd.grad(logits.pow(2).mean(), tokens)

    for sample, number in enumerate(numbers):
        alone = tokens[sample : sample + 1].detach().clone().requires_grad_()
        expected = uncached(model, PROMPTS[number].tokens, alone)
        (expected_gradient,) = torch.autograd.grad(expected.pow(2).mean() / len(numbers), alone)
        torch.testing.assert_close(logits[sample : sample + 1], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(gradient[sample : sample + 1], expected_gradient, atol=1e-5, rtol=1e-5)


def test_the_real_pretrained_model_reads_the_same_with_and_without_cache(real_data: Path) -> None:
    folder = real_data / "models" / "stories260k-llama"
    model = load_frozen(folder)
    texts = {"one": "Once upon a time there was a gene", "two": "A short one", "three": "Lily saw a dog. " * 6}
    prompts = tokenize(texts, load_tokenizer(folder), 64)
    assert len({len(prompt.tokens) for prompt in prompts}) == 3
    cache = read_prompts(model, prompts, "fingerprint")
    words = model.get_input_embeddings()(torch.randint(3, 512, (3, 20), generator=torch.Generator().manual_seed(4)))
    logits = logits_of(model, read_after_prompt(model, words, cache, cache.rows))
    for sample, prompt in enumerate(prompts):
        expected = uncached(model, prompt.tokens, words[sample : sample + 1])
        torch.testing.assert_close(logits[sample : sample + 1], expected, atol=1e-5, rtol=1e-5)


def test_in_bfloat16_the_cache_is_half_as_large_and_the_result_nearly_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS["llama"]).requires_grad_(False).eval()
    tokens = 0.02 * torch.randn(2, 6, 32, generator=torch.Generator().manual_seed(1))
    results, sizes = [], []
    for dtype in (torch.float32, torch.bfloat16):
        read_prompts(model.to(dtype), PROMPTS, "fingerprint").save(tmp_path / "cache.safetensors")
        cache = PromptCache.load(tmp_path / "cache.safetensors")
        assert cache.keys is not None and cache.keys.dtype == dtype
        sizes.append(cache.keys.nbytes)
        results.append(read_after_prompt(model, tokens, cache, torch.tensor([0, 1])))
    assert sizes[0] == 2 * sizes[1]
    assert results[0].dtype == results[1].dtype == torch.float32
    difference = (results[0] - results[1]).abs().max()
    assert 0 < difference < 0.05 * results[0].abs().max()


def test_what_a_reader_takes_decides_the_checksum(model: PreTrainedModel) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint")
    assert cache.keys is not None
    other = {"next_positions": cache.next_positions + 1, "model": "other", "rows": cache.rows.flip(0)}
    assert len({PromptCache(**{**vars(cache), name: value}).sha256() for name, value in other.items()} | {cache.sha256()}) == 4
    memory = {**vars(cache), "tokens": None}
    assert PromptCache(**memory).sha256() != PromptCache(**{**memory, "keys": cache.keys + 1}).sha256()


def test_a_prompt_changes_what_is_read(model: PreTrainedModel) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint")
    tokens = torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(2))
    first = read_after_prompt(model, tokens, cache, torch.tensor([0]))
    second = read_after_prompt(model, tokens, cache, torch.tensor([1]))
    assert (first - second).abs().max() > 1e-3


def test_the_cache_survives_being_used(model: PreTrainedModel) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint")
    assert cache.keys is not None
    before = cache.keys.clone()
    tokens = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(3))
    once = read_after_prompt(model, tokens, cache, torch.tensor([0, 1]))
    again = read_after_prompt(model, tokens, cache, torch.tensor([0, 1]))
    torch.testing.assert_close(once, again, atol=0, rtol=0)
    torch.testing.assert_close(cache.keys, before, atol=0, rtol=0)


def test_positions_of_what_follows_are_taken_from_the_cache(model: PreTrainedModel) -> None:
    """Slots that are no prompt of n tokens may be followed by any position, whatever their number."""
    if model.config.model_type == "bloom":
        pytest.skip("ALiBi counts slots, it has no positions")
    cache = read_prompts(model, PROMPTS, "fingerprint")
    later = PromptCache(**{**vars(cache), "next_positions": cache.next_positions + 9})
    tokens = torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(3))
    rows = torch.tensor([1])
    here, there = (read_after_prompt(model, tokens, one, rows) for one in (cache, later))
    assert (here - there).abs().max() > 1e-3


def test_saving_and_reading_back(tmp_path: Path, model: PreTrainedModel) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint")
    cache.save(tmp_path / "cache.safetensors")
    back = PromptCache.load(tmp_path / "cache.safetensors")
    assert back.genes == ["long", "short", "again", "middle"] and back.model == "fingerprint"
    assert back.rows.tolist() == [0, 1, 0, 2] and back.lengths.tolist() == [7, 2, 4] == back.next_positions.tolist()
    assert back.keys is not None and cache.keys is not None and back.values is not None and cache.values is not None
    assert torch.equal(back.keys, cache.keys) and torch.equal(back.values, cache.values)
    assert back.sha256() == cache.sha256()
    ids, positions, mask = back.prompt_tokens(torch.tensor([2, 1]))
    assert ids.tolist() == [[1, 30, 30, 4], [0, 0, 7, 8]]
    assert positions.tolist() == [[0, 1, 2, 3], [0, 0, 0, 1]]
    assert mask.tolist() == [[1, 1, 1, 1], [0, 0, 1, 1]]
    back.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "cache.safetensors").read_bytes()


def test_a_large_cache_is_not_read_whole(tmp_path: Path) -> None:
    def resident() -> int:
        """Bytes of this process that are in memory."""
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    rows, slots = 200, 256
    keys = torch.ones(rows, 2, 4, slots, 64)
    lengths = torch.full((rows,), slots)
    genes = [f"G{row}" for row in range(rows)]
    whole = PromptCache(genes, torch.arange(rows), lengths, lengths + 1, None, keys, keys + 1, torch.zeros(rows, 3, 2, 8), "x")
    whole.save(tmp_path / "cache.safetensors")
    size = (tmp_path / "cache.safetensors").stat().st_size
    del keys, whole
    before = resident()
    cache = PromptCache.load(tmp_path / "cache.safetensors")
    keys, values, _ = cache.prefix(torch.tensor([3, 150]), torch.device("cpu"), torch.float32)
    assert keys[:, 1].sum() == 2 * 4 * slots * 64
    assert values[:, 1].sum() == 2 * 2 * 4 * slots * 64
    assert resident() - before < size / 4


def test_a_truncated_cache_is_refused_with_one_sentence(tmp_path: Path, model: PreTrainedModel) -> None:
    path = tmp_path / "cache.safetensors"
    read_prompts(model, PROMPTS, "fingerprint").save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="no complete prompt cache"):
        PromptCache.load(path)


def test_pooled_states_are_those_of_the_unpadded_prompt(model: PreTrainedModel) -> None:
    states = read_prompts(model, PROMPTS, "fingerprint").states
    tokens = PROMPTS[1].tokens
    with torch.no_grad():
        layers = model(input_ids=torch.tensor([tokens]), output_hidden_states=True).hidden_states
    assert states.shape[1] == len(layers)
    row = read_prompts(model, PROMPTS, "fingerprint").rows[1]
    for number, layer in enumerate(layers):
        torch.testing.assert_close(states[row, number, 0], layer[0].mean(dim=0))
        torch.testing.assert_close(states[row, number, 1], layer[0, -1])


def test_prompts_that_are_read_together_are_those_that_are_read_alone(model: PreTrainedModel) -> None:
    together = read_prompts(model, PROMPTS, "fingerprint")
    assert together.keys is not None and together.values is not None
    for number, prompt in enumerate(PROMPTS):
        alone = read_prompts(model, [prompt], "fingerprint")
        assert alone.keys is not None and alone.values is not None
        row, length = int(together.rows[number]), len(prompt.tokens)
        torch.testing.assert_close(together.states[row], alone.states[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.keys[row, :, :, -length:], alone.keys[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.values[row, :, :, -length:], alone.values[0], atol=1e-5, rtol=1e-5)
        assert not together.keys[row, :, :, :-length].any()
        assert together.tokens is not None and together.tokens[row, -length:].tolist() == prompt.tokens


def test_batches_hold_every_prompt_once_and_little_padding() -> None:
    lengths = torch.randint(1, 100, (500,), generator=torch.Generator().manual_seed(0))
    batches = batches_of_similar_length(lengths, 256)
    assert sorted(torch.cat(batches).tolist()) == list(range(500))
    slots = [len(batch) * int(lengths[batch].max()) for batch in batches]
    assert max(slots) <= 256 and sum(slots) < 1.1 * int(lengths.sum())
    assert [len(batch) for batch in batches_of_similar_length(torch.tensor([5, 9, 9]), 4)] == [1, 1, 1]


def test_reading_prompts_anew_equals_reading_after_the_cache(model: PreTrainedModel, capsys: pytest.CaptureFixture[str]) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint", max_cache_gb=1.0)
    assert cache.keys is not None
    assert "Keys and values of 3 distinct prompts take" in (said := capsys.readouterr().out) and "and are kept" in said
    anew = read_prompts(model, PROMPTS, "fingerprint", max_cache_gb=0.0)
    assert anew.keys is None and anew.values is None
    assert "more than language.max_cache_gb (0): only pooled hidden states are kept" in capsys.readouterr().out
    assert torch.equal(anew.states, cache.states) and anew.sha256() == cache.sha256()
    assert bytes_per_slot(model) == 2 * cache.keys[0, :, :, 0].numel() * 4
    rows = torch.tensor([2, 1, 0, 2])
    tokens = torch.randn(4, 6, 32, generator=torch.Generator().manual_seed(1)).requires_grad_()
    results = [read_after_prompt(model, tokens, prompts, rows) for prompts in (cache, anew)]
    gradients = [torch.autograd.grad(hidden.pow(2).mean(), tokens)[0] for hidden in results]
    torch.testing.assert_close(*results, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_large_states_are_kept_in_float16_unless_they_are_out_of_its_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS["llama"]).requires_grad_(False).eval()
    whole = read_prompts(model, PROMPTS, "fingerprint").states
    monkeypatch.setattr("gta.language.cache.LARGE_STATES", 100)
    read_prompts(model, PROMPTS, "fingerprint").save(tmp_path / "cache.safetensors")
    half = PromptCache.load(tmp_path / "cache.safetensors").states
    assert half.dtype == torch.float16
    torch.testing.assert_close(half.float(), whole, atol=1e-3, rtol=1e-3)
    model.get_input_embeddings().weight.mul_(1e8)
    large = read_prompts(model, PROMPTS, "fingerprint").states
    assert large.dtype == torch.float32 and large.abs().max() > 65504 and large.isfinite().all()
