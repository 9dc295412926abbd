"""Expression without hidden factors."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from gta.cohort.correction import HiddenFactors, log_tpm, to_tpm
from gta.errors import UserError


@pytest.fixture
def generator():
    return np.random.default_rng(5)


def test_tpm_by_hand():
    np.testing.assert_allclose(to_tpm(np.array([[1.0, 0.0], [3.0, 2.0]])), [[250_000, 0], [750_000, 1_000_000]])
    with pytest.raises(UserError, match="zero for every gene"):
        to_tpm(np.array([[1.0, 0.0], [3.0, 0.0]]))


def test_log_by_hand():
    np.testing.assert_allclose(log_tpm(np.array([[0.0, 0.99]])), [[np.log(0.01), 0.0]], atol=1e-15)


def test_no_factors_leave_expression_as_it_is(generator):
    values = generator.normal(3, 2, size=(20, 10))
    np.testing.assert_allclose(HiddenFactors.fit(values, 0).remove(values), values, rtol=1e-12)


def test_the_same_as_scikit_learn(generator):
    values = generator.normal(size=(50, 3)) @ generator.normal(size=(3, 40)) + generator.normal(2, 1, size=(50, 40))
    train, test = values[:, :30], values[:, 30:]
    scaler = StandardScaler().fit(train.T)
    pca = PCA(4, svd_solver="full").fit(scaler.transform(train.T))
    fitted = HiddenFactors.fit(train, 4)
    np.testing.assert_allclose(fitted.explained, pca.explained_variance_ratio_, rtol=1e-9)
    standard = scaler.transform(test.T)
    expected = scaler.inverse_transform(standard - pca.inverse_transform(pca.transform(standard)))
    np.testing.assert_allclose(fitted.remove(test), expected.T, rtol=1e-9)


def test_planted_factors_go_and_the_effect_of_a_genotype_stays(generator):
    n_genes, n_people = 200, 300
    batch = generator.normal(size=(2, n_people))
    genotype = generator.integers(0, 3, size=n_people)
    values = 3 * generator.normal(size=(n_genes, 2)) @ batch + generator.normal(size=(n_genes, n_people))
    values[0] += 0.8 * genotype
    fitted = HiddenFactors.fit(values[:, :200], 2)
    held_out = fitted.remove(values)[:, 200:]
    raw = [abs(np.corrcoef(values[gene, 200:], row)[0, 1]) for gene in range(n_genes) for row in batch[:, 200:]]
    left = [abs(np.corrcoef(held_out[gene], row)[0, 1]) for gene in range(n_genes) for row in batch[:, 200:]]
    assert np.mean(raw) > 0.5
    assert np.mean(left) < 0.15
    assert np.polyfit(genotype[200:], held_out[0], 1)[0] == pytest.approx(0.8, abs=0.3)


def test_training_means_stay_and_factors_are_gone(generator):
    values = generator.normal(4, 2, size=(30, 25))
    fitted = HiddenFactors.fit(values, 3)
    corrected = fitted.remove(values)
    np.testing.assert_allclose(corrected.mean(axis=1), values.mean(axis=1))
    standard = (corrected - fitted.mean[:, None]) / fitted.sd[:, None]
    np.testing.assert_allclose(fitted.loadings.T @ standard, 0, atol=1e-10)


def test_the_sign_of_loadings_does_not_depend_on_the_order_of_people(generator):
    values = generator.normal(size=(30, 25))
    one, other = HiddenFactors.fit(values, 3), HiddenFactors.fit(values[:, ::-1], 3)
    np.testing.assert_allclose(one.loadings, other.loadings, atol=1e-8)
    assert (one.loadings[np.abs(one.loadings).argmax(axis=0), range(3)] > 0).all()


def test_genes_that_do_not_vary(generator):
    values = generator.normal(size=(10, 12))
    values[4] = np.log(0.01)
    fitted = HiddenFactors.fit(values[:, :8], 2)
    corrected = fitted.remove(values)
    assert np.isfinite(corrected).all()
    np.testing.assert_allclose(corrected[4], np.log(0.01))
    assert abs(fitted.loadings[4]).max() < 1e-12


@pytest.mark.parametrize(("shape", "n_factors"), [((10, 5), 4), ((3, 20), 3)])
def test_more_factors_than_there_can_be(generator, shape, n_factors):
    with pytest.raises(UserError, match="lower hidden_factors"):
        HiddenFactors.fit(generator.normal(size=shape), n_factors)
