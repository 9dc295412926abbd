"""A table as one self-contained HTML page: sortable, searchable, and without any need of a network."""

import html
from pathlib import Path

import pandas as pd

from gta.files import atomic_path
from gta.inputs.tables import read_table

#: Decimal numbers are shown with so many significant digits; from 10^4 on as whole numbers.
SIGNIFICANT_DIGITS = 4

#: A table with longer cells than this breaks them into lines; others keep each row on one line.
LONG_TEXT = 60

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font-family: sans-serif; font-size: 14px; margin: 1.2em; color: #111; background: #fff; }}
h1 {{ font-size: 1.25em; margin: 0 0 0.3em; }}
p {{ margin: 0 0 1em; max-width: 60em; line-height: 1.4; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{description}</p>
{library}
{table}
</body>
</html>
"""


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Decimal numbers of a table of text, rounded to `SIGNIFICANT_DIGITS`; whole numbers and everything else as they are.

    A column counts as numbers if all its cells are numbers or empty, as the page itself decides when it sorts.
    """
    columns = {}
    for name in table.columns:
        cells = table[name]
        filled = cells[cells != ""]
        numeric = pd.to_numeric(filled, errors="coerce").notna().all()
        columns[name] = cells.map(_rounded) if numeric else cells
    return pd.DataFrame(columns)


def _rounded(cell: str) -> str:
    if not any(character in cell for character in ".eE"):
        return cell
    value = float(cell)
    return f"{value:.{SIGNIFICANT_DIGITS}g}" if abs(value) < 10**SIGNIFICANT_DIGITS else f"{value:.0f}"


def page(table: pd.DataFrame, title: str, description: str, max_rows: int) -> str:
    """The HTML page of a table.

    Args:
        table: Columns of text, as read.
        title: Heading of the page.
        description: What the table holds, in a sentence or two.
        max_rows: A longer table is cut after so many rows, and the page says so.
    """
    from itables import options, to_html_datatable
    from itables.javascript import generate_init_offline_itables_html

    if len(table) > max_rows:
        description = f"{description} The first {max_rows} of {len(table)} rows; the file itself has all."
    long = any(table[name].str.len().max() > LONG_TEXT for name in table.columns) if len(table) else False
    body = to_html_datatable(
        rounded(table.head(max_rows)),
        connected=False,
        table_id="table",
        display_logo_when_loading=False,
        maxBytes=0,
        showIndex=False,
        pageLength=25,
        classes="display compact" if long else "display nowrap compact",
        style="table-layout:auto;width:auto;margin:0",
    )
    return _PAGE.format(
        title=html.escape(title),
        description=html.escape(description),
        library=generate_init_offline_itables_html(options.dt_bundle),
        table=body,
    )


def table(tsv: Path, title: str, description: str, out: Path, max_rows: int) -> None:
    """Read a tab-separated table and write it as an HTML page.

    Raises:
        UserError: if the file is absent, empty or no table.
    """
    text = page(read_table(tsv, ()), title, description, max_rows)
    with atomic_path(out) as temporary:
        temporary.write_text(text, encoding="utf-8")
