"""What the configuration says of compressors, and what the rules take from it."""

import pytest

from gta.errors import UserError
from gta.workflow.config import check

BASE = {"results": "results/x", "simulation": {}}


def test_runs_of_the_experiment_are_all_combinations() -> None:
    compressor = {"encoders": ["aoc", "lora_r2"], "lengths": [16], "memory_tokens": [4, 8], "learning_rates": [1e-3], "seeds": 2}
    run = check({**BASE, "compressor": compressor}, files=False)
    assert len(run.compressor_runs) == 8
    assert run.compressor_runs[0] == "aoc.n16.m4.lr0.001.seed1"
    assert check(BASE, files=False).compressor_runs == []


def test_learning_rates_are_tried_with_the_first_seed_and_the_best_is_used_by_the_others() -> None:
    compressor = {"encoders": ["aoc"], "lengths": [16], "memory_tokens": [4], "learning_rates": [1e-3, 3e-3], "seeds": 3}
    run = check({**BASE, "compressor": compressor}, files=False)
    tried = ["aoc.n16.m4.lr0.001.seed1", "aoc.n16.m4.lr0.003.seed1"]
    assert run.compressor_runs == [*tried, "aoc.n16.m4.lrbest.seed2", "aoc.n16.m4.lrbest.seed3"]
    assert run.compressor_search("aoc", "16", "4", "best") == [
        f"results/x/compressor/runs/{name}/training.json" for name in tried
    ]
    assert run.compressor_search("aoc", "16", "4", "0.001") == []


def test_a_model_with_compressed_prompts_reads_their_cache_and_needs_a_trained_compressor() -> None:
    models = {
        "gta": {},
        "short": {"compressor": "aoc", "memory_tokens": 8},
        "cut": {"compressor": "truncate", "memory_tokens": 8},
    }
    run = check({**BASE, "models": models, "attribution": {"models": ["gta"]}}, files=False)
    assert run.prompt_cache("gta") == "results/x/language/pretrained/full/prompt_cache.safetensors"
    assert run.prompt_cache("short") == "results/x/compressor/prompts/aoc.m8/prompt_cache.safetensors"
    assert run.prompt_compressions == ["aoc.m8", "truncate.m8"]
    folder = "results/x/compressor/runs/aoc.n96.m8.lr0.003.seed1/model"
    assert run.compressor_weights("aoc", "8") == [f"{folder}/config.json", f"{folder}/model.safetensors"]
    assert run.compressor_weights("truncate", "8") == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"compressor": "gzip"}, "models.m.compressor: 'gzip' is neither"),
        ({"compressor": "aoc", "prompt": "symbol"}, "models.m.compressor: only full prompts"),
        ({"compressor": "aoc", "language_model": "random"}, "models.m.compressor: only full prompts"),
    ],
)
def test_a_compressor_that_cannot_be_is_refused(model: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check({**BASE, "models": {"m": model}, "attribution": {"models": ["m"]}}, files=False)


def test_an_encoder_misspelt_is_refused() -> None:
    with pytest.raises(UserError, match="'aco' is no encoder"):
        check({**BASE, "compressor": {"encoders": ["aco"]}}, files=False)
