"""The tables of the evaluation: every model in every regime, and every two models beside each other."""

import itertools
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation import across_genes, across_people, dependence
from gta.evaluation.across_people import GeneScores
from gta.evaluation.dependence import GeneProperties, read_properties
from gta.evaluation.estimates import Estimate, over_seeds
from gta.evaluation.models import ACROSS_GENES, ACROSS_PEOPLE, REGIMES, WITHOUT_HOMOLOGUES, Model
from gta.evaluation.resampling import generator, interval, permutations_within
from gta.evaluation.settings import EvaluationSettings
from gta.evaluation.tables import read_predictions
from gta.files import staged_files
from gta.folds.homologues import read_straddling
from gta.inputs.tables import write_table

#: Columns of the tables; see docs/contracts.md.
COLUMNS = {
    "per_gene": [
        *("model", "seed", "regime", "gene", "n_people", "spearman", "ci_low", "ci_high", "pearson", "r2"),
        *("p_value", "p_permutation", "q_value"),
    ],
    "per_person": ["model", "seed", "regime", "person", "n_genes", "spearman", "pearson", "r2"],
    "summary": [
        *("model", "regime", "metric", "n_seeds", "n_genes", "n_people", "n_constant"),
        *("value", "ci_low", "ci_high", "people_ci_low", "people_ci_high", "null_mean", "null_high", "p_value"),
    ],
    "comparisons": [
        *("regime", "metric", "model_a", "model_b", "n_genes", "n_people", "difference", "ci_low", "ci_high"),
        *("people_ci_low", "people_ci_high"),
    ],
}


#: Columns of intervals over people; empty where there is one individual.
_OVER_PEOPLE = ("people_ci_low", "people_ci_high")


