"""Aligned tokens have the size of words, and the width of words, in models where these are not what they seem."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    AlbertConfig,
    AutoModel,
    AutoModelForCausalLM,
    BioGptConfig,
    ElectraConfig,
    EsmConfig,
    Gemma2Config,
    LlamaConfig,
    PretrainedConfig,
    PreTrainedModel,
)

from gta.aligner.model import Aligner
from gta.cohort.tables import Cohort
from gta.features.store import FeatureStore
from gta.language.models import embed
from toy_cohort import make_training

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 40, "intermediate_size": 32}
TEXT = {**SMALL, "pad_token_id": 0, "max_position_embeddings": 64}
WIDE = {**SMALL, "hidden_size": 24, "embedding_size": 16}


def build(config: PretrainedConfig, causal: bool) -> PreTrainedModel:
    torch.manual_seed(0)
    return (AutoModelForCausalLM if causal else AutoModel).from_config(config).requires_grad_(False).eval()


@pytest.mark.parametrize(
    ("config", "causal"),
    [
        (LlamaConfig(**TEXT, num_key_value_heads=1), True),
        (Gemma2Config(**TEXT, num_key_value_heads=1, head_dim=8), True),
        (BioGptConfig(**TEXT), True),
        (EsmConfig(**TEXT, mask_token_id=39, token_dropout=True, position_embedding_type="rotary"), False),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_aligned_tokens_are_as_large_as_the_words_that_the_model_reads(
    cohort: Cohort, store: FeatureStore, config: PretrainedConfig, causal: bool
) -> None:
    model = build(config, causal)
    setup = make_training(cohort, store, model).setup
    tokens = setup.aligner.align(setup.data.batch([(0, np.array([0, 1]))]))
    # What the blocks receive of all words, and of tokens, measured at the first of them.
    received = embed(model, torch.arange(40)).pow(2).mean().sqrt()
    assert float(tokens.detach().pow(2).mean().sqrt()) == pytest.approx(float(received), rel=1e-3)


@pytest.mark.parametrize("use", ["pretrained", "attention", "none"])
@pytest.mark.parametrize("kind", [AlbertConfig, ElectraConfig])
def test_words_may_be_narrower_than_hidden_states(
    cohort: Cohort, store: FeatureStore, kind: type, use: str, tmp_path: Path
) -> None:
    model = build(kind(**WIDE, max_position_embeddings=64), causal=False)
    training = make_training(cohort, store, model, epochs=1, language_model=use)
    training.save(training.run(), tmp_path)
    assert training.aligner.config.width == 16 and training.aligner.config.states_width == 24
    assert training.aligner.config.read_width == (24 if use == "pretrained" else 16)
    back = Aligner.from_pretrained(tmp_path / "model")
    assert back.config == training.aligner.config
    people = cohort.people_numbers("test")
    mean, deviation = training.setup.predict([0, 1], people)
    assert mean.shape == deviation.shape == (2, len(people)) and bool(mean.isfinite().all())
    assert use != "pretrained" or float(deviation.std()) > 0
