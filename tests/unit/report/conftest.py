"""Small inputs of every figure, and the command line."""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.report.cli import add_parser


@pytest.fixture
def gta() -> Callable[..., None]:
    """Run `gta` with some words."""

    def run(*words: object) -> None:
        parser = argparse.ArgumentParser()
        add_parser(parser.add_subparsers(required=True))
        arguments = parser.parse_args([str(word) for word in words])
        arguments.run(arguments)

    return run


@pytest.fixture
def cohort_folder(tmp_path: Path) -> Path:
    """Ten genes (5 train, 2 valid, 3 test) on two contigs and six people (3 train, 1 valid, 2 test)."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    people, genes = [f"p{i}" for i in range(6)], [f"g{i}" for i in range(10)]
    splits = ["train", "train", "train", "valid", "test", "test"]
    pd.DataFrame({"person": people, "population": "A", "split": splits}).to_csv(folder / "people.tsv", sep="\t", index=False)
    tss = 20_000 * np.arange(10) + 50_000
    table = {"gene": genes, "symbol": genes, "biotype": "protein_coding", "contig": ["sim1"] * 6 + ["sim2"] * 4, "strand": "+"}
    table |= {"tss": tss, "window_start": tss - 8000, "window_end": tss + 8000, "block": 0}
    table["split"] = ["train"] * 5 + ["valid"] * 2 + ["test"] * 3
    pd.DataFrame(table).to_csv(folder / "genes.tsv", sep="\t", index=False)
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(10, 6)), columns=people)
    values.insert(0, "gene", genes)
    values.to_parquet(folder / "expression.parquet")
    return folder


@pytest.fixture
def predictions(tmp_path: Path) -> list[Path]:
    """Two seeds of `gta` for all genes, and `elastic_net` for those of training."""
    rng = np.random.default_rng(1)
    files = []
    for name, n_genes in (("gta.seed1", 10), ("gta.seed2", 10), ("elastic_net", 5)):
        pairs = [(f"g{gene}", f"p{person}", rng.normal()) for gene in range(n_genes) for person in range(6)]
        files.append(tmp_path / f"{name}.parquet")
        pd.DataFrame(pairs, columns=["gene", "person", "predicted"]).to_parquet(files[-1])
    return files


@pytest.fixture
def summary(tmp_path: Path) -> Path:
    """A summary of the evaluation with numbers that can be recognised."""
    columns = "model regime metric n_seeds n_genes n_people n_constant value ci_low ci_high people_ci_low people_ci_high "
    columns += "null_mean null_high p_value"
    rows = [
        "gta across_genes spearman 2 3 2 0 0.11 0.1 0.2 0.1 0.2 0 0.3 0.5",
        "gta across_genes ensemble_spearman 2 3 2 0 0.43 0.21 0.65 0.21 0.65 0 0.3 0.5",
        "gta seen_genes_unseen_people mean_spearman 2 5 2 0 0.2 0.1 0.3 0.1 0.3 0 0.25 0.5",
        "gta unseen_genes_unseen_people mean_spearman 2 3 2 0 0.1 -0.1 0.3 -0.1 0.3 0 0.25 0.5",
        "elastic_net across_genes spearman 1 0 2 - - - - - - - - -",
        "elastic_net seen_genes_unseen_people mean_spearman 1 5 2 0 0.3 0.1 0.4 0.1 0.4 0 0.25 0.5",
        "elastic_net unseen_genes_unseen_people mean_spearman 1 0 2 - - - - - - - - -",
    ]
    path = tmp_path / "summary.tsv"
    path.write_text("".join(line.replace(" ", "\t") + "\n" for line in [columns, *rows]))
    return path


@pytest.fixture
def per_gene_file(tmp_path: Path) -> Path:
    """Correlations of two seeds of `gta` and of `elastic_net`, which says nothing of unseen genes and of one seen gene."""
    rows = []
    for seed in ("1", "2"):
        rows += [("gta", seed, "seen_genes_unseen_people", f"g{i}", 2, 0.1 * i * int(seed), 0.1, 0.5) for i in range(5)]
        rows += [("gta", seed, "unseen_genes_unseen_people", f"g{i}", 2, 0.1, 0.1, 0.5) for i in range(7, 10)]
    rows += [("elastic_net", "", "seen_genes_unseen_people", f"g{i}", 2, 0.3 if i else np.nan, 0.1, 0.5) for i in range(5)]
    columns = ["model", "seed", "regime", "gene", "n_people", "spearman", "pearson", "p_value"]
    path = tmp_path / "per_gene.tsv"
    pd.DataFrame(rows, columns=columns).to_csv(path, sep="\t", index=False)
    return path


@pytest.fixture
def make_history(tmp_path: Path) -> Callable[..., Path]:
    """Write a history of three epochs under MODEL/seedN/."""

    def make(model: str, seed: int, losses: tuple[float, ...] = (3.0, 2.0, 1.5)) -> Path:
        path = tmp_path / model / f"seed{seed}" / "history.tsv"
        path.parent.mkdir(parents=True)
        table = pd.DataFrame({"epoch": range(1, len(losses) + 1), "train_loss": losses, "valid_loss": losses})
        table.assign(valid_spearman_genes=0.1, valid_spearman_people=0.2).to_csv(path, sep="\t", index=False)
        return path

    return make
