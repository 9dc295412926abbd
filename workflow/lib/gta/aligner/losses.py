"""Losses on the mean of genes and on the differences between people."""

import torch
from torch.nn import functional

from gta.aligner.batches import Request
from gta.aligner.setup import Setup


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


def people_loss(setup: Setup, gene: int, predicted: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
    """Loss of predicted deviations (n,) of people from the expression (n,) observed, as `aligner.people_loss` says."""
    if setup.settings.people_loss == "single":
        return single_loss(predicted, observed, float(setup.gene_mean[gene]), float(setup.gene_sd[gene]))
    return pair_loss(predicted, observed, float(setup.gene_sd[gene]))


def batch_loss(setup: Setup, requests: list[Request]) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses of a batch: on the mean of each gene, and on differences between people, 0 in a reference study.

    Args:
        setup: The model and its data.
        requests: (gene, people) pairs, as numbers.
    """
    haplotypes = [(gene, setup.data.haplotypes(gene, people)) for gene, people in requests]
    reader = setup.reader
    with setup.workers.autocast():
        batch = setup.data.batch(haplotypes).to(setup.workers.device)
        means, deviations = setup.aligner(batch, reader.language_model, reader.prompts, reader.rows)
    sizes = [len(carried) for _, carried in haplotypes]
    mean_losses, pair_losses = [], []
    for (gene, people), (_, carried), mean, deviation in zip(
        requests, haplotypes, means.split(sizes), deviations.split(sizes), strict=True
    ):
        level = setup.data.person_means(gene, people, carried, mean).mean()
        target = torch.tensor(setup.gene_mean[gene], dtype=torch.float32, device=level.device)
        scale = setup.aligner.config.target_sd
        mean_losses.append(functional.huber_loss(level / scale, target / scale))
        if setup.cohort.reference_study:
            pair_losses.append(torch.zeros_like(mean_losses[-1]))
            continue
        change = setup.data.person_means(gene, people, carried, deviation)
        observed = torch.from_numpy(setup.cohort.expression[gene, people]).float().to(change.device)
        pair_losses.append(people_loss(setup, gene, change, observed))
    return torch.stack(mean_losses).mean(), torch.stack(pair_losses).mean()
