"""The state of a training between two steps, so that one that was killed goes on where it stood."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gta.errors import UserError
from gta.tensors import load_arrays, save_arrays

Weights = dict[str, torch.Tensor]


@dataclass
class Progress:
    """How far a training has come.

    Attributes:
        history: One row per finished epoch.
        best: The smallest criterion so far, of those that choose the best epoch.
        best_weights: The aligner's weights at that epoch.
        since_best: Epochs since then.
        losses: The three losses of each step of the epoch that is under way.
        seconds: Time spent on training.
    """

    history: list[dict[str, float]]
    best: float
    best_weights: Weights
    since_best: int
    losses: list[list[float]] = field(default_factory=list)
    seconds: float = 0.0


def save_checkpoint(
    path: Path,
    run: str,
    progress: Progress,
    aligner: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    batches: Mapping[str, Any],
    random: Weights,
) -> None:
    """Write everything that the next step depends on, as safetensors.

    Args:
        path: File to write.
        run: Fingerprint of the run: settings, seed and data.
        progress: How far it has come.
        aligner: The aligner as it stands.
        optimiser: Its optimiser.
        schedule: The schedule of learning rates.
        batches: State of the generator before it drew the batches of the epoch that is under way.
        random: States of the random numbers of all processes, by device.
    """
    state = optimiser.state_dict()
    tensors = {f"aligner/{name}": tensor for name, tensor in aligner.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in progress.best_weights.items()}
    tensors |= {f"optimiser/{number}/{name}": tensor for number, kept in state["state"].items() for name, tensor in kept.items()}
    tensors |= {f"random/{device}": tensor for device, tensor in random.items()}
    about = {
        "run": run,
        "arrays": sorted(tensors),
        "history": progress.history,
        "best": progress.best,
        "since_best": progress.since_best,
        "losses": progress.losses,
        "seconds": progress.seconds,
        "param_groups": state["param_groups"],
        "schedule": schedule.state_dict(),
        "generator": dict(batches),
    }
    save_arrays(path, {name: tensor.cpu().numpy() for name, tensor in tensors.items()}, about)


def load_checkpoint(
    path: Path,
    run: str,
    aligner: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: np.random.Generator,
    process: int,
) -> Progress | None:
    """Bring a training to where it stood.

    Args:
        path: The checkpoint.
        run: Fingerprint of the present run.
        aligner: Changed in place, as the three others are.
        optimiser: The optimiser.
        schedule: The schedule of learning rates.
        generator: Draws the batches.
        process: Number of this process.

    Returns:
        How far it had come; None, and nothing is changed, if there is no checkpoint, or a damaged one, or one of another run.
    """
    if not path.is_file():
        return None
    try:
        _, about = load_arrays(path, "checkpoint", ())
        if about["run"] != run:
            return None
        arrays, _ = load_arrays(path, "checkpoint", tuple(about["arrays"]))
    except UserError:
        return None
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    kept: dict[int, dict[str, Any]] = {}
    for name, tensor in _under(tensors, "optimiser/").items():
        number, key = name.split("/")
        kept.setdefault(int(number), {})[key] = tensor
    aligner.load_state_dict(_under(tensors, "aligner/"))
    optimiser.load_state_dict({"state": kept, "param_groups": about["param_groups"]})
    schedule.load_state_dict(about["schedule"])
    generator.bit_generator.state = about["generator"]
    set_random(_under(tensors, "random/"), process)
    return Progress(
        about["history"], about["best"], _under(tensors, "best/"), about["since_best"], about["losses"], about["seconds"]
    )


def random_states(device: torch.device) -> Weights:
    """States of the random numbers of this process: those of the CPU, and those of a GPU that it computes on."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random(states: Weights, process: int) -> None:
    """Set the states of the random numbers of this process.

    Args:
        states: (processes, bytes) uint8 by device.
        process: Number of this process.
    """
    torch.set_rng_state(states["cpu"][process])
    if "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"][process])


def _under(tensors: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
