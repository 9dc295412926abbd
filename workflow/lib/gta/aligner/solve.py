"""What is solved in closed form: where the linear branch starts, and the read-out of mean expression.

Both are ridge regressions on the frozen part of the model: features of haplotypes, and what the aligner and the frozen language
model make of the reference haplotype and the prompt of each training gene.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from gta.aligner.additive import DECAYS, THRESHOLDS, proximity, rectified
from gta.aligner.data import Batch
from gta.aligner.kernel import GaussianKernel
from gta.aligner.settings import chosen_by_genes
from gta.aligner.setup import MAX_COLUMNS, Setup
from gta.cohort.folds import contiguous_folds
from gta.regression import (
    MAX_ROWS_TO_CHOOSE,
    BlockRidge,
    Ridge,
    block_ridge,
    ridge_by_folds,
    ridge_by_gcv,
    standardisation,
)

#: Genes whose reference haplotypes are read at once.
GENES = 32
#: Training individuals of each gene that the linear branch starts from, at the most, evenly spaced.
INDIVIDUALS = 128
#: Rows of a regression that are added up at once.
ROWS = 4096
#: Folds of genes by whose predictions it is decided whether the text changes weights.
INNER_FOLDS = 4
#: Strengths of the change of weights by the text, compared with 1 for the weights themselves; the first one must help before the
#: others are tried.
MODULATION_STRENGTHS = (1.0, 0.3, 3.0)
#: The text changes weights only if the correlation out of fold rises by this much.
LEAST_GAIN = 0.005


@torch.no_grad()
def start_linear_branch(setup: Setup) -> None:
    """Give the linear branch the ridge solution over the training genes and individuals.

    The response is each individual's deviation from the mean of the gene, in units of the gene's standard deviation as in the
    pairwise loss. By generalised cross-validation the threshold is chosen first, then the decay with distance. Whether the text
    changes the weights, and how much, is decided by predictions of folds of genes. Nothing happens without a branch, or with
    more than MAX_COLUMNS features. In a reference study there are no differences to learn weights from: threshold and decay
    alone are chosen, by mean expression (`choose_linear_rule`).
    """
    branch = setup.aligner.additive
    if branch is None or len(branch.weight) > MAX_COLUMNS:
        return
    if setup.cohort.reference_study:
        choose_linear_rule(setup)
        return
    genes = setup.cohort.gene_numbers("train")
    individuals = setup.cohort.people_numbers("train")
    individuals = individuals[np.unique(np.linspace(0, len(individuals) - 1, INDIVIDUALS).astype(int))]
    rows = len(genes) * len(individuals)

    def equations(rules: list[tuple[float, float]], components: np.ndarray) -> np.ndarray:
        return _normal_equations(setup, genes, individuals, rules, components)

    def solutions(rules: list[tuple[float, float]]) -> list[Ridge]:
        return [ridge_by_gcv(each.sum(axis=0), rows) for each in equations(rules, np.zeros((len(genes), 0)))]

    (threshold, decay), solution = _best_rule(solutions)
    weight = solution.coefficients
    if len(branch.modulation):
        components = _start_components(setup, genes)
        modulated = _modulated(equations([(threshold, decay)], components)[0], rows, len(weight))
        if modulated is not None:
            weight, modulation = np.split(modulated.coefficients, [len(weight)])
            branch.modulation.copy_(torch.from_numpy(modulation.reshape(-1, len(weight))))
    branch.threshold.fill_(threshold)
    branch.decay.fill_(decay)
    branch.weight.copy_(torch.from_numpy(weight))


@torch.no_grad()
def choose_linear_rule(setup: Setup) -> None:
    """Choose threshold and decay with distance of the linear branch by how well its features predict mean expression.

    Its features are the sums over tiles that the read-out of mean expression reads. Of the reference haplotypes of the training
    genes, by generalised cross-validation of a ridge regression: the threshold first, then the decay. The weights stay 0.
    """
    branch, workers, data = setup.aligner.additive, setup.workers, setup.data
    assert branch is not None
    genes = setup.cohort.gene_numbers("train")
    difference_sd = setup.aligner.difference_sd.cpu()
    response = setup.gene_mean[genes] - setup.gene_mean[genes].mean()

    def solutions(rules: list[tuple[float, float]]) -> list[Ridge]:
        # Products of features, response and ones: the last column and row centre the others.
        size = len(difference_sd) + 2
        products = torch.zeros(len(rules), size, size, dtype=torch.float64)
        own = np.arange(len(genes))[workers.number :: workers.count]
        for at in range(0, len(own), GENES):
            some = own[at : at + GENES]
            batch = data.batch([(int(gene), np.zeros(1, dtype=int)) for gene in genes[some]])
            rest = torch.from_numpy(np.column_stack([response[some], np.ones(len(some))]))
            for rule, (threshold, decay) in enumerate(rules):
                value, _ = rectified(batch, difference_sd, threshold)
                sums = (proximity(batch.position, decay)[:, None, :] @ value).squeeze(1).double()
                columns = torch.cat([sums, rest], dim=1)
                products[rule] += columns.T @ columns
        every = workers.sum(products).cpu().numpy()
        centred = every[:, :-1, :-1] - every[:, :-1, -1:] * every[:, -1:, :-1] / len(genes)
        return [ridge_by_gcv(normal, len(genes)) for normal in centred]

    (threshold, decay), _ = _best_rule(solutions)
    branch.threshold.fill_(threshold)
    branch.decay.fill_(decay)


def _best_rule(solutions: Callable[[list[tuple[float, float]]], list[Ridge]]) -> tuple[tuple[float, float], Ridge]:
    """Choose threshold and decay with distance by the error of the solution: the threshold first, then the decay.

    Args:
        solutions: Gives the solution with each of some rules, (threshold, decay).

    Returns:
        The rule, and the solution with it.
    """
    first = solutions([(threshold, DECAYS[0]) for threshold in THRESHOLDS])
    chosen = int(np.argmin([solution.error for solution in first]))
    threshold = THRESHOLDS[chosen]
    # The solution with the first decay is known.
    plain = [first[chosen], *solutions([(threshold, decay) for decay in DECAYS[1:]])]
    best = int(np.argmin([solution.error for solution in plain]))
    return (threshold, DECAYS[best]), plain[best]


def _modulated(normal: np.ndarray, rows: int, features: int) -> Ridge | None:
    """Solve for the weights and their change by the text; None if the change does not help in other genes.

    Args:
        normal: (folds, D + 1, D + 1), D a multiple of `features`.
        rows: Rows of all folds.
        features: Features, F.
    """
    plain = np.append(np.arange(features), -1)
    least = ridge_by_folds(normal[:, plain][:, :, plain], rows).error - LEAST_GAIN
    best = None
    for strength in MODULATION_STRENGTHS:
        prior = np.append(np.ones(features), np.full(normal.shape[1] - 1 - features, strength))
        solution = ridge_by_folds(normal, rows, prior)
        if solution.error < (least if best is None else best.error):
            best = solution
        elif strength == MODULATION_STRENGTHS[0]:
            break
    return best


def _normal_equations(
    setup: Setup, genes: np.ndarray, individuals: np.ndarray, rules: list[tuple[float, float]], components: np.ndarray
) -> np.ndarray:
    """Add up the normal equations of the linear branch in each fold of genes.

    Args:
        setup: The model and its data.
        genes: (G,) numbers of the training genes.
        individuals: (n,) numbers of the training individuals.
        rules: Thresholds and decays with distance.
        components: (G, C) of the hidden states of the prompts.

    Returns:
        (rules, folds, D + 1, D + 1) float64, D = F (1 + C): features, then their products with each component.
    """
    workers, cohort, data = setup.workers, setup.cohort, setup.data
    difference_sd = setup.aligner.difference_sd.cpu()
    size = len(difference_sd) * (1 + components.shape[1]) + 1
    folds = contiguous_folds(cohort.genes, genes, INNER_FOLDS)
    normal = torch.zeros(len(rules), len(folds), size, size, dtype=torch.float64)
    for fold, members in enumerate(folds):
        own = members[workers.number :: workers.count]
        blocks: list[list[torch.Tensor]] = [[] for _ in rules]
        for number in own.tolist():
            gene = int(genes[number])
            haplotypes = data.haplotypes(gene, individuals)
            batch = data.batch([(gene, haplotypes)])
            observed = torch.from_numpy(cohort.expression[gene, individuals]).float()
            factors = torch.from_numpy(np.append(1.0, components[number])).float()
            for rule, (threshold, decay) in enumerate(rules):
                _, change = rectified(batch, difference_sd, threshold)
                sums = (proximity(batch.position, decay)[:, None, :] @ change).squeeze(1)
                features = data.person_means(gene, individuals, haplotypes, sums)
                products = (features[:, None, :] * factors[:, None]).flatten(1)
                block = torch.cat([products, observed[:, None]], dim=1) / float(setup.gene_sd[gene])
                blocks[rule].append(block - block.mean(dim=0))
                # Many genes at once: adding up large matrices would take longer than making them.
                if number == own[-1] or len(blocks[rule]) * len(individuals) >= ROWS:
                    some = torch.cat(blocks[rule])
                    normal[rule, fold] += some.T @ some
                    blocks[rule].clear()
    return workers.sum(normal).cpu().numpy()


def _start_components(setup: Setup, genes: np.ndarray) -> np.ndarray:
    """Give the linear branch the leading components of the prompts' hidden states over the training genes.

    Returns:
        (G, C) float64, the components of the training genes, each of variance 1 and divided by the root of C.
    """
    branch, aligner, reader = setup.aligner.additive, setup.aligner, setup.reader
    assert branch is not None
    device = branch.basis.device
    states = []
    for some in np.array_split(genes, max(1, len(genes) // GENES)):
        batch = setup.data.batch([(int(gene), np.zeros(1, dtype=int)) for gene in some]).to(device)
        with setup.workers.autocast():
            states.append(aligner.prompt_states(batch, reader.language_model, reader.prompts, reader.rows).double().cpu())
    table = torch.cat(states).numpy()
    centre, scale = standardisation(table)
    inverse = 1 / scale
    standard = (table - centre) * inverse
    # The components of the genes are the eigenvectors of their products; of many genes, of a part of them.
    chosen = standard[np.unique(np.linspace(0, len(standard) - 1, MAX_ROWS_TO_CHOOSE).astype(int))]
    values, vectors = np.linalg.eigh(chosen @ chosen.T)
    count = branch.basis.shape[1]
    leading = values[::-1][:count] > 1e-9 * max(float(values[-1]), 1e-12)
    basis = np.zeros((standard.shape[1], count))
    kept = int(leading.sum())
    basis[:, :kept] = chosen.T @ (vectors[:, ::-1][:, :kept] / values[::-1][:kept])
    basis *= np.sqrt(len(chosen) / count)
    # The sign of an eigenvector is arbitrary: its largest entry is made positive.
    largest = np.abs(basis).argmax(axis=0)
    basis *= np.where(basis[largest, np.arange(count)] < 0, -1.0, 1.0)
    branch.centre.copy_(torch.from_numpy(centre))
    branch.basis.copy_(torch.from_numpy(basis * inverse[:, None]))
    return standard @ basis


@torch.no_grad()
def solve_mean_readout(setup: Setup, strengths: Sequence[float] | None = None, out_of_fold: bool = True) -> BlockRidge:
    """Solve the read-out of mean expression on the reference haplotypes of all training genes.

    Nothing that it reads was trained on the mean expression of genes, unless `tokens_learn_means` is set, so that its
    cross-validation is one over genes. Folds are contiguous along the genome.

    Args:
        setup: The model and its data.
        strengths: The strength of each block, if it is known; None: it is chosen.
        out_of_fold: Whether training genes are predicted out of fold.

    Returns:
        The solution, which the read-out has taken.
    """
    aligner, cohort = setup.aligner, setup.cohort
    genes = cohort.gene_numbers("train")
    fit_kernels(setup, genes)
    inputs = mean_inputs(setup, genes)
    folds = contiguous_folds(cohort.genes, genes)
    sizes = list(aligner.mean_readout.blocks.values())
    solution = block_ridge(inputs, sizes, setup.gene_mean[genes], folds, strengths, out_of_fold, aligner.common_scale)
    aligner.mean_readout.take(solution)
    return solution


@torch.no_grad()
def held_out_means(setup: Setup, strengths: Sequence[float] | None = None) -> tuple[pd.DataFrame, dict[str, float]]:
    """Predict mean expression of genes by a read-out that did not learn from them, for combinations with other models.

    Args:
        setup: The trained model.
        strengths: The strengths that were chosen with the same weights, if known; None: they are chosen again.

    Returns:
        Table `gene mean` (natural log) of the training genes out of fold, if the read-out is solved; and of the validation genes,
        unless their mean expression chose the best epoch of several. And the strength of each block of the read-out, empty if it
        is trained.
    """
    cohort, readout = setup.cohort, setup.aligner.mean_readout
    genes: list[np.ndarray] = []
    means: list[np.ndarray] = []
    by_block = {}
    if not setup.settings.tokens_learn_means:
        solution = solve_mean_readout(setup, strengths)
        assert solution.out_of_fold is not None
        by_block = dict(zip(readout.blocks, solution.strengths, strict=True))
        genes.append(cohort.gene_numbers("train"))
        means.append(solution.out_of_fold)
    # Where gradient descent trains nothing there is no epoch to choose.
    if not (setup.aligner.trained_parameters() and chosen_by_genes(setup.settings)):
        genes.append(cohort.gene_numbers("valid"))
        inputs = torch.from_numpy(mean_inputs(setup, genes[-1])).to(readout.weight.device)
        means.append(readout(inputs).double().cpu().numpy())
    names = np.array(cohort.gene_names)[np.concatenate([np.zeros(0, dtype=int), *genes])]
    return pd.DataFrame({"gene": names, "mean": np.concatenate([np.zeros(0), *means])}), by_block


@torch.no_grad()
def fit_kernels(setup: Setup, genes: np.ndarray) -> None:
    """Give the kernels of the read-out their landmarks, from the reference haplotypes and the prompts of training genes."""
    aligner, reader = setup.aligner, setup.reader
    for name, kernel in aligner.kernels.items():
        assert isinstance(kernel, GaussianKernel)

        def inputs(batch: Batch, name: str = name) -> torch.Tensor:
            return aligner.kernel_inputs(batch, reader.language_model, reader.prompts, reader.rows)[name]

        kernel.take(_of_genes(setup, genes, kernel.landmarks.shape[1], inputs))


@torch.no_grad()
def mean_inputs(setup: Setup, genes: np.ndarray) -> np.ndarray:
    """Return what the read-out of mean expression reads of the reference haplotypes of genes, (genes, columns) float32."""
    aligner, reader = setup.aligner, setup.reader

    def inputs(batch: Batch) -> torch.Tensor:
        return aligner.mean_inputs(batch, reader.language_model, reader.prompts, reader.rows)

    return _of_genes(setup, genes, sum(aligner.mean_readout.blocks.values()), inputs)


def _of_genes(setup: Setup, genes: np.ndarray, columns: int, compute: Callable[[Batch], torch.Tensor]) -> np.ndarray:
    """Compute something of the reference haplotypes of genes, the processes sharing them; (genes, columns) float32."""
    aligner, workers = setup.aligner, setup.workers
    training = aligner.training
    aligner.eval()
    made = torch.zeros(len(genes), columns)
    own = np.arange(len(genes))[workers.number :: workers.count]
    for at in range(0, len(own), GENES):
        some = own[at : at + GENES]
        batch = setup.data.batch([(int(gene), np.zeros(1, dtype=int)) for gene in genes[some]]).to(workers.device)
        with workers.autocast():
            made[some] = compute(batch).float().cpu()
    aligner.train(training)
    return workers.sum(made).cpu().numpy()
