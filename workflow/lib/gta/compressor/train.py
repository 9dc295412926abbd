"""Training a compressor by regeneration: the frozen language model writes the text again from its memory."""

import hashlib
import json
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
from gta.compressor.memory import Memory
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

HISTORY = ["step", "seconds", "train_loss", "valid_loss", "valid_accuracy"]


def compress_texts(language_model: PreTrainedModel, compressor: AttentionOnlyCompressor, texts: list[list[int]]) -> Memory:
    """The memory of texts, token ids without special tokens."""
    tokens, mask = (part.to(language_model.device) for part in pad_tokens(texts))
    memory: Memory = compressor(language_model, *embed_prompt(language_model, tokens, mask))
    return memory


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
) -> tuple[AttentionOnlyCompressor, pd.DataFrame]:
    """Train a compressor.

    Args:
        language_model: The frozen language model.
        texts: Token ids by split; `train` and `valid` are used.
        config: What to train.
        settings: How.
        learning_rate: Peak learning rate of AdamW (no weight decay).
        checkpoint: Where the state is kept after each validation; what a run of the same kind left there is gone on from.

    Returns:
        The compressor with its weights of the best validation, for few texts are soon learnt by heart; and its history:
        `step seconds train_loss valid_loss valid_accuracy` (nats).

    Raises:
        UserError: if the loss is no longer a number.
        RuntimeError: if the language model was changed by the training, which would be an error of ours.
    """
    before = fingerprint(language_model)
    compressor = AttentionOnlyCompressor(language_model, config).to(language_model.device)
    optimiser = torch.optim.AdamW(compressor.trained_weights().values(), lr=learning_rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1 / settings.warm_up, total_iters=settings.warm_up)
    generator = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    known = hashlib.sha256(
        json.dumps([asdict(config), asdict(settings), learning_rate, torch.__version__], sort_keys=True).encode()
    )
    for split, of_split in sorted(texts.items()):
        known.update(split.encode())
        for text in of_split:
            known.update(np.array([len(text), *text], dtype=np.int64).tobytes())
    run = known.hexdigest()
    progress = checkpoint and load_checkpoint(checkpoint, run, compressor, optimiser, schedule, generator, 0)
    if not progress:
        progress = Progress([], float("inf"), {}, 0)
    started = time.monotonic() - progress.seconds
    done = int(progress.history[-1]["step"]) if progress.history else 0
    while done < settings.steps:
        steps = min(settings.evaluate_every, settings.steps - done)
        mean = _train_steps(language_model, compressor, texts["train"], optimiser, schedule, generator, settings.batch, steps)
        done += steps
        valid_loss, valid_accuracy = validate(language_model, compressor, texts["valid"], settings.batch)
        progress.seconds = time.monotonic() - started
        values = (done, round(progress.seconds, 2), mean, valid_loss, valid_accuracy)
        progress.history.append(dict(zip(HISTORY, values, strict=True)))
        if valid_loss < progress.best:
            progress.best = valid_loss
            progress.best_weights = {name: weight.detach().clone() for name, weight in compressor.state_dict().items()}
        print(
            f"step {done}: train {mean:.4f}, valid {valid_loss:.4f}, accuracy {valid_accuracy:.3f}", file=sys.stderr, flush=True
        )
        if checkpoint:
            random = {device: state[None] for device, state in random_states(language_model.device).items()}
            save_checkpoint(checkpoint, run, progress, compressor, optimiser, schedule, generator.bit_generator.state, random)
    if fingerprint(language_model) != before:
        raise RuntimeError("The frozen language model changed during training.")
    compressor.load_state_dict(progress.best_weights)
    return compressor.eval(), pd.DataFrame(progress.history, columns=HISTORY)


def _train_steps(
    language_model: PreTrainedModel,
    compressor: AttentionOnlyCompressor,
    texts: list[list[int]],
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: np.random.Generator,
    batch: int,
    steps: int,
) -> float:
    """Train some steps; gives the mean loss, nats per token."""
    compressor.train()
    weights = list(compressor.trained_weights().values())
    losses = []
    for _ in tqdm(range(steps), file=sys.stderr, mininterval=10, leave=False):
        chosen = [texts[int(i)] for i in generator.integers(len(texts), size=batch)]
        memory = compress_texts(language_model, compressor, chosen)
        total, _, number = losses_of_texts(language_model, memory, begin_embedding(language_model, compressor), chosen)
        loss = total.sum() / number.sum()
        if not torch.isfinite(loss):
            raise UserError(f"The loss of the compressor became {loss.item()}: lower compressor.learning_rates.")
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        schedule.step()
        losses.append(loss.item())
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
