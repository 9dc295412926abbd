"""The strongest variant and the mean of training."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gta.baselines import mean, top_eqtl
from gta.baselines.settings import TopEqtlSettings
from gta.cli import main
from gta.haplotypes import dosages

SETTINGS = TopEqtlSettings()
TRAINING = 80


@pytest.fixture
def planted(make_cohort, panels):
    """g0 and the test gene g2 depend on variant 3 (+0.5 per ALT allele), g1 does not vary among the training people."""
    rng = np.random.default_rng(7)
    expression = rng.normal(scale=0.3, size=(3, len(panels.people))) + np.array([[2.0], [5.0], [1.0]])
    expression[[0, 2]] += 0.5 * dosages(panels.panel("g0")).counts[:, 3]
    expression[1, :TRAINING] = 5.0
    return make_cohort(expression, ["train", "train", "test"])


def test_the_strongest_variant_is_scipys_regression(planted, panels):
    predictions, variants = top_eqtl.fit_cohort(planted, [panels], SETTINGS)
    found = variants.set_index("gene").loc["g0"]
    assert found["pos"] == panels.positions[3]
    assert found["distance"] == panels.positions[3] - 50_000
    dosage = dosages(panels.panel("g0")).counts[:, 3]
    line = stats.linregress(dosage[:TRAINING], planted.expression[0, :TRAINING])
    assert (found["slope"], found["r"]) == pytest.approx((line.slope, line.rvalue))
    assert found["p_value"] == pytest.approx(line.pvalue)
    assert found["n_variants"] == 29
    rows = predictions[predictions["gene"] == "g0"]
    assert rows["predicted"].to_numpy() == pytest.approx(line.intercept + line.slope * dosage)


def test_unseen_genes_are_described_but_not_predicted_and_a_constant_gene_deviates_nowhere(planted, panels):
    predictions, variants = top_eqtl.fit_cohort(planted, [panels], SETTINGS)
    assert predictions["gene"].unique().tolist() == ["g0", "g1"]
    assert variants["gene"].tolist() == ["g0", "g1", "g2"]
    assert (predictions.loc[predictions["gene"] == "g1", "deviation"] == 0).all()
    assert variants.set_index("gene").loc["g1", "p_value"] == 1.0


def test_distance_is_in_the_direction_of_the_gene(planted, panels):
    turned = dataclasses.replace(planted, genes=planted.genes.assign(strand="-"))
    _, variants = top_eqtl.fit_cohort(turned, [panels], SETTINGS)
    assert variants["distance"].iloc[0] == 50_000 - panels.positions[3]


def test_genes_without_variants(planted, panels):
    predictions, variants = top_eqtl.fit_cohort(
        planted, [dataclasses.replace(panels, haplotypes=panels.haplotypes * 0)], SETTINGS
    )
    assert variants.empty
    assert (predictions["deviation"] == 0).all()


def test_expression_of_test_people_is_not_seen(planted, panels):
    changed = planted.expression.copy()
    changed[:, TRAINING:] = np.random.default_rng(8).normal(size=changed[:, TRAINING:].shape)
    other = dataclasses.replace(planted, expression=changed)
    for one, two in zip(
        (*top_eqtl.fit_cohort(planted, [panels], SETTINGS), mean.predict_cohort(planted)),
        (*top_eqtl.fit_cohort(other, [panels], SETTINGS), mean.predict_cohort(other)),
        strict=True,
    ):
        pd.testing.assert_frame_equal(one, two, check_exact=True)


def test_the_mean_of_training(planted):
    predictions = mean.predict_cohort(planted).set_index("gene")["predicted"]
    levels = planted.expression[:, :TRAINING].mean(axis=1)
    assert predictions.loc["g0"].to_numpy() == pytest.approx(np.full(120, levels[0]))
    assert predictions.loc["g2"].to_numpy() == pytest.approx(np.full(120, (levels[0] + levels[1]) / 2))


def test_commands(planted, panels, write_cohort, tmp_path, capsys):
    panels.save(tmp_path / "c1.npz")
    cohort = write_cohort(planted)
    words = ["top-eqtl", "--cohort", cohort, "--haplotypes", tmp_path / "c1.npz", "--variants", tmp_path / "v.tsv"]
    assert main([str(word) for word in ["baselines", *words, "--out", tmp_path / "top.parquet"]]) == 0
    assert "3 of 3 genes have a usable variant" in capsys.readouterr().out
    expected, variants = top_eqtl.fit_cohort(planted, [panels], SETTINGS)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "top.parquet"), expected, check_dtype=False)
    assert len(pd.read_csv(tmp_path / "v.tsv", sep="\t")) == len(variants)
    assert main(["baselines", "mean", "--cohort", str(cohort), "--out", str(tmp_path / "mean.parquet")]) == 0
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "mean.parquet"), mean.predict_cohort(planted), check_dtype=False)
