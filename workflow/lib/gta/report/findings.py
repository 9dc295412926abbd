"""What a run shows, in sentences: each is made of the numbers of its tables, and says no more than their intervals allow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gta.baselines.settings import AND_PROMPT
from gta.evaluation.models import ACROSS_GENES, ACROSS_PEOPLE, HEADLINE_METRICS, REGIMES, SEEN_GENES, UNSEEN_GENES

#: The difference between two models that is spoken of, by regime.
DIFFERENCES = {ACROSS_GENES: "spearman_difference", SEEN_GENES: "mean_difference", UNSEEN_GENES: "mean_difference"}

_WHERE = {ACROSS_GENES: "across genes", SEEN_GENES: "across people on seen genes", UNSEEN_GENES: "across people on unseen genes"}

#: What a setting is called of which an ablation has another value.
_PARTS = {
    "language_model": "Language model",
    "prompt": "Prompt",
    "alignment": "Alignment with words",
    "additive": "Additive part",
}

#: Baselines of the enrichment: what an attribution has to beat.
NEARNESS, GC = "nearness_to_tss", "gc_content"


@dataclass(frozen=True)
class Ablation:
    """A model that lacks a part of the first one.

    Attributes:
        name: Name of the model.
        changes: Setting to the value that it has in this model and not in the first.
    """

    name: str
    changes: Mapping[str, object]

    @property
    def part(self) -> str:
        """What the model lacks, in words."""
        return " and ".join(_PARTS.get(key, key.replace("_", " ")) for key in self.changes)


def ablations(settings: Mapping[str, Mapping[str, object]], first: str) -> list[Ablation]:
    """The models that differ from the first in the settings of their training.

    Args:
        settings: Settings by model.
        first: Name of the whole model.
    """
    base = settings.get(first, {})
    found = [
        Ablation(name, {key: value for key, value in values.items() if key in base and base[key] != value})
        for name, values in settings.items()
        if name != first
    ]
    return [ablation for ablation in found if ablation.changes]


def number(value: float, digits: int = 2) -> str:
    """A number with its sign; empty for NaN."""
    return "" if np.isnan(value) else f"{round(value, digits) + 0.0:+.{digits}f}"  # 0.0 rather than -0.0


def interval(low: float, high: float) -> str:
    """Two bounds in brackets; empty for NaN."""
    return "" if np.isnan(low) else f"[{number(low)}, {number(high)}]"


def verdict(low: float, high: float, people_low: float, people_high: float) -> str:
    """What a paired difference says: `higher` or `lower` only if both intervals exclude 0, else `not different`.

    Without an interval over people (NaN; there is one individual) that over genes decides.
    """
    if np.nanmin([low, people_low]) > 0:
        return "higher"
    if np.nanmax([high, people_high]) < 0:
        return "lower"
    return "not different"


def _by(table: pd.DataFrame, column: str) -> dict[str, dict[str, Any]]:
    """The rows of a table by one of its columns, in their order."""
    return {str(row[column]): dict(row) for _, row in table.iterrows()}


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _individuals(n: int, held_out: bool) -> str:
    if held_out:
        return f"{n} held-out people"
    return f"mean expression over {n} individuals" if n > 1 else "expression of one individual"


def headline_sentence(summary: pd.DataFrame, model: str, regime: str) -> str | None:
    """The main number of a model in a regime, its null, and the best of the others; None without predictions."""
    rows = _by(summary[(summary["regime"] == regime) & (summary["metric"] == HEADLINE_METRICS[regime])], "model")
    row = rows[model]
    others = {name: other["value"] for name, other in rows.items() if name != model and not np.isnan(other["value"])}
    if np.isnan(row["value"]):
        return None
    said = "above" if row["value"] > row["null_high"] else "not above"
    predicted_across = summary.loc[summary["regime"] != ACROSS_GENES, "n_genes"].max() > 0
    individuals = _individuals(int(row["n_people"]), held_out=bool(predicted_across))
    text = (
        f"{_WHERE[regime].capitalize()}, {model} is {said} what permuted data reach. Spearman correlation"
        f" {number(row['value'])}, {interval(row['ci_low'], row['ci_high'])} over genes ({row['n_genes']:.0f} genes,"
        f" {individuals}); upper bound of permuted data {number(row['null_high'])}."
    )
    if len(others):
        best = max(others, key=lambda name: others[name])
        text += f" Best of the others: {best}, {number(others[best])}."
    return text


def ablation_sentence(
    comparisons: pd.DataFrame, summary: pd.DataFrame, per_gene: pd.DataFrame, model: str, ablation: Ablation
) -> str | None:
    """Whether a part of the model helps, by the paired differences to the model without it; None if they are not compared.

    Args:
        comparisons: `comparisons.tsv`.
        summary: `summary.tsv`, for the numbers of seeds.
        per_gene: `per_gene.tsv`, for what each seed reaches.
        model: The whole model.
        ablation: The model without the part.
    """
    pair = comparisons[(comparisons["model_a"] == model) & (comparisons["model_b"] == ablation.name)]
    rows = _by(pair[pair["metric"] == pair["regime"].map(DIFFERENCES)], "regime")
    regimes = [regime for regime in REGIMES if regime in rows]
    if not regimes:
        return None
    parts, decided = [], {"higher": [], "lower": []}  # type: tuple[list[str], dict[str, list[str]]]
    for regime in regimes:
        row = rows[regime]
        genes, people = (row["ci_low"], row["ci_high"]), (row["people_ci_low"], row["people_ci_high"])
        over_people = f", {interval(*people)} over people" if interval(*people) else ""
        parts.append(f"{_WHERE[regime]} {number(row['difference'])}, {interval(*genes)} over genes{over_people}")
        decided.get(verdict(*genes, *people), []).append(_WHERE[regime])
    changed = ", ".join(f"{key}: {value}" for key, value in ablation.changes.items())
    conclusions = [f"{model} is {said} with it {_listed(where)}" for said, where in decided.items() if where]
    conclusion = "; ".join(conclusions) or "no difference is shown"
    pair_of_models = [model, ablation.name]
    once = ", in one training of each" if _once(summary, pair_of_models) else ""
    return (
        f"{ablation.part}: {conclusion}{once}. {model} minus {ablation.name} ({changed}): {'; '.join(parts)}."
        f" {_seeds(summary, per_gene, pair_of_models)}".rstrip()
    )


def baseline_sentence(comparisons: pd.DataFrame, model: str, baseline: str = "elastic_net") -> str | None:
    """The model against a baseline on the genes' own genotypes, on the genes that both predict; None if they are not compared."""
    pair = comparisons[(comparisons["model_a"] == model) & (comparisons["model_b"] == baseline)]
    pair = pair[(pair["regime"] == SEEN_GENES) & (pair["metric"] == DIFFERENCES[SEEN_GENES])]
    if pair.empty:
        return None
    row = pair.iloc[0]
    genes, people = (row["ci_low"], row["ci_high"]), (row["people_ci_low"], row["people_ci_high"])
    said = verdict(*genes, *people)
    return (
        f"{model} is {said} {'from' if said == 'not different' else 'than'} {baseline} {_WHERE[SEEN_GENES]}."
        f" {baseline} reads a gene's genotypes and nothing else; {model} minus {baseline}:"
        f" {number(row['difference'])}, {interval(*genes)} over genes, {interval(*people)} over people"
        f" ({row['n_genes']:.0f} genes)."
    )


