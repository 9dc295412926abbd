"""What correlations depend on: parts of genes by hand, a planted trend, groups of genes apart."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation import across_people
from gta.evaluation.dependence import parts, read_properties, rows
from gta.evaluation.resampling import generator, permutations_within
from gta.evaluation.score import score
from gta.evaluation.settings import EvaluationSettings

QUICK = EvaluationSettings(bootstraps=100, permutations=99)


def test_parts_by_hand() -> None:
    values = np.array([5.0, np.nan, 1.0, 3.0, 2.0, 4.0])
    assert {label: chosen.tolist() for label, chosen in parts(values)} == {"1 of 3": [2, 4], "2 of 3": [3, 5], "3 of 3": [0]}


def test_a_planted_trend_is_found_and_an_unrelated_property_has_none() -> None:
    rng = np.random.default_rng(3)
    share = np.linspace(0, 1, 60)
    observed = rng.normal(size=(60, 40))
    predicted = share[:, None] * observed + (1 - share[:, None]) * rng.normal(size=(60, 40))
    orders = permutations_within(["unknown"] * 40, QUICK.permutations, generator(1, 0))
    scores = across_people.score(observed, predicted[None], orders, QUICK, seed=1)
    properties = pd.DataFrame({"planted": share, "unrelated": rng.normal(size=60), "constant": 1.0})
    found = pd.DataFrame(rows(scores, properties, ["a"] * 57 + ["few"] * 3, QUICK, seed=1)).set_index(["property", "group"])
    assert found.loc[("planted", "all"), "value"] > 0.9
    assert found.loc[("planted", "all"), "p_value"] == pytest.approx(1 / 100)
    assert found.loc[("unrelated", "all"), "ci_low"] < 0 < found.loc[("unrelated", "all"), "ci_high"]
    assert ("constant", "all") not in found.index
    assert found.loc[("planted", "3 of 3"), "value"] == pytest.approx(scores.mean_spearman[40:].mean())
    assert (found.loc[("planted", "3 of 3"), ["low", "high"]] == [share[40], 1.0]).all()
    assert found.loc[("group", "a"), "n_genes"] == 57
    assert ("group", "few") not in found.index, "too few genes for a mean"


@pytest.fixture
def cohort(make_cohort: Callable[..., Path]) -> Path:
    expression = np.random.default_rng(0).normal(size=(16, 12)) + np.arange(16.0)[:, None]
    return make_cohort(expression, ["train"] * 6 + ["test"] * 10, ["train"] * 4 + ["test"] * 8)


def test_properties_are_matched_by_gene(cohort: Path, tmp_path: Path) -> None:
    loaded = Cohort.load(cohort)
    (tmp_path / "e.tsv").write_text("gene\tn_variants\tn_weights\tcv_r2\ng3\t7\t2\t0.25\n")
    (tmp_path / "t.tsv").write_text("gene\tdistance\ng1\t-500\n")
    (tmp_path / "g.tsv").write_text("gene\tgroup\tnote\ng0\tvalid\tx\ng2\ttrain\ty\ng15\ttrain\t\n")
    found = read_properties(loaded, tmp_path / "e.tsv", tmp_path / "t.tsv", tmp_path / "g.tsv")
    assert found.numbers["expression"].to_numpy() == pytest.approx(loaded.expression[:, :4].mean(axis=1))
    assert found.numbers.loc[3, ["cv_r2", "n_variants"]].tolist() == [0.25, 7]
    assert found.numbers["cv_r2"].notna().sum() == 1
    assert found.numbers.loc[1, "distance"] == 500
    assert found.group is not None
    assert found.group.tolist() == ["valid", "not listed", "train", *["not listed"] * 12, "train"]
    (tmp_path / "g.tsv").write_text("gene\tgroup\nENSG1\ttrain\n")
    with pytest.raises(UserError, match="has none of the cohort's genes"):
        read_properties(loaded, gene_groups=tmp_path / "g.tsv")


def test_groups_of_genes_are_scored_apart_across_genes_too(
    cohort: Path, make_prediction: Callable[..., Path], tmp_path: Path
) -> None:
    expression = Cohort.load(cohort).expression
    predicted = expression.copy()
    predicted[11:] *= -1  # of the unseen genes, five are predicted and five are turned round
    groups = [f"g{gene}\t{'seen by another' if gene < 11 else 'new'}\n" for gene in range(16)]
    (tmp_path / "g.tsv").write_text("gene\tgroup\n" + "".join(groups))
    file = make_prediction("gta.seed1.parquet", predicted)
    score(cohort, [file], tmp_path / "out", QUICK, 1, gene_groups=tmp_path / "g.tsv")
    table = pd.read_csv(tmp_path / "out" / "dependence.tsv", sep="\t")
    values = table[table["property"] == "group"].set_index(["regime", "group"])["value"]
    assert values.loc[("across_genes", "seen by another")] == 1.0
    assert values.loc[("across_genes", "new")] == -1.0
    assert values.loc[("unseen_genes_unseen_people", "new")] == -1.0
    assert values.loc[("seen_genes_unseen_people", "seen by another")] == 1.0
