"""Ablations: what each part of a model is worth, by the same model without it."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from gta.errors import UserError
from gta.evaluation.tables import read_numbers

COLUMNS = ["ablation", "change", "regime", "metric", "n_genes", "n_people", "difference", "ci_low", "ci_high", "decided"]

_NUMBERS = ("n_genes", "n_people", "difference", "ci_low", "ci_high")


def ablation_table(comparisons: pd.DataFrame, model: str, changes: Mapping[str, str]) -> pd.DataFrame:
    """A model minus each of its ablations: the rows of the comparisons that are about them, all in this direction.

    Args:
        comparisons: `comparisons.tsv` of an evaluation.
        model: The whole model.
        changes: Ablation to what it changes.

    Returns:
        Rows by ablation in the order of `changes`, then as in the comparisons. `decided` is `better` where the whole interval is
        above 0, `worse` where it is below, else `open`.

    Raises:
        UserError: if a model is in no comparison.
    """
    parts = []
    for name, change in changes.items():
        forward = (comparisons["model_a"] == model) & (comparisons["model_b"] == name)
        backward = (comparisons["model_a"] == name) & (comparisons["model_b"] == model)
        rows = comparisons[forward | backward].copy()
        if rows.empty:
            raise UserError(f"The evaluation compares {model!r} and {name!r} nowhere: evaluate the predictions of both.")
        turned = rows["model_b"] == model
        low, high = rows["ci_low"].copy(), rows["ci_high"].copy()
        rows.loc[turned, "difference"] *= -1
        rows.loc[turned, "ci_low"], rows.loc[turned, "ci_high"] = -high[turned], -low[turned]
        rows["decided"] = "open"
        rows.loc[rows["ci_low"] > 0, "decided"] = "better"
        rows.loc[rows["ci_high"] < 0, "decided"] = "worse"
        parts.append(rows.assign(ablation=name, change=change))
    table = pd.concat(parts, ignore_index=True)[COLUMNS] if parts else pd.DataFrame(columns=COLUMNS)
    return table.astype({"n_genes": "int64", "n_people": "int64"})


def read_comparisons(path: Path) -> pd.DataFrame:
    """`comparisons.tsv` of an evaluation.

    Raises:
        UserError: if the file is absent or lacks a column.
    """
    return read_numbers(path, ("regime", "metric", "model_a", "model_b"), _NUMBERS)
