"""Training the networks by cross-fitting, each without one part of the training genes."""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from tqdm import tqdm

from gta.checkpoint import Progress, load_checkpoint, random_states, save_checkpoint
from gta.cnn.network import CnnConfig, PromoterNetwork, PromoterNetworks, SharedHead
from gta.cnn.settings import CnnSettings, check
from gta.cohort.folds import contiguous_folds
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.correlation import spearman
from gta.features.sequences import one_hot, reverse_complement
from gta.haplotypes import Reference
from gta.inputs.tables import write_table
from gta.language.models import has_fast_bfloat16
from gta.processes import Workers
from gta.schedule import one_cycle

#: Share of the steps in which the learning rate rises.
WARM_UP = 0.1
#: Sequences that are predicted at once.
AT_ONCE = 256
#: Fewest training genes that a network is trained on.
MIN_GENES = 32
#: Gives the standardised predictions of sequences.
Predict = Callable[[torch.Tensor], np.ndarray]
HISTORY = ["network", "epoch", "seconds", "train_loss", "left_out_spearman", "valid_spearman"]


@dataclass(frozen=True)
class TrainedNetworks:
    """Trained networks and what they say of genes that they did not learn from.

    Attributes:
        networks: All networks, on the CPU.
        history: `network epoch seconds train_loss left_out_spearman valid_spearman`.
        out_of_fold: `gene network mean`: of each training gene the network that was trained without it, from 1, and its
            prediction, natural log.
    """

    networks: PromoterNetworks
    history: pd.DataFrame
    out_of_fold: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Write everything into a folder that exists."""
        self.networks.save(folder, dict(zip(self.out_of_fold["gene"], (self.out_of_fold["network"] - 1).tolist(), strict=True)))
        write_table(self.history, folder / "history.tsv")
        write_table(self.out_of_fold, folder / "out_of_fold.tsv")


def read_sequences(reference: Reference, genes: pd.DataFrame, upstream: int, downstream: int) -> torch.Tensor:
    """Read the reference sequence around the TSS of genes, in the direction of each gene.

    Args:
        reference: The reference.
        genes: Rows of `cohort/genes.tsv`: contig, strand, tss (bp, 0-based).
        upstream: Bases before the TSS base.
        downstream: Bases from the TSS base on.

    Returns:
        (genes, upstream + downstream) uint8, upper-case ASCII.
    """
    sequences = np.empty((len(genes), upstream + downstream), dtype=np.uint8)
    minus = (genes["strand"] == "-").to_numpy().copy()
    for number, (contig, tss, reverse) in enumerate(zip(genes["contig"], genes["tss"], minus, strict=True)):
        start = tss - (downstream - 1 if reverse else upstream)
        sequences[number] = reference.fetch(str(contig), int(start), int(start) + upstream + downstream)
    letters = torch.from_numpy(sequences)
    letters[torch.from_numpy(minus)] = reverse_complement(letters[torch.from_numpy(minus)])
    return letters


def train(
    cohort: Cohort,
    reference: Reference,
    settings: CnnSettings,
    tile_length: int,
    seed: int,
    checkpoints: Path | None = None,
) -> TrainedNetworks:
    """Train the networks on the mean expression of the training genes over the training individuals.

    Args:
        cohort: Genes and expression; other genes than the training genes are only predicted, for the history.
        reference: The reference.
        settings: How to train.
        tile_length: Length of a tile, bp.
        seed: Seed of weights and batches.
        checkpoints: Folder of the state after each epoch, from which a training that was killed goes on; None: none is kept.

    Raises:
        UserError: if there are too few training genes, or the loss is not finite.
    """
    check(settings, tile_length)
    workers = Workers(settings.device, _precision(settings), section="cnn")
    genes = cohort.gene_numbers("train")
    if len(genes) < MIN_GENES + settings.networks:
        raise UserError(
            f"cnn: {len(genes)} training genes are too few to train networks; at least {MIN_GENES + settings.networks} are"
            " needed."
        )
    response = cohort.expression[:, cohort.people_numbers("train")].mean(axis=1)
    config = CnnConfig(
        upstream=settings.upstream,
        downstream=settings.downstream,
        tile_length=tile_length,
        networks=settings.networks,
        channels=settings.channels,
        tile_channels=settings.tile_channels,
        dropout=settings.dropout,
        seed=seed,
        target_mean=float(response[genes].mean()),
        target_sd=float(response[genes].std()) or 1.0,
    )
    target = torch.from_numpy((response - config.target_mean) / config.target_sd).float()
    valid = cohort.gene_numbers("valid")
    letters = read_sequences(reference, cohort.genes.iloc[np.concatenate([genes, valid])], settings.upstream, settings.downstream)
    training, validation = letters[: len(genes)], letters[len(genes) :]
    torch.manual_seed(seed)
    networks = PromoterNetworks(config).to(workers.device)
    history: list[dict[str, float]] = []
    trained_without, out_of_fold = np.zeros(len(genes), dtype=int), np.zeros(len(genes))
    for number, left_out in enumerate(contiguous_folds(cohort.genes, genes, settings.networks)):
        network = networks.networks[number]
        assert isinstance(network, PromoterNetwork)
        learnt = np.setdiff1d(np.arange(len(genes)), left_out)

        def predict(sequences: torch.Tensor, network: PromoterNetwork = network) -> np.ndarray:
            return _predict(network, networks.head, sequences, workers)

        def measure(predict: Predict = predict, left_out: np.ndarray = left_out) -> dict[str, float]:
            return {
                "left_out_spearman": spearman(predict(training[left_out]), target[genes[left_out]].numpy()),
                "valid_spearman": spearman(predict(validation), target[valid].numpy()),
            }

        history += _train_one(
            network,
            networks.head,
            training[learnt],
            target[genes[learnt]],
            settings,
            workers,
            seed * settings.networks + number,
            number + 1,
            measure,
            checkpoints / f"network{number + 1}.safetensors" if checkpoints else None,
        )
        trained_without[left_out], out_of_fold[left_out] = number + 1, predict(training[left_out])
    means = out_of_fold * config.target_sd + config.target_mean
    table = pd.DataFrame({"gene": np.array(cohort.gene_names)[genes], "network": trained_without, "mean": means})
    return TrainedNetworks(networks.eval().cpu(), pd.DataFrame(history, columns=HISTORY), table)


def _precision(settings: CnnSettings) -> str:
    """The precision of the convolutions."""
    if settings.precision != "auto":
        return settings.precision
    on_gpu = torch.cuda.is_available() and settings.device != "cpu"
    return "bfloat16" if on_gpu or has_fast_bfloat16() else "float32"


def _train_one(
    network: PromoterNetwork,
    head: SharedHead,
    letters: torch.Tensor,
    target: torch.Tensor,
    settings: CnnSettings,
    workers: Workers,
    seed: int,
    number: int,
    measure: Callable[[], dict[str, float]],
    checkpoint: Path | None,
) -> list[dict[str, float]]:
    """Train one network, changed in place.

    Args:
        network: The network.
        head: The head that all networks share, which is not trained.
        letters: (n, L) uint8, sequences of the genes that it learns from.
        target: (n,) mean expression, standardised.
        settings: How to train.
        workers: Where to compute.
        seed: Seed of batches, shifts, hidden bases and dropout.
        number: Number of the network, from 1, for messages.
        measure: Gives the scores of the network on genes that it does not learn from.
        checkpoint: File of the state after each epoch; None: none is kept.

    Returns:
        Rows of the history.
    """
    steps = max(1, len(letters) // settings.batch)
    optimiser = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    schedule = one_cycle(optimiser, settings.learning_rate, settings.epochs * steps, WARM_UP)
    generator = np.random.default_rng(seed)
    torch.manual_seed(seed)
    run = _fingerprint_of_run(letters, target, settings, seed, workers)
    found = checkpoint and load_checkpoint(checkpoint, run, network, optimiser, schedule, generator, workers.number)
    progress = found or Progress([], float("inf"), {}, 0)
    started = time.monotonic() - progress.seconds
    for epoch in range(len(progress.history) + 1, settings.epochs + 1):
        network.train()
        head.train()
        order, losses = generator.permutation(len(letters)), []
        shown = tqdm(range(steps), desc=f"network {number}, epoch {epoch}", file=sys.stderr, mininterval=10, leave=False)
        for step in shown:
            rows = torch.from_numpy(order[step * settings.batch : (step + 1) * settings.batch])
            sequences = _perturbed(letters[rows].to(workers.device), settings, generator)
            with workers.autocast():
                features = network(sequences)
            loss = functional.mse_loss(head(features.float()), target[rows].to(workers.device))
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(loss.item())
        mean = float(np.mean(losses))
        if not np.isfinite(mean):
            raise UserError(f"The loss of network {number} became {mean} in epoch {epoch}: lower cnn.learning_rate.")
        progress.seconds = time.monotonic() - started
        row = {"network": number, "epoch": epoch, "seconds": round(progress.seconds, 2), "train_loss": mean, **measure()}
        progress.history.append(row)
        print(
            f"network {number}, epoch {epoch}: loss {mean:.4f}, Spearman {row['left_out_spearman']:.3f} of training genes left"
            f" out, {row['valid_spearman']:.3f} of validation genes",
            file=sys.stderr,
            flush=True,
        )
        if checkpoint:
            random = {device: state[None].cpu() for device, state in random_states(workers.device).items()}
            state = generator.bit_generator.state
            save_checkpoint(checkpoint, run, progress, network, optimiser, schedule, state, random)
    return progress.history


def _perturbed(letters: torch.Tensor, settings: CnnSettings, generator: np.random.Generator) -> torch.Tensor:
    """One-hot (B, 4, L) of sequences (B, L), all shifted by the same random number of bases, with random bases hidden."""
    shift = int(generator.integers(-settings.shift, settings.shift + 1))
    sequences = one_hot(letters).roll(shift, dims=2)
    if shift > 0:
        sequences[:, :, :shift] = 0
    elif shift < 0:
        sequences[:, :, shift:] = 0
    if settings.masked_bases:
        kept = torch.rand(len(letters), 1, letters.shape[1], device=letters.device) >= settings.masked_bases
        sequences = sequences * kept
    return sequences


@torch.no_grad()
def _predict(network: PromoterNetwork, head: SharedHead, letters: torch.Tensor, workers: Workers) -> np.ndarray:
    """Standardised prediction of sequences (n, L), (n,) float64, in float32 arithmetic."""
    network.eval()
    head.eval()
    parts = [head(network(one_hot(part.to(workers.device)))).cpu() for part in letters.split(AT_ONCE)]
    return torch.cat(parts).double().numpy() if parts else np.zeros(0)


def _fingerprint_of_run(letters: torch.Tensor, target: torch.Tensor, settings: CnnSettings, seed: int, workers: Workers) -> str:
    """SHA-256 of everything that decides how a training goes."""
    decides = [asdict(settings), seed, workers.device.type, workers.bfloat16, torch.get_num_threads(), torch.__version__]
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    digest.update(letters.numpy().tobytes())
    digest.update(target.numpy().tobytes())
    return digest.hexdigest()
