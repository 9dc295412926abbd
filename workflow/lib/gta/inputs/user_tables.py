"""The user's tables of text: gene annotation and populations."""

from pathlib import Path

import pandas as pd

from gta.errors import UserError
from gta.inputs.expression import N_LEADING
from gta.inputs.names import leading_columns
from gta.inputs.text_tables import INDIVIDUAL, MISSING, POPULATION, SEX, annotation_columns
from gta.inputs.text_tables import read_text_table as read_rows


def read_text_table(path: Path, what: str) -> pd.DataFrame:
    """A table of `gta.inputs.text_tables.read_text_table`, all text; the index is the number of the line in the file.

    Columns without a name are ignored (the panel file of the 1000 Genomes Project ends its header with tabs).

    Raises:
        UserError: for a table without rows or with a single column, a column named twice, or a row longer than the header.
    """
    table = read_rows(path, what)
    frame = pd.DataFrame(dict(table.rows).values(), index=[number for number, _ in table.rows], dtype=str)
    frame.columns = pd.Index(table.header)
    return frame[[name for name in table.header if name]]


def read_columns(path: Path, what: str, columns: dict[str, tuple[str, ...]], optional: tuple[str, ...] = ()) -> pd.DataFrame:
    """Some columns of a table of text, whatever the case of their names; the index is the number of the line in the file.

    Args:
        path: The table.
        what: What the file is, for the error's text.
        columns: Name of each column in the result -> the names, in lower case, that it may have in the file.
        optional: Those of them that may be absent.

    Raises:
        UserError: if another one is absent, or the table is broken.
    """
    table = read_rows(path, what)
    places = {
        name: number
        for name, aliases in columns.items()
        if (number := table.find(*aliases) if name in optional else table.column(*aliases)) is not None
    }
    cells = {name: [row[number] for _, row in table.rows] for name, number in places.items()}
    return pd.DataFrame(cells, index=[number for number, _ in table.rows], dtype=str)


def _is_numeric(values: pd.Series) -> bool:
    """Whether there are values, all of them numbers."""
    return len(values) > 0 and bool(pd.to_numeric(values, errors="coerce").notna().all())


def _require_once(names: pd.Series, path: Path, what: str) -> None:
    """Refuse a name that stands in two rows, or an empty one."""
    empty = names[names == ""]
    if len(empty):
        raise UserError(f"The {what} {path}, line {empty.index[0]}, has no {names.name}: fill it in or remove the row.")
    again = names[names.duplicated()]
    if len(again):
        first = names.index[names == again.iloc[0]][0]
        raise UserError(
            f"The {what} {path} names {again.iloc[0]!r} in lines {first} and {again.index[0]}: keep one row for each."
        )


def _without_missing(texts: pd.Series) -> pd.Series:
    """Texts with nothing in place of what R, pandas and spreadsheets write for nothing; one symbol alone may be `NA`."""
    missing = texts.isin(MISSING)
    if texts.name == "symbol" and (texts == "NA").sum() == 1:
        missing &= texts != "NA"
    return texts.mask(missing, "")


def read_user_annotation(path: Path) -> pd.DataFrame:
    """The user's annotation of genes in words.

    Args:
        path: TSV with a column `gene_id` or `gene`; see `gta.inputs.text_tables.ANNOTATION_COLUMNS` for other names.

    Returns:
        `gene`, then `symbol`, `biotype` and `description` if given, and every other column under its own name, all text;
        empty where it says that something is missing (`gta.inputs.text_tables.MISSING`).

    Raises:
        UserError: without such a column, for a gene named twice, or for an expression matrix in its place.
    """
    what = "gene annotation table"
    table = read_text_table(path, what)
    leading = leading_columns([str(name) for name in table.columns]) or N_LEADING
    if [str(name).lower() for name in table.columns[1:3]] == ["start", "end"] and _is_numeric(table.iloc[0, leading:]):
        raise UserError(
            f"The {what} {path} looks like an expression matrix (#chr start end ..., then numbers): give the table that says in"
            " words what is known of each gene."
        )
    columns = annotation_columns([str(name) for name in table.columns], f"The {what} {path}")
    table = table[list(columns)].rename(columns=columns)
    _require_once(table["gene"], path, what)
    for column in table.columns.drop("gene"):
        table[column] = _without_missing(table[column])
    return table[["gene", *table.columns.drop("gene")]].reset_index(drop=True)


def read_populations(path: Path) -> pd.DataFrame:
    """The population of each person, and the sex where the table has it.

    Args:
        path: TSV with the columns person (or sample) and population (or pop); sex (or gender) is optional, further columns
            are ignored. For other names see `gta.inputs.text_tables`.

    Returns:
        `person population` and, if given, `sex`, all text.

    Raises:
        UserError: if a column is missing or a person is named twice.
    """
    what = "table of populations"
    table = read_columns(path, what, {"person": INDIVIDUAL, "population": POPULATION, "sex": SEX}, optional=("sex",))
    _require_once(table["person"], path, what)
    return table.reset_index(drop=True)