def text_sentence(comparisons: pd.DataFrame, model: str) -> str | None:
    """Compare the model with the baselines that read text, across held-out genes; None if it is compared with none of them.

    Args:
        comparisons: `comparisons.tsv`.
        model: The first model, `model_a` of its pairs.
    """
    pairs = comparisons[(comparisons["model_a"] == model) & (comparisons["regime"] == ACROSS_GENES)]
    rows = _by(pairs[pairs["metric"] == DIFFERENCES[ACROSS_GENES]], "model_b")
    names = [name for name in rows if name == "prompt_ridge" or name.endswith(AND_PROMPT)]
    if not names:
        return None
    decided: dict[str, list[str]] = {}
    parts = []
    for name in names:
        row = rows[name]
        genes, people = (row["ci_low"], row["ci_high"]), (row["people_ci_low"], row["people_ci_high"])
        decided.setdefault(verdict(*genes, *people), []).append(name)
        parts.append(f"{name} {number(row['difference'])}, {interval(*genes)} over genes")
    conclusions = [
        f"{said} {'from' if said == 'not different' else 'than'} {_listed(baselines)}" for said, baselines in decided.items()
    ]
    return (
        f"Across genes, {model} is {' and '.join(conclusions)}. These predict mean expression from the prompt, without a network"
        f" trained on it; Spearman correlation of {model} minus theirs: {'; '.join(parts)}"
        f" ({rows[names[0]]['n_genes']:.0f} genes)."
    )


