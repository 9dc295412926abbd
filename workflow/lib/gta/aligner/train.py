"""Training the aligner."""

import hashlib
import json
import math
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.stats
import torch
import transformers
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedModel

from gta import __version__
from gta.aligner.card import model_card
from gta.aligner.context import Pieces, divide
from gta.aligner.data import AlignerData, Scaling, require_same_people, with_random_features
from gta.aligner.losses import pair_loss, single_loss
from gta.aligner.metrics import Metrics
from gta.aligner.model import Aligner, AlignerConfig
from gta.aligner.processes import Workers
from gta.aligner.reading import Reader, make_reader
from gta.aligner.settings import AlignerSettings, check
from gta.checkpoint import Progress, Weights, load_checkpoint, random_states, save_checkpoint
from gta.cohort.tables import Cohort
from gta.compressor.encoder import AttentionOnlyCompressor, config_of
from gta.errors import UserError
from gta.features.passes import is_out_of_memory
from gta.features.store import FeatureStore
from gta.files import atomic_path
from gta.language.cache import PromptCache
from gta.language.models import fingerprint, word_embeddings
from gta.language.prototypes import Prototypes

#: Columns of the history.
HISTORY = (
    *("epoch", "step", "seconds", "train_loss", "train_loss_mean", "train_loss_pairs", "valid_loss", "valid_loss_mean"),
    *("valid_loss_pairs", "valid_spearman_genes", "valid_spearman_people", "learning_rate"),
)

#: Settings that change nothing in the weights.
HARMLESS = ("checkpoint_minutes", "tensorboard")

#: Learnt prototypes that need more memory than this, in GB, are warned of.
LARGE = 1.0

#: Name of the file of metrics.
METRICS = "metrics.jsonl"

#: Distance between the seeds of the processes that share a training.
PROCESS_SEEDS = 1_000_003

#: What a step reports.
LOSSES = ("train_loss", "train_loss_mean", "train_loss_pairs")

#: Haplotypes of validation that are predicted at once.
VALIDATION_BATCH = 64


def place(reader: Reader, workers: Workers) -> Reader:
    """The reader with its language model on the device of this process, in the precision in which it computes there."""
    if reader.language_model is None or reader.rows is None:
        return reader
    reader.language_model.to(workers.device, torch.bfloat16 if workers.bfloat16 else torch.float32)  # type: ignore[arg-type]
    return replace(reader, rows=reader.rows.to(workers.device))


