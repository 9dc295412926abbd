"""The additive part: numbers by hand, who trains what, and that it carries over to genes never seen."""

import numpy as np
import pytest
import torch

from gta.aligner.additive import AdditivePart
from gta.aligner.data import Batch
from gta.aligner.losses import batch_loss
from gta.aligner.validation import spearman
from gta.errors import UserError
from toy_cohort import make_cohort, make_language_model, make_store, make_training


def a_batch() -> Batch:
    """One haplotype of two tiles of two features; the second tile lies 1 kb off, at ln 2."""
    features = torch.tensor([[[2.0, 0.0], [4.0, 6.0]]])
    difference = torch.tensor([[[1.0, 5.0], [3.0, 0.0]]])
    return Batch(features, difference, torch.tensor([[0.0, np.log(2)]], dtype=torch.float32), torch.tensor([0]))


def test_the_additive_part_by_hand() -> None:
    part = AdditivePart(2)
    assert [value.item() for value in part(a_batch(), torch.ones(2))] == [0.0, 0.0]
    with torch.no_grad():
        part.weight.copy_(torch.tensor([0.5, -1.0]))
        part.decay.fill_(1.0)
        part.share.fill_(0.1)
    mean, deviation = part(a_batch(), torch.tensor([2.0, 3.0]))
    # k = 1, 1/2. Deviation: 1 (.5 - 5) + 1/2 (1.5). Mean: .1 (1 (.5 * 1) + 1/2 (.5 * 2 - 2)).
    assert deviation.item() == pytest.approx(-4.5 + 0.75)
    assert mean.item() == pytest.approx(0.1 * (0.5 - 0.5))


def test_means_train_the_share_alone() -> None:
    part = AdditivePart(2)
    with torch.no_grad():
        part.weight.fill_(1.0)
    mean, _ = part(a_batch(), torch.ones(2))
    mean.sum().backward()
    assert part.share.grad is not None and part.share.grad.item() != 0
    assert part.weight.grad is None and part.decay.grad is None


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
    mean_loss, _ = batch_loss(training.setup, [(0, cohort.people_numbers("train"))])
    mean_loss.backward()
    assert training.aligner.head_mean.weight.grad is not None
    assert (training.aligner.project.weight.grad is not None) == learn


def test_a_training_that_would_leave_the_tokens_untrained_is_refused() -> None:
    store = make_store()
    with pytest.raises(UserError, match="tokens_learn_means"):
        make_training(make_cohort(store), store, make_language_model(), pair_weight=0.0)
