"""The loop of a training: steps, epochs, the state that is kept, and the sum over processes."""

import math
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from gta.aligner.batches import Request, epoch_batches, steps_per_epoch
from gta.aligner.losses import batch_loss
from gta.aligner.metrics import METRICS, Metrics
from gta.aligner.record import write_record
from gta.aligner.setup import Setup
from gta.aligner.solve import held_out_means, solve_mean_readout, start_linear_branch
from gta.aligner.validation import criterion, validate
from gta.checkpoint import Progress, Weights, load_checkpoint, random_states, save_checkpoint
from gta.errors import UserError
from gta.memory import told_of_memory
from gta.processes import PROCESS_SEEDS
from gta.schedule import one_cycle

#: Columns of the history.
HISTORY = (
    *("epoch", "step", "seconds", "train_loss", "train_loss_mean", "train_loss_pairs", "valid_loss", "valid_loss_mean"),
    *("valid_loss_pairs", "valid_spearman_genes", "valid_spearman_people", "learning_rate"),
)

#: What a step reports.
LOSSES = ("train_loss", "train_loss_mean", "train_loss_pairs")


class Training:
    """One training run of one model with one seed, or the share of one of several processes in it.

    Attributes:
        setup: The model and what it is trained on.
        steps: Batches in an epoch.
        last_weights: The weights after the last epoch.
        held_out_means: After `run`: predictions of mean expression out of fold, `gene mean`.
        strengths: After `run`: the strength of each block of the read-out of mean expression; empty if it is trained.
    """

    def __init__(self, setup: Setup):
        """Begin where the set-up stands."""
        self.setup, self.settings, self.workers, self.aligner = setup, setup.settings, setup.workers, setup.aligner
        self.generator = np.random.default_rng(setup.seed)
        self.steps = steps_per_epoch(setup.cohort, setup.settings)
        self.last_weights = self._weights()
        # Of the best epoch; unknown after a training was taken up again behind it.
        self._best_strengths: list[float] | None = None

    def _weights(self) -> Weights:
        """A copy of the aligner's weights."""
        return {name: tensor.detach().clone() for name, tensor in self.aligner.state_dict().items()}

    def run(self, running: Path | None = None) -> pd.DataFrame:
        """Train until the validation gets no better; the aligner ends with its best weights.

        Args:
            running: Folder where the state of the training and its metrics are kept while it runs. If it holds those of this
                very run, the training goes on from there, and ends with the same weights as an undisturbed one.

        Returns:
            The history, one row per epoch; `seconds` is the time spent on training so far.

        Raises:
            UserError: if the loss is no longer a number, or memory is short.
        """
        settings, workers = self.settings, self.workers
        if not self.aligner.trained_parameters():
            return self._solve(running)
        self.optimiser = torch.optim.AdamW(
            self.aligner.trained_parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.schedule = one_cycle(self.optimiser, settings.learning_rate, self.steps * settings.epochs, warm_up=0.1)
        if workers.number > 0:
            torch.manual_seed(self.setup.seed + workers.number * PROCESS_SEEDS)
        self.checkpoint = running and running / "checkpoint.safetensors"
        progress = self.checkpoint and load_checkpoint(
            self.checkpoint,
            self.setup.fingerprint,
            self.aligner,
            self.optimiser,
            self.schedule,
            self.generator,
            workers.number,
        )
        # Nobody goes on before all have read it, for the first process removes it at the end.
        workers.sum(torch.zeros(1))
        if not progress:
            start_linear_branch(self.setup)
            if self.settings.tokens_learn_means:
                solve_mean_readout(self.setup, out_of_fold=False)
            progress = Progress([], float("inf"), self._weights(), 0)
        self.progress = progress
        done = len(progress.history) * self.steps + len(progress.losses)
        if done and workers.main:
            where = f"after step {done}, in epoch {len(progress.history) + 1}"
            print(f"Going on {where}, from {self.checkpoint}.", file=sys.stderr, flush=True)
        self.started = self.saved = time.monotonic()
        self.started -= progress.seconds
        self.metrics = None
        if running and workers.main:
            events = running.with_name(f"{running.stem}.tensorboard") if settings.tensorboard else None
            self.metrics = Metrics(running / METRICS, events, done, len(progress.history))
        with tqdm(
            total=self.steps * settings.epochs,
            initial=done,
            desc="steps",
            file=sys.stderr,
            mininterval=5,
            leave=False,
            disable=not workers.main,
        ) as self.bar:
            while len(progress.history) < settings.epochs and progress.since_best < settings.patience:
                self._epoch()
        if self.metrics:
            self.metrics.close()
        self.last_weights = self._weights()
        self.aligner.load_state_dict(progress.best_weights)
        self.aligner.eval()
        self.held_out_means, self.strengths = held_out_means(self.setup, self._best_strengths)
        return pd.DataFrame(progress.history, columns=HISTORY)

    def _solve(self, running: Path | None) -> pd.DataFrame:
        """Solve in closed form what there is, where gradient descent trains nothing: the history has one row, of epoch 0."""
        started = time.monotonic()
        start_linear_branch(self.setup)
        self.held_out_means, self.strengths = held_out_means(self.setup)
        self.aligner.eval()
        row = {"epoch": 0, "step": 0, **dict.fromkeys(LOSSES, math.nan), **validate(self.setup), "learning_rate": math.nan}
        if running and self.workers.main:
            metrics = Metrics(running / METRICS, None, 0, 0)
            metrics.write(row)
            metrics.close()
        row["seconds"] = round(time.monotonic() - started, 2)
        self.last_weights = self._weights()
        if self.workers.main:
            print(
                f"solved: valid {row['valid_loss']:.4f}, Spearman genes {row['valid_spearman_genes']:.3f}",
                file=sys.stderr,
                flush=True,
            )
        return pd.DataFrame([row], columns=HISTORY)

    def _epoch(self) -> None:
        """Train one epoch, or what is left of it, and validate."""
        progress = self.progress
        epoch = len(progress.history) + 1
        batches_state = self.generator.bit_generator.state
        batches = epoch_batches(self.setup.cohort, self.settings, self.generator)
        self.aligner.train()
        for number in range(len(progress.losses), self.steps):
            losses, norm, due = self.step(batches[number], f"step {(epoch - 1) * self.steps + number + 1} (epoch {epoch})")
            progress.losses.append(losses)
            self.bar.update()
            if self.metrics:
                row = {"step": (epoch - 1) * self.steps + number + 1, "epoch": epoch, **dict(zip(LOSSES, losses, strict=True))}
                rate = float(self.schedule.get_last_lr()[0])
                self.metrics.write({**row, "gradient_norm": norm, "learning_rate": rate})
            if due or number == self.steps - 1:
                self._save(batches_state)
        strengths = None
        if not self.settings.tokens_learn_means:
            strengths = solve_mean_readout(self.setup, out_of_fold=False).strengths
        row = {"epoch": epoch, "step": epoch * self.steps}
        row |= dict(zip(LOSSES, np.mean(progress.losses, axis=0).tolist(), strict=True))
        row |= validate(self.setup)
        if self.setup.cohort.reference_study:
            row["train_loss_pairs"] = math.nan
        row["learning_rate"] = float(self.schedule.get_last_lr()[0])
        if self.metrics:
            self.metrics.write(row)
        row["seconds"] = round(time.monotonic() - self.started, 2)
        progress.history.append(row)
        progress.losses = []
        if self.workers.main:
            people = "" if self.setup.cohort.reference_study else f", people {row['valid_spearman_people']:.3f}"
            tqdm.write(
                f"epoch {epoch}: train {row['train_loss']:.4f}, valid {row['valid_loss']:.4f}, Spearman genes "
                f"{row['valid_spearman_genes']:.3f}{people}",
                file=sys.stderr,
            )
        if criterion(self.settings, row) < progress.best:
            progress.best, progress.since_best = criterion(self.settings, row), 0
            progress.best_weights, self._best_strengths = self._weights(), strengths
        else:
            progress.since_best += 1
        self._save(self.generator.bit_generator.state)

    def _save(self, batches: Mapping[str, Any]) -> None:
        """Keep the state of the training; all processes take part.

        Args:
            batches: State of the generator before it drew the batches of the epoch that is under way.
        """
        if self.checkpoint is None:
            return
        random = {device: self.workers.gather(state) for device, state in random_states(self.workers.device).items()}
        if self.workers.main:
            self.progress.seconds = time.monotonic() - self.started
            save_checkpoint(
                self.checkpoint,
                self.setup.fingerprint,
                self.progress,
                self.aligner,
                self.optimiser,
                self.schedule,
                batches,
                random,
            )
        self.saved = time.monotonic()

    def step(self, requests: list[Request], where: str) -> tuple[list[float], float, bool]:
        """Train on one batch.

        Args:
            requests: (gene, people) pairs, as numbers; every process reads its share of them.
            where: Step and epoch, for messages.

        Returns:
            The three losses, the norm of the gradient, and whether the state should be kept now.

        Raises:
            UserError: if the loss is no longer a number, or memory is short.
        """
        self.optimiser.zero_grad()
        totals = torch.zeros(len(LOSSES) + 1, dtype=torch.float64)
        with told_of_memory(
            f"in {where}: raise aligner.accumulation (the same result in more, smaller parts), or lower aligner.genes_per_batch"
            " or aligner.people_per_gene"
        ):
            for part in self.workers.parts(requests, self.settings.accumulation):
                mean, pairs = batch_loss(self.setup, part)
                loss = mean + self.settings.pair_weight * pairs
                share = len(part) / len(requests)
                (loss * share).backward()
                totals[:-1] += torch.tensor([loss.item() * share, mean.item() * share, pairs.item() * share], dtype=torch.float64)
        totals[-1] = self.workers.main and time.monotonic() - self.saved >= 60 * self.settings.checkpoint_minutes
        totals = self.workers.sum_gradients(self.aligner.trained_parameters(), totals)
        *losses, due = totals.tolist()
        norm = float(torch.nn.utils.clip_grad_norm_(self.aligner.trained_parameters(), self.settings.max_gradient_norm))
        if not (math.isfinite(losses[0]) and math.isfinite(norm)):
            what = f"loss became {losses[0]}" if not math.isfinite(losses[0]) else f"gradient became {norm}"
            raise UserError(f"The {what} in {where}: lower aligner.learning_rate or aligner.max_gradient_norm.")
        with told_of_memory(f"in {where}, for the state of AdamW: take a larger machine, or kmeans for aligner.alignment"):
            self.optimiser.step()
        self.schedule.step()
        return losses, norm, bool(due)

    def save(self, history: pd.DataFrame, folder: Path, running: Path | None = None) -> None:
        """Write the trained aligner, its history and what is needed to doubt it.

        Args:
            history: What `run` gave.
            folder: Folder to write.
            running: The folder that `run` kept its state in, whose metrics move to the results; it is removed.

        Raises:
            RuntimeError: if the language model was changed by the training, which would be an error of ours.
        """
        write_record(self, history, folder, running)
