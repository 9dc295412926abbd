"""Training the aligner."""

import copy
import hashlib
import json
import math
import platform
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.stats
import torch
import transformers
from torch.nn import functional
from tqdm import tqdm
from transformers import PreTrainedModel

from gta import __version__
from gta.aligner.checkpoint import Progress, load_checkpoint, save_checkpoint
from gta.aligner.data import AlignerData, Scaling, require_same_people
from gta.aligner.model import Aligner, AlignerConfig, prompt_rows
from gta.aligner.settings import AlignerSettings
from gta.cohort.tables import Cohort
from gta.errors import UserError
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

#: Haplotypes of validation that are predicted at once.
VALIDATION_BATCH = 64


@dataclass(frozen=True)
class Reader:
    """What an aligner needs to read with: the frozen language model, its prompts, and which gene reads which."""

    language_model: PreTrainedModel | None
    prompts: PromptCache | None
    rows: torch.Tensor | None


def make_reader(
    language_model: PreTrainedModel,
    prompts: PromptCache,
    genes: list[str],
    tiles: int,
    use: bool,
    mode: str,
    seed: int,
    sha256: str,
) -> Reader:
    """The reader of a model of the configuration.

    Raises:
        UserError: if the prompts were read by another language model, or prompt and tiles are longer than it reads.
    """
    if not use:
        return Reader(None, None, None)
    limit = getattr(language_model.config, "max_position_embeddings", None)
    longest = int(prompts.lengths.max()) + tiles
    if limit is not None and longest > limit:
        raise UserError(
            f"A prompt and the {tiles} tiles of a window are {longest} tokens, but the language model reads {limit} at the most: "
            "lower language.max_prompt_tokens or raise features.tile_length."
        )
    if prompts.model != sha256:
        raise UserError("The prompt cache was made by another language model: make the prompts again.")
    return Reader(language_model, prompts, prompt_rows(prompts, genes, mode, seed))


def pair_loss(predicted: torch.Tensor, observed: torch.Tensor, sd: float) -> torch.Tensor:
    """Loss on the differences between all pairs of people within a gene.

    Args:
        predicted: (n,) predicted deviations, natural log.
        observed: (n,) observed deviations.
        sd: Standard deviation of the gene's expression over the training people: the unit of the differences.

    Returns:
        Mean Huber loss over the pairs. Rastogi et al. 2024 showed that differences, not single people, must be learnt.
    """
    first, second = torch.triu_indices(len(predicted), len(predicted), offset=1)
    error = ((predicted[first] - predicted[second]) - (observed[first] - observed[second])) / sd
    return functional.huber_loss(error, torch.zeros_like(error))


