"""Reading the files that the evaluation compares: the cohort, and predictions. Everything is checked here, once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gta.errors import UserError
from gta.files import require_file

#: Predictions are rounded to this many decimals (natural-log units) before they are ranked. Without it the noise of float32
#: arithmetic would break ties between people who carry the same sequences, and the ranks of a gene without any predicted
#: difference would be noise instead of ties.
PREDICTION_DECIMALS = 6

SPLITS = ("train", "valid", "test")

_PREDICTION_NAME = re.compile(r"(?P<model>.+?)(?:\.seed(?P<seed>\d+))?\.parquet")


def read_tsv(path: Path | str, what: str, text: Sequence[str] = (), numbers: Sequence[str] = ()) -> pd.DataFrame:
    """A tab-separated table with a header line.

    Args:
        path: The file.
        what: What the file is, for error messages ("table of people").
        text: Columns that must be there and stay text; `NA` and the like are names, not missing values.
        numbers: Columns that must be there and become float64; empty cells, `NA` and `-` become NaN.

    Returns:
        The table with all its columns; those that were not named are text.

    Raises:
        UserError: if the file is absent, empty or broken, lacks a column, or holds text where a number belongs.
    """
    path = require_file(path, what)
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, na_filter=False)
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise UserError(f"The {what} {path} is not a tab-separated table ({error}): make it anew.") from None
    absent = [name for name in (*text, *numbers) if name not in table.columns]
    if absent:
        raise UserError(f"The {what} {path} has no column {absent[0]!r} (it has {', '.join(table.columns)}): check the file.")
    for name in numbers:
        cells = table[name].where(~table[name].isin(["", "NA", "-", "nan"]), "nan")
        table[name] = pd.to_numeric(cells, errors="coerce").astype(np.float64)
        wrong = table[name].isna() & (cells != "nan")
        if wrong.any():
            line = int(np.flatnonzero(wrong)[0])
            raise UserError(f"{path}, line {line + 2}: {name} is {cells.iloc[line]!r}, not a number: correct the {what}.")
    return table


@dataclass(frozen=True)
class Cohort:
    """Who and what is in the cohort, and the measured expression.

    Attributes:
        people: `person population split`, one row per person, in the order of the columns of `expression`.
        genes: `gene contig ... split`, one row per gene, in the order of the rows of `expression`.
        expression: (genes, people), float64: ln(TPM + 0.01) after removal of hidden factors.
    """

    people: pd.DataFrame
    genes: pd.DataFrame
    expression: NDArray[np.float64]

    def people_in(self, split: str) -> NDArray[np.intp]:
        """Indices of the people of a split."""
        return np.flatnonzero((self.people["split"] == split).to_numpy())

    def genes_in(self, split: str) -> NDArray[np.intp]:
        """Indices of the genes of a split."""
        return np.flatnonzero((self.genes["split"] == split).to_numpy())


def _first_duplicate(names: pd.Series) -> str | None:
    repeated = names[names.duplicated()]
    return None if repeated.empty else str(repeated.iloc[0])


def read_members(folder: Path | str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`people.tsv` and `genes.tsv` of a cohort folder, with names and splits checked.

    Returns:
        People (text columns) and genes (`tss`, `window_start`, `window_end` and `block` float64, the rest text).

    Raises:
        UserError: if a file is absent or broken, a name occurs twice, or a split is unknown.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"The cohort {folder} is not a folder: give the folder that the stage `cohort` wrote.")
    people = read_tsv(folder / "people.tsv", "table of people", text=("person", "population", "split"))
    genes = read_tsv(
        folder / "genes.tsv",
        "table of genes",
        text=("gene", "contig", "split"),
        numbers=("tss", "window_start", "window_end"),
    )
    for table, key, name in ((people, "person", "people.tsv"), (genes, "gene", "genes.tsv")):
        if table.empty:
            raise UserError(f"{folder / name} lists no {key}: check the settings of the cohort.")
        duplicate = _first_duplicate(table[key])
        if duplicate is not None:
            raise UserError(f"{folder / name} lists the {key} {duplicate!r} twice: make the cohort anew.")
        unknown = table.loc[~table["split"].isin(SPLITS), "split"]
        if not unknown.empty:
            raise UserError(f"{folder / name} has the split {unknown.iloc[0]!r}: it must be one of {', '.join(SPLITS)}.")
    return people, genes


def _read_parquet(path: Path, what: str, columns: Sequence[str] | None, categories: Sequence[str] = ()) -> pa.Table:
    """Some columns (all: None) of a Parquet file; those in `categories` come as dictionaries."""
    path = require_file(path, what)
    try:
        names = pq.read_schema(path).names
        absent = [name for name in columns or () if name not in names]
        if absent:
            raise UserError(f"The {what} {path} has no column {absent[0]!r} (it has {', '.join(names[:8])}): check the file.")
        return pq.read_table(path, columns=None if columns is None else list(columns), read_dictionary=list(categories))
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"The {what} {path} is not a Parquet file that can be read ({error}): make it anew.") from None


def read_cohort(folder: Path | str) -> Cohort:
    """The cohort that the stage `cohort` wrote.

    Raises:
        UserError: if a file is absent or broken, or its genes and people do not match those of `expression.parquet`.
    """
    people, genes = read_members(folder)
    path = Path(folder) / "expression.parquet"
    table = _read_parquet(path, "table of expression", None)
    if "gene" not in table.column_names:
        raise UserError(f"The table of expression {path} has no column 'gene': make the cohort anew.")
    row_of = pd.Index(table.column("gene").to_pylist())
    if row_of.has_duplicates:
        raise UserError(f"{path} has the gene {row_of[row_of.duplicated()][0]!r} twice: make the cohort anew.")
    rows = row_of.get_indexer(genes["gene"])
    if (rows < 0).any():
        raise UserError(f"{path} has no row for the gene {genes['gene'][int(np.argmin(rows))]!r}: make the cohort anew.")
    absent = [person for person in people["person"] if person not in table.column_names]
    if absent:
        raise UserError(f"{path} has no column for the person {absent[0]!r}: make the cohort anew.")
    columns = [table.column(person).to_numpy().astype(np.float64) for person in people["person"]]
    expression = np.stack(columns, axis=1)[rows]
    if not np.isfinite(expression).all():
        gene, person = np.argwhere(~np.isfinite(expression))[0]
        where = f"gene {genes['gene'][gene]}, person {people['person'][person]}"
        raise UserError(f"{path} has no finite value for {where}: make the cohort anew.")
    return Cohort(people=people, genes=genes, expression=expression)


@dataclass(frozen=True)
class Prediction:
    """What one model, trained with one seed, predicts for the held-out people.

    Attributes:
        model: Name of the model.
        seed: Its seed as text; empty for a model without one.
        predicted: (genes of the cohort, test people), float64, natural-log units, rounded to `PREDICTION_DECIMALS`; a row of
            NaN for a gene of which the model says nothing.
    """

    model: str
    seed: str
    predicted: NDArray[np.float64]

    @property
    def genes(self) -> NDArray[np.bool_]:
        """(genes of the cohort,): which genes the model speaks of."""
        return ~np.isnan(self.predicted[:, 0])


def parse_name(path: Path | str) -> tuple[str, str]:
    """Model and seed from the name of a predictions file: `gta.seed1.parquet` is ("gta", "1"), `ridge.parquet` ("ridge", "").

    Raises:
        UserError: if the name does not end in `.parquet`.
    """
    match = _PREDICTION_NAME.fullmatch(Path(path).name)
    if match is None:
        raise UserError(f"{path}: predictions are named MODEL.parquet or MODEL.seedN.parquet: rename the file.")
    return match["model"], match["seed"] or ""


def _codes(column: pa.ChunkedArray, names: pd.Series, kind: str, path: Path) -> NDArray[np.intp]:
    """Index of every cell in `names`; a cell that is not among them is the user's mistake."""
    if column.null_count:
        raise UserError(f"{path} has rows without a {kind}: make the predictions anew.")
    # Names repeat for every pair of gene and person: look up each distinct name once.
    encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    index = pd.Index(names.astype(object))
    codes = [
        index.get_indexer(pd.Index(chunk.dictionary.to_pylist(), dtype=object))[chunk.indices.to_numpy()]
        for chunk in encoded.chunks
    ]
    known = np.concatenate([np.empty(0, dtype=np.intp), *codes])
    if (known < 0).any():
        stranger = column[int(np.argmin(known))].as_py()
        raise UserError(
            f"{path} predicts for the {kind} {str(stranger)!r}, which is not in the cohort: "
            "give predictions that were made from this cohort."
        )
    return known


