"""Ridge on features: pooling by hand, the penalty by brute force, and planted linear rules recovered."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from gta.baselines.ridge import deviation_features, fit_cohort, level_features, zone_sums, zones
from gta.baselines.settings import RidgeSettings
from gta.cli import main
from gta.errors import UserError
from gta.features.store import FeatureStore, GeneFeatures
from gta.regression import PENALTIES, ridge_by_gcv

SETTINGS = RidgeSettings()
TRAINING, GENES = 80, 40
SPLITS = ["train"] * 30 + ["test"] * 10


def test_zones_include_their_bounds():
    distance = np.array([-30000.0, -10000, -2001, -2000, 0, 2000, 2000.5, 10000, 10001])
    assert zones(distance, SETTINGS).tolist() == [2, 1, 1, 0, 0, 0, 1, 1, 2]


@pytest.fixture
def tiny() -> GeneFeatures:
    """Two features, three tiles (promoter, promoter, distal), three haplotypes; the second person is haploid."""
    return GeneFeatures(
        gene="g",
        rows=np.array([[1, 10], [2, 20], [4, 40], [8, 80]], dtype=np.float32),
        index=np.array([[0, 1, 2], [0, 3, 2], [3, 3, 0]], dtype=np.int32),
        carriers=np.array([[0, 1], [2, -1], [1, 1]], dtype=np.int32),
        tile_distance=np.array([-100, 100, 50_000], dtype=np.float32),
    )


def test_features_are_summed_within_zones(tiny):
    assert zone_sums(tiny, SETTINGS).tolist() == [[3, 30, 0, 0, 4, 40], [9, 90, 0, 0, 4, 40], [16, 160, 0, 0, 1, 10]]


def test_level_is_the_reference_s_mean_over_tiles(tiny):
    assert level_features(tiny, SETTINGS).tolist() == [1.5, 15, 0, 0, 4, 40]


def test_deviation_is_from_the_training_people_s_mean(tiny):
    # People have 6, 16 and 9 in the promoter: the mean of the first and third is 7.5.
    found = deviation_features(tiny, np.array([0, 2]), SETTINGS)
    assert found[:, 0].tolist() == [-1.5, 8.5, 1.5]
    assert found[:, 5].tolist() == [0, -30, 0]


def normal_equations(x, y):
    rows = np.column_stack([x, y])
    return rows.T @ rows


def test_penalty_and_coefficients_equal_brute_force():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 6)) * np.array([1, 5, 0.3, 2, 1, 0])
    y = x @ np.array([0.3, -0.1, 2, 0, 0, 0]) + rng.normal(size=50)
    scale = np.sqrt((x**2).mean(axis=0))
    scale[5] = 1
    errors, coefficients = [], []
    for penalty in 50 * PENALTIES:
        model = Ridge(alpha=penalty, fit_intercept=False).fit(x / scale, y)
        hat = (x / scale) @ np.linalg.solve((x / scale).T @ (x / scale) + penalty * np.eye(6), (x / scale).T)
        errors.append(50 * np.sum((y - hat @ y) ** 2) / (50 - np.trace(hat)) ** 2)
        coefficients.append(model.coef_ / scale)
    best = int(np.argmin(errors))
    assert 0 < best < len(PENALTIES) - 1
    assert ridge_by_gcv(normal_equations(x, y), 50).coefficients == pytest.approx(coefficients[best], abs=1e-10)


def test_feature_that_varies_by_rounding_alone_gets_no_weight_to_speak_of():
    rng = np.random.default_rng(4)
    x = rng.normal(size=(50, 3)) * np.array([1, 1, 1e-7])
    y = x @ np.array([1, 0.5, 2e6])
    coefficients = ridge_by_gcv(normal_equations(x, y), 50).coefficients
    # In a gene where this feature differs by 1, like the others, the prediction stays of the size of the response.
    assert abs(coefficients[2]) < 1
    assert coefficients[:2] == pytest.approx([1, 0.5], abs=0.3)


def test_features_that_never_differ_predict_no_deviation():
    assert ridge_by_gcv(np.diag([0.0, 0, 0, 10]), 50).coefficients.tolist() == [0, 0, 0]


@pytest.fixture
def planted(make_cohort, store: FeatureStore):
    """Levels and deviations that are linear in the pooled features, with a little noise."""
    rng = np.random.default_rng(2)
    level_rule, deviation_rule = rng.normal(size=12), rng.normal(size=12)
    genes = [store.gene(name) for name in store.genes]
    levels = np.stack([level_features(gene, SETTINGS) for gene in genes]) @ level_rule
    training = np.arange(TRAINING)
    deviations = np.stack([deviation_features(gene, training, SETTINGS) @ deviation_rule for gene in genes])
    noise = 0.5 * deviations.std() * rng.normal(size=deviations.shape)
    return make_cohort(3 + levels[:, None] + deviations + noise, SPLITS), levels, deviations


def test_planted_rules_are_recovered_for_unseen_genes_and_people(planted, store):
    cohort, levels, deviations = planted
    table = fit_cohort(cohort, store, SETTINGS)
    assert list(table.columns) == ["gene", "person", "mean", "deviation", "predicted"]
    assert table["gene"].unique().tolist() == cohort.gene_names
    found = table["deviation"].to_numpy().reshape(GENES, -1)
    assert np.corrcoef(found[30:, TRAINING:].ravel(), deviations[30:, TRAINING:].ravel())[0, 1] > 0.99
    assert found[30:, TRAINING:].std() == pytest.approx(deviations[30:, TRAINING:].std(), rel=0.05)
    mean = table["mean"].to_numpy().reshape(GENES, -1)
    assert np.corrcoef(mean[30:, 0], levels[30:])[0, 1] > 0.95
    assert (mean == mean[:, :1]).all()
    assert found[:, :TRAINING].mean(axis=1) == pytest.approx(0, abs=1e-12)
    assert table["predicted"].to_numpy() == pytest.approx((table["mean"] + table["deviation"]).to_numpy())


def test_only_training_genes_and_people_are_seen(planted, store):
    cohort, _, _ = planted
    changed = cohort.expression.copy()
    rng = np.random.default_rng(3)
    changed[30:] = rng.normal(size=changed[30:].shape)
    changed[:, TRAINING:] = rng.normal(size=changed[:, TRAINING:].shape)
    found = fit_cohort(dataclasses.replace(cohort, expression=changed), store, SETTINGS)
    pd.testing.assert_frame_equal(found, fit_cohort(cohort, store, SETTINGS), check_exact=True)


def test_what_does_not_fit_is_refused(planted, store):
    cohort, _, _ = planted
    with pytest.raises(UserError, match=r"features are not of this cohort's people \(zoe is not in the cohort\)"):
        fit_cohort(cohort, dataclasses.replace(store, people=[*store.people, "zoe"]), SETTINGS)
    few = dataclasses.replace(cohort, genes=cohort.genes.assign(split=["train"] * 2 + ["test"] * 38))
    with pytest.raises(UserError, match="2 training genes, too few"):
        fit_cohort(few, store, SETTINGS)


def test_command(planted, store, write_cohort, tmp_path, capsys):
    cohort = planted[0]
    half = [dict(list(store.by_gene.items())[part]) for part in (slice(0, 15), slice(15, None))]
    for number, by_gene in enumerate(half):
        dataclasses.replace(store, by_gene=by_gene).save(tmp_path / f"{number}.safetensors")
    words = ["baselines", "ridge", "--cohort", write_cohort(cohort), "--out", tmp_path / "ridge.parquet", "--features"]
    assert main([str(word) for word in [*words, tmp_path / "0.safetensors", tmp_path / "1.safetensors"]]) == 0
    expected = fit_cohort(cohort, store, SETTINGS)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "ridge.parquet"), expected, check_dtype=False)
    (tmp_path / "ridge.parquet").unlink()
    assert main([str(word) for word in [*words, tmp_path / "1.safetensors"]]) == 1
    assert "no gene g0" in capsys.readouterr().err
    assert not (tmp_path / "ridge.parquet").exists()
