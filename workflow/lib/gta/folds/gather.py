"""One file of predictions from those of the folds: each gene from the fold in which it was held out."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gta.baselines.predictions import read_columns, write_predictions
from gta.cohort.blocks import UNMEASURED
from gta.cohort.tables import read_genes
from gta.errors import UserError

_VALUES = ["mean", "deviation", "predicted"]


def gather(study: Path, cohorts: Sequence[Path], predictions: Sequence[Path], out: Path) -> int:
    """Write predictions out of fold.

    Args:
        study: Folder of the study's cohort; its column `fold` says where each gene was held out.
        cohorts: Folder of the cohort of each fold, in the order of the folds.
        predictions: The predictions of one model in each fold, in the same order.
        out: File to write: genes in the order of the study; measured genes from the fold in which they were held out, those of
            the split unmeasured as the mean over the folds.

    Returns:
        Number of genes with predictions.

    Raises:
        UserError: if the files do not belong together, or a gene was not held out where the study says so.
    """
    genes = read_genes(study)
    if "fold" not in genes:
        raise UserError(f"{study}/genes.tsv has no column fold: make the cohort with folds.")
    if not len(cohorts) == len(predictions) == genes["fold"].max():
        raise UserError(
            f"{len(cohorts)} cohorts and {len(predictions)} files of predictions are given for {genes['fold'].max()} folds: give"
            " one of each per fold, in their order."
        )
    parts, unmeasured = [], []
    for fold, (cohort, path) in enumerate(zip(cohorts, predictions, strict=True), start=1):
        split = read_genes(cohort).set_index("gene")["split"]
        own = genes.loc[genes["fold"] == fold, "gene"]
        leaking = own[own.map(split) != "test"]
        if len(leaking):
            raise UserError(
                f"{leaking.iloc[0]} is held out in fold {fold} by {study}, but not by {cohort}: make the cohorts of the"
                " folds again."
            )
        table = read_columns(path, ("gene", "person", *_VALUES))
        parts.append(table[table["gene"].isin(own)])
        absent = own[~own.isin(parts[-1]["gene"])]
        if len(absent):
            raise UserError(f"{path} does not predict {absent.iloc[0]}, which fold {fold} holds out: make the predictions again.")
        unmeasured.append(table[table["gene"].isin(genes.loc[genes["split"] == UNMEASURED, "gene"])])
    every = pd.concat(unmeasured, ignore_index=True)
    if len(every):
        parts.append(every.groupby(["gene", "person"], sort=False)[_VALUES].mean().reset_index())
    found = pd.concat(parts, ignore_index=True)
    number = pd.Series(range(len(genes)), index=genes["gene"])
    # Stable: individuals stay in the order of their file.
    order = found["gene"].map(number).to_numpy().argsort(kind="stable")
    write_predictions(found.iloc[order].reset_index(drop=True), out)
    return found["gene"].nunique()