class Training:
    """One training run of one model with one seed, or the share of one of several processes in it."""

    def __init__(
        self,
        cohort: Cohort,
        store: FeatureStore,
        language_model: PreTrainedModel,
        language_model_name: str,
        prompts: PromptCache,
        prototypes: Prototypes,
        settings: AlignerSettings,
        seed: int,
        reference: dict[str, str] | None = None,
        compressor: AttentionOnlyCompressor | None = None,
    ):
        """Set up data and model; everything random follows from `seed`.

        Args:
            cohort: People, genes and expression.
            store: Features of all contigs.
            language_model: The frozen language model.
            language_model_name: Where it is from.
            prompts: Its prompts.
            prototypes: Its text prototypes.
            settings: Settings of the aligner.
            seed: The seed.
            reference: SHA-256 of the sequence of every contig of the reference, so that no other one is used to predict.
            compressor: The trained compressor of prompts, if it is to be trained further.

        Raises:
            UserError: if these do not fit together.
        """
        check(settings)
        if settings.tune_compressor != (compressor is not None):
            raise UserError(
                "aligner.tune_compressor: a trained compressor is given if, and only if, it is to be trained further."
            )
        self.workers = Workers(settings.device, settings.precision)
        torch.manual_seed(seed)
        self.cohort, self.settings, self.seed = cohort, settings, seed
        self.generator = np.random.default_rng(seed)
        self.language_model_sha256 = fingerprint(language_model)
        if prototypes.model != self.language_model_sha256:
            raise UserError("The text prototypes were made from another language model: make them again.")
        train_genes = cohort.gene_numbers("train")
        train_people = cohort.people_numbers("train")
        if len(cohort.people_numbers("valid")) < 2:
            raise UserError("Training needs at least two validation people: raise cohort.valid_people.")
        if settings.pair_weight == 0 and not settings.tokens_learn_means:
            raise UserError("aligner.pair_weight is 0, so nothing trains the tokens: raise it or set tokens_learn_means.")
        expression = cohort.expression[:, train_people]
        self.gene_mean, self.gene_sd = expression.mean(axis=1), np.maximum(expression.std(axis=1), 1e-3)
        require_same_people(store, cohort)
        if settings.random_features:
            store = with_random_features(store, seed)
        scaling = Scaling.fit([store.gene(cohort.gene_names[i]) for i in train_genes], train_people)
        self.data = AlignerData(cohort, store, scaling)
        words = word_embeddings(language_model)
        if words.shape[1] % settings.heads:
            raise UserError(f"aligner.heads: {settings.heads} does not divide the language model's width {words.shape[1]}.")
        token_edges = self.data.token_edges(settings.aligned_tokens)
        pieces = Pieces([], 0)
        if settings.context != "none":
            upstream = self.data.upstream_tokens(token_edges)
            tokens = len(token_edges) - 1 if token_edges else self.data.tiles
            pieces = divide(upstream, tokens - upstream, settings.context_near, settings.context_chunk)
        config = AlignerConfig(
            features=len(store.feature_names),
            width=words.shape[1],
            heads=settings.heads,
            dropout=settings.dropout,
            additive=settings.additive,
            tokens_learn_means=settings.tokens_learn_means,
            language_model=settings.language_model,
            prompt=settings.prompt,
            seed=seed,
            extractor=store.extractor,
            extractor_weights=store.weights,
            random_features=settings.random_features,
            alignment=settings.alignment,
            token_edges=token_edges,
            reference=reference or {},
            tile_length=store.tile_length,
            target_mean=float(self.gene_mean[train_genes].mean()),
            target_sd=float(max(self.gene_mean[train_genes].std(), 1e-3)),
            language_model_name=language_model_name,
            language_model_sha256=self.language_model_sha256,
            prompt_compressor=asdict(compressor.config) if compressor else {},
            context_compressor=self._context_config() if settings.context != "none" else {},
            context_edges=pieces.edges,
            context_near=pieces.near,
        )
        token_scale = float(words.pow(2).mean().sqrt())
        vocabulary = self._vocabulary(words, len(prototypes.vectors))
        self.aligner = Aligner(config, prototypes.vectors, scaling, token_scale, vocabulary, language_model)
        if compressor and self.aligner.prompt_compressor:
            self.aligner.prompt_compressor.load_state_dict(compressor.state_dict())
        self.language_model = language_model
        self.reader = make_reader(
            language_model,
            prompts,
            cohort.gene_names,
            self.aligner.positions(self.data.tiles),
            settings.language_model,
            settings.prompt,
            seed,
            self.language_model_sha256,
        )
        self.run_fingerprint = self.fingerprint()
        self.aligner.to(self.workers.device)
        self.reader = place(self.reader, self.workers)
        #: Of the language model as it is read, which differs from the first where its precision does.
        self.frozen_sha256 = fingerprint(language_model) if self.workers.bfloat16 else self.language_model_sha256
        self.last_weights = self._weights()
        if settings.people_loss == "single" and self.workers.main:
            print(
                "aligner.people_loss: single was chosen: trained on single people, such models failed to tell people apart"
                " in every published attempt; pairs is the loss that works.",
                file=sys.stderr,
                flush=True,
            )

    def _context_config(self) -> dict[str, Any]:
        """What compresses distal tokens: cut out of the language model here, and trained with the aligner."""
        chosen = self.settings
        return asdict(config_of(chosen.context, chosen.context_memory_tokens, "prefix", self.seed, self.language_model_sha256))

    def _vocabulary(self, words: torch.Tensor, prototypes: int) -> torch.Tensor | None:
        """The word embeddings, (V, D), if prototypes are learnt from them; with a warning if that takes much memory."""
        if self.settings.alignment != "linear":
            return None
        weights = len(words) * prototypes
        # Weights, gradients, two moments of AdamW and the best weights.
        gigabytes = 5 * 4 * weights / 1e9
        if gigabytes > LARGE and self.workers.main:
            print(
                f"aligner.alignment: linear trains {weights:,} weights over the {len(words):,} words of the vocabulary, about"
                f" {gigabytes:.1f} GB of memory; kmeans needs none, fewer language.prototypes need less.",
                file=sys.stderr,
                flush=True,
            )
        return words

    def _trained(self) -> list[torch.nn.Parameter]:
        """The weights that are trained: all of the aligner's, but of a compressor not those that are the language model's."""
        return [parameter for parameter in self.aligner.parameters() if parameter.requires_grad]

    def _weights(self) -> Weights:
        """A copy of the aligner's weights."""
        return {name: tensor.detach().clone() for name, tensor in self.aligner.state_dict().items()}

    def predict(self, gene: int, people: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted mean and deviation of people for one gene, each (n,), averaged over their haplotypes."""
        with self.workers.autocast():
            return predict_people(self.aligner, self.data, self.reader, gene, people)

    def batch_loss(self, requests: list[tuple[int, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses of a batch: on the mean of each gene, and on differences between people.

        Args:
            requests: (gene, people) pairs, as numbers.
        """
        haplotypes = [(gene, self.data.haplotypes(gene, people)) for gene, people in requests]
        with self.workers.autocast():
            means, deviations = self.aligner(
                self.data.batch(haplotypes).to(self.workers.device),
                self.reader.language_model,
                self.reader.prompts,
                self.reader.rows,
            )
        sizes = [len(carried) for _, carried in haplotypes]
        mean_losses, pair_losses = [], []
        for (gene, people), (_, carried), mean, deviation in zip(
            requests, haplotypes, means.split(sizes), deviations.split(sizes), strict=True
        ):
            level = self.data.person_means(gene, people, carried, mean).mean()
            target = torch.tensor(self.gene_mean[gene], dtype=torch.float32, device=level.device)
            scale = self.aligner.config.target_sd
            mean_losses.append(functional.huber_loss(level / scale, target / scale))
            change = self.data.person_means(gene, people, carried, deviation)
            observed = torch.from_numpy(self.cohort.expression[gene, people]).float().to(change.device)
            pair_losses.append(self.people_loss(gene, change, observed))
        return torch.stack(mean_losses).mean(), torch.stack(pair_losses).mean()

    def people_loss(self, gene: int, predicted: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        """Loss of predicted deviations (n,) of people from the expression (n,) observed."""
        if self.settings.people_loss == "single":
            return single_loss(predicted, observed, float(self.gene_mean[gene]), float(self.gene_sd[gene]))
        return pair_loss(predicted, observed, float(self.gene_sd[gene]))

    def _pieces(self) -> tuple[int, int]:
        """How many people are drawn for each gene and epoch, and in how many pieces they are read."""
        drawn = min(len(self.cohort.people_numbers("train")), self.settings.people_per_epoch)
        return drawn, max(1, drawn // self.settings.people_per_gene)

    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return math.ceil(len(self.cohort.gene_numbers("train")) * self._pieces()[1] / self.settings.genes_per_batch)

    def epoch_batches(self) -> list[list[tuple[int, np.ndarray]]]:
        """The batches of one epoch: every training gene with people drawn at random, in random groups."""
        people = self.cohort.people_numbers("train")
        drawn, pieces = self._pieces()
        groups = []
        for gene in self.cohort.gene_numbers("train"):
            order = self.generator.permutation(people)[:drawn]
            groups += [(int(gene), np.sort(part)) for part in np.array_split(order, pieces)]
        order = self.generator.permutation(len(groups))
        size = self.settings.genes_per_batch
        return [[groups[i] for i in order[at : at + size]] for at in range(0, len(order), size)]

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss on validation genes and people, and the two Spearman correlations.

        The mean is judged on validation genes, differences between people on training genes and validation people.
        """
        self.aligner.eval()
        people = self.cohort.people_numbers("valid")
        valid_genes, train_genes = self.cohort.gene_numbers("valid"), self.cohort.gene_numbers("train")
        levels = self._of_genes(valid_genes, lambda gene: [float(self.predict(gene, people)[0].mean())])[:, 0]
        error = torch.from_numpy((levels - self.gene_mean[valid_genes]) / self.aligner.config.target_sd)
        mean_loss = float(functional.huber_loss(error, torch.zeros_like(error)))

        def loss_and_correlation(gene: int) -> list[float]:
            change, observed = self.predict(gene, people)[1], self.cohort.expression[gene, people]
            return [float(self.people_loss(gene, change, torch.from_numpy(observed).float())), spearman(change.numpy(), observed)]

        of_people = self._of_genes(train_genes, loss_and_correlation)
        pairs = float(np.mean(of_people[:, 0]))
        return {
            "valid_loss": self.selection_loss(mean_loss, pairs),
            "valid_loss_mean": mean_loss,
            "valid_loss_pairs": pairs,
            "valid_spearman_genes": spearman(levels, self.gene_mean[valid_genes]),
            "valid_spearman_people": float(np.median(of_people[:, 1])),
        }

    def _of_genes(self, genes: np.ndarray, function: Callable[[int], list[float]]) -> np.ndarray:
        """Numbers of each gene, (genes, ...), each gene's made by one of the processes."""
        own = genes[self.workers.number :: self.workers.count]
        values = np.array([function(int(gene)) for gene in own])
        if self.workers.count == 1:
            return values
        width = torch.tensor(values.shape[1] if len(values) else 0)
        every = torch.zeros(len(genes), int(self.workers.gather(width).max()), dtype=torch.float64)
        every[self.workers.number :: self.workers.count] = torch.from_numpy(values.reshape(len(own), every.shape[1]))
        return self.workers.sum(every).cpu().numpy()

    def selection_loss(self, mean_loss: float, pair_loss: float) -> float:
        """The validation loss of what is selected for: the mean of genes, differences between people, or both."""
        if self.settings.select.endswith("people"):
            return pair_loss
        if self.settings.select.endswith("genes"):
            return mean_loss
        return mean_loss + self.settings.pair_weight * pair_loss

    def criterion(self, row: Mapping[Any, Any]) -> float:
        """What chooses the best epoch, from its row of the history; smaller is better."""
        if self.settings.select.startswith("spearman"):
            return -float(row[f"valid_{self.settings.select}"])
        return float(row["valid_loss"])

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
        self.optimiser = torch.optim.AdamW(self._trained(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        steps = self.steps_per_epoch()
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimiser, settings.learning_rate, total_steps=steps * settings.epochs, pct_start=0.1
        )
        if workers.number > 0:
            torch.manual_seed(self.seed + workers.number * PROCESS_SEEDS)
        self.checkpoint = running and running / "checkpoint.safetensors"
        progress = self.checkpoint and load_checkpoint(
            self.checkpoint,
            self.run_fingerprint,
            self.aligner,
            self.optimiser,
            self.schedule,
            self.generator,
            workers.number,
        )
        if not progress:
            progress = Progress([], float("inf"), self._weights(), 0)
        self.progress = progress
        done = len(progress.history) * steps + len(progress.losses)
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
            total=steps * settings.epochs,
            initial=done,
            desc="steps",
            file=sys.stderr,
            mininterval=5,
            leave=False,
            disable=not workers.main,
        ) as self.bar:
            while len(progress.history) < settings.epochs and progress.since_best < settings.patience:
                self._epoch(steps)
        if self.metrics:
            self.metrics.close()
        self.last_weights = self._weights()
        self.aligner.load_state_dict(progress.best_weights)
        self.aligner.eval()
        return pd.DataFrame(progress.history, columns=HISTORY)

    def _epoch(self, steps: int) -> None:
        """Train one epoch, or what is left of it, and validate."""
        progress = self.progress
        epoch = len(progress.history) + 1
        batches_state = self.generator.bit_generator.state
        batches = self.epoch_batches()
        self.aligner.train()
        for number in range(len(progress.losses), steps):
            losses, norm, due = self.step(batches[number], f"step {(epoch - 1) * steps + number + 1} (epoch {epoch})")
            progress.losses.append(losses)
            self.bar.update()
            if self.metrics:
                row = {"step": (epoch - 1) * steps + number + 1, "epoch": epoch, **dict(zip(LOSSES, losses, strict=True))}
                rate = float(self.schedule.get_last_lr()[0])
                self.metrics.write({**row, "gradient_norm": norm, "learning_rate": rate})
            if due or number == steps - 1:
                self._save(batches_state)
        row = {"epoch": epoch, "step": epoch * steps}
        row |= dict(zip(LOSSES, np.mean(progress.losses, axis=0).tolist(), strict=True))
        row |= self.validate()
        row["learning_rate"] = float(self.schedule.get_last_lr()[0])
        if self.metrics:
            self.metrics.write(row)
        row["seconds"] = round(time.monotonic() - self.started, 2)
        progress.history.append(row)
        progress.losses = []
        if self.workers.main:
            tqdm.write(
                f"epoch {epoch}: train {row['train_loss']:.4f}, valid {row['valid_loss']:.4f}, Spearman genes "
                f"{row['valid_spearman_genes']:.3f}, people {row['valid_spearman_people']:.3f}",
                file=sys.stderr,
            )
        if self.criterion(row) < progress.best:
            progress.best, progress.since_best = self.criterion(row), 0
            progress.best_weights = self._weights()
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
                self.run_fingerprint,
                self.progress,
                self.aligner,
                self.optimiser,
                self.schedule,
                batches,
                random,
            )
        self.saved = time.monotonic()

    def step(self, requests: list[tuple[int, np.ndarray]], where: str) -> tuple[list[float], float, bool]:
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
        own = requests[self.workers.number :: self.workers.count]
        size = math.ceil(len(own) / self.settings.accumulation) or 1
        try:
            for part in (own[at : at + size] for at in range(0, len(own), size)):
                mean, pairs = self.batch_loss(part)
                loss = mean + self.settings.pair_weight * pairs
                share = len(part) / len(requests)
                (loss * share).backward()
                totals[:-1] += torch.tensor([loss.item() * share, mean.item() * share, pairs.item() * share], dtype=torch.float64)
        except (RuntimeError, MemoryError) as error:
            if isinstance(error, RuntimeError) and not is_out_of_memory(error):
                raise
            raise UserError(
                f"Memory ran out in {where}: raise aligner.accumulation (the same result in more, smaller parts), or lower"
                " aligner.genes_per_batch or aligner.people_per_gene."
            ) from error
        totals[-1] = self.workers.main and time.monotonic() - self.saved >= 60 * self.settings.checkpoint_minutes
        totals = self._sum_gradients(totals)
        *losses, due = totals.tolist()
        norm = float(torch.nn.utils.clip_grad_norm_(self._trained(), self.settings.max_gradient_norm))
        if not (math.isfinite(losses[0]) and math.isfinite(norm)):
            what = f"loss became {losses[0]}" if not math.isfinite(losses[0]) else f"gradient became {norm}"
            raise UserError(f"The {what} in {where}: lower aligner.learning_rate or aligner.max_gradient_norm.")
        self.optimiser.step()
        self.schedule.step()
        return losses, norm, bool(due)

    def _sum_gradients(self, totals: torch.Tensor) -> torch.Tensor:
        """Sum gradients and totals over the processes: one exchange per step, whatever share of the batch each of them had."""
        if self.workers.count == 1:
            return totals
        parameters = self._trained()
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.workers.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, summed in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))
        return self.workers.sum(totals).cpu()

    def fingerprint(self) -> str:
        """SHA-256 of everything that decides how a run goes: settings, seed, first weights, language model, prompts and data."""
        chosen = {key: value for key, value in asdict(self.settings).items() if key not in HARMLESS}
        digest = hashlib.sha256(json.dumps([chosen, asdict(self.aligner.config)], sort_keys=True).encode())
        digest.update(
            json.dumps(
                [
                    str(self.workers.device.type),
                    self.workers.count,
                    torch.__version__,
                    self.cohort.gene_names,
                    self.cohort.people_names,
                ]
            ).encode()
        )
        digest.update(fingerprint(self.aligner).encode())
        splits = [table["split"].str.cat(sep=",").encode() for table in (self.cohort.genes, self.cohort.people)]
        prompts = [self.reader.prompts.sha256().encode()] if self.reader.prompts else []
        for part in (self.cohort.expression.tobytes(), *splits, *prompts):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def save(self, history: pd.DataFrame, folder: Path, running: Path | None = None) -> None:
        """Write the trained aligner, its history and what is needed to doubt it.

        Args:
            history: What `run` gave.
            folder: Folder to write.
            running: The folder that `run` kept its state in, whose metrics move to the results; it is removed.

        Raises:
            RuntimeError: if the language model was changed by the training, which would be an error of ours.
        """
        after = fingerprint(self.language_model)
        if after != self.frozen_sha256:
            raise RuntimeError("The frozen language model changed during training.")
        best = min(history.to_dict("records"), key=self.criterion)
        record = {
            "settings": asdict(self.settings),
            "seed": self.seed,
            "trained_weights": sum(p.numel() for p in self._trained()),
            "frozen_weights": sum(p.numel() for p in self.language_model.parameters()) if self.reader.language_model else 0,
            "language_model_sha256_before": self.frozen_sha256,
            "language_model_sha256_after": after,
            "best_epoch": int(best["epoch"]),
            "versions": {
                "gta": __version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
        }
        with atomic_path(folder) as temporary:
            self.aligner.save_pretrained(temporary / "model")
            card = model_card(self.aligner.config, asdict(self.settings), self.cohort, best)
            (temporary / "model" / "README.md").write_text(card)
            self.aligner.save_pretrained(temporary / "last", self.last_weights)
            if running:
                shutil.copy(running / METRICS, temporary / METRICS)
            history.to_csv(temporary / "history.tsv", sep="\t", index=False)
            (temporary / "training.json").write_text(json.dumps(record, indent=2) + "\n")
        if running:
            shutil.rmtree(running)


@torch.no_grad()
def predict_haplotypes(
    aligner: Aligner, data: AlignerData, reader: Reader, gene: int, haplotypes: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted mean and deviation of haplotypes of one gene.

    Args:
        aligner: The aligner.
        data: Its data.
        reader: Language model and prompts.
        gene: Number of the gene.
        haplotypes: (h,) numbers of the haplotypes.

    Returns:
        Two (h,) float32 tensors on the CPU, natural log.
    """
    device = next(aligner.parameters()).device
    parts = [
        aligner(
            data.batch([(gene, haplotypes[at : at + VALIDATION_BATCH])]).to(device),
            reader.language_model,
            reader.prompts,
            reader.rows,
        )
        for at in range(0, len(haplotypes), VALIDATION_BATCH)
    ]
    mean, deviation = (torch.cat(values).cpu() for values in zip(*parts, strict=True))
    return mean, deviation


def predict_people(
    aligner: Aligner, data: AlignerData, reader: Reader, gene: int, people: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Predicted mean and deviation of people for one gene.

    Args:
        aligner: The aligner.
        data: Its data.
        reader: Language model and prompts.
        gene: Number of the gene.
        people: (n,) numbers of the people.

    Returns:
        Two (n,) float32 tensors, natural log, the mean over each person's haplotypes.
    """
    carried = data.haplotypes(gene, people)
    mean, deviation = predict_haplotypes(aligner, data, reader, gene, carried)
    return data.person_means(gene, people, carried, mean), data.person_means(gene, people, carried, deviation)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation; 0 where one side is constant, because then nothing was predicted."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(scipy.stats.spearmanr(first, second).statistic)
