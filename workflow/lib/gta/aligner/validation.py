"""How good a model is on validation people and genes, and which epoch is the best."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from gta.aligner.losses import people_loss
from gta.aligner.settings import AlignerSettings
from gta.aligner.setup import Setup
from gta.evaluation.correlation import spearman
from gta.processes import Workers


@torch.no_grad()
def validate(setup: Setup) -> dict[str, float]:
    """Loss on validation genes and people, and the two Spearman correlations.

    The mean is judged on validation genes, differences between people on training genes and validation people. In a reference
    study there are no differences: what is about them is NaN.
    """
    setup.aligner.eval()
    cohort = setup.cohort
    # All individuals of a reference study have the same haplotype: one stands for them.
    people = cohort.people_numbers("train")[:1] if cohort.reference_study else cohort.people_numbers("valid")
    valid_genes, train_genes = cohort.gene_numbers("valid"), cohort.gene_numbers("train")
    (levels,) = _of_genes(valid_genes, 1, lambda genes: [setup.predict(genes, people)[0].mean(dim=1).tolist()], setup.workers)
    error = torch.from_numpy((levels - setup.gene_mean[valid_genes]) / setup.aligner.config.target_sd)
    mean_loss = float(functional.huber_loss(error, torch.zeros_like(error)))
    valid_spearman_genes = spearman(levels, setup.gene_mean[valid_genes])
    if cohort.reference_study:
        return {
            "valid_loss": mean_loss,
            "valid_loss_mean": mean_loss,
            "valid_loss_pairs": float("nan"),
            "valid_spearman_genes": valid_spearman_genes,
            "valid_spearman_people": float("nan"),
        }

    def losses_and_correlations(genes: list[int]) -> list[list[float]]:
        changes, observed = setup.predict(genes, people)[1], cohort.expression[genes][:, people]
        losses = [
            float(people_loss(setup, gene, change, torch.from_numpy(row).float()))
            for gene, change, row in zip(genes, changes, observed, strict=True)
        ]
        return [losses, [spearman(change, row) for change, row in zip(changes.numpy(), observed, strict=True)]]

    losses, correlations = _of_genes(train_genes, 2, losses_and_correlations, setup.workers)
    pairs = float(losses.mean())
    return {
        "valid_loss": selection_loss(setup.settings, mean_loss, pairs),
        "valid_loss_mean": mean_loss,
        "valid_loss_pairs": pairs,
        "valid_spearman_genes": valid_spearman_genes,
        "valid_spearman_people": float(np.median(correlations)),
    }


def selection_loss(settings: AlignerSettings, mean_loss: float, pair_loss: float) -> float:
    """The validation loss of what is selected for: the mean of genes, differences between people, or both."""
    if settings.select.endswith("people"):
        return pair_loss
    if settings.select.endswith("genes"):
        return mean_loss
    return mean_loss + settings.pair_weight * pair_loss


def criterion(settings: AlignerSettings, row: Mapping[Any, Any]) -> float:
    """What chooses the best epoch, from its row of the history; smaller is better."""
    if settings.select.startswith("spearman"):
        return -float(row[f"valid_{settings.select}"])
    return float(row["valid_loss"])


def _of_genes(
    genes: np.ndarray, numbers: int, function: Callable[[list[int]], list[list[float]]], workers: Workers
) -> np.ndarray:
    """So many numbers of each gene, (numbers, genes) float64, each gene's made by one of the processes."""
    own = genes[workers.number :: workers.count].tolist()
    every = torch.zeros(numbers, len(genes), dtype=torch.float64)
    if own:
        every[:, workers.number :: workers.count] = torch.tensor(function(own), dtype=torch.float64)
    return workers.sum(every).cpu().numpy()