def _once(summary: pd.DataFrame, models: Sequence[str]) -> bool:
    """Whether each of some models was trained with one seed only."""
    return bool(summary.loc[summary["model"].isin(models), "n_seeds"].max() == 1)


def _seeds(summary: pd.DataFrame, per_gene: pd.DataFrame, models: Sequence[str]) -> str:
    """How many seeds are behind a difference, and what each reaches across people, where there are several."""
    if _once(summary, models):
        return "One seed each: what the chance of training does is not known."
    said = []
    for model in models:
        for regime in ACROSS_PEOPLE:
            rows = per_gene[(per_gene["model"] == model) & (per_gene["regime"] == regime)]
            means = rows.assign(spearman=rows["spearman"].fillna(0.0)).groupby("seed", sort=False)["spearman"].mean()
            if regime == SEEN_GENES and len(means):
                said.append(f"{model} {', '.join(number(mean, 3) for mean in means)}")
    return f"Seed by seed, across people on seen genes: {'; '.join(said)}." if said else ""


def enrichment_sentence(table: pd.DataFrame, model: str) -> str | None:
    """Whether attribution points at known elements more than nearness and GC content do; None if no element is known.

    Args:
        table: `enrichment.tsv` of the model.
        model: Its name.
    """
    rows = _by(table[table["region"] == "all"], "measure")
    if not rows:
        return None
    best = max((name for name in rows if name not in (NEARNESS, GC)), key=lambda name: float(rows[name]["auroc"]))
    row = rows[best]
    beats = [
        name for name, low in (("nearness to the TSS", row["difference_low"]), ("GC content", row["over_gc_low"])) if low > 0
    ]
    if len(beats) == 2:
        said = "more than nearness to the TSS and GC content explain"
    elif row["beyond_low"] > 0:
        missed = [name for name in ("nearness to the TSS", "GC content") if name not in beats]
        said = f"more than other genes at the same distance, but not more than {' or '.join(missed)} alone"
    else:
        said = "nothing beyond the distance from the TSS"
    return (
        f"Attribution of {model} at known elements: {said}. {row['n_positive']:.0f} of {row['n_tiles']:.0f} tiles of"
        f" {row['n_genes']:.0f} genes have elements; AUROC {row['auroc']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}] for the"
        " best"
        f" of the measures, {best}; nearness {rows[NEARNESS]['auroc']:.2f}, GC content {rows[GC]['auroc']:.2f};"
        f" beyond the same distance in other genes {number(row['beyond'])} {interval(row['beyond_low'], row['beyond_high'])}."
    )


def sign_sentence(table: pd.DataFrame, model: str) -> str | None:
    """In how many genes a predicted effect has the sign of the known one, or of the test people's slope; None without."""
    known = table[(table["signs_of"] == "predicted") & (table["n_genes"] > 0)]
    if known.empty:
        return None
    # What is known from elsewhere comes after what the test people show, and counts more.
    row = known[known["threshold"] == 1.0].iloc[-1]
    text = (
        f"Signs of {model}'s predicted effects are those of the {row['against']} in {row['n_agree']:.0f} of"
        f" {row['n_genes']:.0f} genes. By chance it would be half (two-sided binomial p = {row['p_value']:.2g})."
    )
    beside = _by(table[(table["against"] == row["against"]) & (table["n_genes"] > 0)], "signs_of")
    said = {"predicted, unseen genes": "In unseen genes alone:", "test people": "Slopes of the test people have them in"}
    for name, words in said.items():
        if name in beside:
            text += f" {words} {beside[name]['n_agree']:.0f} of {beside[name]['n_genes']:.0f}."
    return text
