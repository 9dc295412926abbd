"""The prompt cache is exact: reading after it equals reading prompt and tokens in one go."""

import pytest
import torch
from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig, MistralConfig, PreTrainedModel, Qwen2Config
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from gta.aligner.model import read_after_prompt
from gta.errors import UserError
from gta.language.cache import PromptCache, read_prompts
from gta.language.prompts import Prompt

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 50}
CONFIGS = [
    LlamaConfig(**SMALL, intermediate_size=64, num_key_value_heads=2),
    MistralConfig(**SMALL, intermediate_size=64, num_key_value_heads=2, sliding_window=None),
    Qwen2Config(**SMALL, intermediate_size=64, num_key_value_heads=2),
    GPTNeoXConfig(**SMALL, intermediate_size=64, hidden_dropout=0.0, attention_dropout=0.0),
    GPT2Config(n_embd=32, n_layer=3, n_head=4, vocab_size=50),
]


@pytest.fixture(params=CONFIGS, ids=lambda config: config.model_type)
def model(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(request.param)
    model.requires_grad_(False)
    return model.eval()


PROMPTS = [Prompt("long", "", [3, 14, 15, 9, 2, 6, 5], False), Prompt("short", "", [7, 8], False)]


def test_hidden_states_and_gradients_equal_the_uncached_forward(model: PreTrainedModel) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint")
    torch.manual_seed(1)
    tokens = torch.randn(3, 6, 32, requires_grad=True)
    rows = torch.tensor([0, 1, 0])

    cached = read_after_prompt(model, tokens, cache, rows)
    (gradient,) = torch.autograd.grad(cached.pow(2).sum(), tokens)

    for sample in range(3):
        prompt = model.get_input_embeddings()(torch.tensor([PROMPTS[int(rows[sample])].tokens]))
        alone = tokens[sample : sample + 1].detach().clone().requires_grad_()
        whole = torch.cat([prompt, alone], dim=1)
        hidden = model.base_model(inputs_embeds=whole, attention_mask=torch.ones(whole.shape[:2])).last_hidden_state
        hidden = hidden[:, prompt.shape[1] :]
        (expected,) = torch.autograd.grad(hidden.pow(2).sum(), alone)
        torch.testing.assert_close(cached[sample : sample + 1], hidden, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(gradient[sample : sample + 1], expected, atol=1e-4, rtol=1e-3)


def test_a_prompt_changes_what_is_read(model: PreTrainedModel) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint")
    tokens = torch.randn(1, 4, 32, generator=torch.Generator().manual_seed(2))
    first = read_after_prompt(model, tokens, cache, torch.tensor([0]))
    second = read_after_prompt(model, tokens, cache, torch.tensor([1]))
    assert (first - second).abs().max() > 1e-3


def test_the_cache_survives_being_used(model: PreTrainedModel) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint")
    before = cache.keys.clone()
    tokens = torch.randn(2, 4, 32, generator=torch.Generator().manual_seed(3))
    once = read_after_prompt(model, tokens, cache, torch.tensor([0, 1]))
    again = read_after_prompt(model, tokens, cache, torch.tensor([0, 1]))
    torch.testing.assert_close(once, again, atol=0, rtol=0)
    torch.testing.assert_close(cache.keys, before, atol=0, rtol=0)


def test_saving_and_reading_back(tmp_path, model: PreTrainedModel) -> None:
    cache = read_prompts(model, PROMPTS, "fingerprint")
    cache.save(tmp_path / "cache.safetensors")
    back = PromptCache.load(tmp_path / "cache.safetensors")
    assert back.genes == ["long", "short"] and back.model == "fingerprint"
    assert back.lengths.tolist() == [7, 2]
    assert torch.equal(back.keys, cache.keys) and torch.equal(back.values, cache.values)


def test_a_truncated_cache_is_refused_with_one_sentence(tmp_path, model: PreTrainedModel) -> None:
    path = tmp_path / "cache.safetensors"
    read_prompts(model, PROMPTS, "fingerprint").save(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="no complete prompt cache"):
        PromptCache.load(path)
