"""In-silico mutagenesis on the real chr22 cohort: touched tiles alone beside the whole window of every mutant.

Reads a finished run of config/chr22.yaml from --results and mutates the window of one gene: both ways predict the same mutants
with the same trained aligner, and their predictions are compared bit by bit. Brute force changes the text of the window and
computes all of its features again. CPU seconds, one thread. Writes benchmarks/results/attribution.json and prints it.

    make bench-attribution ARGS="--results results/chr22"
"""

import argparse
import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import torch

from gta.aligner.predict import load_trained
from gta.attribution.mutagenesis import Sequences, list_mutations, mutant_features, predict
from gta.cohort.tables import Cohort
from gta.features.extractor import TileExtractor, make_extractor
from gta.features.passes import Passes
from gta.features.settings import FeatureSettings
from gta.features.store import FeatureStore, GeneFeatures
from gta.haplotypes import PanelSet, open_reference

OUT = Path(__file__).resolve().parent / "results" / "attribution.json"


def brute_force(gene: pd.Series, mutations: pd.DataFrame, sequences: Sequences, distance: np.ndarray) -> GeneFeatures:
    """Features of the reference and of every mutant (single bases), each read over the whole window."""
    extractor = sequences.extractor
    assert isinstance(extractor, TileExtractor)
    start, end, margin = int(gene["window_start"]), int(gene["window_end"]), extractor.margin
    length = extractor.block_length(sequences.tile_length)
    bases = sequences.reference.fetch(str(gene["contig"]), start - margin, end + margin)
    texts = [bases]
    for mutation in mutations.itertuples():
        texts.append(bases.copy())
        texts[-1][int(mutation.position) - start + margin] = ord(str(mutation.alt))
    rows = []
    for text in texts:
        blocks = np.stack([text[at : at + length + 2 * margin] for at in range(0, end - start, length)])
        (scanned,) = Passes(extractor.batch, sequences.device).run(lambda batch: (extractor.scan(batch),), blocks)
        rows.append(extractor.combine(scanned.reshape(len(distance), -1, *scanned.shape[1:]), length).numpy())
    index = np.arange(len(rows) * len(distance), dtype=np.int32).reshape(len(rows), -1)
    return GeneFeatures(str(gene["gene"]), np.concatenate(rows), index, np.empty((0, 2), np.int32), distance)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results/chr22"), help="folder of a finished run of chr22.yaml")
    parser.add_argument("--language-model", type=Path, help="its language model [the run's own]")
    parser.add_argument("--symbol", default="COMT", help="the gene")
    parser.add_argument("--mutations", type=int, default=150, help="mutations, spread evenly over all of the gene")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = arguments.results
    cohort = Cohort.load(results / "cohort")
    store = FeatureStore.load_all(sorted((results / "features").glob("*.safetensors")))
    aligner = results / "aligner" / "gta" / "seed1"
    model = arguments.language_model or results / "language" / "model"
    trained = load_trained(
        [aligner], cohort, store, model, results / "language" / "pretrained" / "full" / "prompt_cache.safetensors"
    )[0]
    number = cohort.genes["symbol"].tolist().index(arguments.symbol)
    gene = cohort.genes.iloc[number]
    settings = FeatureSettings(tile_length=store.tile_length)
    length, device = int(gene["window_end"] - gene["window_start"]), torch.device("cpu")
    extractor = make_extractor(settings, length, device)
    panels = {str(gene["contig"]): PanelSet.load(results / "haplotypes" / f"{gene['contig']}.npz")}
    sequences = Sequences(panels, open_reference(results / "inputs"), extractor, store.tile_length, device)
    every = list_mutations(gene, sequences.panel(gene), sequences.reference, 500)
    single = every[(every["ref"].str.len() == 1) & (every["alt"].str.len() == 1)]
    chosen = single.iloc[np.unique(np.linspace(0, len(single) - 1, arguments.mutations).astype(int))].reset_index(drop=True)
    mutant_features(gene, chosen[:2], sequences)

    started = time.process_time()
    reused = mutant_features(gene, chosen, sequences)
    read = time.process_time()
    ours = predict(trained, number, reused)
    done = time.process_time()
    whole = brute_force(gene, chosen, sequences, reused.tile_distance)
    read_all = time.process_time()
    brute = predict(trained, number, whole)
    ended = time.process_time()
    found = {
        "gene": arguments.symbol,
        "window": length,
        "mutations": len(chosen),
        "mutations_of_the_gene": len(every),
        "equal_bits": bool(all(np.array_equal(*pair) for pair in zip(ours, brute, strict=True))),
        "equal_features": bool(np.array_equal(reused.rows[reused.index], whole.rows[whole.index])),
        "seconds_reuse": round(done - started, 2),
        "seconds_reuse_features": round(read - started, 2),
        "seconds_brute_force": round(ended - done, 2),
        "seconds_brute_force_features": round(read_all - done, 2),
        "ism_reuse_speedup": round((ended - done) / (done - started), 1),
        "ism_reuse_speedup_features": round((read_all - done) / (read - started), 1),
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
