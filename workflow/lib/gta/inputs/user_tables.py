"""The user's tables of text: gene annotation and populations."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gta.errors import UserError
from gta.inputs.compression import open_text
from gta.inputs.expression import N_LEADING
from gta.inputs.names import leading_columns


def read_text_table(path: Path, what: str) -> pd.DataFrame:
    """A tab-separated table with a header line; every value is kept as text, an empty one as "".

    Quotation marks are ordinary characters. The index is the line number in the file. Columns without a name are ignored
    (the panel file of the 1000 Genomes Project ends its header with tabs).

    Raises:
        UserError: for a table without rows or with a single column, a column named twice, or a row longer than the header.
    """
    rows: dict[int, list[str]] = {}
    with open_text(path, what) as handle:
        header = handle.readline().rstrip("\r\n").lstrip("#").split("\t")
        for number, line in enumerate(handle, start=2):
            fields = line.rstrip("\r\n").split("\t")
            if fields == [""]:
                continue
            if any(fields[len(header) :]):
                raise UserError(
                    f"The {what} {path}, line {number}, has {len(fields)} columns where the header has {len(header)}:"
                    " remove the tabs inside its text."
                )
            rows[number] = (fields + [""] * len(header))[: len(header)]
    named = [name for name in header if name]
    if len(named) < 2:
        raise UserError(
            f"The {what} {path} has a single column, {header[0]!r}: a header, and columns separated by tabs, are needed."
        )
    for name in named:
        if named.count(name) > 1:
            raise UserError(f"The {what} {path} has two columns named {name!r}: rename one.")
    if not rows:
        raise UserError(f"The {what} {path} has a header but no rows: check how it was made.")
    table = pd.DataFrame.from_dict(rows, orient="index", columns=range(len(header)), dtype=str)
    table.columns = pd.Index(header)
    return table[named]


def _column(table: pd.DataFrame, aliases: Sequence[str], path: Path, what: str) -> str:
    """The column that goes by one of several names, upper or lower case."""
    by_lower = {str(name).lower(): str(name) for name in reversed(table.columns)}
    for alias in aliases:
        if alias in by_lower:
            return by_lower[alias]
    raise UserError(
        f"The {what} {path} has no column {' or '.join(aliases)} (its columns: {', '.join(table.columns)}): rename one."
    )


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


def read_user_annotation(path: Path) -> pd.DataFrame:
    """The user's annotation of genes in words.

    Args:
        path: TSV with a column `gene_id` or `gene`.

    Returns:
        `gene` as given in the file, then every other column under its own name, all text.

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
    column = _column(table, ("gene_id", "gene"), path, what)
    _require_once(table[column], path, what)
    others = table.drop(columns=[name for name in ("gene", column) if name in table])
    return pd.concat([table[column].rename("gene"), others], axis=1).reset_index(drop=True)


def read_populations(path: Path) -> pd.DataFrame:
    """The population of each person, and the sex where the table has it.

    Args:
        path: TSV with the columns person (or sample) and population (or pop); sex (or gender) is optional, further columns
            are ignored.

    Returns:
        `person population` and, if given, `sex`, all text.

    Raises:
        UserError: if a column is missing or a person is named twice.
    """
    what = "table of populations"
    table = read_text_table(path, what)
    wanted = {
        "person": _column(table, ("person", "sample"), path, what),
        "population": _column(table, ("population", "pop"), path, what),
    }
    by_lower = {str(name).lower(): str(name) for name in table.columns}
    sex = by_lower.get("sex", by_lower.get("gender"))
    if sex is not None:
        wanted["sex"] = sex
    _require_once(table[wanted["person"]], path, what)
    chosen = table[list(wanted.values())].set_axis(list(wanted), axis=1)
    return chosen.reset_index(drop=True)
