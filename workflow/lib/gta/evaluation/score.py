"""The tables of the evaluation: every model in every regime, and every two models beside each other."""

import itertools
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation import across_genes, across_people
from gta.evaluation.correlation import Floats
from gta.evaluation.estimates import Estimate
from gta.evaluation.models import ACROSS_GENES, REGIMES, Model
from gta.evaluation.resampling import generator, interval, permutations_within
from gta.evaluation.settings import EvaluationSettings
from gta.evaluation.tables import read_predictions
from gta.files import staged_files

#: Columns of the four tables; see docs/contracts.md.
COLUMNS = {
    "per_gene": ["model", "seed", "regime", "gene", "n_people", "spearman", "pearson", "p_value"],
    "per_person": ["model", "seed", "regime", "person", "n_genes", "spearman", "pearson"],
    "summary": [
        *("model", "regime", "metric", "n_seeds", "n_genes", "n_people", "n_constant"),
        *("value", "ci_low", "ci_high", "null_mean", "null_high", "p_value"),
    ],
    "comparisons": [
        *("regime", "metric", "model_a", "model_b", "n_genes", "n_people", "difference", "ci_low", "ci_high"),
    ],
}


class Scorer:
    """Compares models with the expression of a cohort's held-out people."""

    def __init__(self, cohort: Cohort, models: Sequence[Model], settings: EvaluationSettings, seed: int) -> None:
        self.cohort, self.models, self.settings, self.seed = cohort, models, settings, seed
        test = cohort.people_numbers("test")
        self.people = cohort.people["person"].to_numpy()[test]
        self.observed = cohort.expression[:, test]
        populations = cohort.people["population"].to_numpy()[test]
        rng = generator(seed, *across_people.PERMUTATION)
        self.orders = permutations_within(list(populations), settings.permutations, rng)

    def genes(self, model: Model, regime: str) -> NDArray[np.intp]:
        """Indices of the regime's genes that a model speaks of."""
        return model.genes_among(self.cohort.gene_numbers(REGIMES[regime]))

    def per_gene(self) -> pd.DataFrame:
        """`per_gene.tsv`: one row per model, seed, regime across people and gene."""
        parts = []
        for model, (number, seed), regime in _combinations(self.models, [r for r in REGIMES if r != ACROSS_GENES]):
            genes = self.genes(model, regime)
            if len(genes):
                spearman, pearson, p = across_people.gene_correlations(self.observed[genes], model.predicted[number, genes])
                names = self.cohort.genes["gene"].to_numpy()[genes]
                values = (model.name, seed, regime, names, len(self.people), spearman, pearson, p)
                parts.append(pd.DataFrame(dict(zip(COLUMNS["per_gene"], values, strict=True))))
        return _stack(parts, COLUMNS["per_gene"])

    def per_person(self) -> pd.DataFrame:
        """`per_person.tsv`: one row per model, seed and person, across genes."""
        parts = []
        for model, (number, seed), regime in _combinations(self.models, [ACROSS_GENES]):
            genes = self.genes(model, regime)
            if len(genes) >= self.settings.min_genes:
                values = across_genes.person_correlations(self.observed[genes], model.predicted[number, genes])
                cells = (model.name, seed, regime, self.people, len(genes), *values)
                parts.append(pd.DataFrame(dict(zip(COLUMNS["per_person"], cells, strict=True))))
        return _stack(parts, COLUMNS["per_person"])

    def _estimates(self, regime: str, genes: NDArray[np.intp], predicted: Floats) -> dict[str, Estimate]:
        if regime == ACROSS_GENES:
            return across_genes.estimate(self.observed[genes], predicted[:, genes], self.settings, self.seed)
        return across_people.estimate(self.observed[genes], predicted[:, genes], self.orders, self.settings, self.seed)

    def summary(self) -> pd.DataFrame:
        """`summary.tsv`: one row per model, regime and metric; without values where a model speaks of too few genes."""
        rows: list[dict[str, object]] = []
        for model in self.models:
            print(f"evaluation: {model.name}, {len(model.seeds)} seed(s)", file=sys.stderr, flush=True)
            for regime, (prefix, predicted) in itertools.product(REGIMES, model.variants()):
                genes = self.genes(model, regime)
                known: dict[str, object] = {
                    "model": model.name,
                    "regime": regime,
                    "n_seeds": len(model.seeds),
                    "n_genes": len(genes),
                    "n_people": len(self.people),
                }
                if len(genes) < self.settings.min_genes:
                    metrics = across_genes.METRICS if regime == ACROSS_GENES else tuple(across_people.METRICS)
                    rows += [known | {"metric": prefix + metric} for metric in metrics]
                    continue
                for metric, estimate in self._estimates(regime, genes, predicted).items():
                    rows.append(known | {"metric": prefix + metric} | estimate.row(metric, self.settings))
        table = pd.DataFrame(rows, columns=COLUMNS["summary"])
        return table.astype({"n_constant": "Int64"})

    def comparisons(self) -> pd.DataFrame:
        """`comparisons.tsv`: every two models on the genes that both speak of."""
        rows: list[dict[str, object]] = []
        for regime, (first, second) in itertools.product(REGIMES, itertools.combinations(self.models, 2)):
            genes = np.intersect1d(self.genes(first, regime), self.genes(second, regime))
            if len(genes) < self.settings.min_genes:
                continue
            for metric, (value, draws) in self._differences(regime, genes, first, second).items():
                low, high = interval(draws, self.settings.confidence)
                cells = (regime, metric, first.name, second.name, len(genes), len(self.people), value, low, high)
                rows.append(dict(zip(COLUMNS["comparisons"], cells, strict=True)))
        return pd.DataFrame(rows, columns=COLUMNS["comparisons"])

    def _differences(self, regime: str, genes: NDArray[np.intp], first: Model, second: Model) -> dict[str, tuple[float, Floats]]:
        """Metric to (difference, bootstrap draws) of two models on the same genes."""
        observed = self.observed[genes]
        if regime == ACROSS_GENES:
            (a, a_draws), (b, b_draws) = (
                across_genes.level_draws(observed, model.predicted[:, genes], self.settings, self.seed)
                for model in (first, second)
            )
            return {"spearman_difference": (a - b, a_draws - b_draws)}
        a_genes, b_genes = (across_people.spearman(observed, model.predicted[:, genes]) for model in (first, second))
        return across_people.difference(a_genes, b_genes, self.settings, self.seed)


