"""The elastic net finds planted variants, sees training people alone, and says nothing where there is nothing."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import ElasticNetCV
from sklearn.model_selection import KFold

from gta.baselines.elastic_net import MOST_ROUNDS, WEAKEST, fit_cohort, fit_gene
from gta.baselines.settings import ElasticNetSettings
from gta.cli import main
from gta.errors import UserError
from gta.haplotypes import dosages

SETTINGS = ElasticNetSettings()
TRAINING = 80


@pytest.fixture
def planted(make_cohort, panels):
    """g0 depends on variants 3 (+0.5 per ALT allele) and 17 (-0.4), g1 on nothing, g2 is no training gene."""
    rng = np.random.default_rng(7)
    dosage = dosages(panels.panel("g0")).counts
    expression = rng.normal(scale=0.15, size=(3, len(panels.people)))
    expression += np.array([[2.0], [5.0], [1.0]])
    expression[0] += 0.5 * dosage[:, 3] - 0.4 * dosage[:, 17]
    # Whatever the training people have by chance in common with a variant is taken away.
    expression[1, :TRAINING] = 5.0
    return make_cohort(expression, ["train", "train", "test"])


def test_planted_variants_are_found_and_predict_unseen_people(planted, panels):
    predictions, weights, genes = fit_cohort(planted, [panels], SETTINGS, seed=1)
    assert list(weights.columns) == ["gene", "contig", "pos", "ref", "alt", "weight", "cv_r2", "n_variants"]
    assert set(weights["gene"]) == {"g0"}
    assert set(weights["n_variants"]) == {29}  # all but the rare one
    found = weights.set_index("pos")["weight"]
    assert found[panels.positions[3]] == pytest.approx(0.5, abs=0.08)
    assert found[panels.positions[17]] == pytest.approx(-0.4, abs=0.08)
    assert found.drop(panels.positions[[3, 17]]).abs().max() < 0.08
    assert weights["cv_r2"].iloc[0] > 0.8
    assert genes["gene"].tolist() == ["g0", "g1", "g2"]  # genes of the test split are fitted, but not predicted
    assert genes["n_variants"].tolist() == [29, 29, 29]
    assert genes["cv_r2"].iloc[0] == weights["cv_r2"].iloc[0]
    assert genes["cv_r2"].iloc[2] < 0.1
    unseen = predictions[predictions["gene"] == "g0"]["deviation"].to_numpy()[TRAINING:]
    assert np.corrcoef(unseen, planted.expression[0, TRAINING:])[0, 1] > 0.9


def test_predictions_have_the_contract_s_form(planted, panels):
    predictions, _, _ = fit_cohort(planted, [panels], SETTINGS, seed=1)
    assert list(predictions.columns) == ["gene", "person", "mean", "deviation", "predicted"]
    assert predictions["gene"].unique().tolist() == ["g0", "g1"]
    for number, gene in enumerate(("g0", "g1")):
        rows = predictions[predictions["gene"] == gene]
        assert rows["person"].tolist() == panels.people
        assert rows["mean"].to_numpy() == pytest.approx(planted.expression[number, :TRAINING].mean())
        assert rows["deviation"].to_numpy()[:TRAINING].mean() == pytest.approx(0, abs=1e-12)
        assert rows["predicted"].to_numpy() == pytest.approx((rows["mean"] + rows["deviation"]).to_numpy())
    assert (predictions[predictions["gene"] == "g1"]["deviation"] == 0).all()


def test_expression_of_test_people_is_not_seen(planted, panels):
    expected = fit_cohort(planted, [panels], SETTINGS, seed=1)
    changed = planted.expression.copy()
    changed[:, TRAINING:] = np.random.default_rng(8).normal(size=changed[:, TRAINING:].shape)
    found = fit_cohort(dataclasses.replace(planted, expression=changed), [panels], SETTINGS, seed=1)
    for one, other in zip(found, expected, strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)


def test_noise_often_gives_an_empty_model_and_is_never_predicted():
    rng = np.random.default_rng(9)
    dosage = rng.integers(0, 3, (80, 40)).astype(float)
    models = [fit_gene(dosage, rng.normal(size=80), SETTINGS, seed=1) for _ in range(20)]
    assert sum(not model.weights.any() for model in models) >= 8
    assert all(model.cv_r2 < 0.15 for model in models)


def test_nested_cross_validation_is_that_of_refitting_everything_without_each_fold():
    rng = np.random.default_rng(10)
    dosage = rng.integers(0, 3, (60, 15)).astype(float)
    response = 0.4 * dosage[:, 2] + rng.normal(size=60)
    settings = ElasticNetSettings(folds=4, penalties=12)
    standardised = (dosage - dosage.mean(axis=0)) / dosage.std(axis=0)
    strongest = np.abs(standardised.T @ (response - response.mean())).max() / (60 * settings.l1_ratio)
    folds = [test for _, test in KFold(4, shuffle=True, random_state=3).split(response)]
    predicted, mean = np.empty(60), np.empty(60)
    for held in folds:
        kept = np.setdiff1d(np.arange(60), held)
        inner = [
            (np.flatnonzero(~np.isin(kept, test)), np.flatnonzero(np.isin(kept, test))) for test in folds if test is not held
        ]
        alphas = np.geomspace(strongest, WEAKEST * strongest, 12)
        model = ElasticNetCV(l1_ratio=0.5, alphas=alphas, cv=inner, max_iter=MOST_ROUNDS, tol=1e-6)
        model.fit(standardised[kept], response[kept])
        predicted[held], mean[held] = model.predict(standardised[held]), response[kept].mean()
    expected = 1 - ((response - predicted) ** 2).sum() / ((response - mean) ** 2).sum()
    assert fit_gene(dosage, response, settings, seed=3).cv_r2 == pytest.approx(expected, abs=5e-3)
    whole = ElasticNetCV(
        l1_ratio=0.5, alphas=np.geomspace(strongest, WEAKEST * strongest, 12), cv=KFold(4, shuffle=True, random_state=3), tol=1e-6
    ).fit(standardised, response)
    assert fit_gene(dosage, response, settings, seed=3).weights == pytest.approx(whole.coef_ / dosage.std(axis=0), abs=5e-3)


def test_variants_that_never_vary_and_no_variants_at_all(planted, panels):
    haplotypes = panels.haplotypes.copy()
    # Everybody is heterozygous at variant 0: frequent, and without any information.
    haplotypes[0::2, 0], haplotypes[1::2, 0] = 1, 0
    _, weights, _ = fit_cohort(planted, [dataclasses.replace(panels, haplotypes=haplotypes)], SETTINGS, seed=1)
    assert set(weights["n_variants"]) == {28}
    predictions, weights, _ = fit_cohort(planted, [dataclasses.replace(panels, haplotypes=haplotypes * 0)], SETTINGS, seed=1)
    assert weights.empty
    assert (predictions["deviation"] == 0).all()


def test_what_does_not_fit_is_refused(planted, panels):
    fewer = dataclasses.replace(panels, people=[*panels.people[:-1], "zoe"])
    with pytest.raises(
        UserError, match=r"haplotypes of c1 are not of this cohort's people \(p119 of the cohort is not in them\)"
    ):
        fit_cohort(planted, [fewer], SETTINGS, seed=1)
    turned = dataclasses.replace(panels, people=panels.people[::-1])
    with pytest.raises(UserError, match="their order differs"):
        fit_cohort(planted, [turned], SETTINGS, seed=1)
    with pytest.raises(UserError, match="No haplotypes are given of gene g0"):
        fit_cohort(planted, [dataclasses.replace(panels, genes=["a", "b", "c"])], SETTINGS, seed=1)
    with pytest.raises(UserError, match="80 training people, too few for 50 folds"):
        fit_cohort(planted, [panels], ElasticNetSettings(folds=50), seed=1)


def test_command(planted, panels, write_cohort, tmp_path, capsys):
    panels.save(tmp_path / "c1.npz")
    cohort = write_cohort(planted)
    words = ["baselines", "elastic-net", "--cohort", cohort, "--haplotypes", tmp_path / "c1.npz", "--weights", tmp_path / "w.tsv"]
    words += ["--genes", tmp_path / "g.tsv"]
    for name, threads in (("one.parquet", 1), ("two.parquet", 2)):
        assert main([str(word) for word in [*words, "--out", tmp_path / name, "--threads", threads]]) == 0
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert "2 genes, 1 of them without any variant" in capsys.readouterr().out
    expected, weights, genes = fit_cohort(planted, [panels], SETTINGS, seed=1)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "one.parquet"), expected, check_dtype=False)
    assert len(pd.read_csv(tmp_path / "w.tsv", sep="\t")) == len(weights)
    assert len(pd.read_csv(tmp_path / "g.tsv", sep="\t")) == len(genes) == 3
    dataclasses.replace(panels, people=panels.people[::-1]).save(tmp_path / "c1.npz")
    assert main([str(word) for word in [*words, "--out", tmp_path / "three.parquet"]]) == 1
    assert "their order differs" in capsys.readouterr().err
    assert not (tmp_path / "three.parquet").exists()