class Scorer:
    """Compares models with the expression of a cohort's held-out people; in a reference study, of all individuals."""

    def __init__(
        self,
        cohort: Cohort,
        models: Sequence[Model],
        settings: EvaluationSettings,
        seed: int,
        straddling: Collection[str] | None = None,
    ) -> None:
        self.cohort, self.models, self.settings, self.seed = cohort, models, settings, seed
        self.regimes = dict(REGIMES)
        self.straddling = np.isin(cohort.gene_names, list(straddling or ()))
        if straddling is not None:
            self.regimes[WITHOUT_HOMOLOGUES] = REGIMES[ACROSS_GENES]
        test = cohort.evaluated_individuals
        self.people = cohort.people["person"].to_numpy()[test]
        self.observed = cohort.expression[:, test]
        populations = cohort.people["population"].to_numpy()[test]
        rng = generator(seed, *across_people.PERMUTATION)
        self.orders = permutations_within(list(populations), settings.permutations, rng)
        self._gene_scores: dict[tuple[str, str, str], GeneScores] = {}

    def genes(self, model: Model, regime: str) -> NDArray[np.intp]:
        """Indices of the regime's genes that a model speaks of; none across individuals if it predicts mean expression only."""
        genes = self.cohort.gene_numbers(self.regimes[regime])
        return model.genes_in(regime, genes[~self.straddling[genes]] if regime == WITHOUT_HOMOLOGUES else genes)

    def gene_scores(self, model: Model, regime: str, prefix: str = "") -> GeneScores | None:
        """Scores across people of a model in a regime, computed once; None if it speaks of none of its genes."""
        key = (model.name, regime, prefix)
        genes = self.genes(model, regime)
        if key not in self._gene_scores and len(genes):
            predicted = dict(model.variants())[prefix][:, genes]
            self._gene_scores[key] = across_people.score(self.observed[genes], predicted, self.orders, self.settings, self.seed)
        return self._gene_scores.get(key)

    def per_gene(self) -> pd.DataFrame:
        """`per_gene.tsv`: one row per model, seed, regime across people and gene."""
        parts = []
        for model, (number, seed), regime in _combinations(self.models, ACROSS_PEOPLE):
            scores = self.gene_scores(model, regime)
            if scores is not None:
                names = self.cohort.genes["gene"].to_numpy()[self.genes(model, regime)]
                columns = ("spearman", "low", "high", "pearson", "r2", "p_value", "p_permutation", "q_value")
                values = (model.name, seed, regime, names, len(self.people), *(getattr(scores, name)[number] for name in columns))
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

    def _estimates(self, model: Model, regime: str, prefix: str) -> dict[str, Estimate]:
        """The metrics of a regime; none if the model speaks of too few genes."""
        genes = self.genes(model, regime)
        if len(genes) < self.settings.min_genes:
            return {}
        if regime not in ACROSS_PEOPLE:
            predicted = dict(model.variants())[prefix][:, genes]
            return across_genes.score(self.observed[genes], predicted, self.settings, self.seed)
        scores = self.gene_scores(model, regime, prefix)
        return {} if scores is None else scores.estimates

    def summary(self) -> pd.DataFrame:
        """`summary.tsv`: one row per model, regime and metric; without values where a model speaks of too few genes."""
        rows: list[dict[str, object]] = []
        for model in self.models:
            print(f"evaluation: {model.name}, {len(model.seeds)} seed(s)", file=sys.stderr, flush=True)
            for regime, (prefix, _) in itertools.product(self.regimes, model.variants()):
                known: dict[str, object] = {
                    "model": model.name,
                    "regime": regime,
                    "n_seeds": len(model.seeds),
                    "n_genes": len(self.genes(model, regime)),
                    "n_people": len(self.people),
                }
                estimates = self._estimates(model, regime, prefix)
                for metric in across_people.METRICS if regime in ACROSS_PEOPLE else across_genes.METRICS:
                    values: dict[str, object] = {**estimates[metric].row(metric, self.settings)} if estimates else {}
                    if len(self.people) < 2:
                        values |= dict.fromkeys(_OVER_PEOPLE, np.nan)
                    rows.append(known | {"metric": prefix + metric} | values)
        table = pd.DataFrame(rows, columns=COLUMNS["summary"])
        return table.astype({"n_constant": "Int64"})

    def comparisons(self) -> pd.DataFrame:
        """`comparisons.tsv`: every two models on the genes that both speak of."""
        rows: list[dict[str, object]] = []
        for regime, (first, second) in itertools.product(self.regimes, itertools.combinations(self.models, 2)):
            genes = np.intersect1d(self.genes(first, regime), self.genes(second, regime))
            if len(genes) < self.settings.min_genes:
                continue
            for metric, difference in self._differences(regime, genes, first, second).items():
                bounds = [interval(draws, self.settings.confidence) for draws in (difference.over_genes, difference.over_people)]
                if len(self.people) < 2:
                    bounds[1] = (np.nan, np.nan)
                size = (len(genes), len(self.people))
                cells = (regime, metric, first.name, second.name, *size, difference.value, *itertools.chain.from_iterable(bounds))
                rows.append(dict(zip(COLUMNS["comparisons"], cells, strict=True)))
        return pd.DataFrame(rows, columns=COLUMNS["comparisons"])

    def dependence(self, properties: GeneProperties) -> pd.DataFrame:
        """`dependence.tsv`: what the correlations across people depend on, and groups of genes apart in every regime."""
        parts: list[dict[str, object]] = []
        for model, regime in itertools.product(self.models, ACROSS_PEOPLE):
            scores, genes = self.gene_scores(model, regime), self.genes(model, regime)
            if scores is not None:
                group = None if properties.group is None else properties.group.to_numpy()[genes].tolist()
                found = dependence.rows(scores, properties.numbers.iloc[genes], group, self.settings, self.seed)
                parts += [{"model": model.name, "regime": regime} | row for row in found]
        if properties.group is not None:
            parts += self._levels_by_group(properties.group)
        return pd.DataFrame(parts, columns=dependence.COLUMNS)

    def _levels_by_group(self, group: pd.Series) -> list[dict[str, object]]:
        """Rows of `dependence.tsv`: the correlation of levels across genes, in each group of genes."""
        found: list[dict[str, object]] = []
        for model, label in itertools.product(self.models, sorted(set(group))):
            genes = np.intersect1d(self.genes(model, ACROSS_GENES), np.flatnonzero((group == label).to_numpy()))
            if len(genes) >= self.settings.min_genes:
                guesses = model.predicted[:, genes]
                estimates = [
                    across_genes.level_estimate(self.observed[genes], guess, self.settings, self.seed) for guess in guesses
                ]
                known = {"model": model.name, "regime": ACROSS_GENES, "property": "group", "group": label, "n_genes": len(genes)}
                found.append(known | {"metric": "spearman"} | over_seeds(estimates)["spearman"].row("spearman", self.settings))
        return found

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables that need nothing but predictions and expression, by name."""
        return {
            "per_gene": self.per_gene(),
            "per_person": self.per_person(),
            "summary": self.summary(),
            "comparisons": self.comparisons(),
        }

    def _differences(
        self, regime: str, genes: NDArray[np.intp], first: Model, second: Model
    ) -> dict[str, across_people.Difference]:
        """The paired differences of two models on the genes that both speak of."""
        if regime not in ACROSS_PEOPLE:
            pair = (first.predicted[:, genes], second.predicted[:, genes])
            return {"spearman_difference": across_genes.difference(self.observed[genes], *pair, self.settings, self.seed)}
        both = [self.gene_scores(model, regime) for model in (first, second)]
        rows = [np.searchsorted(self.genes(model, regime), genes) for model in (first, second)]
        (a, b), (a_draws, b_draws) = zip(
            *((s.mean_spearman[row], s.draws[row]) for s, row in zip(both, rows, strict=True) if s is not None), strict=True
        )
        return across_people.difference(a, b, a_draws, b_draws, self.settings, self.seed)


def _combinations(models: Sequence[Model], regimes: Sequence[str]) -> "itertools.chain[tuple[Model, tuple[int, str], str]]":
    """(model, (number of the seed, seed), regime) in the order of the tables."""
    return itertools.chain.from_iterable(itertools.product([model], enumerate(model.seeds), regimes) for model in models)


def _stack(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)


def write_tables(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as `NAME.tsv`."""
    for name, table in tables.items():
        write_table(table, folder / f"{name}.tsv", "%.6g")


