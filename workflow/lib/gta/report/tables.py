"""Tables as self-contained HTML pages: sortable, searchable, and without any need of a network.

The rows are data inside the page, and a short script shows those that are wanted: a page is hardly larger than its table.
"""

import html
import json
from collections.abc import Sequence
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
table {{ border-collapse: collapse; }}
th {{ border-bottom: 2px solid #333; padding: 0; text-align: left; vertical-align: bottom; }}
th {{ position: sticky; top: 0; background: #fff; }}
th button {{ font: inherit; font-weight: bold; border: 0; background: none; padding: 4px 10px; cursor: pointer; }}
th[aria-sort=ascending] button::after {{ content: " \\25B2"; }}
th[aria-sort=descending] button::after {{ content: " \\25BC"; }}
td {{ border-bottom: 1px solid #ddd; padding: 3px 10px; vertical-align: top; white-space: {white_space}; }}
td.number {{ text-align: right; font-variant-numeric: tabular-nums; }}
tbody tr:hover {{ background: #f2f2f2; }}
#controls {{ margin: 0 0 0.8em; display: flex; gap: 1em; align-items: center; flex-wrap: wrap; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{description}</p>
<div id="controls">
<label>Search <input id="search" type="search"></label>
<label>Rows <select id="size"><option>25</option><option>100</option><option>1000</option></select></label>
<button id="back" type="button">Previous</button><span id="place"></span><button id="on" type="button">Next</button>
</div>
<noscript><p>The rows are shown by a script in this page: allow it to run.</p></noscript>
<table>
<thead><tr>{head}</tr></thead>
<tbody></tbody>
</table>
<script id="data" type="application/json">{data}</script>
<script>
{script}
</script>
</body>
</html>
"""

_SCRIPT = """\
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const lower = data.rows.map((row) => row.join("\\t").toLowerCase());
let order = data.rows.map((_, i) => i), sorted = -1, down = false, first = 0;

function compare(column) {
  const numeric = data.numeric[column];
  return (a, b) => {
    const x = data.rows[a][column], y = data.rows[b][column];
    if (x === "" || y === "") return (x === "") - (y === "") || a - b;  // empty cells stay last
    const by = numeric ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
    return (down ? -by : by) || a - b;
  };
}

function show() {
  const words = find("search").value.toLowerCase().split(/\\s+/).filter(Boolean);
  const kept = order.filter((i) => words.every((word) => lower[i].includes(word)));
  const size = Number(find("size").value);
  first = Math.max(0, Math.min(first, size * Math.floor((kept.length - 1) / size)));
  const body = document.querySelector("tbody");
  body.replaceChildren(...kept.slice(first, first + size).map((i) => {
    const line = document.createElement("tr");
    data.rows[i].forEach((cell, column) => {
      const place = line.appendChild(document.createElement("td"));
      place.textContent = cell;
      if (data.numeric[column]) place.className = "number";
    });
    return line;
  }));
  const last = Math.min(first + size, kept.length);
  find("place").textContent = kept.length ? `${first + 1} to ${last} of ${kept.length}` : "no row";
  find("back").disabled = first === 0;
  find("on").disabled = last === kept.length;
}

document.querySelectorAll("th").forEach((head, column) => head.firstChild.addEventListener("click", () => {
  down = sorted === column && !down;
  sorted = column;
  document.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  order.sort(compare(column));
  first = 0;
  show();
}));
find("search").addEventListener("input", () => { first = 0; show(); });
find("size").addEventListener("change", () => { first = 0; show(); });
find("back").addEventListener("click", () => { first -= Number(find("size").value); show(); });
find("on").addEventListener("click", () => { first += Number(find("size").value); show(); });
show();"""


def is_numeric(cells: pd.Series) -> bool:
    """Whether a column of text counts as numbers: all its cells are numbers or empty, and one is not empty."""
    filled = cells[cells != ""]
    return len(filled) > 0 and bool(pd.to_numeric(filled, errors="coerce").notna().all())


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Decimal numbers of a table of text, rounded to `SIGNIFICANT_DIGITS`; whole numbers and everything else as they are."""
    return pd.DataFrame({name: table[name].map(_rounded) if is_numeric(table[name]) else table[name] for name in table.columns})


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
    if len(table) > max_rows:
        description = f"{description} The first {max_rows} of {len(table)} rows; the file itself has all."
    long = any(table[name].str.len().max() > LONG_TEXT for name in table.columns) if len(table) else False
    shown = rounded(table.head(max_rows))
    data = {"numeric": [is_numeric(shown[name]) for name in shown.columns], "rows": shown.to_numpy(dtype=object).tolist()}
    return _PAGE.format(
        title=html.escape(title),
        description=html.escape(description),
        white_space="normal" if long else "nowrap",
        head="".join(f'<th scope="col"><button type="button">{html.escape(name)}</button></th>' for name in table.columns),
        # A cell must not end the element that holds the data.
        data=json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
        script=_SCRIPT,
    )


def tables(results: Path, wanted: Sequence[tuple[str, str, str]], out: Path, max_rows: int) -> None:
    """Read tab-separated tables and write each as an HTML page.

    Args:
        results: Folder of the tables.
        wanted: Of each table its path in that folder without `.tsv`, its title, and what it holds.
        out: Folder of the pages, which have the paths of the tables.
        max_rows: As in `page`.

    Raises:
        UserError: if a file is absent, empty or no table; no page is written then.
    """
    with atomic_path(out) as folder:
        for name, title, description in wanted:
            path = folder / f"{name}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(page(read_table(results / f"{name}.tsv", ()), title, description, max_rows), encoding="utf-8")
