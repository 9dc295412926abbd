"""Figure and table: what compressed prompts and windows save, beside what they cost in correlation."""

import json
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gta.errors import UserError
from gta.evaluation.ablations import ablation_table, read_comparisons
from gta.evaluation.headline import read_summary
from gta.evaluation.models import ACROSS_GENES, HEADLINE_METRICS, SEEN_GENES, UNSEEN_GENES
from gta.evaluation.tables import read_numbers
from gta.files import atomic_path, require_file
from gta.inputs.tables import write_table
from gta.report.findings import DIFFERENCES
from gta.report.style import GREY, STYLE, model_styles, save

#: Settings of a model that the table repeats.
SETTINGS = (
    *("language_model", "prompt", "compressor", "memory_tokens", "tune_compressor"),
    *("context", "context_memory_tokens", "aligned_tokens"),
)
#: Settings that say nothing without another one.
_ONLY_WITH = {"memory_tokens": "compressor", "context_memory_tokens": "context"}
COLUMNS = [
    *("model", *SETTINGS, "n_seeds", "prompt_bytes", "train_seconds", "train_mib", "predict_seconds", "predict_mib"),
    *("regime", "value", "ci_low", "ci_high", "null_high", "more_than_first", "more_low", "more_high"),
]
_SCORES = {
    ACROSS_GENES: "across unseen genes",
    SEEN_GENES: "seen genes, unseen people",
    UNSEEN_GENES: "both unseen",
}


def costs(training: Sequence[Path], runtimes: pd.DataFrame) -> pd.DataFrame:
    """What each model was, stores and takes.

    Args:
        training: `MODEL/seedN/training.json` of every training, the first model first.
        runtimes: Table of jobs of `gta report runtimes`.

    Returns:
        One row per model: the columns of COLUMNS before `regime`. Bytes of the prompt's keys and values per gene; seconds of wall
        clock (CPU time is sampled too seldom for short jobs) per training of the aligner, means over seeds, and per prediction
        of every gene of every person with one seed; peaks of resident memory in MiB. NaN for what was too short to be
        measured, and for what does not apply.

    Raises:
        UserError: if a file is absent or of an older version.
    """
    rows = []
    for path in training:
        try:
            record = json.loads(require_file(path, "account of a training").read_text(encoding="utf-8"))
            settings = {name: record["settings"][name] for name in SETTINGS}
            settings |= {name: None for name, other in _ONLY_WITH.items() if settings[other] == "none"}
            # Trainings of older versions have no bytes.
            size = float(record.get("prompt_bytes_per_gene", "nan"))
            rows.append({"model": path.parents[1].name, **settings, "prompt_bytes": size})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is no account of a training of this version ({error!r}): train again.") from error
    seeds = pd.DataFrame(rows)
    models = seeds.drop_duplicates("model").set_index("model").assign(n_seeds=seeds.groupby("model").size())
    jobs = runtimes.assign(model=runtimes["job"].str.replace(r"\.seed[0-9]+$", "", regex=True))
    trained, predicted = (jobs[jobs["step"] == f"aligner/{step}"].groupby("model") for step in ("train", "predict"))
    models["train_seconds"] = trained["seconds"].mean()
    models["train_mib"] = trained["max_rss_mib"].max()
    models["predict_seconds"] = predicted["seconds"].mean() / models["n_seeds"]
    models["predict_mib"] = predicted["max_rss_mib"].max()
    return models.reset_index()


