"""What is solved in closed form: text that sets mean expression or the sign of an effect is found, and only where it is there."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from gta.aligner.solve import held_out_means, mean_inputs, solve_mean_readout, start_linear_branch
from gta.aligner.train import Training
from gta.cohort.tables import Cohort
from gta.evaluation.correlation import spearman
from gta.features.store import FeatureStore, GeneFeatures
from toy_cohort import CAUSAL, FEATURES, TILES, make_cohort, make_language_model, make_store, make_training

GENES, INDIVIDUALS = 60, 30
TRAINING = 40


@pytest.fixture(scope="module")
def store() -> FeatureStore:
    """Sixty genes of thirty individuals."""
    generator = np.random.default_rng(7)
    distance = ((np.arange(TILES) - TILES / 2 + 0.5) * 1000).astype(np.float32)
    by_gene = {}
    for number in range(GENES):
        reference = generator.normal(size=(TILES, FEATURES))
        changed = reference + generator.normal(size=(TILES, FEATURES))
        index = np.stack([np.arange(TILES) + TILES * (np.arange(TILES) == tile) for tile in range(-1, TILES)])
        rows = np.concatenate([reference, changed]).astype(np.float32)
        carriers = generator.integers(0, TILES + 1, size=(INDIVIDUALS, 2)).astype(np.int32)
        by_gene[f"G{number}"] = GeneFeatures(f"G{number}", rows, index.astype(np.int32), carriers, distance)
    names = [(f"M{i}", f"m{i}", "max") for i in range(FEATURES)]
    return FeatureStore([f"P{i}" for i in range(INDIVIDUALS)], names, 1000, "motif", by_gene)


def text_class(number: int) -> int:
    """The class of a gene's text: the first token of its prompt, in the tests below."""
    return (number * 7) % 3 - 1


def cohort_of(store: FeatureStore, mean: np.ndarray, sign: np.ndarray) -> Cohort:
    """Expression is the mean of the gene, plus its sign times the causal feature summed over tiles, plus noise."""
    generator = np.random.default_rng(8)
    expression = np.zeros((GENES, INDIVIDUALS))
    for number, gene in enumerate(store.by_gene.values()):
        sums = gene.rows[gene.index][:, :, CAUSAL].sum(axis=1)
        deviation = sums[gene.carriers].mean(axis=1) - sums[0]
        expression[number] = mean[number] + 0.3 * sign[number] * deviation
    expression += 0.05 * generator.normal(size=expression.shape)
    splits = ["train"] * TRAINING + ["valid"] * 5 + ["test"] * (GENES - TRAINING - 5)
    genes = pd.DataFrame({"gene": store.genes, "contig": "c1", "tss": np.arange(GENES) * 10_000, "strand": "+", "split": splits})
    people = pd.DataFrame({"person": store.people, "population": "x", "split": ["train"] * 18 + ["valid"] * 4 + ["test"] * 8})
    return Cohort(people, genes, expression)


def training_of(cohort: Cohort, store: FeatureStore, **settings: object) -> Training:
    """A training whose prompts begin with a token of the gene's class and go on with noise."""
    generator = np.random.default_rng(9)
    tokens = [[*[2 + text_class(i)] * 3, int(generator.integers(10, 14))] for i in range(GENES)]
    return make_training(cohort, store, make_language_model(), tokens=tokens, **settings)


def across_held_out_genes(training: Training, mean: np.ndarray) -> float:
    """Spearman correlation of the solved read-out with the true mean expression of the test genes."""
    setup = training.setup
    genes = setup.cohort.gene_numbers("test")
    inputs = torch.from_numpy(mean_inputs(setup, genes)).float()
    return spearman(setup.aligner.mean_readout(inputs).detach().numpy(), mean[genes])


def test_mean_expression_that_the_text_sets_is_predicted_for_held_out_genes(store: FeatureStore) -> None:
    mean = np.array([2.0 * text_class(i) for i in range(GENES)]) + 0.3 * np.random.default_rng(1).normal(size=GENES)
    cohort = cohort_of(store, mean, np.ones(GENES))
    values = {}
    for name, settings in {
        "full": {},
        "shuffled": {"prompt": "shuffled"},
        "no_llm": {"language_model": "none"},
        "attention": {"language_model": "attention"},
    }.items():
        training = training_of(cohort, store, **settings)
        start_linear_branch(training.setup)
        solve_mean_readout(training.setup)
        values[name] = across_held_out_genes(training, mean)
    assert values["full"] > 0.8
    # Token embeddings alone tell the class, too: a random model adds nothing that is needed here.
    assert values["attention"] > 0.8
    assert abs(values["shuffled"]) < 0.6 and abs(values["no_llm"]) < 0.6


