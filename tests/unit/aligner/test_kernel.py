"""Gaussian kernels in the read-out of mean expression, against scikit-learn's and against exact kernel ridge regression."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel

from gta.aligner.kernel import BANDWIDTH, GaussianKernel
from gta.aligner.model import Aligner
from gta.aligner.settings import AlignerSettings, check
from gta.aligner.solve import mean_inputs
from gta.attribution.tiles import attribute_gene
from gta.errors import UserError
from gta.regression import block_ridge, standardisation
from toy_cohort import FEATURES, TILES, make_language_model, make_reference_study, make_store, make_training
from toy_cohort import make_cohort as make_cohort_with_genotypes


def inputs_of(rows: int, columns: int = 6) -> np.ndarray:
    return (np.random.default_rng(0).normal(size=(rows, columns)) * np.arange(1, columns + 1)).astype(np.float32)


def test_products_of_columns_are_the_kernel() -> None:
    inputs = inputs_of(40)
    kernel = GaussianKernel(6, 40)
    kernel.take(inputs)
    columns = kernel(torch.from_numpy(inputs)).double().numpy()
    centre, scale = standardisation(inputs)
    standard = (inputs - centre) / scale
    distances = ((standard[:, None] - standard[None]) ** 2).sum(axis=2)
    gamma = 1 / (BANDWIDTH * np.median(distances[~np.eye(40, dtype=bool)]))
    np.testing.assert_allclose(columns @ columns.T, rbf_kernel(standard, gamma=gamma), atol=2e-3)


def test_a_ridge_on_the_columns_is_kernel_ridge_regression() -> None:
    inputs, new = inputs_of(60), inputs_of(80)[60:]
    response = np.sin(inputs[:, 0]) + inputs[:, 1] ** 2 / 4
    kernel = GaussianKernel(6, 60)
    kernel.take(inputs)
    columns = kernel(torch.from_numpy(inputs)).numpy()
    solution = block_ridge(columns, [60], response, [np.arange(30), np.arange(30, 60)], [3.0], False, [0])
    predicted = (kernel(torch.from_numpy(new)).numpy() - solution.centre) / solution.scale @ solution.weight + solution.bias
    # The same, written with the kernel of centred columns and the penalty 1.
    factor = 3.0 / 60 / float(solution.scale[0]) ** 2
    gamma = 1 / float(kernel.distance)
    standard, others = ((values - kernel.centre.numpy()) * kernel.inverse_scale.numpy() for values in (inputs, new))
    centre = np.eye(60) - 1 / 60
    own = rbf_kernel(standard, gamma=gamma)
    between = (rbf_kernel(others, standard, gamma=gamma) - own.mean(axis=0)) @ centre
    exact = KernelRidge(alpha=1.0, kernel="precomputed").fit(factor * (centre @ own @ centre), response - response.mean())
    np.testing.assert_allclose(predicted, exact.predict(factor * between) + response.mean(), atol=5e-3)


def test_equal_genes_and_few_landmarks_do_no_harm() -> None:
    kernel = GaussianKernel(6, 5)
    kernel.take(np.repeat(inputs_of(2), 10, axis=0))
    assert torch.isfinite(kernel(torch.from_numpy(inputs_of(30)))).all()
    same = GaussianKernel(6, 3)
    same.take(np.ones((3, 6), dtype=np.float32))
    assert torch.isfinite(same(torch.from_numpy(inputs_of(4)))).all()


def test_the_read_out_has_columns_of_kernels_and_is_read_again(tmp_path: Path) -> None:
    cohort, store = make_reference_study(3)
    model = make_language_model()
    chosen = {"kernel": "gaussian", "landmarks": 8, "tile_features": True, "aligned_tokens": 0}
    training = make_training(cohort, store, model, **chosen)
    training.run()
    aligner = training.setup.aligner
    blocks = aligner.mean_readout.blocks
    assert list(blocks) == ["linear", "features", "tiles", "prompt_mean", "prompt_last"]
    assert blocks["tiles"] == blocks["prompt_mean"] == 8
    assert [list(blocks)[number] for number in aligner.common_scale] == ["tiles", "prompt_mean"]
    genes = np.arange(len(cohort.genes))
    inputs = mean_inputs(training.setup, genes)
    assert inputs.shape == (len(genes), sum(blocks.values())) and aligner.positions(TILES, 7) == 7
    aligner.save_pretrained(tmp_path)
    again = Aligner.from_pretrained(tmp_path)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in aligner.state_dict().items())
    assert training.setup.predict(genes, np.arange(3))[1].abs().max() == 0


def test_features_of_each_tile_are_a_block_of_their_own() -> None:
    cohort, store = make_reference_study(3)
    training = make_training(cohort, store, make_language_model(), tile_features=True)
    blocks = training.setup.aligner.mean_readout.blocks
    assert blocks["tiles"] == TILES * FEATURES
    start = sum(list(blocks.values())[: list(blocks).index("tiles")])
    genes = cohort.gene_numbers("train")
    inputs = mean_inputs(training.setup, genes)[:, start : start + TILES * FEATURES]
    batch = training.setup.data.batch([(int(gene), np.zeros(1, dtype=int)) for gene in genes])
    np.testing.assert_allclose(inputs, batch.features.flatten(1).numpy(), atol=1e-6)


def test_kernels_know_nothing_of_held_out_genes() -> None:
    cohort, store = make_reference_study(3)
    one = make_training(cohort, store, make_language_model(), kernel="gaussian", tile_features=True)
    one.run()
    cohort.expression[cohort.gene_numbers("test")] += 5
    two = make_training(cohort, store, make_language_model(), kernel="gaussian", tile_features=True)
    two.run()
    first, second = one.setup.aligner.state_dict(), two.setup.aligner.state_dict()
    assert all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"aligned_tokens": 1}, "a token on either side"),
        ({"aligned_tokens": 0, "tokens_learn_means": True}, "leaves no tokens that learn"),
        ({"kernel": "gaussian", "tokens_learn_means": True}, "solved in closed form"),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(AlignerSettings(**settings))


def test_individuals_need_aligned_tokens() -> None:
    store = make_store()
    with pytest.raises(UserError, match="0 is for studies without genotypes"):
        make_training(make_cohort_with_genotypes(store), store, make_language_model(), aligned_tokens=0)


def test_tiles_are_attributed_without_aligned_tokens() -> None:
    cohort, store = make_reference_study(3)
    chosen = {"kernel": "gaussian", "landmarks": 8, "tile_features": True, "aligned_tokens": 0}
    training = make_training(cohort, store, make_language_model(), **chosen)
    training.run()
    setup = training.setup
    found = attribute_gene(setup.aligner.eval(), setup.data, setup.reader, 0, limit=4)
    assert np.abs(found.gradient_x_input).sum() > 0 and np.abs(found.deletion).sum() > 0 and not found.personal.any()
