"""What people get wrong in the files, and the sentence they get for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.tables import parse_name, read_numbers, read_prediction, read_predictions

SPLITS = ["train", "test", "test"]


@pytest.fixture
def cohort_folder(make_cohort: Callable[..., Path]) -> Path:
    return make_cohort(np.arange(6.0).reshape(2, 3), ["train", "test"], SPLITS)


@pytest.fixture
def prediction(tmp_path: Path) -> Callable[..., Path]:
    """A correct file of predictions for the cohort above, after one change."""

    def make(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        pairs = [(f"g{gene}", f"p{person}", 10.0 * gene + person) for gene in range(2) for person in range(3)]
        path = tmp_path / "gta.seed1.parquet"
        change(pd.DataFrame(pairs, columns=["gene", "person", "predicted"])).to_parquet(path)
        return path

    return make


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gta.seed1.parquet", ("gta", "1")),
        ("elastic_net.parquet", ("elastic_net", "")),
        ("some/folder/my.model.v2.seed12.parquet", ("my.model.v2", "12")),
        ("seedling.parquet", ("seedling", "")),
    ],
)
def test_model_and_seed_come_from_the_name(name: str, expected: tuple[str, str]) -> None:
    assert parse_name(name) == expected


def test_a_name_of_another_format_is_refused() -> None:
    with pytest.raises(UserError, match=r"MODEL\.seedN\.parquet"):
        parse_name("gta.seed1.tsv")


def test_predictions_are_placed_by_name_and_reduced_to_test_people(cohort_folder: Path, prediction: Callable[..., Path]) -> None:
    path = prediction(lambda table: table.sample(frac=1, random_state=0))
    read = read_prediction(path, Cohort.load(cohort_folder))
    assert read.predicted.tolist() == [[1.0, 2.0], [11.0, 12.0]]
    assert read.genes.tolist() == [True, True]


def test_a_gene_without_rows_is_absent_and_not_an_error(cohort_folder: Path, prediction: Callable[..., Path]) -> None:
    read = read_prediction(prediction(lambda table: table[table["gene"] == "g0"]), Cohort.load(cohort_folder))
    assert read.genes.tolist() == [True, False]


def test_noise_of_float32_becomes_a_tie(cohort_folder: Path, prediction: Callable[..., Path]) -> None:
    path = prediction(lambda table: table.assign(predicted=3.0 + 1e-7 * np.arange(6)))
    assert np.ptp(read_prediction(path, Cohort.load(cohort_folder)).predicted) == 0


@pytest.mark.parametrize(("deviation", "mean_only"), [(np.nan, True), (None, True), (0.0, False), (0, False)])
def test_without_any_deviation_a_model_predicts_mean_expression_only(
    cohort_folder: Path, prediction: Callable[..., Path], deviation: float | None, mean_only: bool
) -> None:
    path = prediction(lambda table: table.assign(deviation=deviation))
    assert read_prediction(path, Cohort.load(cohort_folder)).mean_only is mean_only


def test_whole_numbers_are_numbers(cohort_folder: Path, prediction: Callable[..., Path]) -> None:
    read = read_prediction(prediction(lambda t: t.assign(predicted=np.arange(6), deviation=1)), Cohort.load(cohort_folder))
    assert not read.mean_only and set(read.predicted.ravel()) <= set(np.arange(6.0))
    some = prediction(lambda t: t.assign(deviation=pd.array([1, 2, None, 4, 5, 6], dtype="Int64")))
    with pytest.raises(UserError, match="no deviation for gene g0 and person p2 but has others"):
        read_prediction(some, Cohort.load(cohort_folder))


def test_seeds_of_a_model_predict_the_same_things(cohort_folder: Path, prediction: Callable[..., Path]) -> None:
    first = prediction(lambda table: table.assign(deviation=np.nan))
    second = first.rename(first.with_name("gta.seed2.parquet"))
    first = prediction(lambda table: table.assign(deviation=0.0))
    with pytest.raises(UserError, match=r"gta.seed2.parquet lacks deviations, unlike another seed of gta"):
        read_predictions([first, second], Cohort.load(cohort_folder))


def test_names_that_only_linger_in_a_category_do_not_count(cohort_folder: Path, prediction: Callable[..., Path]) -> None:
    def categorical(table: pd.DataFrame) -> pd.DataFrame:
        return table.assign(gene=pd.Categorical(table["gene"], categories=["gone", "g0", "g1"]))

    assert read_prediction(prediction(categorical), Cohort.load(cohort_folder)).genes.all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: pd.concat([t, t.iloc[[4]]]), "two rows for gene g1 and person p1"),
        (lambda t: t.replace("g1", "g9"), "the gene 'g9', which is not in the cohort"),
        (lambda t: t.replace("p2", "NA12878"), "the person 'NA12878', which is not in the cohort"),
        (lambda t: t.drop(index=[5]), "gene g1 but not for the test person p2"),
        (lambda t: t.assign(predicted=[0, 0, np.nan, 0, 0, 0.0]), "no finite value for gene g0 and person p2"),
        (lambda t: t.assign(predicted=[0, 0, 0, np.inf, 0, 0.0]), "no finite value for gene g1 and person p0"),
        (lambda t: t.drop(columns="predicted"), "no column 'predicted'"),
        (lambda t: t.assign(predicted="high"), "does not hold numbers"),
        (lambda t: t.replace("g0", None), "rows without a gene"),
        (lambda t: t.assign(deviation=[0, 0, 0, 0, np.nan, 0.0]), "no deviation for gene g1 and person p1 but has others"),
        (lambda t: t.assign(deviation=[np.nan] * 3 + [0.0] * 3), "no deviation for gene g0 and person p0 but has others"),
        (lambda t: t.assign(deviation="high"), "'deviation' does not hold numbers"),
    ],
)
def test_wrong_predictions(
    cohort_folder: Path,
    prediction: Callable[..., Path],
    change: Callable[[pd.DataFrame], pd.DataFrame],
    sentence: str,
) -> None:
    path = prediction(change)
    with pytest.raises(UserError, match=sentence) as caught:
        read_prediction(path, Cohort.load(cohort_folder))
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_parquet(cohort_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "gta.parquet").write_text("gene\tperson\tpredicted\n")
    with pytest.raises(UserError, match="not a Parquet file"):
        read_prediction(tmp_path / "gta.parquet", Cohort.load(cohort_folder))
    with pytest.raises(UserError, match="does not exist"):
        read_prediction(tmp_path / "absent.parquet", Cohort.load(cohort_folder))


def test_the_same_model_and_seed_twice(cohort_folder: Path, prediction: Callable[..., Path]) -> None:
    path = prediction(lambda table: table)
    with pytest.raises(UserError, match="Two files are of model gta with seed 1"):
        read_predictions([path, path], Cohort.load(cohort_folder))


def test_a_person_called_na_is_a_person_and_an_empty_number_is_missing(tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text("person\tvalue\nNA\t\nNaN\tNA\nP1\t-\nP2\t1e-3\n")
    table = read_numbers(tmp_path / "table.tsv", ("person",), ("value",))
    assert table["person"].tolist() == ["NA", "NaN", "P1", "P2"]
    assert table["value"].tolist() == pytest.approx([np.nan, np.nan, np.nan, 0.001], nan_ok=True)


def test_text_where_a_number_belongs(tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text("value\n1.5\nhigh\n")
    with pytest.raises(UserError, match=r"table.tsv, line 3: value is 'high', not a number"):
        read_numbers(tmp_path / "table.tsv", (), ("value",))
