"""The model card: what a trained model is, in words, beside its weights."""

import math
from collections.abc import Mapping
from typing import Any

from gta.aligner.model import AlignerConfig
from gta.cohort.tables import Cohort

_SPLITS = ("train", "valid", "test")
_VALIDATION = {
    "valid_loss": "loss that `select` names",
    "valid_spearman_genes": "Spearman correlation across validation genes, of mean expression",
    "valid_spearman_people": "median over training genes of the Spearman correlation across validation people",
}


def model_card(config: AlignerConfig, settings: dict[str, Any], cohort: Cohort, best: Mapping[Any, Any]) -> str:
    """The text of `README.md` in a model's folder.

    Args:
        config: The aligner's sizes and sources.
        settings: The settings of its training.
        cohort: What it was trained on.
        best: The row of the history of the best epoch.
    """
    populations = cohort.people["population"].value_counts().sort_index()
    use = (
        [
            "It predicts ln(TPM + 0.01) in the cells that it was trained on: the mean of a gene, from the reference sequence. It",
            "was trained without genotypes and predicts nothing about differences between individuals.",
        ]
        if config.mean_only
        else [
            "It predicts ln(TPM + 0.01) in the cells that it was trained on: the mean of a gene, and how a person's haplotypes",
            "deviate from it. `docs/aligner.md` tells how to predict people that were not in the study.",
        ]
    )
    contigs = ", ".join(dict.fromkeys(cohort.genes["contig"]))
    window = int(cohort.genes["window_end"].iloc[0] - cohort.genes["window_start"].iloc[0])
    splits = [f"| {split} | {len(cohort.people_numbers(split))} | {len(cohort.gene_numbers(split))} |" for split in _SPLITS]
    lines = [
        "# GTA: gene expression from personal genomes",
        "",
        "Features of a gene's sequence are aligned with the word embeddings of a frozen language model, which reads them after",
        "the gene's annotation. A rebuild from the abstract of Honig et al. 2024 (arXiv:2410.01858), not the authors' model.",
        "",
        "## Use",
        "",
        *use,
        "",
        "## Data",
        "",
        f"- Genes on {contigs}; windows of {window:,} bp around the TSS; people of "
        + ", ".join(f"{name} ({count})" for name, count in populations.items())
        + ".",
        f"- Features: `{config.extractor}`, {config.features} per tile of {config.tile_length:,} bp"
        + (f"; weights {config.extractor_weights[:12]}" if config.extractor_weights else "")
        + ("; **replaced by random numbers (an ablation)**." if config.random_features else "."),
        "- Reference (SHA-256 of the sequences): "
        + (", ".join(f"{name} {digest[:12]}" for name, digest in list(config.reference.items())[:5]) or "not recorded")
        + (f" and {len(config.reference) - 5} more" if len(config.reference) > 5 else "")
        + ".",
        "",
        "| split | people | genes |",
        "|---|---|---|",
        *splits,
        "",
        "## Language model",
        "",
        f"`{config.language_model}`, prompt `{config.prompt}`: `{config.language_model_name}`, SHA-256 of the weights",
        f"`{config.language_model_sha256}`. It is frozen and not part of these files.",
        "",
        "## Training",
        "",
        f"Seed {config.seed}. "
        + ", ".join(f"`{key}` {value}" for key, value in settings.items() if key not in ("language_model", "prompt"))
        + ".",
        "",
        f"## Validation, epoch {best['epoch']:.0f} (the best)",
        "",
        "| what | value |",
        "|---|---|",
        *(f"| {meaning} | {best[key]:.4f} |" for key, meaning in _VALIDATION.items() if not math.isnan(best[key])),
        "",
        "These chose the epoch and are no estimate of what it does for unseen people or genes: that is in `evaluation/`.",
        "",
        "## Limits",
        "",
        "- Only for the same reference and features; another population may be predicted worse.",
        "- Differences between people of genes that were not in training are hardly predicted by any published model.",
        "- Not for decisions about anybody's health.",
        "",
    ]
    return "\n".join(lines)
