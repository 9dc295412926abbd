"""Training a compressor by regeneration: the frozen language model writes the text again from its memory."""

import hashlib
import json
import math
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm
from transformers import PreTrainedModel

from gta.checkpoint import Progress, load_checkpoint, random_states, save_checkpoint
from gta.compressor.encoder import AttentionOnlyCompressor, CompressorConfig
from gta.compressor.memory import Compress, Memory
from gta.compressor.regeneration import (
    IGNORED,
    begin_embedding,
    embed_prompt,
    labels_of,
    last_token,
    pad_tokens,
    text_logits,
    token_losses,
)
from gta.compressor.settings import CompressorTrainingSettings
from gta.errors import UserError
from gta.language.models import fingerprint
from gta.memory import told_of_memory
from gta.processes import PROCESS_SEEDS, Workers

HISTORY = ["step", "seconds", "train_loss", "valid_loss", "valid_accuracy"]


def compress_texts(language_model: PreTrainedModel, compress: Compress, texts: list[list[int]]) -> Memory:
    """The memory of texts, token ids without special tokens."""
    tokens, mask = (part.to(language_model.device) for part in pad_tokens(texts))
    return compress(language_model, *embed_prompt(language_model, tokens, mask))


def losses_of_texts(
    language_model: PreTrainedModel, memory: Memory | None, begin: torch.Tensor, texts: list[list[int]]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Teacher forcing: sum of the losses (nats), number of tokens guessed right, number of tokens; each (B,), ends included."""
    tokens, mask = (part.to(language_model.device) for part in pad_tokens(texts))
    logits = text_logits(language_model, memory, begin, tokens, mask)
    labels = labels_of(tokens, mask, last_token(language_model))
    right = (logits.argmax(dim=2) == labels) & (labels != IGNORED)
    return token_losses(logits, labels).sum(dim=1), right.sum(dim=1), mask.sum(dim=1) + 1


def train(
    language_model: PreTrainedModel,
    texts: dict[str, list[list[int]]],
    config: CompressorConfig,
    settings: CompressorTrainingSettings,
    learning_rate: float,
    checkpoint: Path | None = None,
    workers: Workers | None = None,
) -> tuple[AttentionOnlyCompressor, pd.DataFrame]:
    """Train a compressor.

    Args:
        language_model: The frozen language model; it is brought to the device and precision of the training.
        texts: Token ids by split; `train` and `valid` are used.
        config: What to train.
        settings: How.
        learning_rate: Peak learning rate of AdamW (no weight decay).
        checkpoint: Where the state is kept after each validation; what a run of the same kind left there is gone on from.
        workers: The processes that share the training; None: this one alone, on the CPU.

    Returns:
        The compressor with its weights of the best validation, for few texts are soon learnt by heart; and its history:
        `step seconds train_loss valid_loss valid_accuracy` (nats), which ends early if the loss was no longer a number.

    Raises:
        UserError: if the loss is no longer a number before the first validation, or memory is short.
        RuntimeError: if the language model was changed by the training, which would be an error of ours.
    """
    workers = workers or Workers("cpu", section="compressor")
    # Cut out of the language model as it was read, before that is rounded.
    compressor = AttentionOnlyCompressor(language_model, config).to(workers.device)
    workers.place(language_model)
    before = fingerprint(language_model)
    optimiser = torch.optim.AdamW(compressor.trained_weights().values(), lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / settings.warm_up, total_iters=settings.warm_up)
    generator = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed + PROCESS_SEEDS * workers.number)
    run = _fingerprint_of_run(texts, config, settings, learning_rate, workers)
    progress = checkpoint and load_checkpoint(checkpoint, run, compressor, optimiser, schedule, generator, workers.number)
    # Nobody goes on before all have read it, for the first process removes it at the end.
    workers.sum(torch.zeros(1))
    if not progress:
        progress = Progress([], float("inf"), {}, 0)
    started = time.monotonic() - progress.seconds
    done = int(progress.history[-1]["step"]) if progress.history else 0
    while done < settings.steps:
        steps = min(settings.evaluate_every, settings.steps - done)
        mean = _train_steps(language_model, compressor, texts["train"], optimiser, schedule, generator, settings, workers, steps)
        done += steps
        loss = mean
        if math.isfinite(mean):
            with workers.autocast(), told_of_memory("in a validation: raise compressor.accumulation"):
                loss, valid_accuracy = validate(language_model, compressor, texts["valid"], settings.at_once)
        # All processes stop or none, though each validated alone.
        if float(workers.sum(torch.tensor([0.0 if math.isfinite(loss) else 1.0]))):
            # In a search, a learning rate that is too high is one of several.
            said = f"The loss of the compressor became {loss} by step {done}: lower compressor.learning_rates"
            if not progress.best_weights:
                raise UserError(f"{said}.")
            if workers.main:
                print(f"{said}. The weights of the best validation before are kept.", file=sys.stderr, flush=True)
            break
        progress.seconds = time.monotonic() - started
        values = (done, round(progress.seconds, 2), mean, loss, valid_accuracy)
        progress.history.append(dict(zip(HISTORY, values, strict=True)))
        if loss < progress.best:
            progress.best = loss
            progress.best_weights = {name: weight.detach().clone() for name, weight in compressor.state_dict().items()}
        if workers.main:
            said = f"step {done}: train {mean:.4f}, valid {loss:.4f}, accuracy {valid_accuracy:.3f}"
            print(said, file=sys.stderr, flush=True)
        if checkpoint:
            random = {device: workers.gather(state) for device, state in random_states(workers.device).items()}
            if workers.main:
                save_checkpoint(checkpoint, run, progress, compressor, optimiser, schedule, generator.bit_generator.state, random)
    if fingerprint(language_model) != before:
        raise RuntimeError("The frozen language model changed during training.")
    compressor.load_state_dict(progress.best_weights)
    return compressor.eval(), pd.DataFrame(progress.history, columns=HISTORY)


def _fingerprint_of_run(
    texts: dict[str, list[list[int]]],
    config: CompressorConfig,
    settings: CompressorTrainingSettings,
    learning_rate: float,
    workers: Workers,
) -> str:
    """SHA-256 of everything that decides how a training goes."""
    decides = [asdict(config), asdict(settings), learning_rate, workers.device.type, workers.count, torch.__version__]
    digest = hashlib.sha256(json.dumps(decides, sort_keys=True).encode())
    for split, of_split in sorted(texts.items()):
        digest.update(split.encode())
        for text in of_split:
            digest.update(np.array([len(text), *text], dtype=np.int64).tobytes())
    return digest.hexdigest()


def _train_steps(
    language_model: PreTrainedModel,
    compressor: AttentionOnlyCompressor,
    texts: list[list[int]],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: np.random.Generator,
    settings: CompressorTrainingSettings,
    workers: Workers,
    steps: int,
) -> float:
    """Train some steps; gives the mean loss, nats per token, or the first one that is no number, at which it stops."""
    compressor.train()
    weights = list(compressor.trained_weights().values())
    losses = []
    for _ in tqdm(range(steps), file=sys.stderr, mininterval=10, leave=False, disable=not workers.main):
        chosen = [texts[int(i)] for i in generator.integers(len(texts), size=settings.batch)]
        tokens = sum(len(text) + 1 for text in chosen)
        optimiser.zero_grad()
        own = torch.zeros(1, dtype=torch.float64)
        with told_of_memory("in a step: raise compressor.accumulation (the same result in more, smaller parts)"):
            for part in workers.parts(chosen, settings.accumulation):
                with workers.autocast():
                    memory = compress_texts(language_model, compressor, part)
                    total, _, _ = losses_of_texts(language_model, memory, begin_embedding(language_model, compressor), part)
                loss = total.sum() / tokens
                loss.backward()
                own += loss.item()
        loss_of_all = float(workers.sum_gradients(weights, own))
        if not math.isfinite(loss_of_all):
            return loss_of_all
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        with told_of_memory("for the state of AdamW: take a larger machine"):
            optimiser.step()
        schedule.step()
        losses.append(loss_of_all)
    return float(np.mean(losses))


@torch.no_grad()
def validate(
    language_model: PreTrainedModel, compressor: AttentionOnlyCompressor, texts: list[list[int]], batch: int
) -> tuple[float, float]:
    """Loss (nats per token) and share of tokens guessed right under teacher forcing."""
    compressor.eval()
    begin = begin_embedding(language_model, compressor)
    sums = torch.zeros(3, dtype=torch.float64)
    for at in range(0, len(texts), batch):
        part = texts[at : at + batch]
        memory = compress_texts(language_model, compressor, part)
        sums += torch.stack([value.double().sum() for value in losses_of_texts(language_model, memory, begin, part)]).cpu()
    return float(sums[0] / sums[2]), float(sums[1] / sums[2])
