"""A small cohort whose expression follows one feature, and a tiny frozen language model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from gta.aligner.settings import AlignerSettings
from gta.aligner.setup import set_up
from gta.aligner.train import Training
from gta.cohort.tables import Cohort
from gta.compressor.encoder import AttentionOnlyCompressor
from gta.features.store import FeatureStore, GeneFeatures
from gta.language.cache import PromptCache, read_prompts
from gta.language.models import fingerprint
from gta.language.prompts import Prompt
from gta.language.prototypes import Prototypes

GENES, PEOPLE, HAPLOTYPES, TILES, FEATURES, CAUSAL = 12, 40, 9, 6, 5, 2


def make_store(seed: int = 0) -> FeatureStore:
    """Random features; each gene has nine haplotypes that differ from the reference in single tiles."""
    generator = np.random.default_rng(seed)
    people = [f"P{i}" for i in range(PEOPLE)]
    distance = (np.arange(TILES) - TILES / 2 + 0.5) * 1000
    by_gene = {}
    for number in range(GENES):
        reference = generator.normal(size=(TILES, FEATURES))
        changed = reference[np.arange(HAPLOTYPES - 1) % TILES] + generator.normal(size=(HAPLOTYPES - 1, FEATURES))
        index = np.tile(np.arange(TILES), (HAPLOTYPES, 1))
        for haplotype in range(1, HAPLOTYPES):
            index[haplotype, (haplotype - 1) % TILES] = TILES + haplotype - 1
        carriers = generator.integers(0, HAPLOTYPES, size=(PEOPLE, 2))
        by_gene[f"G{number}"] = GeneFeatures(
            f"G{number}",
            np.concatenate([reference, changed]).astype(np.float32),
            index.astype(np.int32),
            carriers.astype(np.int32),
            (distance if number % 2 else -distance).astype(np.float32),
        )
    return FeatureStore(people, [(f"M{i}", f"m{i}", "max") for i in range(FEATURES)], 1000, "motif", by_gene)


def make_cohort(store: FeatureStore) -> Cohort:
    """Expression is the sum of feature CAUSAL over all tiles, mean over haplotypes, and a little noise."""
    generator = np.random.default_rng(1)
    expression = np.zeros((GENES, PEOPLE))
    for number, gene in enumerate(store.by_gene.values()):
        sums = gene.rows[gene.index][:, :, CAUSAL].sum(axis=1)
        expression[number] = sums[gene.carriers].mean(axis=1)
    expression += 0.05 * generator.normal(size=expression.shape)
    people = pd.DataFrame({"person": store.people, "population": "x", "split": ["train"] * 26 + ["valid"] * 6 + ["test"] * 8})
    genes = pd.DataFrame(
        {
            "gene": store.genes,
            "symbol": store.genes,
            "biotype": "protein_coding",
            "contig": "c1",
            "strand": ["-", "+"] * (GENES // 2),
            "tss": np.arange(GENES) * 10_000 + 3000,
            "window_start": np.arange(GENES) * 10_000,
            "window_end": np.arange(GENES) * 10_000 + TILES * 1000,
            "block": 0,
            "split": ["train"] * 8 + ["valid"] * 2 + ["test"] * 2,
        }
    )
    return Cohort(people, genes, expression)


def make_reference_study(individuals: int = 1, seed: int = 0) -> tuple[Cohort, FeatureStore]:
    """A study without genotypes: the reference haplotypes of `make_store`, and expression that follows feature CAUSAL in them."""
    store = make_store(seed)
    people = store.people[:individuals]
    nobody_differs = np.zeros((individuals, 2), dtype=np.int32)
    by_gene = {
        name: replace(gene, rows=gene.rows[:TILES], index=gene.index[:1], carriers=nobody_differs)
        for name, gene in store.by_gene.items()
    }
    cohort = make_cohort(store)
    sums = np.array([gene.rows[:, CAUSAL].sum() for gene in by_gene.values()])
    expression = sums[:, None] + 0.05 * np.random.default_rng(2).normal(size=(GENES, individuals))
    table = pd.DataFrame({"person": people, "population": "x", "split": "train"})
    return Cohort(table, cohort.genes, expression), replace(store, people=people, by_gene=by_gene)


def write_cohort(cohort: Cohort, folder: Path) -> Path:
    """The cohort as files."""
    folder.mkdir(parents=True, exist_ok=True)
    cohort.people.to_csv(folder / "people.tsv", sep="\t", index=False)
    cohort.genes.to_csv(folder / "genes.tsv", sep="\t", index=False)
    matrix = pd.DataFrame(cohort.expression, columns=cohort.people_names)
    matrix.insert(0, "gene", cohort.gene_names)
    matrix.to_parquet(folder / "expression.parquet", index=False)
    return folder


def make_language_model(seed: int = 0) -> PreTrainedModel:
    """A random Llama of two layers, frozen."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1, vocab_size=40
    )
    model = LlamaForCausalLM(config)
    model.requires_grad_(False)
    return model.eval()


def make_prompts(model: PreTrainedModel, tokens: list[list[int]] | None = None) -> PromptCache:
    """Prompts of different length, or those with the given tokens."""
    tokens = tokens or [[1 + (i * 7 + j) % 39 for j in range(3 + i % 4)] for i in range(GENES)]
    prompts = [Prompt(f"G{i}", "", ids, 0) for i, ids in enumerate(tokens)]
    return read_prompts(model, prompts, fingerprint(model))


def make_training(
    cohort: Cohort,
    store: FeatureStore,
    model: PreTrainedModel,
    seed: int = 1,
    tuned: AttentionOnlyCompressor | None = None,
    tokens: list[list[int]] | None = None,
    **settings: object,
) -> Training:
    """A training run, set up."""
    vectors = torch.randn(7, 16, generator=torch.Generator().manual_seed(5)) * 0.02
    prototypes = Prototypes(vectors, fingerprint(model))
    chosen = AlignerSettings(**{"heads": 2, "epochs": 2, "people_per_gene": 6, "dropout": 0.0, **settings})  # type: ignore[arg-type]
    return Training(set_up(cohort, store, model, "tiny", make_prompts(model, tokens), prototypes, chosen, seed, compressor=tuned))


def with_random_readout(training: Training, seed: int = 3) -> Training:
    """The training with random weights in the read-out of mean expression, which is 0 until it is solved."""
    readout = training.aligner.mean_readout
    with torch.no_grad():
        readout.weight.copy_(torch.randn(readout.weight.shape, generator=torch.Generator().manual_seed(seed)) * 0.1)
    return training
