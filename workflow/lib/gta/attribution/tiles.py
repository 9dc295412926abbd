"""Attribution of a prediction to the tiles of the window."""

from dataclasses import dataclass

import numpy as np
import torch

from gta.aligner.data import AlignerData, Batch
from gta.aligner.model import Aligner
from gta.aligner.reading import Reader

#: Haplotypes that are read at once.
BATCH = 64

MEASURES = ("gradient_x_input", "deletion", "personal")


@dataclass(frozen=True)
class TileAttribution:
    """What each tile of one gene's window does to the prediction; natural-log units, tiles in the gene's direction.

    Attributes:
        gradient_x_input: (T,) float64. Gradient of the predicted mean expression with respect to the tile's features, times the
            features, summed over features, of the reference haplotype or the mean over people's. The features are standardised,
            so the baseline is an average tile; positive: the tile raises the prediction.
        deletion: (T,) float64. Predicted mean expression of the reference haplotype minus that with the tile replaced by an
            average tile. Positive: the tile raises the prediction.
        personal: (T,) float64. Mean over haplotypes, weighted by their carriers, of the absolute gradient of the predicted
            deviation times the difference from the reference haplotype, summed over features: how much the tile tells people
            apart. Never negative.
    """

    gradient_x_input: np.ndarray
    deletion: np.ndarray
    personal: np.ndarray


def _read(aligner: Aligner, reader: Reader, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    return aligner(batch, reader.language_model, reader.prompts, reader.rows)


def most_carried(carriers: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The haplotypes with most carriers.

    Args:
        carriers: (P, 2) int32, -1 where there is no second haplotype.
        limit: How many at the most.

    Returns:
        Their numbers, and how often each is carried; by falling count. Among equals the choice is random, with a fixed seed: by
        number, the first people of the VCF, often of one population, would be chosen.
    """
    numbers, counts = np.unique(carriers[carriers >= 0], return_counts=True)
    lots = np.random.default_rng(0).permutation(len(numbers))
    order = np.lexsort((lots, -counts))[:limit]
    return numbers[order], counts[order]


def haplotypes_of(data: AlignerData, gene: int, over: str, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The haplotypes that an attribution is averaged over.

    Args:
        data: The features.
        gene: Number of the gene.
        over: `reference`: the reference haplotype alone; `personal`: the most carried ones, weighted by their carriers.
        limit: How many at the most.

    Returns:
        Their numbers, and their weights, which sum to 1.
    """
    if over == "reference":
        return np.array([0]), np.array([1.0])
    numbers, counts = most_carried(data.carriers(gene), limit)
    return numbers, counts / counts.sum()


def reference_order(distance: np.ndarray) -> np.ndarray:
    """What takes tiles in the gene's direction, as the aligner has them, to the order of the reference.

    Args:
        distance: (T,) signed distance of the tiles from the TSS in the gene's direction, in reference order.
    """
    return np.argsort(np.argsort(distance, kind="stable"), kind="stable")


def attribute_gene(
    aligner: Aligner, data: AlignerData, reader: Reader, gene: int, limit: int, over: str = "reference"
) -> TileAttribution:
    """Attribution of one gene's prediction by one trained aligner.

    Args:
        aligner: The trained aligner.
        data: The features.
        reader: Language model and prompts.
        gene: Number of the gene.
        limit: Haplotypes to average over, at the most.
        over: `reference` or `personal`: the haplotypes whose gradient x input is averaged.
    """
    reference = data.batch([(gene, np.array([0]))])
    gradient_x_input, personal = _by_gradients(aligner, data, reader, reference, gene, limit, over)
    return TileAttribution(gradient_x_input, _deletion(aligner, reader, reference), personal)


def _by_gradients(
    aligner: Aligner, data: AlignerData, reader: Reader, reference: Batch, gene: int, limit: int, over: str
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient x input of the mean, and what tells people apart, each (T,): one backward pass, for samples are independent."""
    of_mean, weights = haplotypes_of(data, gene, over, limit)
    carried, counts = most_carried(data.carriers(gene), limit)
    numbers, asks_mean = np.concatenate([of_mean, carried]), np.arange(len(of_mean) + len(carried)) < len(of_mean)
    inputs, changes = [], []
    for at in range(0, len(numbers), BATCH):
        batch = data.batch([(gene, numbers[at : at + BATCH])])
        features, difference = batch.features.clone().requires_grad_(), batch.difference.clone().requires_grad_()
        mean, deviation = _read(aligner, reader, Batch(features, difference, batch.position, batch.gene))
        asked = torch.where(torch.from_numpy(asks_mean[at : at + BATCH]), mean, deviation)
        # Without aligned tokens nothing depends on differences from the reference.
        by_features, by_difference = torch.autograd.grad(asked.sum(), (features, difference), materialize_grads=True)
        inputs.append((by_features * batch.features).sum(dim=2))
        change = by_features * (batch.features - reference.features) + by_difference * batch.difference
        changes.append(change.sum(dim=2).abs())
    return (
        weights @ torch.cat(inputs).double().numpy()[asks_mean],
        counts @ torch.cat(changes).double().numpy()[~asks_mean] / max(1, counts.sum()),
    )


@torch.no_grad()
def _deletion(aligner: Aligner, reader: Reader, reference: Batch) -> np.ndarray:
    tiles = reference.features.shape[1]
    means = []
    # The last sample is the whole window; every other one lacks the tile of its number.
    for numbers in torch.arange(tiles + 1).split(BATCH):
        features = reference.features.repeat(len(numbers), 1, 1)
        lacking = torch.arange(len(numbers))[numbers < tiles]
        features[lacking, numbers[lacking]] = 0.0
        batch = Batch(
            features,
            reference.difference.expand(len(numbers), -1, -1),
            reference.position.expand(len(numbers), -1),
            reference.gene.expand(len(numbers)),
        )
        means.append(_read(aligner, reader, batch)[0])
    mean = torch.cat(means)
    return (mean[-1] - mean[:-1]).double().numpy()
