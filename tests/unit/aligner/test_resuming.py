"""A training that is killed goes on where it stood."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gta.aligner.batches import Request
from gta.aligner.model import Aligner
from gta.aligner.train import Training
from gta.cohort.tables import Cohort
from gta.features.store import FeatureStore
from toy_cohort import make_cohort, make_language_model, make_training


def train(running: Path, **settings: object) -> None:
    """What a child process does: train until it is done or killed."""
    torch.set_num_threads(1)
    store = FeatureStore.load(running.parent / "store.safetensors")
    make_training(make_cohort(store), store, make_language_model(), **settings).run(running)  # type: ignore[arg-type]


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []


@pytest.mark.parametrize("means", [False, True])
def test_killed_within_an_epoch_it_ends_with_the_same_weights(store: FeatureStore, tmp_path: Path, capsys, means: bool) -> None:
    settings = {"tokens_learn_means": means, "epochs": 4, "dropout": 0.2, "checkpoint_minutes": 0, "genes_per_batch": 2}
    store.save(tmp_path / "store.safetensors")
    running = tmp_path / "trained.running"
    make = partial(make_training, make_cohort(store), store, make_language_model(), **settings)
    whole = make()
    history = whole.run(tmp_path / "undisturbed")
    steps = whole.steps

    child = multiprocessing.get_context("fork").Process(target=train, args=(running,), kwargs=settings)
    child.start()
    until = time.monotonic() + 60
    while len([row for row in lines(running / "metrics.jsonl") if "valid_loss" not in row]) < steps + 3:
        assert child.is_alive() and time.monotonic() < until
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    with (running / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99')  # killed while it wrote

    capsys.readouterr()
    last = make()
    pd.testing.assert_frame_equal(last.run(running).drop(columns="seconds"), history.drop(columns="seconds"))
    told = capsys.readouterr().err
    at = int(told.split("Going on after step ")[1].split(",")[0])
    assert steps + 2 <= at < 4 * steps and at % steps, "the kill must fall within an epoch"
    for name, tensor in whole.aligner.state_dict().items():
        assert torch.equal(tensor, last.aligner.state_dict()[name]), name
    assert all(torch.equal(tensor, last.last_weights[name]) for name, tensor in whole.last_weights.items())
    assert lines(running / "metrics.jsonl") == lines(tmp_path / "undisturbed" / "metrics.jsonl")


def stop_in_epoch(training: Training, number: int, after: int) -> None:
    """Let a training break off after some batches of an epoch."""
    step, seen = training.step, [0]

    def interrupted(requests: list[Request], where: str) -> tuple[list[float], float, bool]:
        seen[0] += 1
        if seen[0] > (number - 1) * training.steps + after:
            raise KeyboardInterrupt
        return step(requests, where)

    training.step = interrupted  # type: ignore[method-assign]


def test_broken_off_twice_it_ends_with_the_same_weights(store: FeatureStore, tmp_path: Path, capsys) -> None:
    make = partial(make_training, make_cohort(store), store, make_language_model(), epochs=4, dropout=0.2)
    whole = make()
    history = whole.run()
    steps = whole.steps
    for epoch, after, minutes, expected in ((2, 3, 5, 0), (1, 3, 0, steps), (1, 0, 5, steps + 3)):
        broken = make(checkpoint_minutes=minutes)
        stop_in_epoch(broken, epoch, after)
        with pytest.raises(KeyboardInterrupt):
            broken.run(tmp_path)
        told = capsys.readouterr().err
        assert f"Going on after step {expected}," in told if expected else "Going on" not in told
    last = make()
    pd.testing.assert_frame_equal(last.run(tmp_path).drop(columns="seconds"), history.drop(columns="seconds"))
    assert f"Going on after step {steps + 3}, in epoch 2" in capsys.readouterr().err
    for name, tensor in whole.aligner.state_dict().items():
        assert torch.equal(tensor, last.aligner.state_dict()[name]), name


def test_the_state_of_another_run_or_a_damaged_one_is_left_aside(store: FeatureStore, tmp_path: Path, capsys) -> None:
    cohort, model = make_cohort(store), make_language_model()
    make_training(cohort, store, model, epochs=1).run(tmp_path)
    changed = Cohort(cohort.people, cohort.genes, cohort.expression + 1)
    make_training(changed, store, model, epochs=1).run(tmp_path)
    make_training(cohort, store, model, epochs=1, learning_rate=0.01).run(tmp_path)
    gene = store.gene("G3")
    swapped = {**store.by_gene, "G3": replace(gene, carriers=gene.carriers[[1, 0, *range(2, len(gene.carriers))]])}
    make_training(cohort, replace(store, by_gene=swapped), model, epochs=1, learning_rate=0.01).run(tmp_path)
    make_training(cohort, store, model, epochs=1, learning_rate=0.01).run(tmp_path)
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-50])
    training = make_training(cohort, store, model, epochs=1, learning_rate=0.01)
    training.run(tmp_path)
    assert "Going on" not in capsys.readouterr().err
    make_training(cohort, store, model, epochs=1, learning_rate=0.01).run(tmp_path)
    assert f"Going on after step {training.steps}, in epoch 2" in capsys.readouterr().err


def test_metrics_and_last_weights_stand_beside_the_best(store: FeatureStore, tmp_path: Path) -> None:
    training = make_training(make_cohort(store), store, make_language_model(), tensorboard=True, epochs=3)
    running, out = tmp_path / "seed1.running", tmp_path / "seed1"
    history = training.run(running)
    training.save(history, out, running)
    assert not running.exists()
    rows = lines(out / "metrics.jsonl")
    steps = [row for row in rows if "valid_loss" not in row]
    epochs = pd.DataFrame([row for row in rows if "valid_loss" in row])
    assert [row["step"] for row in steps] == list(range(1, 3 * training.steps + 1))
    pd.testing.assert_frame_equal(epochs[["valid_loss", "train_loss"]], history[["valid_loss", "train_loss"]])
    first = [row["train_loss"] for row in steps if row["epoch"] == 1]
    assert np.mean(first) == pytest.approx(history["train_loss"][0], abs=1e-12)
    events = EventAccumulator(str(tmp_path / "seed1.tensorboard"))
    events.Reload()
    np.testing.assert_allclose([event.value for event in events.Scalars("valid_loss")], history["valid_loss"], rtol=1e-6)
    assert len(events.Scalars("gradient_norm")) == len(steps)
    last = Aligner.from_pretrained(out / "last").state_dict()
    assert all(torch.equal(tensor, last[name]) for name, tensor in training.last_weights.items())
