"""Small cohorts, haplotypes and features, for truths to be planted in."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.cohort.tables import Cohort
from gta.features.store import FeatureStore, GeneFeatures
from gta.haplotypes import PanelSet

TRAINING, TESTING = 80, 40
PEOPLE = [f"p{number:03}" for number in range(TRAINING + TESTING)]
TSS, HALF = 50_000, 1_000


@pytest.fixture
def make_cohort() -> Callable[[np.ndarray, list[str]], Cohort]:
    """A cohort of PEOPLE, of whom the first TRAINING are for training, from expression and the splits of genes."""

    def make(expression: np.ndarray, gene_splits: list[str]) -> Cohort:
        people = pd.DataFrame({"person": PEOPLE, "population": "X", "split": ["train"] * TRAINING + ["test"] * TESTING})
        genes = pd.DataFrame(
            {
                "gene": [f"g{number}" for number in range(len(gene_splits))],
                "symbol": "",
                "biotype": "protein_coding",
                "contig": "c1",
                "strand": "+",
                "tss": TSS,
                "window_start": TSS - HALF,
                "window_end": TSS + HALF,
                "block": 0,
                "split": gene_splits,
            }
        )
        return Cohort(people, genes, expression)

    return make


@pytest.fixture
def write_cohort(tmp_path: Path) -> Callable[[Cohort], Path]:
    """Write what `Cohort.load` reads; gives the folder."""

    def write(cohort: Cohort) -> Path:
        folder = tmp_path / "cohort"
        folder.mkdir()
        cohort.people.to_csv(folder / "people.tsv", sep="\t", index=False)
        cohort.genes.to_csv(folder / "genes.tsv", sep="\t", index=False)
        matrix = pd.DataFrame(cohort.expression, columns=cohort.people_names)
        matrix.insert(0, "gene", cohort.gene_names)
        matrix.to_parquet(folder / "expression.parquet", index=False)
        return folder

    return write


@pytest.fixture
def panels() -> PanelSet:
    """One panel set of three genes in one window: 30 independent SNVs, of which number 28 is rare."""
    rng = np.random.default_rng(5)
    frequency = rng.uniform(0.2, 0.8, 30)
    frequency[28] = 0.01
    genes = ["g0", "g1", "g2"]
    return PanelSet(
        contig="c1",
        genes=genes,
        people=PEOPLE,
        windows=np.array([[TSS - HALF, TSS + HALF, TSS]] * 3),
        reaches=np.array([[TSS - HALF - 256, TSS + HALF + 256]] * 3),
        spans=np.array([[0, 30]] * 3),
        haploid=np.zeros((3, len(PEOPLE)), dtype=bool),
        positions=TSS - HALF + 50 * np.arange(30),
        refs=[b"A"] * 30,
        alts=[(b"C",)] * 30,
        haplotypes=(rng.random((2 * len(PEOPLE), 30)) < frequency).astype(np.uint8),
    )


@pytest.fixture
def store() -> FeatureStore:
    """Features of 40 genes: 12 tiles in three zones, 4 features, a few rows for every tile."""
    rng = np.random.default_rng(6)
    tiles, features = 12, 4
    distance = np.array(
        [-40_000, -9_000, -5_000, -1_500, -100, 700, 1_900, 2_100, 10_000, 10_001, 20_000, 30_000], dtype=np.float32
    )
    by_gene = {}
    for number in range(40):
        gene = f"g{number}"
        base = rng.normal(size=(tiles, features))
        rows = np.concatenate([base, base + 0.3 * rng.normal(size=(tiles, features))]).astype(np.float32)
        index = np.arange(tiles) + tiles * (rng.random((30, tiles)) < 0.3)
        index[0] = np.arange(tiles)
        carriers = rng.integers(0, 30, (len(PEOPLE), 2))
        carriers[3, 1] = -1
        by_gene[gene] = GeneFeatures(gene, rows, index.astype(np.int32), carriers.astype(np.int32), distance)
    names = [("M", f"F{number}", "max") for number in range(features)]
    return FeatureStore(PEOPLE, names, 2048, "motif", by_gene)
