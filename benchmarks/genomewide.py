"""Two questions to a finished run of config/genomewide.yaml: how much training genes are worth, and whether it holds elsewhere.

1. Learning curve. In one fold the read-out of mean expression of `gta` and of `no_llm`, and the baselines that read only the
   text, are solved on random parts of the training genes and scored on the held-out chromosomes. The scale of features and the
   vocabulary of the prompts are those of all training genes; neither knows expression.
2. Another cohort (DATA=FOLDER of Geuvadis's chromosome 22): every gene there has a prediction by models that were trained on
   GM12878 without its chromosome. They are compared with the mean over the individuals of Geuvadis.

Writes benchmarks/results/genomewide_learning_curve.tsv and genomewide_geuvadis.tsv, and ends with one JSON object: the scores of
`gta` by number of training genes, and on Geuvadis.

    make bench-genomewide [CONFIG=config/genomewide.yaml] [DATA=FOLDER] [ARGS="--fold 1"]
"""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from gta.aligner.kernel import GaussianKernel
from gta.aligner.predict import Trained, load_trained
from gta.baselines.text import prompt_ridge, read_prompts, read_states, tfidf_ridge
from gta.cohort.folds import contiguous_folds
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.correlation import spearman
from gta.evaluation.resampling import bootstrap_indices, generator, interval
from gta.features.store import FeatureStore
from gta.inputs.tables import write_table
from gta.regression import block_ridge

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
#: Training genes of the learning curve, beside all; and random parts of each size, whose scores are averaged.
SIZES = {100: 5, 300: 5, 1000: 3, 3000: 1}
#: Genes that are read at once.
GENES = 64
#: Bootstrap samples of genes.
RESAMPLES = 2000


