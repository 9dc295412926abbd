"""Losses on the differences between people."""

import torch
from torch.nn import functional


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


def single_loss(predicted: torch.Tensor, observed: torch.Tensor, mean: float, sd: float) -> torch.Tensor:
    """Loss on each person alone: the deviation from the gene's mean over the training people.

    Args:
        predicted: (n,) predicted deviations, natural log.
        observed: (n,) observed expression.
        mean: Mean of the gene's expression over the training people.
        sd: Its standard deviation: the unit of the errors.

    Returns:
        Mean Huber loss over the people. Kept for comparison: models trained so failed to tell people apart (Huang et al. 2023,
        Sasse et al. 2023, Rastogi et al. 2024).
    """
    error = (predicted - (observed - mean)) / sd
    return functional.huber_loss(error, torch.zeros_like(error))
