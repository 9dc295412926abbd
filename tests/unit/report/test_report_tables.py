"""HTML tables: what is shown, and that nothing is fetched."""

import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from gta.errors import UserError
from gta.report.tables import page, rounded

Gta = Callable[..., None]


class Fetches(HTMLParser):
    """Collects what a browser would load by itself: sources, style sheets and imports, but not links to click on."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "a":
            self.found += [value for name, value in attrs if name in ("src", "href", "data", "srcset") and value]


@pytest.fixture
def tsv(tmp_path: Path) -> Path:
    path = tmp_path / "table.tsv"
    path.write_text("model\tvalue\tn\tnote\n<b>gta</b>\t0.123456789\t12345678\t\nno_llm\t\t3\t0.123456\n")
    return path


def test_only_decimal_numbers_are_rounded() -> None:
    table = pd.DataFrame(
        {
            "value": ["0.123456789", "", "-1.5e-07", "123456.7"],
            "count": ["12345678", "0", "", "7"],
            "mixed": ["0.123456789", "unknown", "", ""],
            "gene": ["1E5", "NA", "", "x"],
        }
    )
    shown = rounded(table)
    assert shown["value"].tolist() == ["0.1235", "", "-1.5e-07", "123457"]
    assert shown["count"].tolist() == ["12345678", "0", "", "7"]
    assert shown["mixed"].tolist() == table["mixed"].tolist()
    assert shown["gene"].tolist() == table["gene"].tolist()


def test_the_page_fetches_nothing(gta: Gta, tsv: Path, tmp_path: Path) -> None:
    gta("report", "tables", "--results", tmp_path, "--table", tsv.stem, "A < B", "1 < 2 & so on.", "--out", tmp_path / "pages")
    text = (tmp_path / "pages" / "table.html").read_text()
    parser = Fetches()
    parser.feed(text)
    assert parser.found == []
    outside_of_code = re.sub(r"<script.*?</script>|<a .*?>", "", text, flags=re.DOTALL)
    assert "unpkg" not in text
    assert "url(http" not in outside_of_code
    assert "@import" not in outside_of_code


def test_the_page_shows_title_description_and_cells_as_text(tsv: Path, gta: Gta, tmp_path: Path) -> None:
    gta("report", "tables", "--results", tmp_path, "--table", tsv.stem, "A < B", "1 < 2 & so on.", "--out", tmp_path / "pages")
    text = (tmp_path / "pages" / "table.html").read_text()
    assert "<h1>A &lt; B</h1>" in text
    assert "1 &lt; 2 &amp; so on." in text
    assert "0.1235" in text
    assert "<b>gta</b>" not in text, "cells are text, not markup"


def test_the_same_table_gives_the_same_bytes(tsv: Path, gta: Gta, tmp_path: Path) -> None:
    for name in ("one", "two"):
        gta("report", "tables", "--results", tmp_path, "--table", tsv.stem, "T", "D", "--out", tmp_path / name)
    one, two = ((tmp_path / name / "table.html").read_bytes() for name in ("one", "two"))
    assert one == two


def test_every_table_has_a_page_in_its_place(gta: Gta, tmp_path: Path) -> None:
    for name, cell in (("summary", "1"), ("genes/per.contig", "2")):
        path = tmp_path / "results" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"n\n{cell}\n")
    wanted = ["--table", "summary", "First", "D", "--table", "genes/per.contig", "Second", "D"]
    gta("report", "tables", "--results", tmp_path / "results", *wanted, "--out", tmp_path / "pages")
    pages = {str(path.relative_to(tmp_path / "pages")): path.read_text() for path in (tmp_path / "pages").rglob("*.html")}
    assert set(pages) == {"summary.html", "genes/per.contig.html"}
    assert "<h1>First</h1>" in pages["summary.html"] and '"rows":[["1"]]' in pages["summary.html"]
    assert "<h1>Second</h1>" in pages["genes/per.contig.html"] and '"rows":[["2"]]' in pages["genes/per.contig.html"]


def test_a_long_table_is_cut_and_says_so() -> None:
    table = pd.DataFrame({"n": [str(n) for n in range(70_001, 70_101)]})
    text = page(table, "T", "Numbers.", max_rows=10)
    assert "The first 10 of 100 rows" in text
    assert "70010" in text
    assert "70011" not in text
    assert "The first" not in page(table, "T", "Numbers.", max_rows=100)


def test_a_table_of_thousands_of_rows_is_whole() -> None:
    table = pd.DataFrame({"gene": [f"gene_with_a_long_name_{n}" for n in range(5000)]})
    text = page(table, "T", "Genes.", max_rows=20_000)
    assert "gene_with_a_long_name_2500" in text


def test_a_table_with_a_header_only(tmp_path: Path, gta: Gta) -> None:
    (tmp_path / "t.tsv").write_text("a\tb\n")
    gta("report", "tables", "--results", tmp_path, "--table", "t", "T", "D", "--out", tmp_path / "pages")
    text = (tmp_path / "pages" / "t.html").read_text()
    assert ">a</button>" in text
    assert '"rows":[]' in text


def test_a_page_is_little_more_than_its_table() -> None:
    table = pd.DataFrame({"gene": [f"gene_{n}" for n in range(5000)]})
    assert len(page(table, "T", "Genes.", max_rows=20_000)) < 2 * table["gene"].str.len().sum() + 6000


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

#: Clicks on the heads, searches and pages through the table, and notes what is shown after each.
CLICKS = """<script>
const seen = () => [...document.querySelectorAll("tbody tr")].map((row) => row.firstChild.textContent).join(" ");
const notes = [seen()], heads = document.querySelectorAll("th button");
heads[0].click(); notes.push(seen());
heads[0].click(); notes.push(seen());
heads[1].click(); notes.push(seen());
const search = document.getElementById("search");
search.value = "B x"; search.dispatchEvent(new Event("input")); notes.push(seen());
search.value = "nowhere"; search.dispatchEvent(new Event("input")); notes.push(document.getElementById("place").textContent);
document.body.replaceChildren(notes.join("|"));
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to run the page in")
def test_a_browser_sorts_and_searches(tmp_path: Path) -> None:
    table = pd.DataFrame({"n": ["10", "9", "", "1e-3"], "name": ["b x", "b y", "<i>a</i>", "B X"]})
    path = tmp_path / "t.html"
    path.write_text(page(table, "T", "D", max_rows=10) + CLICKS)
    assert CHROMIUM is not None
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom"]
    done = subprocess.run([*words, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    body = re.sub(r"<[^>]+>", "", done.stdout.split("<body>")[1]).strip()
    # as given; by number upwards and downwards, empty cells last; by name; both words; nothing
    assert body == "10 9  0.001|0.001 9 10 |10 9 0.001 | 10 0.001 9|10 0.001|no row"


def test_an_empty_file_leaves_nothing_behind(tsv: Path, tmp_path: Path, gta: Gta) -> None:
    (tmp_path / "t.tsv").write_text("")
    wanted = ["--table", tsv.stem, "T", "D", "--table", "t", "T", "D"]
    with pytest.raises(UserError, match=r"t\.tsv"):
        gta("report", "tables", "--results", tmp_path, *wanted, "--out", tmp_path / "o")
    assert not (tmp_path / "o").exists()
