"""How many weights an encoder has, counted on the meta device: no weights are read or made."""

import copy

import numpy as np
import pandas as pd
import torch
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
)

from gta.compressor.blocks import find_blocks
from gta.compressor.encoder import AttentionOnlyCompressor, CompressorConfig

#: Published shapes of public models.
SHAPES: dict[str, PretrainedConfig] = {
    "Llama-3.2-1B": LlamaConfig(
        vocab_size=128_256,
        hidden_size=2048,
        intermediate_size=8192,
        num_hidden_layers=16,
        num_attention_heads=32,
        num_key_value_heads=8,
        head_dim=64,
        tie_word_embeddings=True,
    ),
    "Llama-3.2-3B": LlamaConfig(
        vocab_size=128_256,
        hidden_size=3072,
        intermediate_size=8192,
        num_hidden_layers=28,
        num_attention_heads=24,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
    ),
    "Llama-3-8B": LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        tie_word_embeddings=False,
    ),
    "Qwen2.5-0.5B": Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ),
    "Qwen3-0.6B": Qwen3Config(
        vocab_size=151_936,
        hidden_size=1024,
        intermediate_size=3072,
        num_hidden_layers=28,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        tie_word_embeddings=True,
    ),
    "Pythia-160M": GPTNeoXConfig(
        vocab_size=50_304, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12
    ),
    "Pythia-1B": GPTNeoXConfig(
        vocab_size=50_304, hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=8
    ),
    "GPT-2": GPT2Config(),
}


def parameter_table(models: dict[str, PretrainedConfig], encoders: list[str], memory_tokens: int, lora_rank: int) -> pd.DataFrame:
    """Weights of every encoder, beside those of its language model.

    Args:
        models: Shapes of language models by name.
        encoders: Encoders, as in `CompressorConfig`.
        memory_tokens: M.
        lora_rank: Rank of LoRA.

    Returns:
        `model encoder total without_embeddings blocks trained saved_total saved_blocks`. `total`: weights that are in memory to
        encode, with the vocabulary's embeddings once (and a head of its own, where the model has one); `without_embeddings`: the
        same without embeddings and head; `blocks`: attention, norms and MLPs of the blocks alone; `trained`: what is trained and
        saved. `saved_total` and `saved_blocks`: share of the language model's weights that the encoder does without, 0..1. The
        language model itself has the encoder `(language model)`.
    """
    rows = []
    for name, config in models.items():
        # Blocks are alike but for the last one, of which keys and values alone are read: one and two tell what all of them have.
        few, more = (_counts(_with_layers(config, layers), encoders, memory_tokens, lora_rank) for layers in (1, 2))
        counted = few + (config.num_hidden_layers - 1) * (more - few)
        whole, blocks = int(counted[0, 0]), int(counted[0, 2])
        for encoder, (total, own, kept, trained) in zip(["(language model)", *encoders], counted.tolist(), strict=True):
            rows.append((name, encoder, total, own, kept, trained, 1 - total / whole, 1 - kept / blocks))
    columns = "model encoder total without_embeddings blocks trained saved_total saved_blocks"
    return pd.DataFrame(rows, columns=columns.split())


def _with_layers(config: PretrainedConfig, layers: int) -> PretrainedConfig:
    """The same shape with another number of blocks, at most as many as it has."""
    other = copy.deepcopy(config)
    other.num_hidden_layers = layers
    if getattr(other, "layer_types", None):
        other.layer_types = other.layer_types[:layers]
    return other


def _counts(config: PretrainedConfig, encoders: list[str], memory_tokens: int, lora_rank: int) -> np.ndarray:
    """Total, without embeddings, of the blocks and trained: (1 + encoders, 4) int64, the language model first."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config).requires_grad_(False)
    whole = _count(model)
    vocabulary = whole - _count(_core(model))
    rows = [(whole, whole - vocabulary, _count(find_blocks(model)), 0)]
    for encoder in encoders:
        chosen = CompressorConfig(encoder=encoder, memory_tokens=memory_tokens, lora_rank=lora_rank)
        compressor = AttentionOnlyCompressor(model, chosen)
        own = _count(compressor)
        trained = sum(weight.numel() for weight in compressor.trained_weights().values())
        rows.append((own + vocabulary, own, _count(find_blocks(compressor.encoder)), trained))
    return np.array(rows, dtype=np.int64)


def _core(model: PreTrainedModel) -> nn.Module:
    """The model without token embeddings and head, as a list of its other parts."""
    base, words = model.base_model, model.get_input_embeddings()
    return nn.ModuleList([part for part in base.children() if part is not words])


def _count(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