class Training:
    """One training run of one model with one seed."""

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
    ):
        """Set up data, model and optimiser; everything random follows from `seed`."""
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
        scaling = Scaling.fit([store.gene(cohort.gene_names[i]) for i in train_genes], train_people)
        self.data = AlignerData(cohort, store, scaling)
        words = word_embeddings(language_model)
        if words.shape[1] % settings.heads:
            raise UserError(f"aligner.heads: {settings.heads} does not divide the language model's width {words.shape[1]}.")
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
            tile_length=store.tile_length,
            target_mean=float(self.gene_mean[train_genes].mean()),
            target_sd=float(max(self.gene_mean[train_genes].std(), 1e-3)),
            language_model_name=language_model_name,
            language_model_sha256=self.language_model_sha256,
        )
        self.aligner = Aligner(config, prototypes.vectors, scaling, float(words.pow(2).mean().sqrt()))
        self.language_model = language_model
        self.reader = make_reader(
            language_model,
            prompts,
            cohort.gene_names,
            self.data.tiles,
            settings.language_model,
            settings.prompt,
            seed,
            self.language_model_sha256,
        )

    def predict(self, gene: int, people: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted mean and deviation of people for one gene, each (n,), averaged over their haplotypes."""
        return predict_people(self.aligner, self.data, self.reader, gene, people)

    def batch_loss(self, requests: list[tuple[int, np.ndarray]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Losses of a batch: on the mean of each gene, and on differences between people.

        Args:
            requests: (gene, people) pairs, as numbers.
        """
        haplotypes = [(gene, self.data.haplotypes(gene, people)) for gene, people in requests]
        means, deviations = self.aligner(
            self.data.batch(haplotypes), self.reader.language_model, self.reader.prompts, self.reader.rows
        )
        sizes = [len(carried) for _, carried in haplotypes]
        mean_losses, pair_losses = [], []
        for (gene, people), (_, carried), mean, deviation in zip(
            requests, haplotypes, means.split(sizes), deviations.split(sizes), strict=True
        ):
            level = self.data.person_means(gene, people, carried, mean).mean()
            target = torch.tensor(self.gene_mean[gene], dtype=torch.float32)
            scale = self.aligner.config.target_sd
            mean_losses.append(functional.huber_loss(level / scale, target / scale))
            change = self.data.person_means(gene, people, carried, deviation)
            observed = torch.from_numpy(self.cohort.expression[gene, people]).float()
            pair_losses.append(pair_loss(change, observed, float(self.gene_sd[gene])))
        return torch.stack(mean_losses).mean(), torch.stack(pair_losses).mean()

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
        valid_genes = self.cohort.gene_numbers("valid")
        levels = np.array([float(self.predict(int(gene), people)[0].mean()) for gene in valid_genes])
        error = torch.from_numpy((levels - self.gene_mean[valid_genes]) / self.aligner.config.target_sd)
        mean_loss = float(functional.huber_loss(error, torch.zeros_like(error)))
        pair_losses, correlations = [], []
        for gene in self.cohort.gene_numbers("train"):
            change = self.predict(int(gene), people)[1]
            observed = self.cohort.expression[gene, people]
            pair_losses.append(float(pair_loss(change, torch.from_numpy(observed).float(), float(self.gene_sd[gene]))))
            correlations.append(spearman(change.numpy(), observed))
        return {
            "valid_loss": self.selection_loss(mean_loss, float(np.mean(pair_losses))),
            "valid_loss_mean": mean_loss,
            "valid_loss_pairs": float(np.mean(pair_losses)),
            "valid_spearman_genes": spearman(levels, self.gene_mean[valid_genes]),
            "valid_spearman_people": float(np.median(correlations)),
        }

    def selection_loss(self, mean_loss: float, pair_loss: float) -> float:
        """The validation loss by which the best epoch is chosen."""
        if self.settings.select == "people":
            return pair_loss
        if self.settings.select == "genes":
            return mean_loss
        return mean_loss + self.settings.pair_weight * pair_loss

    def run(self, checkpoint: Path | None = None) -> pd.DataFrame:
        """Train until the validation loss stops falling; the aligner ends with its best weights.

        Args:
            checkpoint: Where the state is kept after each epoch. If it holds that of this very run, it goes on from there, and
                ends with the same weights as an undisturbed one.

        Returns:
            The history, one row per epoch; `seconds` is the time spent on training so far.

        Raises:
            UserError: if the loss is no longer a number.
        """
        settings = self.settings
        run = self.fingerprint() if checkpoint else ""
        optimiser = torch.optim.AdamW(self.aligner.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
        steps = self.steps_per_epoch()
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, settings.learning_rate, total_steps=steps * settings.epochs, pct_start=0.1
        )
        progress = checkpoint and load_checkpoint(checkpoint, run, self.aligner, optimiser, schedule, self.generator)
        if progress:
            print(f"Going on after epoch {len(progress.history)}, which {checkpoint} holds.", file=sys.stderr, flush=True)
        else:
            progress = Progress([], float("inf"), copy.deepcopy(self.aligner.state_dict()), 0)
        history = progress.history
        started = time.monotonic() - (history[-1]["seconds"] if history else 0)
        while len(history) < settings.epochs and progress.since_best < settings.patience:
            epoch = len(history) + 1
            row: dict[str, float] = {"epoch": epoch, "step": epoch * steps}
            row |= self.train_epoch(f"epoch {epoch}", optimiser, schedule)
            row |= self.validate()
            row["learning_rate"] = float(schedule.get_last_lr()[0])
            row["seconds"] = round(time.monotonic() - started, 2)
            history.append(row)
            print(
                f"epoch {epoch}: train {row['train_loss']:.4f}, valid {row['valid_loss']:.4f}, Spearman genes "
                f"{row['valid_spearman_genes']:.3f}, people {row['valid_spearman_people']:.3f}",
                file=sys.stderr,
                flush=True,
            )
            if row["valid_loss"] < progress.best:
                progress.best, progress.since_best = row["valid_loss"], 0
                progress.best_weights = copy.deepcopy(self.aligner.state_dict())
            else:
                progress.since_best += 1
            if checkpoint:
                save_checkpoint(checkpoint, run, progress, self.aligner, optimiser, schedule, self.generator)
        self.aligner.load_state_dict(progress.best_weights)
        self.aligner.eval()
        return pd.DataFrame(history, columns=HISTORY)

    def train_epoch(
        self, name: str, optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler
    ) -> dict[str, float]:
        """Train one epoch; gives the mean losses over its batches.

        Raises:
            UserError: if the loss is no longer a number.
        """
        self.aligner.train()
        losses = []
        for requests in tqdm(self.epoch_batches(), desc=name, file=sys.stderr, mininterval=5, leave=False):
            mean, pairs = self.batch_loss(requests)
            loss = mean + self.settings.pair_weight * pairs
            if not torch.isfinite(loss):
                raise UserError(f"The loss became {loss.item()} in {name}: lower aligner.learning_rate.")
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.aligner.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append((loss.item(), mean.item(), pairs.item()))
        return dict(zip(("train_loss", "train_loss_mean", "train_loss_pairs"), np.mean(losses, axis=0).tolist(), strict=True))

    def fingerprint(self) -> str:
        """SHA-256 of everything that decides how a run goes: settings, seed, first weights, language model, prompts and data."""
        digest = hashlib.sha256(json.dumps([asdict(self.settings), asdict(self.aligner.config)], sort_keys=True).encode())
        digest.update(json.dumps([torch.__version__, self.cohort.gene_names, self.cohort.people_names]).encode())
        digest.update(fingerprint(self.aligner).encode())
        splits = [table["split"].str.cat(sep=",").encode() for table in (self.cohort.genes, self.cohort.people)]
        prompts = [self.reader.prompts.keys.numpy().tobytes()] if self.reader.prompts else []
        for part in (self.cohort.expression.tobytes(), *splits, *prompts):
            digest.update(hashlib.sha256(part).digest())
        return digest.hexdigest()

    def save(self, history: pd.DataFrame, folder: Path) -> None:
        """Write the trained aligner, its history and what is needed to doubt it.

        Raises:
            RuntimeError: if the language model was changed by the training, which would be an error of ours.
        """
        after = fingerprint(self.language_model)
        if after != self.language_model_sha256:
            raise RuntimeError("The frozen language model changed during training.")
        record = {
            "settings": asdict(self.settings),
            "seed": self.seed,
            "trained_weights": sum(p.numel() for p in self.aligner.parameters()),
            "frozen_weights": sum(p.numel() for p in self.language_model.parameters()) if self.reader.language_model else 0,
            "language_model_sha256_before": self.language_model_sha256,
            "language_model_sha256_after": after,
            "best_epoch": int(history["epoch"].iloc[int(history["valid_loss"].argmin())]),
            "versions": {
                "gta": __version__,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "transformers": transformers.__version__,
            },
        }
        with atomic_path(folder) as temporary:
            self.aligner.save_pretrained(temporary / "model")
            history.to_csv(temporary / "history.tsv", sep="\t", index=False)
            (temporary / "training.json").write_text(json.dumps(record, indent=2) + "\n")


@torch.no_grad()
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
    parts = [
        aligner(
            data.batch([(gene, carried[at : at + VALIDATION_BATCH])]),
            reader.language_model,
            reader.prompts,
            reader.rows,
        )
        for at in range(0, len(carried), VALIDATION_BATCH)
    ]
    mean, deviation = (torch.cat(values) for values in zip(*parts, strict=True))
    return data.person_means(gene, people, carried, mean), data.person_means(gene, people, carried, deviation)


def spearman(first: np.ndarray, second: np.ndarray) -> float:
    """Spearman's correlation; 0 where one side is constant, because then nothing was predicted."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(scipy.stats.spearmanr(first, second).statistic)
