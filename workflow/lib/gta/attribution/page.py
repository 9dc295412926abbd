"""One gene's attribution as an interactive page: zoom and drag along the window; one file, no network."""

import html
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

#: Effects are written with so many significant digits.
DIGITS = 4


def _rounded(values: "pd.Series[Any]") -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.{DIGITS}g}") for value in values.astype(float)]


def page_data(
    gene: pd.Series,
    tiles: pd.DataFrame,
    integrated: pd.DataFrame,
    words: pd.DataFrame,
    mutations: pd.DataFrame,
    importance: pd.DataFrame,
    elements: pd.DataFrame,
    genes: pd.DataFrame,
) -> dict[str, object]:
    """What the page shows, positions in bp, 0-based half-open; each table is that of this gene alone, elements and genes of all.

    Args:
        gene: Row of `cohort/genes.tsv`.
        tiles: The table of tiles.
        integrated: Integrated gradients of the same tiles.
        words: The table of words.
        mutations: The table of `mutate`.
        importance: The table of `base_importance`.
        elements: Known elements.
        genes: `cohort/genes.tsv`.
    """
    low, high = int(tiles["start"].iloc[0]), int(tiles["end"].iloc[-1])
    known = elements[elements["gene"].isin(["", gene["gene"]]) & (elements["contig"] == gene["contig"])]
    known = known[(known["start"] < high) & (known["end"] > low)]
    near = genes[(genes["contig"] == gene["contig"]) & genes["tss"].between(low, high - 1)]
    variants = mutations[mutations["kind"] == "variant"]
    best = words[words["rank"] == 1].groupby("start", sort=True)["tokens"].agg(" | ".join)
    best = best.reindex(tiles["start"]).fillna("")
    rows: dict[str, list[Any]] = {
        "Deletion effect (ln expression)": _rounded(tiles["deletion"]),
        "Gradient x input (ln expression)": _rounded(tiles["gradient_x_input"]),
        "Integrated gradients (ln expression)": _rounded(integrated["integrated_gradients"]),
        "Personal (|ln expression|)": _rounded(tiles["personal"]),
    }
    return {
        "contig": str(gene["contig"]),
        "tss": int(gene["tss"]),
        "sign": 1 if gene["strand"] == "+" else -1,
        "tiles": {"start": tiles["start"].tolist(), "end": tiles["end"].tolist(), "words": best.tolist()},
        "rows": [{"name": name, "values": values, "signless": "|" in name} for name, values in rows.items()],
        "variants": {
            "position": variants["position"].tolist(),
            "change": (variants["ref"] + ">" + variants["alt"]).tolist(),
            "frequency": _rounded(variants["frequency"]),
            "effect": _rounded(variants["effect_deviation"]),
        },
        "bases": {
            "position": importance["position"].tolist(),
            "base": "".join(importance["base"]),
            "effect": _rounded(importance["importance"]),
        },
        "elements": known[["start", "end"]].to_numpy().tolist(),
        "genes": [[int(row.tss), str(row.symbol), str(row.strand)] for row in near.itertuples()],
    }


def write_page(gene: pd.Series, data: dict[str, object], path: Path) -> None:
    """Write the page.

    Args:
        gene: Row of `cohort/genes.tsv`.
        data: What `page_data` gave.
        path: The file to write.
    """
    template = (files("gta.attribution") / "page.html").read_text(encoding="utf-8")
    # Within a script, `</` could end it.
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    title = f"{gene['symbol']} ({gene['gene']})"
    path.write_text(template.replace("{{title}}", html.escape(title)).replace("{{data}}", text), encoding="utf-8")
