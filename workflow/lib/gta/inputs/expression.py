"""The expression matrix."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from gta.errors import UserError
from gta.inputs.compression import open_text, require_last_line_whole
from gta.inputs.names import EXPRESSION as WHAT
from gta.inputs.names import header_of_expression
from gta.inputs.text_tables import cells_of, clean, number_of

N_LEADING = 6


@dataclass(frozen=True)
class Expression:
    """An expression matrix as given.

    Attributes:
        genes: `gene contig start end`, one row per gene in the order of the file; 0-based half-open.
        people: Names of the columns.
        values: float64, (genes, people); TPM or RPKM.
    """

    genes: pd.DataFrame
    people: list[str]
    values: npt.NDArray[np.float64]

    def as_table(self) -> pd.DataFrame:
        """`gene`, then one column per person."""
        table = pd.DataFrame(self.values, columns=self.people)
        table.insert(0, "gene", self.genes["gene"].to_numpy())
        return table


def read_expression(path: Path) -> Expression:
    """Read an expression matrix in BED form.

    Args:
        path: Plain or gzip. A header line, then one line per gene: `#chr start end gene length strand` and one value per
            person; QTLtools' `#Chr start end pid gid strand` is the same form, and `#chr start end gene` does, too. The fourth
            column names the gene.

    Raises:
        UserError: naming line, gene and person for a value that is no number, is negative or missing, and for a gene or person
            that occurs twice.
    """
    leading: list[tuple[str, str, int, int]] = []
    rows: list[npt.NDArray[np.float64]] = []
    require_last_line_whole(path, WHAT)
    with open_text(path, WHAT) as handle:
        line = handle.readline()
        header_number = 1
        while line.startswith("##") or (line and not line.strip()):
            line, header_number = handle.readline(), header_number + 1
        leading_number, people = header_of_expression(line, f"The {WHAT} {path}")
        width = leading_number + len(people)
        for number, line in enumerate(handle, start=header_number + 1):
            fields = cells_of(line)
            if not line.strip():
                continue
            where = f"The {WHAT} {path}, line {number},"
            if (len(fields) != width and any(cell.strip() for cell in fields[width:])) or len(fields) < width:
                raise UserError(
                    f"{where} has {len(fields)} columns where the header has {width}: the file is cut short or not separated by"
                    " tabs."
                )
            fields = fields[:width]
            if not (fields[1].isdecimal() and fields[2].isdecimal()) or int(fields[1]) > int(fields[2]):
                raise UserError(
                    f"{where} has start {fields[1]!r} and end {fields[2]!r}: whole numbers with start <= end are needed."
                )
            if not fields[3].strip():
                raise UserError(f"{where} has no gene in its fourth column: name it or remove the line.")
            gene = clean(fields[3])
            leading.append((gene, clean(fields[0]), int(fields[1]), int(fields[2])))
            rows.append(_values(gene, fields[leading_number:], people, where))
    if not rows:
        raise UserError(f"The {WHAT} {path} has a header but no genes: check how it was made.")
    genes = pd.DataFrame(leading, columns=["gene", "contig", "start", "end"])
    repeated = genes["gene"][genes["gene"].duplicated()]
    if len(repeated):
        raise UserError(f"The {WHAT} {path} has the gene {repeated.iloc[0]!r} more than once: keep or sum up its rows.")
    return Expression(genes, people, np.stack(rows))


def _values(gene: str, cells: list[str], people: list[str], where: str) -> npt.NDArray[np.float64]:
    """The values of one gene, checked."""
    try:
        values = np.array(list(map(float, cells)))
        if np.isfinite(values).all() and (values >= 0).all() and "_" not in "".join(cells):
            return values
    except ValueError:
        pass
    for person, text in zip(people, cells, strict=True):
        try:
            value = number_of(text)
        except ValueError as error:
            raise UserError(f"{where} gene {gene!r}, person {person!r}: {text!r} is {error}.") from None
        if value < 0:
            raise UserError(
                f"{where} gene {gene!r}, person {person!r}: {text} is negative; give TPM or RPKM before any logarithm or"
                " correction."
            )
    raise AssertionError("a value was refused, but none is wrong")
