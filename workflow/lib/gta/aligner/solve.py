"""What is solved in closed form: where the linear branch starts, and the read-out of mean expression.

Both are ridge regressions on the frozen part of the model: features of haplotypes, and what the aligner and the frozen language
model make of the reference haplotype and the prompt of each training gene.
"""

import numpy as np
import torch

from gta.aligner.additive import DECAYS, proximity
from gta.aligner.setup import Setup
from gta.cohort.folds import contiguous_folds
from gta.regression import BlockRidge, block_ridge, ridge_by_gcv

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
    pairwise loss; the decay with distance of the least generalised cross-validation error is taken. Nothing happens without a
    branch, or with more features than MAX_FEATURES.
    """
    branch, workers, cohort = setup.aligner.additive, setup.workers, setup.cohort
    if branch is None or len(branch.weight) > MAX_FEATURES:
        return
    individuals = cohort.people_numbers("train")
    individuals = individuals[np.unique(np.linspace(0, len(individuals) - 1, INDIVIDUALS).astype(int))]
    width = len(branch.weight)
    # For each decay X'X, X'y and y'y, which sum over genes and so over processes.
    normal = torch.zeros(len(DECAYS), width + 1, width + 1, dtype=torch.float64)
    genes = cohort.gene_numbers("train")
    for gene in genes[workers.number :: workers.count].tolist():
        haplotypes = setup.data.haplotypes(gene, individuals)
        batch = setup.data.batch([(gene, haplotypes)])
        observed = torch.from_numpy(cohort.expression[gene, individuals]) / setup.gene_sd[gene]
        for number, decay in enumerate(DECAYS):
            near = proximity(batch.position, decay)
            sums = torch.einsum("bt,btf->bf", near, batch.difference)
            features = setup.data.person_means(gene, individuals, haplotypes, sums).double() / setup.gene_sd[gene]
            rows = torch.cat([features, observed[:, None]], dim=1)
            rows = rows - rows.mean(dim=0)
            normal[number] += rows.T @ rows
    sums_of_all = workers.sum(normal).cpu().numpy()
    solutions = [
        ridge_by_gcv(each[:-1, :-1], each[:-1, -1], float(each[-1, -1]), len(genes) * len(individuals)) for each in sums_of_all
    ]
    best = int(np.argmin([solution.error for solution in solutions]))
    branch.weight.copy_(torch.from_numpy(solutions[best].coefficients))
    branch.decay.fill_(DECAYS[best])


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
