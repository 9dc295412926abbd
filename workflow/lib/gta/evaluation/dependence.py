"""What the correlation across people of a gene depends on: thirds of the genes by a property, and the trend over all."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.across_people import GeneScores
from gta.evaluation.correlation import Floats, dot_rows, unit_ranks
from gta.evaluation.resampling import bootstrap_counts, bootstrap_indices, generator, interval, one_sided_p, resampled_spearman
from gta.evaluation.settings import EvaluationSettings
from gta.evaluation.tables import read_numbers
from gta.inputs.names import match_genes
from gta.inputs.user_tables import read_columns

#: Purpose of the random stream, apart from those of the regimes.
_BOOTSTRAP = (2, 0)

#: Genes are divided in so many parts of equal number by each property.
PARTS = 3

COLUMNS = [
    *("model", "regime", "property", "group", "low", "high", "metric", "n_genes"),
    *("value", "ci_low", "ci_high", "null_mean", "null_high", "p_value"),
]


@dataclass(frozen=True)
class GeneProperties:
    """What is known of the genes before any model.

    Attributes:
        numbers: One row per gene of the cohort, float64; NaN where a property is not known. `expression`: mean over the training
            people, natural log; `cv_r2`: of the elastic net; `distance`: of the strongest variant from the TSS, bp, not negative;
            `n_variants`: how many are frequent enough for the elastic net.
        group: The user's group of each gene, None without a table of groups.
    """

    numbers: pd.DataFrame
    group: pd.Series | None


def read_properties(
    cohort: Cohort, elastic_net: Path | None = None, top_eqtl: Path | None = None, gene_groups: Path | None = None
) -> GeneProperties:
    """The properties of a cohort's genes.

    Args:
        cohort: The cohort.
        elastic_net: Table of genes of the baseline `elastic-net` (gene, n_variants, cv_r2).
        top_eqtl: Table of variants of the baseline `top-eqtl` (gene, distance).
        gene_groups: The user's table with the columns gene and group; a gene that it leaves out is of the group `not listed`.

    Raises:
        UserError: if a table cannot be read, or groups none of the genes.
    """
    numbers = pd.DataFrame({"expression": cohort.expression[:, cohort.people_numbers("train")].mean(axis=1)})
    for path, columns in ((elastic_net, ("cv_r2", "n_variants")), (top_eqtl, ("distance",))):
        if path is not None:
            table = read_numbers(path, ("gene",), columns).set_index("gene").reindex(cohort.gene_names)
            for column in columns:
                numbers[column] = table[column].abs().to_numpy() if column == "distance" else table[column].to_numpy()
    if gene_groups is None:
        return GeneProperties(numbers, None)
    table = read_columns(gene_groups, "table of gene groups", {"gene": ("gene", "gene_id"), "group": ("group",)})
    groups = table.drop_duplicates("gene").set_index("gene")["group"]
    found = match_genes(cohort.gene_names, list(groups.index)).names
    if not found:
        raise UserError(
            f"{gene_groups} has none of the cohort's genes: it names {groups.index[0] if len(groups) else 'nothing'}, the cohort"
            f" {cohort.gene_names[0]}; give a table with the same kind of gene ids."
        )
    return GeneProperties(numbers, pd.Series([groups[found[g]] if g in found else "not listed" for g in cohort.gene_names]))


def parts(values: Floats) -> Iterator[tuple[str, np.ndarray]]:
    """Genes divided by a property: (`1 of 3`, numbers of the genes with the smallest values), and so on; NaN in no part."""
    known = np.flatnonzero(~np.isnan(values))
    order = known[np.argsort(values[known], kind="stable")]
    for part, chosen in enumerate(np.array_split(order, PARTS), start=1):
        yield f"{part} of {PARTS}", chosen


def rows(
    scores: GeneScores, numbers: pd.DataFrame, group: Sequence[str] | None, settings: EvaluationSettings, seed: int
) -> Iterator[dict[str, object]]:
    """Rows of `dependence.tsv` of one model and regime, without these two.

    Args:
        scores: Of the model on the regime's genes.
        numbers: Properties of the same genes.
        group: Their groups, if there are any.
        settings: Of the evaluation; a part with fewer than `min_genes` genes is left out.
        seed: Of the bootstrap.

    Yields:
        For each property: `mean_spearman` of every part, and `trend`, the Spearman correlation over genes between the property
        and the correlation across people. The null permutes people, as in the summary.
    """
    correlations, null = scores.mean_spearman, scores.null.astype(np.float64)
    for name in numbers.columns:
        values = numbers[name].to_numpy(dtype=np.float64)
        for label, chosen in parts(values):
            if len(chosen) >= settings.min_genes:
                bounds = {"low": values[chosen].min(), "high": values[chosen].max()}
                yield {"property": name, "group": label} | bounds | _mean(correlations[chosen], null[chosen], settings, seed)
        known = np.flatnonzero(~np.isnan(values))
        if len(known) >= settings.min_genes and np.ptp(values[known]) > 0:
            bounds = {"low": values[known].min(), "high": values[known].max()}
            yield (
                {"property": name, "group": "all"}
                | bounds
                | _trend(values[known], correlations[known], null[known], settings, seed)
            )
    if group is not None:
        for label in sorted(set(group)):
            chosen = np.flatnonzero(np.asarray(group) == label)
            if len(chosen) >= settings.min_genes:
                yield {"property": "group", "group": label} | _mean(correlations[chosen], null[chosen], settings, seed)


def _row(metric: str, n: int, value: float, draws: Floats, null: Floats, settings: EvaluationSettings) -> dict[str, object]:
    low, high = interval(draws, settings.confidence)
    return {
        "metric": metric,
        "n_genes": n,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "null_mean": float(null.mean()),
        "null_high": float(np.quantile(null, settings.confidence)),
        "p_value": one_sided_p(value, null),
    }


def _mean(correlations: Floats, null: Floats, settings: EvaluationSettings, seed: int) -> dict[str, object]:
    """The mean over some genes; `correlations` (genes,), `null` (genes, permutations)."""
    resamples = bootstrap_indices(len(correlations), settings.bootstraps, generator(seed, *_BOOTSTRAP))
    draws = np.concatenate([correlations[drawn].mean(axis=1) for drawn in resamples])
    return _row("mean_spearman", len(correlations), float(correlations.mean()), draws, null.mean(axis=0), settings)


def _trend(values: Floats, correlations: Floats, null: Floats, settings: EvaluationSettings, seed: int) -> dict[str, object]:
    """The correlation over genes between a property and the correlations; the p-value is one-sided, for a rising trend."""
    counts = bootstrap_counts(len(values), settings.bootstraps, generator(seed, *_BOOTSTRAP))
    draws = resampled_spearman(values[None], correlations[None, None], counts)[0, 0].astype(np.float64)
    ranks = unit_ranks(values[None])
    value = float(dot_rows(ranks, unit_ranks(correlations[None]))[0])
    return _row("trend", len(values), value, draws, dot_rows(ranks, unit_ranks(null.T.copy())), settings)