@torch.no_grad()
def readout(trained: Trained, cohort: Cohort) -> Callable[[np.ndarray], np.ndarray]:
    """Return what predicts all genes, (genes,) natural log, by a read-out that is solved on the genes of some numbers."""
    aligner, reader, inputs, compared = trained.aligner, trained.reader, [], []
    levels = cohort.expression.mean(axis=1)
    for some in np.array_split(np.arange(len(levels)), len(levels) // GENES + 1):
        batch = trained.data.batch([(int(gene), np.zeros(1, dtype=int)) for gene in some])
        given = (batch, reader.language_model, reader.prompts, reader.rows)
        inputs.append(aligner.mean_inputs(*given))
        compared.append(aligner.kernel_inputs(*given))
    columns = torch.cat(inputs).numpy()
    of_kernel = {name: torch.cat([part[name] for part in compared]).numpy() for name in aligner.kernels}

    def solve(genes: np.ndarray) -> np.ndarray:
        parts, at, common = [], 0, []
        for number, (name, size) in enumerate(aligner.mean_readout.blocks.items()):
            part, at = columns[:, at : at + size], at + size
            if name in of_kernel:
                kernel = GaussianKernel(of_kernel[name].shape[1], min(size, len(genes)))
                kernel.take(of_kernel[name][genes])
                part = kernel(torch.from_numpy(of_kernel[name])).numpy()
            if number in aligner.common_scale:
                common.append(number)
            parts.append(part)
        every = np.concatenate(parts, axis=1)
        sizes = [part.shape[1] for part in parts]
        found = block_ridge(
            every[genes], sizes, levels[genes], contiguous_folds(cohort.genes, genes), None, False, common_scale=common
        )
        weight, bias = found.weight / found.scale, found.bias
        return bias + every @ weight - found.centre @ weight

    return solve


def only(cohort: Cohort, genes: np.ndarray) -> Cohort:
    """Return the cohort with these training genes; the others are not learnt from."""
    table = cohort.genes.copy()
    table.loc[table["split"] == "train", "split"] = "valid"
    table.loc[genes, "split"] = "train"
    return replace(cohort, genes=table)


def learning_curve(results: Path, fold: int) -> pd.DataFrame:
    """Score models and text baselines on parts of the training genes.

    Returns:
        `model n_genes draws held_out sd`: Spearman correlation across the held-out genes, averaged over parts, and its standard
        deviation between them.

    Raises:
        UserError: if the run is not finished.
    """
    place = results / "folds" / str(fold)
    cohort = Cohort.load(place / "cohort")
    stores = sorted((place / "features").glob("*.safetensors")) or sorted((results / "features").glob("*.safetensors"))
    store, language = FeatureStore.load_all(stores), results / "language"
    model = next(path for name in ("first_blocks", "model", "smollm2") if (path := language / name).exists())
    prompts = language / "pretrained" / "full"
    cache = prompts / "prompt_cache.safetensors"
    predictors: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for name in ("gta", "no_llm"):
        (trained,) = load_trained([place / "aligner" / name / "seed1"], cohort, store, model, cache)
        predictors[name] = readout(trained, cohort)
    texts, states = read_prompts(prompts / "prompts.tsv", cohort.gene_names), read_states(cache, cohort.gene_names)
    predictors["tfidf_ridge"] = lambda genes: tfidf_ridge(texts, only(cohort, genes)).predicted
    predictors["prompt_ridge"] = lambda genes: prompt_ridge(states, only(cohort, genes)).predicted
    train, test = cohort.gene_numbers("train"), cohort.gene_numbers("test")
    observed = cohort.expression[test].mean(axis=1)
    rows = []
    for name, predict in predictors.items():
        for n, draws in [*((n, draws) for n, draws in SIZES.items() if n < len(train)), (len(train), 1)]:
            parts = [np.sort(np.random.default_rng(draw).choice(train, n, replace=False)) for draw in range(draws)]
            scores = [spearman(predict(genes)[test], observed) for genes in parts]
            rows.append((name, n, draws, np.mean(scores), np.std(scores)))
            print(f"{name}, {n} training genes: {np.mean(scores):.3f}", file=sys.stderr, flush=True)
    return pd.DataFrame(rows, columns=["model", "n_genes", "draws", "held_out", "sd"])


def in_geuvadis(results: Path, data: Path) -> pd.DataFrame:
    """Compare predictions of chromosome 22 with the mean over the individuals of Geuvadis.

    Returns:
        `model n_genes spearman low high`: with the 95 % interval of a bootstrap over genes. The row `GM12878` is the expression
        that the models were trained on, of these genes: the ceiling.
    """
    path = data / "expression.rpkm.bed.gz"
    table = pd.read_csv(path, sep="\t").rename(columns={"gene": "name"})
    table.index = pd.Index(table["name"].str.split(".").str[0])
    levels = np.log(table.iloc[:, 6:].mean(axis=1, numeric_only=True) + 0.01)
    cohort = Cohort.load(results / "cohort")
    measured = pd.Series(cohort.expression.mean(axis=1), index=[name.split(".")[0] for name in cohort.gene_names])
    columns = {"GM12878": measured}
    for file in sorted((results / "predictions").glob("*.parquet")):
        predicted = pd.read_parquet(file).groupby("gene", sort=False)["predicted"].first()
        predicted.index = predicted.index.str.split(".").str[0]
        columns[file.stem.removesuffix(".seed1")] = predicted
    together = pd.DataFrame(columns).join(levels.rename("geuvadis"), how="inner").dropna(subset=["geuvadis", "GM12878"])
    if together.empty:
        raise UserError(f"{path} has no gene of the run {results}.")
    rows = []
    for name in columns:
        observed, guess = together["geuvadis"].to_numpy(), together[name].to_numpy()
        resamples = np.concatenate(list(bootstrap_indices(len(observed), RESAMPLES, generator(1, 22))))
        draws = [spearman(observed[some], guess[some]) for some in resamples]
        rows.append((name, len(observed), spearman(observed, guess), *interval(np.array(draws), 0.95)))
    return pd.DataFrame(rows, columns=["model", "n_genes", "spearman", "low", "high"]).sort_values("spearman", ascending=False)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=ROOT / "results" / "genomewide", help="a finished run")
    parser.add_argument(
        "--data", type=Path, help="folder of Geuvadis's chromosome 22; without it the second question is left out"
    )
    parser.add_argument("--fold", type=int, default=1, help="fold of the learning curve; 0: none [1]")
    arguments = parser.parse_args(argv)
    summary: dict[str, object] = {}
    RESULTS.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.data:
            table = in_geuvadis(arguments.results, arguments.data)
            write_table(table, RESULTS / "genomewide_geuvadis.tsv", "%.3f")
            print(table.round(3).to_string(index=False), end="\n\n")
            summary["geuvadis_chr22"] = dict(zip(table["model"], table["spearman"].round(3), strict=True))
        if arguments.fold:
            curve = learning_curve(arguments.results, arguments.fold)
            write_table(curve, RESULTS / "genomewide_learning_curve.tsv", "%.3f")
            print(curve.round(3).to_string(index=False), end="\n\n")
            own = curve[curve["model"] == "gta"]
            summary["gta_by_training_genes"] = dict(zip(own["n_genes"].astype(str), own["held_out"].round(3), strict=True))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