def compression_table(models: pd.DataFrame, summary: pd.DataFrame, comparisons: pd.DataFrame) -> pd.DataFrame:
    """Costs and scores side by side.

    Args:
        models: From `costs`.
        summary: `summary.tsv` of the evaluation.
        comparisons: `comparisons.tsv` of the evaluation.

    Returns:
        COLUMNS, one row per model and regime. `value` with its interval over genes and the upper bound of what permuted data give
        (`null_high`); `more_than_first`: this model minus the first one on the same genes and people, with the paired interval.
    """
    first, *others = models["model"]
    # The first minus each other one; the table says how much more the others are.
    paired = ablation_table(comparisons, first, dict.fromkeys(others, ""))
    paired = paired[paired["metric"] == paired["regime"].map(DIFFERENCES)]
    more = pd.DataFrame(
        {
            "model": paired["ablation"],
            "regime": paired["regime"],
            "more_than_first": 0.0 - paired["difference"],
            "more_low": 0.0 - paired["ci_high"],
            "more_high": 0.0 - paired["ci_low"],
        }
    )
    scores = summary[summary["metric"] == summary["regime"].map(HEADLINE_METRICS)].drop(columns="n_seeds")
    table = models.merge(scores, on="model", how="left").merge(more, on=["model", "regime"], how="left")
    return table[COLUMNS]


def _draw_cost(axis: Axes, models: pd.DataFrame, column: str, label: str) -> None:
    """A bar per model."""
    places = np.arange(len(models))
    axis.barh(places, models[column].fillna(0), height=0.55, color="#9ecae1")
    for place, value in zip(places, models[column], strict=True):
        said = "not measured" if np.isnan(value) else f"{value:.3g}" if value < 100 else f"{value:,.0f}"
        axis.annotate(said, (0, place), xytext=(2, 0), textcoords="offset points", va="center", fontsize=7)
    axis.set_xlabel(label)
    axis.margins(x=0.02)


def _draw_score(axis: Axes, table: pd.DataFrame, models: list[str], regime: str) -> None:
    """A point with its interval per model, and the upper bound of what permuted data give."""
    styles = model_styles(models)
    scores = table[table["regime"] == regime].set_index("model")[["value", "ci_low", "ci_high", "null_high"]].reindex(models)
    for place, (model, (value, low, high, null)) in enumerate(zip(models, scores.to_numpy(), strict=True)):
        if np.isnan(value):
            continue
        # The bounds are quantiles, between which the value need not lie.
        error, style = np.maximum([[value - low], [high - value]], 0), styles[model]
        axis.errorbar(value, place, xerr=error, marker=style.marker, markersize=5, color=style.colour, capsize=3)
        axis.plot([null] * 2, [place - 0.35, place + 0.35], color="black", linewidth=1.2, linestyle=(0, (2, 1)))
    axis.axvline(0, color=GREY, linewidth=0.6, zorder=0)
    axis.set_xlabel("Spearman")
    axis.set_title(_SCORES[regime])


@mpl.rc_context(STYLE)
def draw(table: pd.DataFrame) -> Figure:
    """A row per model: bytes, times, and correlations with intervals and nulls.

    Args:
        table: From `compression_table`.
    """
    models = table.drop_duplicates("model")
    names = models["model"].tolist()
    figure = Figure(figsize=(11.5, 0.36 * len(names) + 1.3))
    axes = figure.subplots(1, 6, sharey=True, width_ratios=(1, 1, 1, 1.5, 1.5, 1.5))
    _draw_cost(axes[0], models.assign(kb=models["prompt_bytes"] / 1000), "kb", "prompt, kB per gene")
    _draw_cost(axes[1], models, "train_seconds", "training, s")
    _draw_cost(axes[2], models, "predict_seconds", "prediction, s")
    for axis, regime in zip(axes[3:], _SCORES, strict=True):
        _draw_score(axis, table, names, regime)
    axes[0].set_yticks(range(len(names)), names)
    axes[0].set_ylim(len(names) - 0.4, -0.6)
    return figure


def compression(training: Sequence[Path], runtimes: Path, evaluation: Path, out: Path, table: Path) -> None:
    """Read, draw and write the figure and the table."""
    jobs = read_numbers(runtimes, ("step", "job"), ("seconds", "max_rss_mib"))
    summary, comparisons = read_summary(evaluation / "summary.tsv"), read_comparisons(evaluation / "comparisons.tsv")
    made = compression_table(costs(training, jobs), summary, comparisons)
    save(draw(made), out)
    with atomic_path(table) as temporary:
        write_table(made, temporary, "%.6g")
