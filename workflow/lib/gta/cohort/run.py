"""The work of the cohort stage: choose, split, correct, write."""

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gta.cohort.blocks import SPLITS, UNMEASURED, split_genes
from gta.cohort.correction import HiddenFactors, log_tpm, to_tpm
from gta.cohort.folds import split_folds
from gta.cohort.genes import choose_genes
from gta.cohort.people import all_training, choose_people, split_people
from gta.cohort.settings import CohortSettings, FoldSettings, check
from gta.files import require_file, staged_files
from gta.inputs.tables import read_contigs, read_expression, read_genes, read_names, read_people, write_table

GENE_COLUMNS = ["gene", "symbol", "biotype", "contig", "strand", "tss", "window_start", "window_end", "block", "split"]


def log(line: str) -> None:
    """A line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def make_cohort(
    inputs: Path,
    out: Path,
    settings: CohortSettings,
    seed: int,
    folds: FoldSettings | None = None,
    fold: int | None = None,
) -> None:
    """Write the folder `cohort/` (see docs/contracts.md).

    Args:
        inputs: Folder written by `gta inputs`.
        out: The folder to write.
        settings: The cohort's settings.
        seed: Seed of the splits; people and genes are drawn independently of each other.
        folds: Folds of a cross-validation, if the study has them: all genes are then held out (split test).
        fold: One of the folds, from 1, whose own cohort is written: its genes are held out, others train and validate.

    Raises:
        UserError: for settings that do not fit the inputs.
    """
    check(settings)
    names = read_names(inputs)
    reference, genotypes = require_file(inputs / names["reference"], "reference"), "genotypes" in names
    genes, contigs, everybody, matrix = read_genes(inputs), read_contigs(inputs), read_people(inputs), read_expression(inputs)

    chosen, dropped_people = choose_people(list(everybody["person"]), list(matrix.columns), settings)
    people = everybody.set_index("person").loc[chosen, ["population"]]
    if genotypes:
        people["split"] = split_people(people["population"], settings, seed, log)
    else:
        people["split"] = all_training(chosen, settings, log)
    training = (people["split"] == "train").to_numpy()

    given = matrix[chosen].to_numpy(dtype=np.float64)
    tpm = to_tpm(given) if settings.unit == "rpkm" else given
    fraction = pd.Series((tpm[:, training] > 0).mean(axis=1), index=matrix.index)
    candidates, dropped_genes = choose_genes(genes, contigs, fraction, reference, settings, genotypes)
    unmeasured = ~candidates["gene"].isin(fraction.index)
    measured = candidates[~unmeasured].reset_index(drop=True)
    if folds is None:
        kept, leaking = split_genes(measured, settings, seed, log)
    else:
        kept, leaking = split_folds(measured, settings, folds, fold, seed, log)
    dropped_genes |= leaking

    expressed = (fraction >= settings.min_expressed_fraction).to_numpy()
    values = log_tpm(tpm[expressed])
    n_factors = settings.hidden_factors
    if not genotypes and n_factors > HiddenFactors.removable(len(values), len(chosen)):
        log(
            f"hidden_factors: {n_factors} do not apply to so few individuals ({len(chosen)}); none is removed (a mean over all"
            " individuals does not depend on them)"
        )
        n_factors = 0
    factors = HiddenFactors.fit(values[:, training], n_factors)
    explained = ", ".join(f"{share:.1%}" for share in factors.explained)
    log(f"expression: {len(values)} expressed genes; removed {n_factors} hidden factors ({explained or 'none'})")
    corrected = pd.DataFrame(factors.remove(values), index=matrix.index[expressed], columns=chosen)
    if unmeasured.any():
        kept = _with_unmeasured(kept, candidates, unmeasured)
        log(f"genes: {unmeasured.sum()} without expression, to be predicted")
    corrected = corrected.reindex(kept["gene"])
    raw = pd.DataFrame(tpm, index=matrix.index, columns=chosen).reindex(kept["gene"])
    statistics = pd.DataFrame(
        {
            "gene": kept["gene"].to_numpy(),
            "mean": corrected.to_numpy()[:, training].mean(axis=1),
            "sd": corrected.to_numpy()[:, training].std(axis=1),
            "mean_tpm": raw.to_numpy()[:, training].mean(axis=1),
        }
    )

    with staged_files(out) as folder:
        write_table(people.reset_index(), folder / "people.tsv")
        write_table(kept[[*GENE_COLUMNS, *(["fold"] if folds else [])]], folder / "genes.tsv")
        table = pa.Table.from_pandas(corrected.rename_axis("gene").reset_index(), preserve_index=False)
        pq.write_table(table, folder / "expression.parquet")
        write_table(statistics, folder / "gene_statistics.tsv")
        write_table(_dropped(dropped_people, _in_order(dropped_genes, genes, matrix)), folder / "dropped.tsv")
        write_table(_summary(people, kept, dropped_people, dropped_genes), folder / "summary.tsv")
    log(f"cohort: {len(people)} people, {len(kept)} genes; what was left out, and why: {out / 'dropped.tsv'}")


def _with_unmeasured(kept: pd.DataFrame, candidates: pd.DataFrame, unmeasured: pd.Series) -> pd.DataFrame:
    """Genes with a split, and those without expression (block -1, fold 0), in the order of the candidates."""
    absent = candidates[unmeasured].assign(block=-1, split=UNMEASURED, fold=0)
    order = pd.Series(np.arange(len(candidates)), index=candidates["gene"])
    every = pd.concat([kept, absent[kept.columns]], ignore_index=True)
    return every.iloc[np.argsort(every["gene"].map(order).to_numpy())].reset_index(drop=True)


def _in_order(reasons: Mapping[str, str], genes: pd.DataFrame, matrix: pd.DataFrame) -> dict[str, str]:
    """Reasons in the order of the genes of the inputs; those of the matrix alone come last."""
    return {name: reasons[name] for name in dict.fromkeys([*genes["gene"], *matrix.index]) if name in reasons}


def _dropped(people: Mapping[str, str], genes: Mapping[str, str]) -> pd.DataFrame:
    """`kind name reason` of everything that was left out."""
    rows = [("person", *item) for item in people.items()] + [("gene", *item) for item in genes.items()]
    return pd.DataFrame(rows, columns=["kind", "name", "reason"])


def _summary(
    people: pd.DataFrame, genes: pd.DataFrame, dropped_people: Mapping[str, str], dropped_genes: Mapping[str, str]
) -> pd.DataFrame:
    """`what n`: people and genes by split, people by population and split, and what was dropped by reason."""
    rows = [("people", len(people))]
    rows += [(f"people: {split}", int((people["split"] == split).sum())) for split in SPLITS]
    for population, members in people.groupby("population"):
        rows += [(f"people: {population}: {split}", int((members["split"] == split).sum())) for split in SPLITS]
    rows += [(f"people dropped: {reason}", n) for reason, n in _counts(dropped_people)]
    rows.append(("genes", len(genes)))
    rows += [(f"genes: {split}", int((genes["split"] == split).sum())) for split in SPLITS]
    if (genes["split"] == UNMEASURED).any():
        rows.append((f"genes: {UNMEASURED}", int((genes["split"] == UNMEASURED).sum())))
    if "fold" in genes:
        sizes = genes["fold"][genes["fold"] > 0].value_counts().sort_index()
        rows += [(f"genes: fold {fold}", int(n)) for fold, n in sizes.items()]
    rows += [(f"genes dropped: {reason}", n) for reason, n in _counts(dropped_genes)]
    return pd.DataFrame(rows, columns=["what", "n"])


def _counts(reasons: Mapping[str, str]) -> list[tuple[str, int]]:
    """How often each reason occurs, by its text."""
    counts = pd.Series(list(reasons.values()), dtype=str).value_counts()
    return sorted((str(reason), int(n)) for reason, n in counts.items())
