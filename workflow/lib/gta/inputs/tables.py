"""Reading and writing the tables of the inputs stage."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gta.errors import UserError
from gta.files import require_file

_AGAIN = "check the path, or make the file again."

#: What ends a cell or a line of a table.
BREAKS = frozenset("\t\n\r")


def read_table(path: Path, columns: Sequence[str], integers: Sequence[str] = ()) -> pd.DataFrame:
    """A tab-separated table that this workflow wrote. All of it is text (a gene may be called `NA`) but for the integer columns.

    Args:
        path: The table; quotation marks in it are ordinary characters.
        columns: What must occur in it.
        integers: Which of its columns, where they occur, are whole numbers (int64).

    Raises:
        UserError: if the file is absent, empty or not such a table.
    """
    require_file(path, "table")
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, quoting=csv.QUOTE_NONE)
    except pd.errors.EmptyDataError as error:
        raise UserError(f"{path} is empty: {_AGAIN}") from error
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is no tab-separated table ({error}): {_AGAIN}") from error
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise UserError(f"{path} has no column {missing[0]}: {_AGAIN}")
    for name in integers:
        if name in table:
            broken = table[name][~table[name].str.fullmatch(r"-?\d+")]
            if len(broken):
                raise UserError(f"{path} has {broken.iloc[0]!r} in the column {name}, where whole numbers are needed: {_AGAIN}")
    return table.astype({name: "int64" for name in integers if name in table})


def write_table(table: pd.DataFrame, path: Path, float_format: str | None = None) -> None:
    """Write a tab-separated table with a header line, as `read_table` reads it: quotation marks are ordinary characters.

    Args:
        table: The table.
        path: File to write.
        float_format: Format of decimal numbers, such as `%.6g`; None: all their digits.

    Raises:
        UserError: if a cell holds a tab or a line break, which such a table cannot.
    """
    for name in table.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in table.dtypes]]:
        for cell in table[name]:
            # A carriage return alone would pass the writer, and end a line for some readers.
            if isinstance(cell, str) and not BREAKS.isdisjoint(cell):
                raise UserError(
                    f"{path.name} cannot hold {cell!r}, of the column {name}: it has a tab or a line break; remove it from the"
                    " input."
                )
    table.to_csv(path, sep="\t", index=False, quoting=csv.QUOTE_NONE, lineterminator="\n", float_format=float_format)


def read_names(inputs: Path) -> dict[str, str]:
    """The names of the reference and the genotypes inside an inputs folder, from its `inputs.json`.

    Returns:
        `reference` and, unless it is a reference study, which has no genotypes, `genotypes`.

    Raises:
        UserError: if the file is missing or does not name both.
    """
    path = require_file(inputs / "inputs.json", "list of the inputs")
    try:
        names = json.loads(path.read_text())
        return {key: str(names[key]) for key in ("reference", "genotypes") if names[key] is not None}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} does not name a reference and genotypes; run `gta inputs` again.") from error


def read_annotation(path: Path) -> pd.DataFrame:
    """The annotation table: `gene symbol biotype description` and further columns, all text."""
    return read_table(path, ("gene", "symbol", "biotype", "description"))


def read_genes(inputs: Path) -> pd.DataFrame:
    """`genes.tsv` of an inputs folder."""
    whole = ("start", "end", "tss")
    return read_table(inputs / "genes.tsv", ("gene", "symbol", "biotype", "contig", "strand", *whole), whole)


def read_people(inputs: Path) -> pd.DataFrame:
    """`people.tsv` of an inputs folder: everybody in the VCF."""
    return read_table(inputs / "people.tsv", ("person", "population"))


def read_contigs(inputs: Path) -> pd.DataFrame:
    """`contigs.tsv` of an inputs folder; a file's name of a contig is empty where it lacks the contig."""
    return read_table(
        inputs / "contigs.tsv", ("contig", "length", "genotypes_name", "genes_name", "expression_name"), ("length",)
    )


def read_expression(inputs: Path) -> pd.DataFrame:
    """`expression.parquet` of an inputs folder: index gene, one float64 column per person, TPM or RPKM."""
    return read_matrix(inputs / "expression.parquet")


def read_matrix(path: Path) -> pd.DataFrame:
    """A matrix of genes (rows, by name) and people (columns) in Parquet.

    Raises:
        UserError: if the file is absent, truncated or something else.
    """
    require_file(path, "expression matrix")
    try:
        return pd.read_parquet(path).set_index("gene")
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"The expression matrix {path} is not whole ({error}): {_AGAIN}") from error
