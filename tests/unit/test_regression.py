"""Ridge regressions in closed form against scikit-learn's, and what cross-validation must choose."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from gta.regression import FEW_PENALTIES, STRENGTHS, block_ridge, ridge_by_folds


def folds_of(rows: int, number: int) -> list[np.ndarray]:
    return np.array_split(np.arange(rows), number)


@pytest.fixture
def blocks() -> tuple[np.ndarray, np.ndarray]:
    """Four columns that make the response, 60 that do not, one that never varies; 120 rows."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(120, 65)) * rng.uniform(0.1, 10, size=65) + 3
    inputs[:, 64] = 7.0
    standard = (inputs - inputs.mean(axis=0)) / np.where(inputs.std(axis=0) > 0, inputs.std(axis=0), 1)
    return inputs, 5 + standard[:, :4] @ np.array([1, -1, 0.5, 2]) + 0.5 * rng.normal(size=120)


def test_the_solution_is_that_of_a_ridge_regression_on_scaled_columns(blocks: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, response = blocks
    sizes = [4, 60, 1]
    found = block_ridge(inputs, sizes, response, folds_of(120, 10))
    # A strength is the prior variance of a block, spread over its columns, in units of the variance of the response.
    prior = np.concatenate([np.full(size, np.sqrt(s / size)) for size, s in zip(sizes, found.strengths, strict=True)])
    scaled = (inputs - inputs.mean(axis=0)) / found.scale * prior
    model = Ridge(alpha=1.0).fit(scaled, (response - response.mean()) / response.std())
    expected = response.mean() + response.std() * model.predict(scaled)
    predicted = found.bias + ((inputs - found.centre) / found.scale) @ found.weight
    np.testing.assert_allclose(predicted, expected, rtol=1e-8)


def test_what_makes_the_response_is_kept_and_noise_is_shrunk(blocks: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, response = blocks
    first, noise, constant = block_ridge(inputs, [4, 60, 1], response, folds_of(120, 10)).strengths
    assert first >= 1 and noise <= 0.03 and constant == 0
    # One penalty for all cannot do both: the error out of fold is larger.
    found = [block_ridge(inputs, sizes, response, folds_of(120, 10)).out_of_fold for sizes in ([4, 60, 1], [65])]
    errors = [np.mean((predicted - response) ** 2) for predicted in found if predicted is not None]
    assert errors[0] < 0.8 * errors[1]


@pytest.mark.parametrize("part", [7, 1024])
@pytest.mark.parametrize("wide", [False, True])
def test_predictions_out_of_fold_are_those_of_the_other_folds(
    blocks: tuple[np.ndarray, np.ndarray], wide: bool, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gta.regression.PART", part)
    inputs, response = blocks
    sizes, folds = [4, 61], folds_of(120, 10)
    if wide:  # more columns than rows, so that the dual is solved
        more = np.random.default_rng(2).normal(size=(120, 90)) + 0.1 * response[:, None]
        inputs, sizes = np.column_stack([inputs, more]), [4, 61, 90]
    # Folds need not be contiguous.
    folds = [np.sort(fold) for fold in np.split(np.random.default_rng(3).permutation(120), [11, 40, 41, 70])]
    found = block_ridge(inputs, sizes, response, folds)
    assert found.out_of_fold is not None and all(strength > 0 for strength in found.strengths[2:])
    prior = np.concatenate([np.full(size, np.sqrt(s / size)) for size, s in zip(sizes, found.strengths, strict=True)])
    scaled = (inputs - found.centre) / found.scale * prior
    expected = np.empty(120)
    for fold in folds:
        rest = np.setdiff1d(np.arange(120), fold)
        mean = response[rest].mean()
        # Columns are centred over all rows, so that no intercept but the mean of the other folds is fitted.
        model = Ridge(alpha=1.0, fit_intercept=False).fit(scaled[rest], response[rest] - mean)
        expected[fold] = mean + model.predict(scaled[fold])
    np.testing.assert_allclose(found.out_of_fold, expected, rtol=1e-7)


@pytest.mark.parametrize("sizes", [[4, 61], [65, 90], [1, 10, 54, 90]])
def test_every_way_to_try_strengths_chooses_what_fitting_all_folds_chooses(
    blocks: tuple[np.ndarray, np.ndarray], sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = np.column_stack([blocks[0], np.random.default_rng(2).normal(size=(120, 90))])[:, : sum(sizes)]
    response, folds = blocks[1], folds_of(120, 10)
    chosen = []
    for narrow in (0.0, 0.35, 10.0):
        monkeypatch.setattr("gta.regression.NARROW", narrow)
        chosen.append(block_ridge(inputs, sizes, response, folds, out_of_fold=False).strengths)
    assert chosen[0] == chosen[1] == chosen[2]

    def error(strengths: list[float]) -> float:
        predicted = block_ridge(inputs, sizes, response, folds, strengths).out_of_fold
        assert predicted is not None
        return float(((predicted - response) ** 2).mean())

    # No other strength of a single block does better.
    least = error(chosen[0])
    for number in range(len(sizes)):
        for strength in STRENGTHS:
            assert error([*chosen[0][:number], strength, *chosen[0][number + 1 :]]) > least - 1e-9 * response.var()


def test_a_given_strength_is_used_and_predictions_out_of_fold_are_made_on_demand(blocks: tuple[np.ndarray, np.ndarray]) -> None:
    inputs, response = blocks
    chosen = block_ridge(inputs, [4, 61], response, folds_of(120, 10))
    given = block_ridge(inputs.astype(np.float32), [4, 61], response, folds_of(120, 10), chosen.strengths, out_of_fold=False)
    assert given.out_of_fold is None and given.strengths == chosen.strengths
    np.testing.assert_allclose(given.weight, chosen.weight, atol=1e-5)
    none = block_ridge(inputs, [4, 61], response, folds_of(120, 10), [0.0, 0.0])
    assert not none.weight.any() and none.out_of_fold is not None
    np.testing.assert_allclose(none.out_of_fold[:12], response[12:].mean())


def test_a_column_that_hardly_varies_does_not_dominate_a_row_in_which_it_is_large() -> None:
    rng = np.random.default_rng(6)
    inputs = rng.normal(size=(100, 30))
    inputs[:, 0] = 0
    inputs[4, 0] = 1e-3
    response = inputs[:, 1] + 0.3 * rng.normal(size=100)
    found = block_ridge(inputs, [30], response, folds_of(100, 10))
    row = np.zeros(30)
    row[0] = 1.0
    assert abs(((row - found.centre) / found.scale) @ found.weight) < 2 * response.std()


def test_a_constant_response_is_predicted_as_it_is() -> None:
    found = block_ridge(np.random.default_rng(0).normal(size=(20, 3)), [2, 1], np.full(20, 4.0), folds_of(20, 5))
    assert found.weight.tolist() == [0, 0, 0] and found.bias == 4
    assert found.out_of_fold is not None and found.out_of_fold.tolist() == [4.0] * 20


def test_strengths_are_chosen_on_a_part_of_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gta.regression.MAX_ROWS_TO_CHOOSE", 50)
    rng = np.random.default_rng(3)
    inputs = rng.normal(size=(200, 6))
    response = inputs[:, 0] + 0.1 * rng.normal(size=200)
    found = block_ridge(inputs, [1, 5], response, folds_of(200, 5))
    assert found.strengths[0] >= 3 and set(found.strengths) <= set(STRENGTHS)
    assert found.weight[0] == pytest.approx(1.0, abs=0.1)


def normal_equations(x: np.ndarray, y: np.ndarray, folds: int) -> np.ndarray:
    rows = np.column_stack([x, y])
    return np.stack([rows[fold].T @ rows[fold] for fold in folds_of(len(x), folds)])


def test_folds_choose_the_penalty_that_predicts_them_best() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 30)) * 2
    y = x[:, 0] + 3 * rng.normal(size=60)
    scale = np.sqrt((x**2).mean(axis=0))
    errors, solutions = [], []
    for penalty in FEW_PENALTIES:
        predicted = np.empty(60)
        for fold in folds_of(60, 4):
            rest = np.setdiff1d(np.arange(60), fold)
            predicted[fold] = (
                Ridge(alpha=60 * penalty, fit_intercept=False).fit(x[rest] / scale, y[rest]).predict(x[fold] / scale)
            )
        errors.append(1 - predicted @ y / np.sqrt(predicted @ predicted * (y @ y)))
        solutions.append(Ridge(alpha=60 * penalty, fit_intercept=False).fit(x / scale, y).coef_ / scale)
    found = ridge_by_folds(normal_equations(x, y, 4), 60)
    assert found.error == pytest.approx(min(errors))
    assert found.coefficients == pytest.approx(solutions[int(np.argmin(errors))])


def test_a_feature_of_strength_0_is_left_out() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(60, 3))
    y = x.sum(axis=1)
    found = ridge_by_folds(normal_equations(x, y, 4), 60, np.array([1.0, 0.0, 1.0]))
    assert found.coefficients[1] == 0 and (found.coefficients[[0, 2]] > 0.4).all()


def test_columns_of_a_common_scale_keep_their_proportions() -> None:
    generator = np.random.default_rng(4)
    columns = generator.standard_normal((80, 6)) * np.array([4.0, 2.0, 1.0, 0.5, 0.25, 0.0])
    response = columns[:, 0] + generator.standard_normal(80)
    folds = [np.arange(40), np.arange(40, 80)]
    together = block_ridge(columns, [6], response, folds, strengths=[1.0], common_scale=[0])
    # As a ridge regression on the centred columns, all divided by the root of their mean variance.
    scale = np.sqrt(columns.var(axis=0).mean())
    centred = (columns - columns.mean(axis=0)) / scale
    target = (response - response.mean()) / response.std()
    expected = np.linalg.solve(centred.T @ centred + 6 * np.eye(6), centred.T @ target) * response.std()
    np.testing.assert_allclose(together.weight[:5], expected[:5], rtol=1e-8)
    assert together.weight[5] == 0 or np.isinf(together.scale[5])
