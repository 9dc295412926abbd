"""The results of the demo are those that were seen before: `make check-demo`, after `make demo`.

`headline_numbers.tsv` names a table of the results, a row and a column of it, the value, and how far a run may be from it.
The values are of one run on a CPU (x86-64 with AVX2; torch 2.13, scikit-learn 1.9, numpy 2.4). With the same versions on the
same kind of processor a run gives them to the last digit; the tolerances are for others, which round differently:

- counts: none. Splits, variants and distinct sequences are integers all through.
- baselines: 0.005. Their solutions are unique; but solvers stop within a tolerance, and a rank correlation changes where two
  people or two genes change places.
- trained networks, and attribution from them: 0.02. `gta` of both seeds trained again with other kernels (ATen and MKL without
  vector instructions) moved no correlation of the summary by more than 0.0003; another version of torch may draw other numbers.
- attribution without a network: 0.001.

After a change that is meant to change results, `python tests/demo/test_headline_numbers.py` writes the values anew.
"""

from pathlib import Path

import pandas as pd
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "results" / "demo"
NUMBERS = Path(__file__).with_name("headline_numbers.tsv")


def value_in_results(table: str, row: str, column: str) -> float:
    """A number of the results.

    Args:
        table: Path inside of the results.
        row: `column=value` of the one row that is meant, separated by blanks; or `sum` of all rows.
        column: The column with the number.
    """
    rows = pd.read_csv(RESULTS / table, sep="\t", dtype=str, keep_default_na=False)
    if row != "sum":
        for name, wanted in (pair.split("=") for pair in row.split(" & ")):
            rows = rows[rows[name] == wanted]
        assert len(rows) == 1, f"{table} has {len(rows)} rows with {row}"
    return float(rows[column].astype(float).sum())


def expected() -> pd.DataFrame:
    return pd.read_csv(NUMBERS, sep="\t")


@pytest.mark.parametrize("number", list(expected().itertuples(index=False)), ids=lambda number: f"{number.table} {number.row}")
def test_number_is_as_seen_before(number) -> None:
    assert value_in_results(number.table, number.row, number.column) == pytest.approx(number.value, rel=0, abs=number.tolerance)


def test_planted_effects_are_found_by_whoever_looks_for_them() -> None:
    """What the demo is to show, whatever the last digits."""
    summary = pd.read_csv(RESULTS / "evaluation" / "summary.tsv", sep="\t").set_index(["model", "regime", "metric"])
    seen = ("seen_genes_unseen_people", "mean_spearman")
    for model in ("gta", "elastic_net", "top_eqtl", "ridge"):
        assert summary.loc[(model, *seen), "ci_low"] > summary.loc[(model, *seen), "null_high"], model
    unseen = summary.loc[("gta", "unseen_genes_unseen_people", "mean_spearman")]
    assert unseen["ci_low"] > unseen["null_high"]
    assert summary.loc[("mean", *seen), "value"] == 0


if __name__ == "__main__":
    table = pd.read_csv(NUMBERS, sep="\t", dtype=str)
    table["value"] = [str(value_in_results(number.table, number.row, number.column)) for number in table.itertuples()]
    table.to_csv(NUMBERS, sep="\t", index=False)
