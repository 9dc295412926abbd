"""The linear branch: numbers by hand, where it starts, what trains it, and that it carries over to held-out genes."""

import math

import numpy as np
import pytest
import torch

from gta.aligner.additive import AdditivePart
from gta.aligner.data import Batch
from gta.aligner.losses import batch_loss
from gta.aligner.solve import solve_mean_readout, start_linear_branch
from gta.errors import UserError
from gta.evaluation.correlation import spearman
from toy_cohort import make_cohort, make_language_model, make_store, make_training


def a_batch() -> Batch:
    """One haplotype of two tiles of two features; the second tile lies 1 kb off, at ln 2."""
    features = torch.tensor([[[2.0, 0.0], [4.0, 6.0]]])
    difference = torch.tensor([[[1.0, 5.0], [3.0, 0.0]]])
    return Batch(features, difference, torch.tensor([[0.0, np.log(2)]], dtype=torch.float32), torch.tensor([0]))


def test_the_linear_branch_by_hand() -> None:
    part = AdditivePart(2)
    effects = part(a_batch(), torch.ones(2))
    assert [effects.deviation.item(), effects.score.item()] == [0.0, 0.0]
    with torch.no_grad():
        part.weight.copy_(torch.tensor([0.5, -1.0]))
        part.decay.fill_(1.0)
    effects = part(a_batch(), torch.tensor([2.0, 3.0]))
    # k = 1, 1/2. Differences at the scale of features: (2, 15), (6, 0). Deviation: 1 (1 - 15) + 1/2 (3).
    # Score: 1 (1) + 1/2 (2 - 6).
    assert effects.deviation.item() == pytest.approx(-14 + 1.5)
    assert effects.score.item() == pytest.approx(1 - 2)
    assert effects.features[0].tolist() == pytest.approx([2 + 2, 3])


def test_the_linear_branch_with_a_threshold_by_hand() -> None:
    part = AdditivePart(2)
    with torch.no_grad():
        part.weight.copy_(torch.tensor([0.5, -1.0]))
        part.decay.fill_(0.0)
        part.threshold.fill_(1.5)
    effects = part(a_batch(), torch.ones(2))
    # Features (2, 0), (4, 6) become (.5, 0), (2.5, 4.5); the reference's (1, -5), (1, 6) become (0, 0), (0, 4.5).
    assert effects.features[0].tolist() == pytest.approx([3.0, 4.5])
    assert effects.deviation.item() == pytest.approx(0.5 * 0.5 + 0.5 * 2.5)


def test_mean_expression_does_not_train_the_linear_branch() -> None:
    part = AdditivePart(2)
    with torch.no_grad():
        part.weight.fill_(1.0)
    effects = part(a_batch(), torch.ones(2))
    assert not effects.score.requires_grad and not effects.features.requires_grad
    effects.deviation.sum().backward()
    assert part.weight.grad is not None and part.decay.grad is not None


def test_a_haplotype_that_is_the_reference_does_not_deviate() -> None:
    part = AdditivePart(2)
    with torch.no_grad():
        part.weight.fill_(1.0)
        part.threshold.fill_(0.7)
    batch = a_batch()
    effects = part(Batch(batch.features, torch.zeros_like(batch.difference), batch.position, batch.gene), torch.ones(2))
    assert effects.deviation.item() == 0


@pytest.mark.parametrize("threshold", [-math.inf, 0.5])
def test_the_branch_starts_at_the_rule_that_made_the_data(threshold: float) -> None:
    # Expression is made by the branch itself: a decay, a threshold and two weights, and a little noise.
    store = make_store()
    cohort = make_cohort(store)
    setup = make_training(cohort, store, make_language_model(), language_model="none").setup
    truth = AdditivePart(len(store.feature_names))
    weight = torch.tensor([0.0, 0.4, 0.0, 0.0, -0.3])
    with torch.no_grad():
        truth.weight.copy_(weight)
        truth.threshold.fill_(threshold)
        truth.decay.fill_(0.6)
        everybody = np.arange(len(cohort.people))
        for gene in range(len(cohort.genes)):
            haplotypes = setup.data.haplotypes(gene, everybody)
            deviation = truth(setup.data.batch([(gene, haplotypes)]), setup.aligner.difference_sd).deviation
            cohort.expression[gene] = 3 + setup.data.person_means(gene, everybody, haplotypes, deviation).numpy()
    cohort.expression[:] += 1e-3 * np.random.default_rng(0).normal(size=cohort.expression.shape)
    start_linear_branch(setup)
    branch = setup.aligner.additive
    assert branch is not None
    assert branch.threshold.item() == pytest.approx(threshold)
    assert branch.decay.item() == pytest.approx(0.6)
    assert branch.weight.tolist() == pytest.approx(weight.tolist(), abs=0.01)


def test_what_differs_between_people_tells_the_levels_of_unseen_genes() -> None:
    # In the toy cohort one feature moves people and genes alike. Eight training genes are too few to learn it from their means.
    store = make_store()
    cohort = make_cohort(store)
    others = np.concatenate([cohort.gene_numbers("valid"), cohort.gene_numbers("test")])
    people = cohort.people_numbers("test")
    observed = cohort.expression[others].mean(axis=1)
    settings = {"language_model": "none", "epochs": 25, "patience": 25, "learning_rate": 1e-2}
    training = make_training(cohort, store, make_language_model(), **settings)
    training.run()
    predicted = [float(mean.mean()) for mean in training.setup.predict(others.tolist(), people)[0]]
    assert spearman(np.array(predicted), observed) == pytest.approx(1.0)
    assert training.aligner.additive is not None
    assert int(training.aligner.additive.weight.abs().argmax()) == 2


@pytest.mark.parametrize("learn", [True, False])
def test_whether_means_train_the_tokens(learn: bool) -> None:
    store = make_store()
    cohort = make_cohort(store)
    training = make_training(cohort, store, make_language_model(), tokens_learn_means=learn, additive=False)
    training.aligner.train()
    solve_mean_readout(training.setup)
    losses = batch_loss(training.setup, [(0, cohort.people_numbers("train"))])
    assert losses[0].requires_grad == learn
    if learn:
        losses[0].backward()
    assert (training.aligner.mean_readout.weight.grad is not None) == learn
    assert (training.aligner.project.weight.grad is not None) == learn


def test_a_training_that_would_leave_the_tokens_untrained_is_refused() -> None:
    store = make_store()
    with pytest.raises(UserError, match="tokens_learn_means"):
        make_training(make_cohort(store), store, make_language_model(), pair_weight=0.0)
