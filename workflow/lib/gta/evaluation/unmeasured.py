"""Predictions of genes without expression: nothing to compare them with, so a table of their own."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gta.baselines.predictions import read_columns
from gta.cohort.blocks import UNMEASURED
from gta.cohort.tables import read_genes
from gta.errors import UserError
from gta.evaluation.tables import parse_name


def tabulate(cohort: Path, predictions: Sequence[Path]) -> pd.DataFrame:
    """Tabulate the mean expression that models predict for genes without expression.

    Args:
        cohort: Folder of the cohort; the genes are those of the split unmeasured.
        predictions: Files of predictions.

    Returns:
        Columns `gene model predicted` (natural-log units), genes in the order of the cohort, models in that of the files;
        averaged over the seeds and, for models that read personal sequences, over the individuals.

    Raises:
        UserError: if a file is absent or broken, or leaves out one of the genes.
    """
    table = read_genes(cohort)
    genes = table.loc[table["split"] == UNMEASURED, "gene"].tolist()
    by_model: dict[str, list[pd.Series]] = {}
    for path in predictions:
        rows = read_columns(path, ("gene", "mean"))
        means = rows[rows["gene"].isin(genes)].groupby("gene", sort=False)["mean"].mean().reindex(genes)
        if means.isna().any():
            raise UserError(f"{path} does not predict the gene {means.index[means.isna()][0]}: make the predictions again.")
        by_model.setdefault(parse_name(path)[0], []).append(means)
    models = {model: sum(seeds[1:], start=seeds[0]) / len(seeds) for model, seeds in by_model.items()}
    found = [(gene, model, float(values[gene])) for gene in genes for model, values in models.items()]
    return pd.DataFrame(found, columns=["gene", "model", "predicted"])
