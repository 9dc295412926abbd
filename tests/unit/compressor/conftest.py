"""Tiny random language models of five families."""

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
)

COMMON = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "bos_token_id": 0,
    "eos_token_id": 1,
}
FAMILIES: dict[str, PretrainedConfig] = {
    "llama": LlamaConfig(**COMMON, num_key_value_heads=1),
    "mistral": MistralConfig(**COMMON, num_key_value_heads=1),
    "qwen2": Qwen2Config(**COMMON, num_key_value_heads=1),
    "gpt2": GPT2Config(vocab_size=40, n_embd=16, n_layer=3, n_head=2, n_positions=64, bos_token_id=0, eos_token_id=1),
    "gpt_neox": GPTNeoXConfig(**COMMON, max_position_embeddings=64),
}


def make_model(family: str) -> PreTrainedModel:
    """A frozen model with random weights, all of them: norms and biases too, which are 1 and 0 by default."""
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(FAMILIES[family], dtype=torch.float32)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    model.requires_grad_(False)
    return model.eval()


@pytest.fixture(params=FAMILIES)
def language_model(request: pytest.FixtureRequest) -> PreTrainedModel:
    """A model of each family."""
    return make_model(request.param)


@pytest.fixture
def llama() -> PreTrainedModel:
    """A Llama."""
    return make_model("llama")


@pytest.fixture
def texts() -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings of two texts of 6 tokens, (2, 6, 16), and their mask."""
    embeddings = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(2))
    return embeddings, torch.ones(2, 6, dtype=torch.long)
