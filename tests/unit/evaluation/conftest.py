"""A cohort on disk, made of arrays."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest


def write_cohort(
    folder: Path, expression: np.ndarray, gene_splits: Sequence[str], person_splits: Sequence[str], populations: Sequence[str]
) -> Path:
    """The files of `cohort/` that the evaluation reads: genes g0, g1, ..., people p0, p1, ..."""
    folder.mkdir(parents=True)
    n_genes, n_people = expression.shape
    people = [f"p{i}" for i in range(n_people)]
    genes = [f"g{i}" for i in range(n_genes)]
    pd.DataFrame({"person": people, "population": list(populations), "split": list(person_splits)}).to_csv(
        folder / "people.tsv", sep="\t", index=False
    )
    tss = 1000 * np.arange(n_genes) + 500
    places = {"contig": "sim1", "strand": "+", "tss": tss, "window_start": tss - 400, "window_end": tss + 400}
    names = {"gene": genes, "symbol": genes, "biotype": "protein_coding"}
    table = pd.DataFrame({**names, **places, "block": 0, "split": list(gene_splits)})
    table.to_csv(folder / "genes.tsv", sep="\t", index=False)
    values = pd.DataFrame(expression, columns=people)
    values.insert(0, "gene", genes)
    values.to_parquet(folder / "expression.parquet")
    return folder


def write_prediction(path: Path, predicted: np.ndarray, genes: Sequence[int] | None = None) -> Path:
    """A predictions file: rows for the genes named by number (all: None) and all people."""
    chosen = range(len(predicted)) if genes is None else genes
    rows = [
        {"gene": f"g{gene}", "person": f"p{person}", "mean": 0.0, "deviation": 0.0, "predicted": predicted[gene, person]}
        for gene in chosen
        for person in range(predicted.shape[1])
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(path)
    return path


@pytest.fixture
def make_cohort(tmp_path: Path) -> Callable[..., Path]:
    def make(
        expression: np.ndarray,
        gene_splits: Sequence[str],
        person_splits: Sequence[str],
        populations: Sequence[str] | None = None,
    ) -> Path:
        populations = ["unknown"] * len(person_splits) if populations is None else populations
        return write_cohort(tmp_path / "cohort", expression, gene_splits, person_splits, populations)

    return make


@pytest.fixture
def make_prediction(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str, predicted: np.ndarray, genes: Sequence[int] | None = None) -> Path:
        return write_prediction(tmp_path / "predictions" / name, predicted, genes)

    return make
