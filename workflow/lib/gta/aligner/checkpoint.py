"""The state of a training between two epochs, so that one that was killed goes on where it stood."""

from dataclasses import dataclass
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
        best: The smallest validation loss so far.
        best_weights: The aligner's weights at that epoch.
        since_best: Epochs since then.
    """

    history: list[dict[str, float]]
    best: float
    best_weights: Weights
    since_best: int


def save_checkpoint(
    path: Path,
    run: str,
    progress: Progress,
    aligner: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: np.random.Generator,
) -> None:
    """Write everything that the next epoch depends on, as safetensors.

    Args:
        path: File to write.
        run: Fingerprint of the run: settings, seed and data.
        progress: How far it has come.
        aligner: The aligner as it stands.
        optimiser: Its optimiser.
        schedule: The schedule of learning rates.
        generator: Draws the batches.
    """
    state = optimiser.state_dict()
    tensors = {f"aligner/{name}": tensor for name, tensor in aligner.state_dict().items()}
    tensors |= {f"best/{name}": tensor for name, tensor in progress.best_weights.items()}
    tensors |= {f"optimiser/{number}/{name}": tensor for number, kept in state["state"].items() for name, tensor in kept.items()}
    tensors["random"] = torch.get_rng_state()
    about = {
        "run": run,
        "arrays": sorted(tensors),
        "history": progress.history,
        "best": progress.best,
        "since_best": progress.since_best,
        "param_groups": state["param_groups"],
        "schedule": schedule.state_dict(),
        "generator": generator.bit_generator.state,
    }
    save_arrays(path, {name: tensor.numpy() for name, tensor in tensors.items()}, about)


def load_checkpoint(
    path: Path,
    run: str,
    aligner: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    generator: np.random.Generator,
) -> Progress | None:
    """Bring a training to where it stood.

    Args:
        path: The checkpoint.
        run: Fingerprint of the present run.
        aligner: Changed in place, as the three others are.
        optimiser: The optimiser.
        schedule: The schedule of learning rates.
        generator: Draws the batches.

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
    torch.set_rng_state(tensors["random"])
    return Progress(about["history"], about["best"], _under(tensors, "best/"), about["since_best"])


def _under(tensors: Weights, prefix: str) -> Weights:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
