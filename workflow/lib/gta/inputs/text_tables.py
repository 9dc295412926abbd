"""The user's small tables and lists of text, read in one way by every stage and by the dry run, which loads nothing heavy."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gta.errors import UserError
from gta.inputs.compression import open_text

#: Blanks that are no ASCII and marks without width, which word processors and web pages leave: one blank, or nothing.
_ODD_BLANKS = {
    **dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " "),
    **dict.fromkeys((0x200B, 0x200E, 0x200F, 0x2060, 0xFEFF), None),
}
#: A cell in quotation marks, those inside it doubled, as spreadsheets and R write it.
_QUOTED = re.compile(r'"((?:[^"]|"")*)"[ \u00a0]*(?=\t|$)')
#: A cell in quotation marks may go over as many lines.
_LINES_OF_A_CELL = 200

#: How R, pandas and spreadsheets write a text that is not there. `NA` may also be a name.
MISSING = frozenset(("NA", "N/A", "#N/A", "NaN", "nan", "<NA>", "NULL", ".", "-"))

_MONTH = r"(?:jan|feb|m[aä]r|mrz|apr|ma[iy]|jun|jul|aug|sept?|o[ck]t|nov|de[cz])"
#: What a spreadsheet makes of the symbols MARCH1, SEPT2 and DEC1, and of ids such as 2310009E13.
_MANGLED = re.compile(
    rf"\d{{1,2}}[-. /]{{1,2}}{_MONTH}\.?(?:-\d{{2,4}})?|{_MONTH}-\d{{2,4}}|\d{{4}}-\d\d-\d\d(?: 00:00:00)?"
    r"|\d{1,2}/\d{1,2}/\d{2,4}|\d(?:[.,]\d+)?E\+\d{2,3}",
    re.IGNORECASE,
)

#: What goes by other names in the annotation of genes: our name, then those in the header of Ensembl's BioMart and R, in the
#: form of `plain_name`.
ANNOTATION_COLUMNS: dict[str, tuple[str, ...]] = {
    "gene": (
        *("gene_id", "gene", "gene_stable_id", "ensembl_gene_id", "ensembl_id", "geneid", "gene_stable_id_version"),
        *("ensembl_gene_id_version",),
    ),
    "symbol": ("symbol", "gene_name", "gene_symbol", "hgnc_symbol", "external_gene_name"),
    "biotype": ("biotype", "gene_biotype", "gene_type"),
    "description": ("description", "gene_description"),
}
INDIVIDUAL = ("person", "sample", "individual", "iid", "sample_id", "sample_name", "individual_id")
POPULATION = ("population", "pop", "population_code")
SEX = ("sex", "gender")


@dataclass(frozen=True)
class TextTable:
    """A table of text.

    Attributes:
        header: Names of the columns; without a name: "".
        rows: (number of the line, one cell for each column) of each row.
        where: The beginning of an error's text: "The gene groups x.tsv".
    """

    header: list[str]
    rows: list[tuple[int, list[str]]]
    where: str

    def column(self, *aliases: str) -> int:
        """The number of the column that goes by one of several names, see `find_column`.

        Raises:
            UserError: if there is none.
        """
        number = self.find(*aliases)
        if number is None:
            named = ", ".join(filter(None, self.header))
            raise UserError(f"{self.where} has no column {' or '.join(aliases)} (its columns: {named}): rename one.")
        return number

    def find(self, *aliases: str) -> int | None:
        """The number of the column that goes by one of several names; None if there is none.

        Raises:
            UserError: if two columns go by the same of them.
        """
        return find_column(self.header, aliases, self.where)


def plain_name(name: str) -> str:
    """The name of a column in lower case, with one underscore for blanks, points and dashes.

    Example:
        >>> plain_name("Gene stable ID")
        'gene_stable_id'
    """
    return re.sub(r"[\s._-]+", "_", clean(name).lower())


def find_column(header: Sequence[str], aliases: Iterable[str], where: str) -> int | None:
    """The number of the column that goes by the first of several names; upper and lower case, blanks and points do not count.

    Raises:
        UserError: if two columns go by the same name.
    """
    plain = [plain_name(name) for name in header]
    for alias in aliases:
        if plain.count(alias) > 1:
            twice = [name for name in header if plain_name(name) == alias]
            raise UserError(f"{where} has the columns {twice[0]!r} and {twice[1]!r}, and one alone can be {alias}: rename one.")
        if alias in plain:
            return plain.index(alias)
    return None


def clean(cell: str) -> str:
    """A cell without blanks around it, and with an ordinary blank for a tab, a line break or another kind of blank inside it."""
    if not cell.isascii():
        cell = cell.translate(_ODD_BLANKS)
    cell = cell.strip()
    return re.sub(r"\s*[\t\r\n]\s*", " ", cell) if "\t" in cell or "\n" in cell else cell


def read_text_table(path: Path, what: str) -> TextTable:
    """A tab-separated table with a header line; plain or gzip, UTF-8 with or without a byte-order mark, lines ending in any way.

    Blanks around cells are left out, and so are empty lines and, before the header, lines of comment. A cell in quotation marks
    may hold tabs and line breaks, which become blanks; any other quotation mark is an ordinary character. Missing cells at the
    end of a row are empty.

    Args:
        path: The table.
        what: What the file is, for the error's text: "table of populations".

    Raises:
        UserError: for a table without rows or with a single column, a column named twice, or a row longer than the header.
    """
    where = f"The {what} {path}"
    with open_text(path, what) as handle:
        lines = handle.read().split("\n")
    first = 0
    while first < len(lines) - 1 and _is_comment(lines[first]):
        first += 1
    names, first = _row(lines, first, 0)
    header = [clean(name) for name in names]
    header[0] = clean(header[0].lstrip("#"))
    _check_header(header, where)
    rows = []
    while first < len(lines):
        number = first + 1
        cells, first = _row(lines, first, len(header))
        cells = [clean(cell) for cell in cells]
        if not any(cells):
            continue
        if any(cells[len(header) :]):
            raise UserError(f"{where}, line {number}, has {len(cells)} columns where the header has {len(header)}: {_LONGER}")
        if len(cells) == 1 and " " in cells[0]:
            raise UserError(
                f"{where}, line {number}, is text without any tab ({cells[0][:40]!r}): remove the line break inside the cell, or"
                " put the cell in quotation marks."
            )
        rows.append((number, (cells + [""] * len(header))[: len(header)]))
    if not rows:
        raise UserError(f"{where} has a header but no rows: check how it was made.")
    return TextTable(header, rows, where)


_LONGER = "remove the tabs inside its text, or, if they are row names of R, write it with row.names = FALSE."


def _is_comment(line: str) -> bool:
    """Whether a line before the header is none: empty, or a remark."""
    return not clean(line) or line.startswith("##") or (line.startswith("#") and "\t" not in line)


def _check_header(header: list[str], where: str) -> None:
    named = [name for name in header if name]
    if len(named) < 2:
        separator = next(
            (name for sign, name in ((",", "commas"), (";", "semicolons"), (" ", "blanks")) if sign in header[0]), None
        )
        raise UserError(
            f"{where} has a single column, {header[0]!r}: a header, and columns separated by tabs, are needed"
            + (f"; if {separator} separate them, save it as text with tabs." if separator else ".")
        )
    lower: dict[str, str] = {}
    for name in named:
        other = lower.setdefault(name.lower(), name)
        if named.count(name) > 1:
            raise UserError(f"{where} has two columns named {name!r}: rename one.")
        if other != name:
            raise UserError(f"{where} has the columns {other!r} and {name!r}, which differ by case alone: rename one.")


def _row(lines: Sequence[str], first: int, n_columns: int) -> tuple[list[str], int]:
    """The cells of the row that begins in a line, and the number of the line after it; `n_columns`: 0 in the header."""
    line = lines[first]
    plain = line.split("\t")
    if not (line.startswith('"') or '\t"' in line):
        return plain, first + 1
    text = line
    for last in range(first, min(first + _LINES_OF_A_CELL, len(lines))):
        if last > first:
            if len(plain) == n_columns == lines[last].count("\t") + 1:
                break  # two whole rows: the quotation mark in the first is an ordinary character
            text += "\n" + lines[last]
        cells, is_open = _quoted_cells(text)
        if not is_open:
            # A quotation mark at the beginning of one cell and one at the end of another do not make one cell of both.
            if n_columns != len(cells) and (last > first or len(plain) == n_columns):
                break
            return cells, last + 1
    return plain, first + 1


def cells_of(line: str) -> list[str]:
    """The cells of one line, those in quotation marks without them."""
    line = line.rstrip("\r\n")
    if '"' not in line:
        return line.split("\t")
    cells, is_open = _quoted_cells(line)
    return line.split("\t") if is_open else cells


def _quoted_cells(text: str) -> tuple[list[str], bool]:
    """The cells of a row, and whether its last cell is one in quotation marks that has not come to its end."""
    cells: list[str] = []
    at = 0
    while True:
        found = _QUOTED.match(text, at)
        if found is not None:
            cells.append(found[1].replace('""', '"'))
            at = found.end()
        else:
            end = text.find("\t", at)
            if text.startswith('"', at) and text.count('"', at) % 2:
                return cells, True
            cells.append(text[at : len(text) if end < 0 else end])
            at += len(cells[-1])
        if at >= len(text):
            return cells, False
        at += 1


def read_list(path: Path, what: str) -> dict[str, int]:
    """Names in a text file, one per line.

    Blanks and quotation marks around a name are left out, and so are empty lines and those that begin with `#`.

    Args:
        path: The file; plain or gzip.
        what: What it is, for the error's text: "list of genes".

    Returns:
        Each name, with the number of its first line, in the order of the file.

    Raises:
        UserError: if it names nothing, or a line has several columns.
    """
    names: dict[str, int] = {}
    with open_text(path, what) as handle:
        for number, line in enumerate(handle, start=1):
            cells = [clean(cell) for cell in line.split("\t")]
            if any(cells[1:]):
                raise UserError(
                    f"The {what} {path}, line {number}, has {len(cells)} columns: keep the names alone, one per line."
                )
            name = cells[0]
            if len(name) > 1 and name[0] == name[-1] == '"':
                name = clean(name[1:-1])
            if name and not name.startswith("#"):
                names.setdefault(name, number)
    if not names:
        raise UserError(f"The {what} {path} is empty: write one name per line.")
    return names


def number_of(text: str) -> float:
    """A finite number as other programs read it, too: Python alone takes 1_7 for 17.

    Raises:
        ValueError: if it is none; its text says what it is instead.
    """
    try:
        if "_" not in text and math.isfinite(value := float(text)):
            return value
    except ValueError:
        pass
    if re.fullmatch(r"[-+]?\d{1,3}(,\d{3})+\.\d+|[-+]?\d{1,3}(\.\d{3})+,\d+|[-+]?\d{1,3}([ ']\d{3})+([.,]\d+)?", text.strip()):
        raise ValueError("not a number; write it without signs between thousands, and with a point before decimals")
    if re.fullmatch(r"[-+]?\d*,\d+([eE][-+]?\d+)?", text.strip()):
        raise ValueError("not a number; write a point, not a comma, before decimals")
    raise ValueError("not a number; give every value")


def whole_number_of(text: str) -> int | None:
    """A whole number from 0 on, as text without sign; None if it is none."""
    return int(text) if text.isascii() and text.isdecimal() else None


def warning_of_mangled(names: Iterable[str], kind: str) -> str | None:
    """A warning where names of genes look like what a spreadsheet makes of them: dates of MARCH1, numbers of 2310009E13."""
    mangled = [name for name in names if _MANGLED.fullmatch(name)]
    if not mangled:
        return None
    return (
        f"{kind}: warning: {len(mangled)} names look like the dates and numbers that a spreadsheet makes of names of genes (such"
        f" as {mangled[0]!r}; 1-Mar was MARCH1): give the table as it was before"
    )


def annotation_columns(header: Sequence[str], where: str) -> dict[str, str]:
    """The columns of a table of annotation as the workflow calls them.

    Args:
        header: Names of the columns.
        where: The beginning of an error's text.

    Returns:
        Name in the header -> `gene`, `symbol`, `biotype`, `description`, or, of any other column, the same name. A column called
        `gene` next to `gene_id` is left out.

    Raises:
        UserError: if no column names the genes, or two go by one name.
    """
    renamed = {
        number: ours
        for ours, aliases in ANNOTATION_COLUMNS.items()
        if (number := find_column(header, aliases, where)) is not None
    }
    if "gene" not in renamed.values():
        named = ", ".join(filter(None, header))
        raise UserError(f"{where} has no column gene_id or gene (its columns: {named}): rename one.")
    columns = {name: renamed.get(number, name) for number, name in enumerate(header) if name}
    return {name: ours for name, ours in columns.items() if ours in renamed.values() or ours.lower() != "gene"}
