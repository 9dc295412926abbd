"""Baselines that read text: planted signal is found, nothing else is, and held-out genes have no say."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.linear_model import Ridge

from gta.baselines import folded_ridge
from gta.baselines.folded_ridge import PENALTIES, FoldedRidge, cross_validated_ridge, leading_components
from gta.baselines.text import length_features, prompt_ridge, text_length, tfidf_ridge
from gta.cli import main
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.correlation import spearman
from gta.tensors import save_arrays

INDIVIDUALS, GENES, TRAINING = 120, 100, 70
SPLITS = ["train"] * TRAINING + ["valid"] * 10 + ["test"] * 20
TEST = np.arange(80, 100)
#: The layer and pooling in which the level is planted.
LAYER, POOLING = 2, 1


@pytest.fixture
def levels() -> np.ndarray:
    return np.random.default_rng(1).normal(size=GENES)


@pytest.fixture
def cohort(make_cohort: Callable[[np.ndarray, list[str]], Cohort], levels: np.ndarray) -> Cohort:
    noise = 0.1 * np.random.default_rng(2).normal(size=(GENES, INDIVIDUALS))
    return make_cohort(levels[:, None] + noise, SPLITS)


@pytest.fixture
def texts(levels: np.ndarray) -> list[str]:
    """Five words of ten: the higher the level, the more of them are from the first five."""
    rng = np.random.default_rng(3)
    words = [["ribosome", "kinase", "cytosol", "growth", "helicase"], ["odorant", "pheromone", "lens", "sperm", "retina"]]
    return [
        " ".join(str(rng.choice(words[0] if rng.random() < 1 / (1 + np.exp(-3 * level)) else words[1])) for _ in range(5))
        for level in levels
    ]


@pytest.fixture
def states(levels: np.ndarray) -> np.ndarray:
    """Noise of four layers, two poolings and 200 dimensions, in one of which there is a level; scales differ a hundredfold."""
    rng = np.random.default_rng(4)
    values = rng.normal(size=(GENES, 4, 2, 200))
    values[:, LAYER, POOLING, :40] += 2 * levels[:, None]
    return (values * np.geomspace(0.1, 10, 200)).astype(np.float32)


def test_words_are_read_and_shuffled_words_are_not(cohort: Cohort, levels: np.ndarray, texts: list[str]) -> None:
    assert spearman(tfidf_ridge(texts, cohort).predicted[TEST], levels[TEST]) > 0.7
    shuffled = [texts[number] for number in np.random.default_rng(0).permutation(GENES)]
    assert abs(spearman(tfidf_ridge(shuffled, cohort).predicted[TEST], levels[TEST])) < 0.4


def test_the_layer_and_pooling_with_signal_are_chosen(cohort: Cohort, levels: np.ndarray, states: np.ndarray) -> None:
    found = prompt_ridge(states, cohort)
    (best,) = found.candidates[found.candidates["chosen"] == "yes"].to_dict("records")
    assert (best["layer"], best["pooling"]) == (LAYER, "last")
    others = found.candidates.loc[found.candidates["chosen"] == "no", "spearman"]
    assert best["spearman"] > 0.9 and others.abs().max() < 0.5
    assert spearman(found.predicted[TEST], levels[TEST]) > 0.9
    assert spearman(found.out_of_fold, levels[:TRAINING]) > 0.9


def test_held_out_genes_change_nothing_but_their_own_prediction(cohort: Cohort, texts: list[str], states: np.ndarray) -> None:
    other_texts, other_states = texts.copy(), states.copy()
    other_texts[TEST[3]] = "zinc finger of a word that nothing else has"
    other_states[TEST[3]] *= 1000
    for found, changed in (
        (tfidf_ridge(texts, cohort), tfidf_ridge(other_texts, cohort)),
        (prompt_ridge(states, cohort), prompt_ridge(other_states, cohort)),
    ):
        others = np.delete(np.arange(GENES), TEST[3])
        assert changed.predicted[others].tolist() == found.predicted[others].tolist()
        assert changed.predicted[TEST[3]] != found.predicted[TEST[3]]
        assert changed.out_of_fold.tolist() == found.out_of_fold.tolist()


def test_expression_of_held_out_genes_and_individuals_is_not_read(cohort: Cohort, texts: list[str], states: np.ndarray) -> None:
    expression = cohort.expression.copy()
    expression[TRAINING:] = 1e6
    expression[:, cohort.people_numbers("test")] = -1e6
    changed = dataclasses.replace(cohort, expression=expression)
    annotation = pd.DataFrame({"gene": cohort.gene_names, "description": texts})
    assert tfidf_ridge(texts, changed).predicted.tolist() == tfidf_ridge(texts, cohort).predicted.tolist()
    assert prompt_ridge(states, changed).predicted.tolist() == prompt_ridge(states, cohort).predicted.tolist()
    assert text_length(texts, annotation, changed).tolist() == text_length(texts, annotation, cohort).tolist()


def test_out_of_fold_predictions_do_not_use_the_fold(cohort: Cohort, states: np.ndarray) -> None:
    """Neither its fit nor the choice of its layer: with other values for a fold, its predictions are the same."""
    expression = cohort.expression.copy()
    fold = np.arange(14, 21)  # the third of ten folds of 70 genes, which are in the order of the genome
    expression[fold] = np.random.default_rng(5).normal(scale=50, size=(len(fold), 1))
    changed = prompt_ridge(states, dataclasses.replace(cohort, expression=expression))
    found = prompt_ridge(states, cohort)
    assert changed.out_of_fold[fold] == pytest.approx(found.out_of_fold[fold], abs=1e-6)
    assert not np.allclose(np.delete(changed.out_of_fold, fold), np.delete(found.out_of_fold, fold), atol=0.01)


def test_predictions_equal_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(6)
    features, response = rng.normal(size=(60, 8)) + 3, rng.normal(size=60)
    folds = np.array_split(np.arange(60), 6)
    ridge = FoldedRidge(features, response, folds)
    outer, inner = ridge.nested()
    for left_out, predicted in (([2], outer.predicted[folds[2]]), ([1, 2], inner[1].predicted[folds[2]])):
        others = np.setdiff1d(np.arange(60), np.concatenate([folds[number] for number in left_out]))
        for number in (0, 12, 20):
            penalty = len(others) * ridge.unit * PENALTIES[number]
            expected = Ridge(alpha=penalty).fit(features[others], response[others]).predict(features[folds[2]])
            assert predicted[:, number] == pytest.approx(expected, abs=1e-9)


def test_components_of_few_genes_lose_nothing() -> None:
    rng = np.random.default_rng(7)
    features = rng.normal(size=(50, 300))
    components = leading_components(features, np.arange(30))
    assert components.shape == (50, 30)
    assert components[:30] @ components[:30].T == pytest.approx(features[:30] @ features[:30].T)
    assert components[30:] @ components[:30].T == pytest.approx(features[30:] @ features[:30].T)
    sparse = leading_components(csr_array(features), np.arange(30))
    assert np.abs(sparse) == pytest.approx(np.abs(components))


def test_many_genes_are_read_through_few_components(
    monkeypatch: pytest.MonkeyPatch, cohort: Cohort, levels: np.ndarray, texts: list[str], states: np.ndarray
) -> None:
    monkeypatch.setattr(folded_ridge, "COMPONENTS", 20)
    assert spearman(tfidf_ridge(texts, cohort).predicted[TEST], levels[TEST]) > 0.7
    assert spearman(prompt_ridge(states, cohort).predicted[TEST], levels[TEST]) > 0.9


def test_the_same_text_for_all_genes_predicts_the_mean(cohort: Cohort, states: np.ndarray) -> None:
    mean = cohort.expression[:TRAINING][:, cohort.people_numbers("train")].mean()
    assert tfidf_ridge(["a gene of man"] * GENES, cohort).predicted == pytest.approx(mean)
    same = np.repeat(states[:1], GENES, axis=0)
    assert prompt_ridge(same, cohort).predicted == pytest.approx(mean)


def test_what_is_known_is_counted() -> None:
    annotation = pd.DataFrame(
        {
            "gene": ["a", "b", "c"],
            "symbol": "S",
            "biotype": "protein_coding",
            "description": ["Known.", "", "Known."],
            "go_bp": ["growth; repair ;", "", "growth"],
            "go_mf": ["binding", "", ""],
        }
    )
    found = length_features(["one two", "", "one", "one"], annotation, ["a", "b", "c", "absent"])
    assert np.exp(found[:, 0]).tolist() == pytest.approx([3, 1, 2, 2])
    assert found[:, 1].tolist() == [3, 0, 1, 0]
    assert found[:, 2].tolist() == [3, 0, 2, 0]


def test_length_predicts_where_length_is_what_counts(cohort: Cohort, levels: np.ndarray) -> None:
    texts = [" ".join(["word"] * int(10 * np.exp(level))) for level in levels]
    bare = pd.DataFrame({"gene": cohort.gene_names})
    assert spearman(text_length(texts, bare, cohort)[TEST], levels[TEST]) > 0.95
    assert len(set(text_length(["word"] * GENES, bare, cohort).round(9))) == 1


def test_the_fewest_genes_work_and_fewer_are_refused(
    make_cohort: Callable[[np.ndarray, list[str]], Cohort], states: np.ndarray
) -> None:
    expression = np.random.default_rng(8).normal(size=(8, INDIVIDUALS))
    enough = make_cohort(expression, ["train"] * 3 + ["test"] * 5)
    assert np.isfinite(prompt_ridge(states[:8], enough).out_of_fold).all()
    assert np.isfinite(prompt_ridge(states[:8], enough).predicted).all()
    texts = [f"some text {number}" for number in range(8)]
    assert np.isfinite(tfidf_ridge(texts, enough).predicted).all() and np.isfinite(tfidf_ridge(texts, enough).out_of_fold).all()
    few = make_cohort(expression, ["train"] * 2 + ["test"] * 6)
    with pytest.raises(UserError, match="2 training genes, and the baselines that read text need 3"):
        prompt_ridge(states[:8], few)
    with pytest.raises(UserError, match="2 training genes"):
        cross_validated_ridge([], np.zeros(2), np.arange(2), [])
    with pytest.raises(UserError, match="have no words"):
        tfidf_ridge(["?"] * 8, enough)


@pytest.fixture
def files(
    cohort: Cohort, write_cohort: Callable[[Cohort], Path], texts: list[str], states: np.ndarray, tmp_path: Path
) -> dict[str, Path]:
    """What the command reads; genes share rows of the cache, whose order is another than the cohort's."""
    table = pd.DataFrame({"gene": cohort.gene_names, "n_tokens": 5, "n_cut": 0, "prompt": texts})
    table[::-1].to_csv(tmp_path / "prompts.tsv", sep="\t", index=False)
    about = {"genes": cohort.gene_names, "model": "m"}
    save_arrays(tmp_path / "cache.safetensors", {"rows": np.arange(GENES)[::-1].copy(), "states": states[::-1]}, about)
    annotation = pd.DataFrame({"gene": cohort.gene_names, "symbol": "S", "biotype": "b", "description": texts})
    annotation.to_csv(tmp_path / "annotation.tsv", sep="\t", index=False)
    return {
        "--cohort": write_cohort(cohort),
        "--prompts": tmp_path / "prompts.tsv",
        "--cache": tmp_path / "cache.safetensors",
        "--annotation": tmp_path / "annotation.tsv",
        "--out": tmp_path / "predictions",
        "--choice": tmp_path / "choice.tsv",
        "--out-of-fold": tmp_path / "out_of_fold.tsv",
    }


