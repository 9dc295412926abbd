"""What the runs of the experiment say together: the best learning rate of each encoder, metrics with intervals, a figure."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gta.compressor.settings import TEXT_METRICS
from gta.errors import UserError
from gta.files import require_file
from gta.report.style import STYLE, model_styles

METRICS = ("loss", "accuracy", "loss_other_memory", "loss_no_memory", *TEXT_METRICS)
CELL = ["encoder", "length", "memory_tokens"]
RESAMPLES = 1000


def read_runs(folders: list[Path]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The runs and their texts.

    Args:
        folders: Written by `gta compressor train` and `gta compressor baselines`; of the latter `valid_loss` is NaN.

    Returns:
        One row per run: `encoder length memory_tokens learning_rate seed trained_weights encoder_weights valid_loss diverged
        run`. One row per run and test text: `run text` and METRICS; `text` numbers the test texts.
    """
    texts = []
    for number, folder in enumerate(folders):
        scores = pd.read_csv(require_file(folder / "texts.tsv", "table of regenerated texts"), sep="\t", keep_default_na=False)
        texts.append(scores[list(METRICS)].apply(pd.to_numeric, errors="coerce").assign(run=number, text=range(len(scores))))
    return read_records(folders), pd.concat(texts, ignore_index=True)


def read_records(folders: list[Path]) -> pd.DataFrame:
    """The first of the tables of `read_runs`."""
    records = [
        json.loads(require_file(folder / "training.json", "record of a compressor's training").read_text()) for folder in folders
    ]
    columns = [*CELL, "learning_rate", "seed", "trained_weights", "encoder_weights", "valid_loss", "diverged"]
    runs = pd.DataFrame(records, columns=columns)
    return runs.assign(diverged=runs["diverged"].eq(True), run=range(len(runs)))


def best_rate(runs: pd.DataFrame) -> float:
    """The learning rate with the smallest validation loss among the runs with the first seed (of `read_runs`)."""
    first = runs[runs["seed"] == runs["seed"].min()]
    return float(first.sort_values("valid_loss", kind="stable")["learning_rate"].iloc[0])


def summarise(runs: pd.DataFrame, texts: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Test metrics of every encoder, length and number of memory tokens, at its best learning rate.

    The learning rate is the best one of the first seed (`best_rate`). The interval (95 %) resamples test texts,
    whose metrics were averaged over the seeds; `seed_sd` is the standard deviation of the seeds' means.

    Returns:
        `encoder length memory_tokens ratio learning_rate n_seeds n_diverged n_texts trained_weights encoder_weights metric value
        ci_low ci_high seed_sd`. `ratio`: tokens of the longest text per memory token. `n_diverged`: seeds that stopped early.

    Raises:
        UserError: if there are no runs.
    """
    if runs.empty:
        raise UserError("There are no runs to summarise: give the folders of some.")
    rows = []
    generator = np.random.default_rng(seed)
    for cell, of_cell in runs.groupby(CELL, sort=True):
        rate = best_rate(of_cell)
        best = of_cell[of_cell["learning_rate"] == rate]
        scores = texts[texts["run"].isin(best["run"])]
        by_text = scores.groupby("text")[list(METRICS)].mean()
        by_seed = scores.groupby("run")[list(METRICS)].mean()
        drawn = generator.integers(len(by_text), size=(RESAMPLES, len(by_text)))
        for metric in METRICS:
            values = by_text[metric].to_numpy()
            low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
            rows.append(
                {
                    **dict(zip(CELL, cell, strict=True)),
                    "ratio": of_cell["length"].iloc[0] / of_cell["memory_tokens"].iloc[0],
                    "learning_rate": rate,
                    "n_seeds": len(best),
                    "n_diverged": int(best["diverged"].sum()),
                    "n_texts": len(by_text),
                    "trained_weights": best["trained_weights"].iloc[0],
                    "encoder_weights": best["encoder_weights"].iloc[0],
                    "metric": metric,
                    "value": values.mean(),
                    "ci_low": low,
                    "ci_high": high,
                    "seed_sd": by_seed[metric].std() if len(best) > 1 else float("nan"),
                }
            )
    return pd.DataFrame(rows)


@mpl.rc_context(STYLE)
def draw(summary: pd.DataFrame) -> Figure:
    """Token accuracy, ROUGE-L and loss against the ratio of compression, a line per encoder; bars are intervals over texts."""
    figure = Figure(figsize=(8.6, 3.0))
    panels = {"accuracy": "token accuracy", "rougeL": "ROUGE-L", "loss": "loss (nats per token)"}
    styles = model_styles(summary["encoder"])
    for axis, (metric, label) in zip(figure.subplots(1, 3), panels.items(), strict=True):
        for encoder, rows in summary[summary["metric"] == metric].groupby("encoder", sort=False):
            rows, style = rows.sort_values(["ratio", "length"]), styles[str(encoder)]
            bars = np.maximum(np.stack([rows["value"] - rows["ci_low"], rows["ci_high"] - rows["value"]]), 0)
            axis.errorbar(
                rows["ratio"],
                rows["value"],
                yerr=bars,
                color=style.colour,
                marker=style.marker,
                linestyle=style.line,
                linewidth=1.1,
                markersize=4,
                capsize=2,
                label=str(encoder),
            )
        axis.set_xscale("log", base=2)
        ratios = sorted(summary["ratio"].unique())
        axis.set_xticks(ratios, [f"{ratio:g}" for ratio in ratios])
        axis.set_xlabel("text tokens per memory token")
        axis.set_title(label)
    figure.axes[-1].legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    return figure
