"""What reads prompt and aligned tokens: encoders together, and the layer of attention that may stand in for a language model."""

import pytest
import torch
from transformers import AutoModel, BertConfig, ModernBertConfig, PretrainedConfig, PreTrainedModel, RobertaConfig

from gta.aligner.reading import PromptAttention, embedded_prompts, read_with_prompt
from gta.language.cache import read_prompts
from gta.language.prompts import Prompt

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 50}
CONFIGS: dict[str, PretrainedConfig] = {
    "bert": BertConfig(**SMALL, max_position_embeddings=40),
    "roberta": RobertaConfig(**SMALL, max_position_embeddings=40, pad_token_id=1),
    # Its layers by turns see a window of eight tokens only.
    "modernbert": ModernBertConfig(**SMALL, local_attention=8, global_attn_every_n_layers=2, pad_token_id=0),
}
PROMPTS = [Prompt("long", "", [3, 14, 15, 9, 2, 6, 5, 20, 21, 22], 0), Prompt("short", "", [7, 8], 0)]


@pytest.fixture(params=CONFIGS.values(), ids=CONFIGS.keys())
def encoder(request: pytest.FixtureRequest) -> PreTrainedModel:
    torch.manual_seed(0)
    model = AutoModel.from_config(request.param)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(5 if parameter.dim() > 1 else 1)
    model.requires_grad_(False)
    return model.eval()


def test_an_encoder_reads_a_padded_batch_as_each_sample_alone(encoder: PreTrainedModel) -> None:
    cache = read_prompts(encoder, PROMPTS, "fingerprint")
    assert cache.keys is None and cache.values is None
    tokens = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(1), requires_grad=True)
    hidden = read_with_prompt(encoder, tokens, cache, cache.rows)
    (gradient,) = torch.autograd.grad(hidden.pow(2).mean(), tokens)
    for sample, prompt in enumerate(PROMPTS):
        alone = tokens[sample : sample + 1].detach().requires_grad_()
        words = encoder.get_input_embeddings()(torch.tensor([prompt.tokens]))
        # The model's own positions, because there is no padding.
        whole = encoder(inputs_embeds=torch.cat([words, alone], dim=1)).last_hidden_state
        expected = whole[:, len(prompt.tokens) :]
        (expected_gradient,) = torch.autograd.grad(expected.pow(2).mean() / 2, alone)
        torch.testing.assert_close(hidden[sample : sample + 1], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(gradient[sample : sample + 1], expected_gradient, atol=1e-5, rtol=1e-5)


def test_attention_in_place_of_a_language_model_ignores_padding_and_hears_the_prompt(encoder: PreTrainedModel) -> None:
    cache = read_prompts(encoder, PROMPTS, "fingerprint")
    torch.manual_seed(3)
    layer = PromptAttention(16, 2)
    tokens = torch.randn(2, 6, 16)
    both = layer(tokens, *embedded_prompts(encoder, cache, cache.rows, tokens.device))
    alone = layer(tokens[1:], *embedded_prompts(encoder, cache, torch.tensor([1]), tokens.device))
    torch.testing.assert_close(both[1:], alone, atol=1e-6, rtol=1e-6)
    other = layer(tokens[1:], *embedded_prompts(encoder, cache, torch.tensor([0]), tokens.device))
    assert (other - alone).abs().max() > 1e-3
