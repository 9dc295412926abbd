"""Windows given as a table."""

from dataclasses import dataclass
from pathlib import Path

from gta.errors import UserError
from gta.inputs.text_tables import read_text_table

COLUMNS = ("window", "contig", "start", "end", "tss", "strand")


@dataclass(frozen=True)
class Window:
    """An interval around a gene's transcription start site; 0-based half-open on the plus strand of the reference.

    Attributes:
        name: Its name.
        contig: Name of the contig, in the reference or without or with `chr`.
        start: First base, bp; may be negative.
        end: One past the last base; may lie beyond the contig's end.
        tss: Position of the TSS base; it stands at index tss - start of every sequence.
        strand: `+` or `-`.
    """

    name: str
    contig: str
    start: int
    end: int
    tss: int
    strand: str = "+"


def read_windows(path: Path) -> list[Window]:
    """Read a tab-separated table with the columns `window contig start end tss strand`, in any order.

    Raises:
        UserError: for a missing column, a line that is no window, or a name that occurs twice; it names file and line.
    """
    table = read_text_table(path, "table of windows")
    places = {column: table.find(column) for column in COLUMNS}
    for column, place in places.items():
        if place is None:
            raise UserError(f"{path} has no column {column!r}: its first line must name {', '.join(COLUMNS)}.")
    windows: list[Window] = []
    lines: dict[str, int] = {}
    for number, row in table.rows:
        window = _window(path, number, {column: row[place] for column, place in places.items() if place is not None})
        if window.name in lines:
            raise UserError(
                f"{path}, line {number}: the window {window.name!r} is in line {lines[window.name]} already; rename one."
            )
        lines[window.name] = number
        windows.append(window)
    return windows


def _window(path: Path, number: int, cells: dict[str, str]) -> Window:
    """A window from a line of the table."""
    at = f"{path}, line {number}"
    for column in COLUMNS:
        if not cells.get(column, "").strip():
            raise UserError(f"{at}: the column {column!r} is empty: fill it in.")
    places = {}
    for column in ("start", "end", "tss"):
        try:
            places[column] = int(cells[column])
        except ValueError as error:
            raise UserError(
                f"{at}: {column} is {cells[column]!r}, not a whole number: write a 0-based position in bp."
            ) from error
    start, end, tss = places["start"], places["end"], places["tss"]
    if end <= start:
        raise UserError(f"{at}: the window ends at {end}, not behind its start at {start}: give a 0-based half-open interval.")
    if not start <= tss < end:
        raise UserError(f"{at}: the TSS {tss} is not within the window [{start}, {end}): give its 0-based position.")
    if cells["strand"] not in ("+", "-"):
        raise UserError(f"{at}: the strand is {cells['strand']!r}: write + or -.")
    return Window(cells["window"], cells["contig"], start, end, tss, cells["strand"])
