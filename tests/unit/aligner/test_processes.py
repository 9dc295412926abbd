"""Two processes that share each batch learn as one does."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gta.aligner.model import Aligner
from gta.cli import main
from gta.errors import UserError
from gta.features.store import FeatureStore
from gta.language.prototypes import Prototypes, save_prototypes
from gta.processes import spawn
from toy_cohort import make_cohort, make_language_model, make_training, write_cohort
from toy_process import one_fails


@pytest.fixture
def command(store: FeatureStore, tmp_path: Path) -> list[str]:
    """The command that trains on the toy cohort, but for `--out`; three genes in a batch, so that the last one has only two."""
    cohort, model = make_cohort(store), make_language_model()
    training = make_training(cohort, store, model)
    model.save_pretrained(tmp_path / "lm")
    store.save(tmp_path / "c1.safetensors")
    assert training.setup.reader.prompts is not None
    training.setup.reader.prompts.save(tmp_path / "cache.safetensors")
    prototypes = Prototypes(training.aligner.prototypes, training.setup.language_model_sha256)
    save_prototypes(prototypes, tmp_path / "prototypes.safetensors")
    words = ["aligner", "train", "--cohort", write_cohort(cohort, tmp_path / "cohort"), "--features", tmp_path / "c1.safetensors"]
    words += ["--model", tmp_path / "lm", "--cache", tmp_path / "cache.safetensors"]
    words += ["--prototypes", tmp_path / "prototypes.safetensors", "--heads", 2, "--people-per-gene", 13, "--genes-per-batch", 3]
    # Of weights whose gradient is 0 but for rounding errors Adam makes whole steps: there are none in this one.
    words += ["--additive", "false", "--tokens-learn-means", "true"]
    return [str(word) for word in [*words, "--dropout", 0, "--epochs", 3, "--device", "cpu"]]


def test_two_processes_have_the_learning_curve_of_one(command: list[str], tmp_path: Path) -> None:
    assert main([*command, "--out", str(tmp_path / "one")]) == 0
    assert main([*command, "--processes", "2", "--checkpoint-minutes", "0", "--out", str(tmp_path / "two")]) == 0
    one, two = (pd.read_csv(tmp_path / name / "history.tsv", sep="\t").drop(columns="seconds") for name in ("one", "two"))
    assert one["train_loss"].diff()[1:].lt(0).all()
    np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-6)
    weights = [Aligner.from_pretrained(tmp_path / name / "model").state_dict() for name in ("one", "two")]
    for name in ("project.weight", "attention.out_proj.weight", "mean_readout.weight", "head_deviation.weight"):
        torch.testing.assert_close(weights[1][name], weights[0][name], rtol=1e-3, atol=1e-4)
    rows = [(tmp_path / name / "metrics.jsonl").read_text().count("\n") for name in ("one", "two")]
    assert rows[0] == rows[1] == 3 * (6 + 1)
    assert not (tmp_path / "two.running").exists()


def test_a_mistake_in_one_process_is_the_message_and_ends_the_others() -> None:
    with pytest.raises(UserError, match=r"^This is wrong: mend it\.$"):
        spawn(one_fails, 2, None)