def read_prediction(path: Path | str, cohort: Cohort) -> Prediction:
    """One file of predictions, reduced to the held-out (test) people.

    Raises:
        UserError: if the file is broken, names genes or people outside the cohort, has a pair of gene and person twice, leaves
            out some test people of a gene that it speaks of, or holds values that are not finite.
    """
    path = Path(path)
    model, seed = parse_name(path)
    table = _read_parquet(path, "file of predictions", ("gene", "person", "predicted"), categories=("gene", "person"))
    genes = _codes(table.column("gene"), cohort.genes["gene"], "gene", path)
    people = _codes(table.column("person"), cohort.people["person"], "person", path)
    if not pa.types.is_floating(table.schema.field("predicted").type):
        raise UserError(f"{path}: the column 'predicted' does not hold decimal numbers: make the predictions anew.")
    values = table.column("predicted").to_numpy().astype(np.float64)

    def name(pair: np.signedinteger) -> str:
        gene, person = divmod(int(pair), len(cohort.people))
        return f"gene {cohort.genes['gene'][gene]} and person {cohort.people['person'][person]}"

    pairs = genes * len(cohort.people) + people
    times = np.bincount(pairs, minlength=cohort.expression.size)
    if (times > 1).any():
        raise UserError(f"{path} has two rows for {name(np.argmax(times > 1))}: make the predictions anew.")
    if not np.isfinite(values).all():
        raise UserError(f"{path} has no finite value for {name(pairs[np.argmin(np.isfinite(values))])}: train the model anew.")
    predicted = np.full(cohort.expression.size, np.nan)
    predicted[pairs] = np.round(values, PREDICTION_DECIMALS)
    predicted = predicted.reshape(cohort.expression.shape)[:, cohort.people_in("test")]
    absent = np.isnan(predicted)
    partial = absent.any(axis=1) & (times.reshape(cohort.expression.shape).sum(axis=1) > 0)
    if partial.any():
        gene = int(np.argmax(partial))
        person = cohort.people["person"][cohort.people_in("test")[int(np.argmax(absent[gene]))]]
        raise UserError(
            f"{path} speaks of the gene {cohort.genes['gene'][gene]} but not for the test person {person}: "
            "a model has rows for all people of a gene, or none."
        )
    return Prediction(model=model, seed=seed, predicted=predicted)


def read_predictions(paths: Sequence[Path | str], cohort: Cohort) -> dict[str, list[Prediction]]:
    """Several files of predictions by model, in the order in which the models are named first.

    Raises:
        UserError: as `read_prediction`, and if two files are of the same model and seed.
    """
    models: dict[str, list[Prediction]] = {}
    for path in paths:
        prediction = read_prediction(path, cohort)
        earlier = models.setdefault(prediction.model, [])
        if any(other.seed == prediction.seed for other in earlier):
            seed = f"seed {prediction.seed}" if prediction.seed else "no seed"
            raise UserError(f"Two files are of model {prediction.model} with {seed} (the second is {path}): give each once.")
        earlier.append(prediction)
    return models