def score(
    cohort_folder: Path,
    prediction_files: Sequence[Path],
    out: Path,
    settings: EvaluationSettings,
    seed: int,
    elastic_net: Path | None = None,
    top_eqtl: Path | None = None,
    gene_groups: Path | None = None,
    homologues: Path | None = None,
) -> None:
    """Read a cohort and predictions, compare, and write the tables into a folder.

    Args:
        cohort_folder: What the stage `cohort` wrote.
        prediction_files: One file per model and seed, `MODEL.parquet` or `MODEL.seedN.parquet`.
        out: The folder for `per_gene.tsv`, `per_person.tsv`, `summary.tsv`, `comparisons.tsv` and `dependence.tsv`.
        settings: Of the evaluation.
        seed: Of all random draws: the same seed gives the same bytes.
        elastic_net: Table of genes of the baseline `elastic-net`, see `gta.evaluation.dependence.read_properties`.
        top_eqtl: Table of variants of the baseline `top-eqtl`.
        gene_groups: The user's table of groups of genes.
        homologues: Table of homologous genes of `gta folds homologues`, of a cohort with folds.

    Raises:
        UserError: if the files are wrong, or fewer than `settings.min_people` people are held out; in a reference study, which
            has no correlations across people, one individual is enough.
    """
    cohort = Cohort.load(cohort_folder)
    held_out = len(cohort.people_numbers("test"))
    if cohort.reference_study:
        print(
            "evaluation: a study without genotypes: across genes only, on the mean expression of all individuals", file=sys.stderr
        )
    elif held_out < settings.min_people:
        raise UserError(
            f"The cohort {cohort_folder} holds out {held_out} people (split test), and a correlation across people needs "
            f"{settings.min_people}: hold out more people in the settings of the cohort, or lower min_people."
        )
    properties = read_properties(cohort, elastic_net, top_eqtl, gene_groups)
    models = [Model.of(predictions) for predictions in read_predictions(prediction_files, cohort).values()]
    straddling = None if homologues is None else read_straddling(homologues, cohort)
    scorer = Scorer(cohort, models, settings, seed, straddling)
    tables = {**scorer.tables(), "dependence": scorer.dependence(properties)}
    with staged_files(out) as folder:
        write_tables(tables, folder)
