"""Transfer: how well the predictions of people of another cohort agree with the expression that was measured in them.

The second cohort has genotypes and expression in files of its own. Nothing is fitted on it: the trained model and the weights of
the baselines on genotypes are those of the study.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gta.cohort.correction import log_tpm, to_tpm
from gta.cohort.tables import Cohort, read_genes, read_people
from gta.errors import UserError
from gta.evaluation.correlation import Floats
from gta.evaluation.models import Model
from gta.evaluation.score import Scorer, write_tables
from gta.evaluation.settings import EvaluationSettings
from gta.evaluation.tables import PREDICTION_DECIMALS, read_numbers
from gta.files import require_file, staged_files
from gta.haplotypes import Panel, PanelSet, dosages
from gta.inputs.expression import read_expression
from gta.inputs.names import match_genes
from gta.inputs.tables import write_table
from gta.inputs.user_tables import read_populations

#: The baselines on genotypes and the column of their table that holds the weight of an ALT allele.
WEIGHTS = {"elastic_net": "weight", "top_eqtl": "slope"}


@dataclass(frozen=True)
class Files:
    """What a transfer reads.

    Attributes:
        study: Folder `cohort/` of the study.
        cohort: Folder `predict/cohort/` of the second cohort.
        predictions: `predict/people.parquet`.
        expression: Expression matrix of the second cohort, as the user gave it.
        panels: Haplotype panels of the second cohort, all contigs.
        elastic_net: Table of weights of the study's elastic net.
        top_eqtl: Table of variants of the study's baseline `top-eqtl`.
        populations: The user's table of populations, if there is one.
    """

    study: Path
    cohort: Path
    predictions: Path
    expression: Path
    panels: Sequence[Path]
    elastic_net: Path
    top_eqtl: Path
    populations: Path | None = None


def second_cohort(files: Files, unit: str, min_expressed_fraction: float) -> tuple[Cohort, pd.DataFrame]:
    """The people and genes of the second cohort that say something of transfer, with their expression.

    All people are of the split `test`. Genes keep the split that they have in the study; genes that were not in it are of the
    split `test` unless their window overlaps one that the model was trained or chosen with.

    Args:
        files: What is read.
        unit: `tpm` or `rpkm`, of the expression matrix.
        min_expressed_fraction: Genes above zero in a smaller share of the people are left out.

    Returns:
        The cohort, its expression ln(TPM + 0.01) as measured, and `kind name reason` of everybody and every gene left out.

    Raises:
        UserError: if people or genes of the files are not those of the predictions.
    """
    study, genes, people = read_genes(files.study), read_genes(files.cohort), read_people(files.cohort)
    matrix = read_expression(require_file(files.expression, "file of predict.expression,"))
    values = matrix.as_table().set_index("gene")
    if unit == "rpkm":
        values[:] = to_tpm(values.to_numpy(dtype=np.float64))
    known = read_people(files.study).set_index("person")["split"]
    used = known[known != "test"]
    reasons = {name: "no expression" for name in people["person"] if name not in values}
    reasons |= {name: "in the training of the study" for name in people["person"] if name in used}
    people = people[~people["person"].isin(reasons)].assign(split="test")
    if people.empty:
        raise UserError(
            f"{files.expression} has nobody who has genotypes under predict.genotypes and was not in the training of the study:"
            " give the expression of the people who are predicted, by the same names."
        )
    if files.populations is not None:
        of_person = read_populations(files.populations).set_index("person")["population"]
        people["population"] = people["person"].map(of_person).fillna("unknown")
    named = match_genes(genes["gene"], values.index).names
    if not named:
        raise UserError(
            f"{files.expression} has none of the genes that are predicted: it names {values.index[0]!r}, the study"
            f" {genes['gene'].iloc[0]!r}; give a matrix with the same kind of gene ids."
        )
    splits = _splits(genes, study)
    left_out: dict[str, str] = {}
    for gene, split in splits.items():
        if gene not in named:
            left_out[gene] = "no expression"
        elif split == "overlap":
            left_out[gene] = "window overlaps one of the training"
        elif (values.loc[named[gene]][people["person"]] > 0).mean() < min_expressed_fraction:
            left_out[gene] = "expressed in too few people"
    genes = genes.assign(split=genes["gene"].map(splits))[~genes["gene"].isin(left_out)]
    rows = [("person", *item) for item in reasons.items()] + [("gene", *item) for item in left_out.items()]
    expression = values.loc[[named[gene] for gene in genes["gene"]], people["person"]].to_numpy(dtype=np.float64)
    cohort = Cohort(people.reset_index(drop=True), genes.reset_index(drop=True), log_tpm(expression))
    return cohort, pd.DataFrame(rows, columns=["kind", "name", "reason"])


def _splits(genes: pd.DataFrame, study: pd.DataFrame) -> dict[str, str]:
    """The split of each gene; `overlap` for one that was not in the study and shares sequence with its training."""
    known = dict(zip(study["gene"], study["split"], strict=True))
    used = study[study["split"] != "test"]
    splits = {}
    for row in genes.itertuples():
        near = used[
            (used["contig"] == row.contig) & (used["window_start"] < row.window_end) & (used["window_end"] > row.window_start)
        ]
        splits[str(row.gene)] = known.get(row.gene, "test" if near.empty else "overlap")
    return splits


def read_new(path: Path, cohort: Cohort, name: str) -> Model:
    """The predictions of `gta predict people` as those of a model.

    Raises:
        UserError: if the file is no such table or lacks a gene or person.
    """
    require_file(path, "file of predictions")
    try:
        table = pd.read_parquet(path, columns=["seed", "gene", "person", "predicted"])
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is no table of predictions ({error}): make it again by `gta predict people`.") from error
    seeds = table["seed"].unique().tolist()
    wide = [rows.set_index(["gene", "person"])["predicted"].unstack() for _, rows in table.groupby("seed", sort=False)]  # noqa: PD010
    values = [rows.reindex(index=cohort.gene_names, columns=cohort.people_names).to_numpy() for rows in wide]
    predicted = np.stack(values).astype(np.float64)
    if np.isnan(predicted).any():
        raise UserError(f"{path} lacks a gene of the second cohort: make it again by `gta predict people`.")
    return Model(name, tuple(map(str, seeds)), np.round(predicted, PREDICTION_DECIMALS))


def score_of_weights(panel: Panel, weights: pd.DataFrame) -> tuple[Floats, int]:
    """What a linear model on genotypes says of the people of a panel.

    Args:
        panel: The haplotypes of one gene's window.
        weights: `pos ref alt weight`, pos bp, 0-based, weight per ALT allele. An allele that nobody carries counts 0.

    Returns:
        (people,) the sum over variants of weight times copies of ALT, ln expression; and how many variants the panel has.
    """
    found = dosages(panel)
    keys = zip(found.positions.tolist(), found.refs, found.alts, strict=True)
    columns = {(position, ref.decode(), alt.decode()): column for column, (position, ref, alt) in enumerate(keys)}
    score, present = np.zeros(len(panel.carriers)), 0
    for position, ref, alt, weight in weights[["pos", "ref", "alt", "weight"]].itertuples(index=False):
        column = columns.get((int(position), str(ref), str(alt)))
        if column is not None:
            score += weight * found.counts[:, column]
            present += 1
    return score, present


def weighted_model(
    name: str, weights: pd.DataFrame, cohort: Cohort, panels: Mapping[str, PanelSet], level: Mapping[str, float]
) -> tuple[Model, int]:
    """A baseline on genotypes, as fitted in the study, in the people of the second cohort.

    Args:
        name: Of the baseline.
        weights: `gene pos ref alt weight`.
        cohort: The second cohort; the baseline speaks of its genes of the split `train`.
        panels: Gene to the set with its haplotypes.
        level: Mean expression of each gene among the training people of the study, natural log.

    Returns:
        The model, and how many of the variants of these genes the second cohort has.
    """
    predicted = np.full((1, len(cohort.genes), len(cohort.people)), np.nan)
    own, present = dict(iter(weights.groupby("gene"))), 0
    for number in cohort.gene_numbers("train").tolist():
        gene = cohort.gene_names[number]
        people = pd.Index(panels[gene].people).get_indexer(pd.Index(cohort.people_names))
        score, found = score_of_weights(panels[gene].panel(gene), own.get(gene, weights.iloc[:0]))
        predicted[0, number] = level[gene] + score[people] - score[people].mean()
        present += found
    return Model(name, ("",), np.round(predicted, PREDICTION_DECIMALS)), present


def transfer(
    files: Files, out: Path, name: str, settings: EvaluationSettings, seed: int, unit: str, min_expressed_fraction: float
) -> None:
    """Read everything, compare, and write the tables into a folder.

    Args:
        files: What is read.
        out: The folder for `summary.tsv`, `comparisons.tsv`, `per_gene.tsv`, `per_person.tsv`, `variants.tsv` and `dropped.tsv`.
        name: Of the model that made the predictions.
        settings: Of the evaluation.
        seed: Of all random draws.
        unit: Of the expression matrix.
        min_expressed_fraction: See `second_cohort`.

    Raises:
        UserError: if files are wrong or do not belong together, or fewer than `settings.min_people` people are left.
    """
    cohort, dropped = second_cohort(files, unit, min_expressed_fraction)
    if len(cohort.people) < settings.min_people:
        raise UserError(
            f"{files.expression} and the genotypes have {len(cohort.people)} people in common who were not in the training, and a"
            f" correlation across people needs {settings.min_people}: give more people, or lower evaluation.min_people."
        )
    panels = {gene: panel_set for panel_set in map(PanelSet.load, files.panels) for gene in panel_set.genes}
    statistics = read_numbers(files.study / "gene_statistics.tsv", ("gene",), ("mean",))
    level = dict(zip(statistics["gene"], statistics["mean"], strict=True))
    models, rows = [read_new(files.predictions, cohort, name)], []
    seen = set(cohort.genes.loc[cohort.gene_numbers("train"), "gene"])
    for baseline, column in WEIGHTS.items():
        table = read_numbers(getattr(files, baseline), ("gene", "ref", "alt"), ("pos", column)).rename(columns={column: "weight"})
        table = table[table["gene"].isin(seen)]
        model, present = weighted_model(baseline, table, cohort, panels, level)
        models.append(model)
        rows.append((baseline, len(seen), len(table), present))
    print(f"transfer: {len(cohort.people)} people, {len(cohort.genes)} genes, {len(seen)} of them seen", file=sys.stderr)
    tables = Scorer(cohort, models, settings, seed).tables()
    with staged_files(out) as folder:
        write_tables(tables, folder)
        write_table(pd.DataFrame(rows, columns=["model", "n_genes", "n_variants", "n_found"]), folder / "variants.tsv")
        write_table(dropped, folder / "dropped.tsv")
