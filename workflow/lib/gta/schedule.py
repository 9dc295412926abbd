"""The course of the learning rate."""

import torch


def one_cycle(
    optimiser: torch.optim.Optimizer, learning_rate: float, steps: int, warm_up: float
) -> torch.optim.lr_scheduler.OneCycleLR:
    """Warm-up and cosine: the rate rises from 1/25 of its peak, then falls to 1e-4 of where it began.

    AdamW's first moment decay runs against it, from 0.95 to 0.85 and back (Smith and Topin 2017, arXiv:1708.07120; the default of
    PyTorch).

    Args:
        optimiser: AdamW.
        learning_rate: The peak.
        steps: Steps of the whole training.
        warm_up: Share of them in which the rate rises.
    """
    # Where the rate would rise for exactly one step PyTorch divides by zero.
    share = max(warm_up, 1.5 / steps) if steps > 1 else warm_up
    return torch.optim.lr_scheduler.OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=share)