def test_text_that_says_nothing_is_not_used(store: FeatureStore) -> None:
    differences = []
    for seed in range(3):
        mean = np.random.default_rng(seed).normal(size=GENES)
        training = training_of(cohort_of(store, mean, np.ones(GENES)), store)
        start_linear_branch(training.setup)
        solution = solve_mean_readout(training.setup)
        observed = training.setup.gene_mean[training.setup.cohort.gene_numbers("train")]
        assert solution.out_of_fold is not None
        differences.append(np.mean((solution.out_of_fold - observed) ** 2) / observed.var())
    # No worse than the mean of the other genes, but for what choosing costs.
    assert np.mean(differences) < 1.1


@pytest.mark.parametrize("modulates", [True, False])
def test_text_that_decides_the_sign_of_an_effect_is_found_where_it_does(store: FeatureStore, modulates: bool) -> None:
    sign = np.array([1.0 if text_class(i) > 0 else -1.0 for i in range(GENES)]) if modulates else np.ones(GENES)
    cohort = cohort_of(store, np.zeros(GENES), sign)
    found = {}
    for prompt in ("full", "shuffled"):
        training = training_of(cohort, store, prompt=prompt)
        start_linear_branch(training.setup)
        branch = training.setup.aligner.additive
        assert branch is not None
        individuals = cohort.people_numbers("test")
        test = cohort.gene_numbers("test")
        with torch.no_grad():
            deviation = training.setup.predict(test.tolist(), individuals)[1].numpy()
        found[prompt] = np.mean([spearman(a, b) for a, b in zip(deviation, cohort.expression[test][:, individuals], strict=True)])
        assert bool(branch.modulation.any()) == (modulates and prompt == "full"), prompt
    assert found["full"] > 0.7
    assert (found["shuffled"] > 0.7) == (not modulates)


def test_held_out_means_are_of_training_and_validation_genes_alone(store: FeatureStore) -> None:
    mean = np.array([2.0 * text_class(i) for i in range(GENES)])
    cohort = cohort_of(store, mean, np.ones(GENES))
    training = training_of(cohort, store)
    start_linear_branch(training.setup)
    table, strengths = held_out_means(training.setup)
    assert table["gene"].tolist() == cohort.gene_names[: TRAINING + 5]
    assert set(strengths) == {"linear", "features", "tokens", "prompt_mean", "prompt_last"}
    solution = solve_mean_readout(training.setup)
    assert solution.out_of_fold is not None and table["mean"][:TRAINING].tolist() == solution.out_of_fold.tolist()
    known, _ = held_out_means(training.setup, solution.strengths)
    pd.testing.assert_frame_equal(known, table)
    trained = training_of(cohort, store, tokens_learn_means=True)
    table, strengths = held_out_means(trained.setup)
    assert table["gene"].tolist() == cohort.gene_names[TRAINING : TRAINING + 5] and strengths == {}


@pytest.mark.parametrize("select", ["people", "spearman_people", "genes", "both", "spearman_genes"])
def test_validation_genes_that_choose_the_epoch_are_not_predicted_as_held_out(store: FeatureStore, select: str) -> None:
    cohort = cohort_of(store, np.array([2.0 * text_class(i) for i in range(GENES)]), np.ones(GENES))
    training = training_of(cohort, store, select=select, epochs=1)
    training.run()
    predicted = cohort.gene_names[: TRAINING + (5 if select.endswith("people") else 0)]
    assert training.held_out_means["gene"].tolist() == predicted
    assert np.isfinite(training.held_out_means["mean"]).all()
    trained = training_of(cohort, store, select=select, tokens_learn_means=True)
    assert held_out_means(trained.setup)[0]["gene"].tolist() == predicted[TRAINING:]


def test_expression_of_held_out_genes_and_individuals_changes_nothing_that_is_solved() -> None:
    store = make_store()
    cohort = make_cohort(store)
    other = replace(cohort, expression=cohort.expression.copy())
    other.expression[cohort.gene_numbers("test")] += 9
    other.expression[cohort.gene_numbers("valid")] -= 9
    other.expression[:, cohort.people_numbers("test")] *= -3
    other.expression[:, cohort.people_numbers("valid")] *= 5
    states = []
    for each in (cohort, other):
        setup = make_training(each, store, make_language_model()).setup
        start_linear_branch(setup)
        solve_mean_readout(setup)
        states.append(setup.aligner.state_dict())
    for name, tensor in states[0].items():
        assert torch.equal(tensor, states[1][name]), name
