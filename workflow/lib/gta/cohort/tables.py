"""Reading the cohort: who, which genes, and the expression to predict."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from gta.errors import UserError
from gta.inputs.tables import read_matrix, read_table


def read_genes(folder: Path) -> pd.DataFrame:
    """`genes.tsv` of a cohort folder."""
    columns = ("gene", "symbol", "contig", "strand", "tss", "window_start", "window_end", "split")
    return read_table(folder / "genes.tsv", columns, ("tss", "window_start", "window_end", "block", "fold"))


def read_people(folder: Path) -> pd.DataFrame:
    """`people.tsv` of a cohort folder; without anybody in it, it is refused."""
    path = folder / "people.tsv"
    table = read_table(path, ("person", "population", "split"))
    if table.empty:
        raise UserError(f"{path} has a header but no rows: make the cohort again.")
    return table


@dataclass(frozen=True)
class Cohort:
    """People, genes and expression of a run.

    In a reference study, which has no genotypes, all individuals are of the split train, and every gene has the reference
    haplotype only.

    Attributes:
        people: `people.tsv`, in the order of the VCF or, in a reference study, of the expression matrix.
        genes: `genes.tsv`, by contig, TSS and name.
        expression: (genes, people) float64, ln(TPM + 0.01) without hidden factors; NaN for unmeasured genes.
    """

    people: pd.DataFrame
    genes: pd.DataFrame
    expression: np.ndarray

    @classmethod
    def load(cls, folder: Path) -> "Cohort":
        """Read a folder written by `gta cohort`.

        Raises:
            UserError: if a file is absent or the files do not belong together.
        """
        people, genes = read_people(folder), read_genes(folder)
        path = folder / "expression.parquet"
        matrix = read_matrix(path)
        if list(matrix.index) != list(genes["gene"]) or list(matrix.columns) != list(people["person"]):
            raise UserError(f"{path} is not of the same cohort as genes.tsv and people.tsv beside it: make the cohort again.")
        return cls(people, genes, matrix.to_numpy(dtype=np.float64))

    @property
    def gene_names(self) -> list[str]:
        """Names of the genes."""
        return self.genes["gene"].tolist()

    @property
    def people_names(self) -> list[str]:
        """Names of the people."""
        return self.people["person"].tolist()

    def gene_numbers(self, split: str) -> np.ndarray:
        """Numbers (rows of `genes`) of the genes of a split: train, valid, test or unmeasured."""
        return np.flatnonzero((self.genes["split"] == split).to_numpy())

    @property
    def reference_study(self) -> bool:
        """Whether there are no genotypes, so that mean expression alone is predicted: all individuals are then of split train."""
        return bool((self.people["split"] == "train").all())

    @property
    def evaluated_individuals(self) -> np.ndarray:
        """Numbers of the individuals whose expression evaluates predictions: split test, or all in a reference study."""
        return self.people_numbers("train" if self.reference_study else "test")

    def people_numbers(self, split: str) -> np.ndarray:
        """Numbers (rows of `people`) of the people of a split: train, valid or test."""
        return np.flatnonzero((self.people["split"] == split).to_numpy())
