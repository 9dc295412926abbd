"""Integrated gradients of the predicted mean, and how nearly they add up."""

import numpy as np
import torch
from captum.attr import IntegratedGradients

from gta.aligner.data import Batch
from gta.aligner.predict import Trained
from gta.attribution.tiles import BATCH, haplotypes_of


def integrated_gradients(trained: Trained, gene: int, steps: int, over: str, limit: int) -> tuple[np.ndarray, float, float]:
    """Integrated gradients of a gene's predicted mean along the straight way from average tiles to the tiles as they are.

    Sundararajan et al., ICML 2017; by captum, Gauss-Legendre quadrature. The baseline is a window of average tiles: all
    standardised features 0. Differences from the reference haplotype are held where they are.

    Args:
        trained: The trained aligner.
        gene: Number of the gene.
        steps: Points of the quadrature.
        over: `reference` or `personal`: the haplotypes to average over.
        limit: Haplotypes at the most.

    Returns:
        (T,) float64, ln expression, tiles in the gene's direction, summed over features, mean over haplotypes; the prediction
        minus that of the baseline; and the completeness gap, which is the sum of the attributions minus that difference.
    """
    numbers, weights = haplotypes_of(trained.data, gene, over, limit)

    def mean(features: torch.Tensor, difference: torch.Tensor, position: torch.Tensor, genes: torch.Tensor) -> torch.Tensor:
        reader = trained.reader
        return trained.aligner(Batch(features, difference, position, genes), reader.language_model, reader.prompts, reader.rows)[
            0
        ]

    method = IntegratedGradients(mean)
    total, change, gap = np.zeros(trained.data.tiles), 0.0, 0.0
    for number, weight in zip(numbers, weights, strict=True):
        batch = trained.data.batch([(gene, np.array([number]))])
        rest = (batch.difference, batch.position, batch.gene)
        found, delta = method.attribute(
            batch.features,
            baselines=torch.zeros_like(batch.features),
            additional_forward_args=rest,
            n_steps=steps,
            internal_batch_size=BATCH,
            return_convergence_delta=True,
        )
        total += weight * found.sum(dim=2)[0].double().numpy()
        gap += weight * float(delta)
        with torch.no_grad():
            change += weight * float(mean(batch.features, *rest) - mean(torch.zeros_like(batch.features), *rest))
    return total, change, gap
