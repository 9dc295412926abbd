"""Probe where a trained GTA loses or keeps what the text says of mean expression.

Reads a finished run of the workflow with the model `gta`. For the reference haplotype of every gene it takes hidden states of the
frozen language model, layer by layer: at the aligned positions, after the gene's own prompt and after that of another gene
(shuffled), and at the prompt's positions. On each of them a ridge regression of mean expression is fitted on the training genes
and scored on the held-out genes: alone, and together with the linear branch of the sequence. A learning curve of the whole
read-out, trained on parts of the training genes, follows. Writes benchmarks/results/prompt_probe.tsv and
prompt_probe_learning_curve.tsv, and prints both.

    make bench-probe [CONFIG=config/demo.yaml] [ARGS="--seed 1"]
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import StandardScaler

from gta.aligner.predict import Trained, load_trained
from gta.aligner.reading import prompt_memory, prompt_rows
from gta.baselines.folded_ridge import cross_validated_ridge
from gta.cohort.folds import contiguous_folds
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.correlation import spearman
from gta.features.store import FeatureStore
from gta.inputs.tables import write_table
from gta.language.models import given_cache
from gta.regression import block_ridge

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "prompt_probe.tsv"
#: Genes that are read at once.
GENES = 32
#: Training genes of the learning curve; and random parts of each size, whose scores are averaged.
SIZES, DRAWS = (50, 100, 200), 5


def load(results: Path, seed: int) -> tuple[Cohort, Trained]:
    """Load the cohort and the trained `gta` of a finished run.

    Raises:
        UserError: if the run is not finished, or its language model is no causal one.
    """
    cohort = Cohort.load(results / "cohort")
    stores = sorted((results / "features").glob("*.safetensors"))
    if not stores:
        raise UserError(f"{results}/features has no features: run the workflow first.")
    language = results / "language"
    cache = language / "pretrained" / "full" / "prompt_cache.safetensors"
    store = FeatureStore.load_all(stores)
    (trained,) = load_trained([results / "aligner" / "gta" / f"seed{seed}"], cohort, store, language / "model", cache)
    if trained.reader.prompts is None or trained.reader.prompts.keys is None:
        raise UserError(f"{results}: the model gta reads no prompt after which aligned tokens follow: nothing can be probed.")
    return cohort, trained


def with_shuffled_prompts(trained: Trained, genes: list[str], seed: int) -> Trained:
    """Return the same trained model whose genes read the prompts of other genes."""
    assert trained.reader.prompts is not None
    rows = prompt_rows(trained.reader.prompts, genes, "shuffled", seed)
    return replace(trained, reader=replace(trained.reader, rows=rows))


@torch.no_grad()
def aligned_states(trained: Trained, genes: int) -> np.ndarray:
    """Return hidden states at the aligned positions of all genes' reference haplotypes.

    Returns:
        (genes, layers + 1, D) float64, means over the positions; layer 0: the aligned tokens themselves.
    """
    reader, parts = trained.reader, []
    model, prompts, rows = reader.language_model, reader.prompts, reader.rows
    assert model is not None and prompts is not None and rows is not None
    for some in np.array_split(np.arange(genes), max(1, genes // GENES)):
        batch = trained.data.batch([(int(gene), np.zeros(1, dtype=int)) for gene in some])
        tokens = trained.aligner.align(batch)
        before = prompt_memory(model, prompts, rows[batch.gene], tokens.device)
        output = model.base_model(
            inputs_embeds=tokens.to(model.dtype),
            attention_mask=torch.cat([before.mask, before.mask.new_ones(tokens.shape[:2])], dim=1),
            position_ids=before.next_positions[:, None] + torch.arange(tokens.shape[1]),
            use_cache=True,
            output_hidden_states=True,
            **given_cache(model.base_model, before.cache()),
        )
        parts.append(torch.stack([layer.float().mean(dim=1) for layer in output.hidden_states], dim=1))
    return torch.cat(parts).double().numpy()


@torch.no_grad()
def readout_inputs(trained: Trained, genes: int) -> np.ndarray:
    """Return what the read-out of mean expression reads of all genes' reference haplotypes, (genes, columns) float32."""
    parts = []
    for some in np.array_split(np.arange(genes), max(1, genes // GENES)):
        batch = trained.data.batch([(int(gene), np.zeros(1, dtype=int)) for gene in some])
        parts.append(
            trained.aligner.mean_inputs(batch, trained.reader.language_model, trained.reader.prompts, trained.reader.rows)
        )
    return torch.cat(parts).numpy()


def states(trained: Trained, shuffled: Trained, genes: int) -> Iterator[tuple[str, str, int, np.ndarray]]:
    """Yield where hidden states are, whose prompt is read, the layer, and the states, (genes, D)."""
    prompts, rows = trained.reader.prompts, trained.reader.rows
    assert prompts is not None and rows is not None
    for prompt, one in (("own", trained), ("shuffled", shuffled)):
        at = aligned_states(one, genes)
        for layer in range(at.shape[1]):
            yield "aligned positions", prompt, layer, at[:, layer]
    pooled = prompts.states[rows].double().numpy()
    for number, place in enumerate(("prompt, mean over tokens", "prompt, last token")):
        for layer in range(pooled.shape[1]):
            yield place, "own", layer, pooled[:, layer, number]


def observed_means(cohort: Cohort) -> tuple[np.ndarray, np.ndarray]:
    """Return mean expression over the training and over the test individuals, each (genes,), natural log."""
    training, test = (cohort.expression[:, cohort.people_numbers(split)].mean(axis=1) for split in ("train", "test"))
    return training, test


def probe(cohort: Cohort, trained: Trained, shuffled: Trained) -> pd.DataFrame:
    """Fit ridge regressions on hidden states, and score them.

    Returns:
        `place prompt layer out_of_fold held_out with_sequence_out_of_fold with_sequence_held_out`: Spearman correlation across
        training genes out of fold and across held-out genes; the last two of a ridge regression that reads the linear branch,
        too. The first row is the linear branch alone.
    """
    train, test = cohort.gene_numbers("train"), cohort.gene_numbers("test")
    levels, observed = observed_means(cohort)
    folds = contiguous_folds(cohort.genes, train)
    blocks = trained.aligner.mean_readout.blocks
    sequence_sizes = [size for name, size in blocks.items() if name in ("linear", "features")]
    sequence = readout_inputs(trained, len(levels))[:, : sum(sequence_sizes)]

    def together(*more: np.ndarray) -> tuple[float, float]:
        columns = np.column_stack([sequence, *more])
        sizes = [*sequence_sizes, *(part.shape[1] for part in more)]
        found = block_ridge(columns[train], sizes, levels[train], folds)
        assert found.out_of_fold is not None
        predicted = found.bias + ((columns[test] - found.centre) / found.scale) @ found.weight
        return spearman(found.out_of_fold, levels[train]), spearman(predicted, observed[test])

    rows = [("linear branch", "-", "-", np.nan, np.nan, *together())] if sequence_sizes else []
    for place, prompt, layer, values in states(trained, shuffled, len(levels)):
        scaled = StandardScaler().fit(values[train]).transform(values)
        alone = cross_validated_ridge([({}, scaled)], levels[train], train, folds)
        scores = spearman(alone.out_of_fold, levels[train]), spearman(alone.predicted[test], observed[test])
        rows.append((place, prompt, str(layer), *scores, *together(values)))
    columns = ["place", "prompt", "layer", "out_of_fold", "held_out", "with_sequence_out_of_fold", "with_sequence_held_out"]
    return pd.DataFrame(rows, columns=columns)


def learning_curve(cohort: Cohort, models: dict[str, Trained]) -> pd.DataFrame:
    """Solve the read-out on random parts of the training genes.

    Returns:
        `prompt n_genes training held_out`: Spearman correlation across the genes that it was solved on and across held-out
        genes, averaged over parts.
    """
    train, test = cohort.gene_numbers("train"), cohort.gene_numbers("test")
    levels, observed = observed_means(cohort)
    rows = []
    for prompt, trained in models.items():
        inputs, sizes = readout_inputs(trained, len(levels)), list(trained.aligner.mean_readout.blocks.values())
        for n in [*(size for size in SIZES if size < len(train)), len(train)]:
            scores = []
            for draw in range(DRAWS if n < len(train) else 1):
                some = np.sort(np.random.default_rng(draw).choice(train, n, replace=False))
                folds = contiguous_folds(cohort.genes, some)
                found = block_ridge(inputs[some], sizes, levels[some], folds, out_of_fold=False)
                predicted = found.bias + ((inputs - found.centre) / found.scale) @ found.weight
                scores.append((spearman(predicted[some], levels[some]), spearman(predicted[test], observed[test])))
            rows.append((prompt, n, *np.mean(scores, axis=0)))
    return pd.DataFrame(rows, columns=["prompt", "n_genes", "training", "held_out"])


def main(argv: Sequence[str] | None = None) -> int:
    """Probe, write and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--results", type=Path, default=ROOT / "results" / "demo", help="results of a finished run [results/demo]"
    )
    parser.add_argument("--seed", type=int, default=1, help="training seed of the model gta; also of the shuffling [1]")
    parser.add_argument("--out", type=Path, default=RESULT, help="table to write [benchmarks/results/prompt_probe.tsv]")
    arguments = parser.parse_args(argv)
    try:
        cohort, trained = load(arguments.results, arguments.seed)
        shuffled = with_shuffled_prompts(trained, cohort.gene_names, arguments.seed)
        table = probe(cohort, trained, shuffled)
        curve = learning_curve(cohort, {"own": trained, "shuffled": shuffled})
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_table(table, arguments.out, "%.3f")
    write_table(curve, arguments.out.with_name(f"{arguments.out.stem}_learning_curve.tsv"), "%.3f")
    print(table.round(2).to_string(index=False), curve.round(2).to_string(index=False), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
