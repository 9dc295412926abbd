"""The tables that the report shows, and what it says of them."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A table of the results in the report.

    Attributes:
        category: The report's category, numbered in the order in which data flow.
        title: Its heading, and its label in the report.
        description: A sentence or two about rows, columns and units.
    """

    category: str
    title: str
    description: str


def report_tables(contigs: Sequence[str], models: Sequence[str]) -> dict[str, Table]:
    """The tables of a run, by their path in the results folder without `.tsv`.

    Args:
        contigs: Contigs that haplotypes and features are made for.
        models: Models that are attributed.
    """
    tables = {
        "cohort/summary": Table(
            "1 Cohort",
            "People and genes",
            "How many people and genes are in each split, and how many were left out for which reason.",
        ),
        "cohort/dropped": Table(
            "1 Cohort",
            "Left out",
            "Every person and gene of the inputs that is not in the cohort, with the first reason that holds.",
        ),
    }
    for contig in contigs:
        tables[f"haplotypes/{contig}.account"] = Table(
            "2 Haplotypes",
            f"Variants on {contig}",
            "For each window: variant records seen, applied and skipped by reason, people with missing, unphased or haploid"
            " calls, padded sequences, distinct haplotypes, and distinct sequences per tile.",
        )
        tables[f"features/{contig}.summary"] = Table(
            "2 Haplotypes",
            f"De-duplication on {contig}",
            "For each window: distinct haplotypes, tiles, distinct tile sequences, and the passes of the sequence model that"
            " would have been needed without de-duplication.",
        )
    tables["language/prompts"] = Table(
        "3 Language",
        "Prompts",
        "The prompt of every gene as the language model reads it, its tokens, and whether it was cut short.",
    )
    tables["evaluation/summary"] = Table(
        "5 Evaluation",
        "Summary",
        "One row per model, regime and metric: value, bootstrap interval over genes, what permuted data give, numbers of seeds,"
        " genes and people.",
    )
    tables["evaluation/comparisons"] = Table(
        "5 Evaluation", "Comparisons", "Differences between every two models on the same genes and people, with paired intervals."
    )
    tables["evaluation/per_gene"] = Table(
        "5 Evaluation", "Per gene", "Correlation across the held-out people of every gene, model and seed."
    )
    tables["evaluation/per_person"] = Table(
        "5 Evaluation", "Per person", "Correlation across the unseen genes of every held-out person, model and seed."
    )
    for model in models:
        tables[f"attribution/{model}/enrichment"] = Table(
            "6 Attribution",
            f"{model}: enrichment",
            "How well each attribution finds the known regulatory elements (AUROC with interval), beside nearness to the"
            " TSS alone.",
        )
        tables[f"attribution/{model}/tiles"] = Table(
            "6 Attribution",
            f"{model}: tiles",
            "Attribution of every tile of every window (bp, 0-based half-open; natural-log units), averaged over the seeds.",
        )
    tables["evaluation/runtimes"] = Table(
        "7 Runtimes", "Jobs", "Wall-clock seconds, CPU seconds and peak memory (MiB) of every job of the run."
    )
    tables["provenance/run"] = Table(
        "8 Provenance",
        "Code, software, configuration",
        "Commit, versions, machine and every key of the configuration, seeds included.",
    )
    tables["provenance/files"] = Table(
        "8 Provenance", "Checksums", "SHA-256 of every input and result; `gta verify` compares with them."
    )
    return tables
