"""What is solved in closed form: where the linear branch starts, and the read-out of mean expression.

Both are ridge regressions on the frozen part of the model: features of haplotypes, and what the aligner and the frozen language
model make of the reference haplotype and the prompt of each training gene.
"""

import numpy as np
import pandas as pd
import torch

from gta.aligner.additive import DECAYS, THRESHOLDS, proximity, rectified
from gta.aligner.setup import Setup
from gta.cohort.folds import contiguous_folds
from gta.regression import BlockRidge, RidgeByGcv, block_ridge, ridge_by_gcv

#: Genes whose reference haplotypes are read at once.
GENES = 32
#: Training individuals of each gene that the linear branch starts from, at the most, evenly spaced.
INDIVIDUALS = 256
#: The penalty of a wide block is hard to solve for beyond this many features: the branch then starts from 0.
MAX_FEATURES = 4096


@torch.no_grad()
def start_linear_branch(setup: Setup) -> None:
    """Give the linear branch the ridge solution over the training genes and individuals.

    The response is each individual's deviation from the mean of the gene, in units of the gene's standard deviation as in the
    pairwise loss. The threshold, and then the decay with distance, of the least generalised cross-validation error are taken.
    Nothing happens without a branch, or with more features than MAX_FEATURES.
    """
    branch = setup.aligner.additive
    if branch is None or len(branch.weight) > MAX_FEATURES:
        return
    first = _linear_solutions(setup, [(threshold, DECAYS[0]) for threshold in THRESHOLDS])
    threshold = THRESHOLDS[int(np.argmin([solution.error for solution in first]))]
    second = _linear_solutions(setup, [(threshold, decay) for decay in DECAYS])
    best = int(np.argmin([solution.error for solution in second]))
    branch.threshold.fill_(threshold)
    branch.decay.fill_(DECAYS[best])
    branch.weight.copy_(torch.from_numpy(second[best].coefficients))


def _linear_solutions(setup: Setup, rules: list[tuple[float, float]]) -> list[RidgeByGcv]:
    """Solve for the weights of the linear branch under each rule, a threshold and a decay with distance."""
    workers, cohort, data = setup.workers, setup.cohort, setup.data
    individuals = cohort.people_numbers("train")
    individuals = individuals[np.unique(np.linspace(0, len(individuals) - 1, INDIVIDUALS).astype(int))]
    genes = cohort.gene_numbers("train")
    difference_sd = setup.aligner.difference_sd.cpu()
    width = len(difference_sd)
    # For each rule X'X, X'y and y'y in one matrix, which sums over genes and so over processes.
    normal = torch.zeros(len(rules), width + 1, width + 1, dtype=torch.float64)
    for gene in genes[workers.number :: workers.count].tolist():
        haplotypes = data.haplotypes(gene, individuals)
        batch = data.batch([(gene, haplotypes)])
        observed = torch.from_numpy(cohort.expression[gene, individuals])
        for number, (threshold, decay) in enumerate(rules):
            _, change = rectified(batch, difference_sd, threshold)
            sums = (proximity(batch.position, decay)[:, None, :] @ change).squeeze(1)
            features = data.person_means(gene, individuals, haplotypes, sums).double()
            rows = torch.cat([features, observed[:, None]], dim=1) / setup.gene_sd[gene]
            rows = rows - rows.mean(dim=0)
            normal[number] += rows.T @ rows
    size = len(genes) * len(individuals)
    return [ridge_by_gcv(each[:-1, :-1], each[:-1, -1], float(each[-1, -1]), size) for each in workers.sum(normal).cpu().numpy()]


@torch.no_grad()
def solve_mean_readout(setup: Setup) -> BlockRidge:
    """Solve the read-out of mean expression on the reference haplotypes of all training genes.

    Nothing that it reads was trained on the mean expression of genes, unless `tokens_learn_means` is set, so that its
    cross-validation is one over genes. Folds are contiguous along the genome.

    Returns:
        The solution, which the read-out has taken.
    """
    aligner, cohort = setup.aligner, setup.cohort
    genes = cohort.gene_numbers("train")
    inputs = mean_inputs(setup, genes)
    folds = contiguous_folds(cohort.genes, genes)
    solution = block_ridge(inputs, list(aligner.mean_readout.blocks.values()), setup.gene_mean[genes], folds)
    aligner.mean_readout.take(solution)
    return solution


@torch.no_grad()
def held_out_means(setup: Setup) -> tuple[pd.DataFrame, dict[str, float]]:
    """Predict mean expression of genes by a read-out that did not learn from them, for combinations with other models.

    Args:
        setup: The trained model.

    Returns:
        Table `gene mean` (natural log) of the validation genes and, if the read-out is solved, of the training genes out of fold;
        and the strength of each block of the read-out, empty if it is trained.
    """
    cohort, readout = setup.cohort, setup.aligner.mean_readout
    genes, means, strengths = cohort.gene_numbers("valid"), [], {}
    if not setup.settings.tokens_learn_means:
        solution = solve_mean_readout(setup)
        strengths = dict(zip(readout.blocks, solution.strengths, strict=True))
        genes = np.concatenate([cohort.gene_numbers("train"), genes])
        means.append(solution.out_of_fold)
    inputs = torch.from_numpy(mean_inputs(setup, cohort.gene_numbers("valid"))).float()
    means.append(readout(inputs.to(readout.weight.device)).double().cpu().numpy())
    return pd.DataFrame({"gene": np.array(cohort.gene_names)[genes], "mean": np.concatenate(means)}), strengths


@torch.no_grad()
def mean_inputs(setup: Setup, genes: np.ndarray) -> np.ndarray:
    """What the read-out of mean expression reads of the reference haplotypes of genes, (genes, columns) float64."""
    aligner, workers, reader = setup.aligner, setup.workers, setup.reader
    training = aligner.training
    aligner.eval()
    inputs = torch.zeros(len(genes), sum(aligner.mean_readout.blocks.values()), dtype=torch.float64)
    own = np.arange(len(genes))[workers.number :: workers.count]
    for at in range(0, len(own), GENES):
        some = own[at : at + GENES]
        batch = setup.data.batch([(int(gene), np.zeros(1, dtype=int)) for gene in genes[some]]).to(workers.device)
        with workers.autocast():
            inputs[some] = aligner.mean_inputs(batch, reader.language_model, reader.prompts, reader.rows).double().cpu()
    aligner.train(training)
    return workers.sum(inputs).cpu().numpy()
