"""Reading the files that the evaluation compares with the cohort. Everything about them is checked here, once."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.files import require_file
from gta.inputs.tables import read_table

#: Predictions are rounded to this many decimals (natural-log units) before they are ranked. Without it the noise of float32
#: arithmetic would break ties between people who carry the same sequences, and the ranks of a gene without any predicted
#: difference would be noise instead of ties.
PREDICTION_DECIMALS = 6

_PREDICTION_NAME = re.compile(r"(?P<model>.+?)(?:\.seed(?P<seed>\d+))?\.parquet")


def read_numbers(path: Path, text: Sequence[str], numbers: Sequence[str]) -> pd.DataFrame:
    """A table of `gta.inputs.tables.read_table` with columns of decimal numbers.

    Args:
        path: The table.
        text: Columns that must be there and stay text.
        numbers: Columns that must be there and become float64; empty cells, `NA` and `-` become NaN.

    Raises:
        UserError: if the file is no such table, or holds text where a number belongs.
    """
    table = read_table(path, (*text, *numbers))
    for name in numbers:
        cells = table[name].where(~table[name].isin(["", "NA", "-"]), "nan")
        table[name] = pd.to_numeric(cells, errors="coerce").astype(np.float64)
        wrong = table[name].isna() & (cells != "nan")
        if wrong.any():
            line = int(np.flatnonzero(wrong)[0])
            raise UserError(f"{path}, line {line + 2}: {name} is {cells.iloc[line]!r}, not a number: correct it.")
    return table


@dataclass(frozen=True)
class Prediction:
    """What one model, trained with one seed, predicts for the held-out people; in a reference study, for all of them.

    Attributes:
        model: Name of the model.
        seed: Its seed as text; empty for a model without one.
        predicted: (genes of the cohort, test people), float64, natural-log units, rounded to `PREDICTION_DECIMALS`; a row of
            NaN for a gene of which the model says nothing.
        mean_only: Whether the model predicts mean expression only: nothing about differences between individuals.
    """

    model: str
    seed: str
    predicted: NDArray[np.float64]
    mean_only: bool = False

    @property
    def genes(self) -> NDArray[np.bool_]:
        """(genes of the cohort,): which genes the model speaks of."""
        return ~np.isnan(self.predicted[:, 0])


def _read_pairs(path: Path) -> pa.Table:
    """The columns `gene`, `person` (as dictionaries, for they repeat), `predicted` and, if there, `deviation` of predictions."""
    require_file(path, "file of predictions")
    try:
        names = pq.read_schema(path).names
        absent = [name for name in ("gene", "person", "predicted") if name not in names]
        if absent:
            raise UserError(f"{path} has no column {absent[0]!r} (it has {', '.join(names[:8])}): give a file of predictions.")
        columns = [name for name in ("gene", "person", "predicted", "deviation") if name in names]
        return pq.read_table(path, columns=columns, read_dictionary=["gene", "person"])
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path} is not a Parquet file that can be read ({error}): make the predictions anew.") from None


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


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _mean_only(path: Path, table: pa.Table) -> bool:
    """Return whether a file has no deviation in any row: its model predicts mean expression only.

    Raises:
        UserError: if some rows have a deviation and some do not, or if deviations are not numbers.
    """
    if "deviation" not in table.schema.names:
        return False
    kind = table.schema.field("deviation").type
    if not (_is_number(kind) or pa.types.is_null(kind)):
        raise UserError(f"{path}: the column 'deviation' does not hold numbers: make the predictions anew.")
    absent = np.isnan(table.column("deviation").to_numpy().astype(np.float64))
    if absent.any() and not absent.all():
        row = int(np.argmax(absent))
        gene, person = (table.column(name)[row].as_py() for name in ("gene", "person"))
        raise UserError(
            f"{path} has no deviation for gene {gene} and person {person} but has others; a model predicts all deviations or,"
            " with an empty column, mean expression only: make the predictions again."
        )
    return bool(absent.all())


def _matrix(path: Path, cohort: Cohort) -> tuple[NDArray[np.float64], bool]:
    """All predictions of a file: (genes, people) of the cohort, rounded; NaN where the file has no row; and `_mean_only`."""
    table = _read_pairs(path)
    if table.num_rows == 0:
        raise UserError(f"{path} holds no prediction: make the predictions anew.")
    if not _is_number(table.schema.field("predicted").type):
        raise UserError(f"{path}: the column 'predicted' does not hold numbers: make the predictions anew.")
    genes = _codes(table.column("gene"), cohort.genes["gene"], "gene", path)
    people = _codes(table.column("person"), cohort.people["person"], "person", path)
    values = table.column("predicted").to_numpy().astype(np.float64)
    pairs = np.ravel_multi_index((genes, people), cohort.expression.shape)

    def name(pair: np.intp) -> str:
        gene, person = np.unravel_index(pair, cohort.expression.shape)
        return f"gene {cohort.gene_names[gene]} and person {cohort.people_names[person]}"

    repeated = np.bincount(pairs, minlength=cohort.expression.size) > 1
    if repeated.any():
        raise UserError(f"{path} has two rows for {name(np.argmax(repeated))}: make the predictions anew.")
    if not np.isfinite(values).all():
        raise UserError(f"{path} has no finite value for {name(pairs[np.argmin(np.isfinite(values))])}: train the model anew.")
    matrix = np.full(cohort.expression.size, np.nan)
    matrix[pairs] = np.round(values, PREDICTION_DECIMALS)
    return matrix.reshape(cohort.expression.shape), _mean_only(path, table)


def read_prediction(path: Path | str, cohort: Cohort) -> Prediction:
    """One file of predictions, reduced to the held-out (test) people; in a reference study, of all individuals.

    Raises:
        UserError: if the file is broken, names genes or people outside the cohort, has a pair of gene and person twice, leaves
            out some test people of a gene that it speaks of, holds values that are not finite, or has deviations in some rows
            only.
    """
    path = Path(path)
    model, seed = parse_name(path)
    (matrix, mean_only), test = _matrix(path, cohort), cohort.evaluated_individuals
    if cohort.reference_study and not mean_only:
        raise UserError(
            f"{path} has deviations, but this cohort was made without genotypes, so that all individuals have the same sequence:"
            " give predictions that were made from this cohort."
        )
    absent = np.isnan(matrix)
    incomplete = absent[:, test].any(axis=1) & ~absent.all(axis=1)
    if incomplete.any():
        gene = int(np.argmax(incomplete))
        person = test[int(np.argmax(absent[gene, test]))]
        raise UserError(
            f"{path} speaks of the gene {cohort.gene_names[gene]} but not for the test person {cohort.people_names[person]}: "
            "a model has rows for all people of a gene, or none."
        )
    return Prediction(model=model, seed=seed, predicted=matrix[:, test], mean_only=mean_only)


def read_predictions(paths: Sequence[Path | str], cohort: Cohort) -> dict[str, list[Prediction]]:
    """Several files of predictions by model, in the order in which the models are named first.

    Raises:
        UserError: as `read_prediction`, if two files are of the same model and seed, and if of a model's seeds only some predict
            deviations.
    """
    models: dict[str, list[Prediction]] = {}
    for path in paths:
        prediction = read_prediction(path, cohort)
        earlier = models.setdefault(prediction.model, [])
        if any(other.seed == prediction.seed for other in earlier):
            seed = f"seed {prediction.seed}" if prediction.seed else "no seed"
            raise UserError(f"Two files are of model {prediction.model} with {seed} (the second is {path}): give each once.")
        if any(other.mean_only != prediction.mean_only for other in earlier):
            raise UserError(
                f"{path} {'lacks' if prediction.mean_only else 'has'} deviations, unlike another seed of {prediction.model}: make"
                " the predictions of all seeds again."
            )
        earlier.append(prediction)
    return models