def _combinations(models: Sequence[Model], regimes: Sequence[str]) -> "itertools.chain[tuple[Model, tuple[int, str], str]]":
    """(model, (number of the seed, seed), regime) in the order of the tables."""
    return itertools.chain.from_iterable(itertools.product([model], enumerate(model.seeds), regimes) for model in models)


def _stack(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def score(cohort_folder: Path, prediction_files: Sequence[Path], out: Path, settings: EvaluationSettings, seed: int) -> None:
    """Read a cohort and predictions, compare, and write the four tables into a folder.

    Args:
        cohort_folder: What the stage `cohort` wrote.
        prediction_files: One file per model and seed, `MODEL.parquet` or `MODEL.seedN.parquet`.
        out: The folder for `per_gene.tsv`, `per_person.tsv`, `summary.tsv` and `comparisons.tsv`.
        settings: Of the evaluation.
        seed: Of all random draws: the same seed gives the same bytes.

    Raises:
        UserError: if the files are wrong, or fewer than `settings.min_people` people are held out.
    """
    cohort = Cohort.load(cohort_folder)
    held_out = len(cohort.people_numbers("test"))
    if held_out < settings.min_people:
        raise UserError(
            f"The cohort {cohort_folder} holds out {held_out} people (split test), and a correlation across people needs "
            f"{settings.min_people}: hold out more people in the settings of the cohort, or lower min_people."
        )
    models = [Model.of(predictions) for predictions in read_predictions(prediction_files, cohort).values()]
    scorer = Scorer(cohort, models, settings, seed)
    tables = {
        "per_gene": scorer.per_gene(),
        "per_person": scorer.per_person(),
        "summary": scorer.summary(),
        "comparisons": scorer.comparisons(),
    }
    with staged_files(out) as folder:
        for name, table in tables.items():
            table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, float_format="%.6g", lineterminator="\n")