def test_command(
    files: dict[str, Path], cohort: Cohort, texts: list[str], states: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["baselines", "text", *(str(word) for pair in files.items() for word in pair)]
    assert main(words) == 0
    tables = {path.stem: pd.read_parquet(path) for path in files["--out"].iterdir()}
    assert set(tables) == {"tfidf_ridge", "prompt_ridge", "text_length"}
    for table in tables.values():
        assert list(table.columns) == ["gene", "person", "mean", "deviation", "predicted"]
        assert table["deviation"].isna().all() and (table["predicted"] == table["mean"]).all()
        assert len(table) == GENES * INDIVIDUALS
    expected = prompt_ridge(states, cohort)
    assert tables["prompt_ridge"]["mean"].to_numpy()[::INDIVIDUALS] == pytest.approx(expected.predicted)
    assert tables["tfidf_ridge"]["mean"].to_numpy()[::INDIVIDUALS] == pytest.approx(tfidf_ridge(texts, cohort).predicted)
    choice = pd.read_csv(files["--choice"], sep="\t")
    assert list(choice.columns) == ["layer", "pooling", "penalty", "r2", "spearman", "chosen"] and len(choice) == 8
    out_of_fold = pd.read_csv(files["--out-of-fold"], sep="\t")
    assert out_of_fold["gene"].tolist() == cohort.gene_names[:TRAINING]
    assert out_of_fold["mean"].to_numpy() == pytest.approx(expected.out_of_fold, rel=1e-7)
    bytes_before = {path.name: path.read_bytes() for path in files["--out"].iterdir()}
    assert main(words) == 0
    assert {path.name: path.read_bytes() for path in files["--out"].iterdir()} == bytes_before
    pd.read_csv(files["--prompts"], sep="\t")[1:].to_csv(files["--prompts"], sep="\t", index=False)
    assert main(words) == 1
    assert f"has no prompt of the gene g{GENES - 1}" in capsys.readouterr().err
