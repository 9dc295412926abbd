"""The tables that the report shows, and what it says of them."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


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


#: What the report says of a page that an earlier run with another configuration left behind.
STALE = Table("9 Earlier", "Of an earlier configuration", "A table that the present configuration does not make.")

#: Tables that a study without genotypes has nothing in.
_ACROSS_INDIVIDUALS = re.compile(
    r"haplotypes/.*\.account|evaluation/per_gene|evaluation/dependence|baselines/(elastic_net\.genes|top_eqtl\.variants)"
    r"|attribution/.*/(signs|eqtls)"
)

#: Title and description of the compressor's tables.
_COMPRESSOR = {
    "summary": (
        "Regeneration",
        "Test metrics of every encoder at its best learning rate, and of what needs no training; loss in nats per token, all"
        " others 0 to 1.",
    ),
    "parameters": (
        "Weights of encoders",
        "Weights of the encoders cut out of public language models, and what they save, by two ways of counting.",
    ),
    "interpolation": (
        "Between two prompts",
        "What the language model writes along the straight line between the memories of two test texts.",
    ),
    "size": ("Compressed prompts", "Bytes of keys and values per gene, and of the full prompt."),
}


def table_options(tables: Mapping[str, Table]) -> str:
    """The options of `gta report tables` that ask for these tables, quoted for a shell.

    A command may have 128 kB, and every contig has tables: their descriptions are short, and the report's captions say the rest.
    """
    return shlex.join(word for name, table in tables.items() for word in ("--table", name, table.title, table.description))


def transfer_tables(model: str) -> dict[str, Table]:
    """The tables of the evaluation of a second cohort, by their path in the results folder without `.tsv`."""
    what = f"Predictions of {model} for the people of a second cohort, beside the baselines on genotypes with the study's weights"
    return {
        "predict/transfer/summary": Table("9 Transfer", "Summary", f"{what}: one row per model, regime and metric."),
        "predict/transfer/comparisons": Table(
            "9 Transfer", "Comparisons", f"{what}: paired differences on the same genes and people."
        ),
        "predict/transfer/variants": Table(
            "9 Transfer", "Variants", "How many of the variants that the baselines weigh the second cohort has."
        ),
        "predict/transfer/dropped": Table(
            "9 Transfer", "Left out", "People and genes of the second cohort that say nothing of transfer."
        ),
    }


def report_tables(
    contigs: Sequence[str],
    models: Sequence[str],
    ablations: bool,
    compressor: Sequence[str] = (),
    compresses: bool = False,
    genotypes: bool = True,
    fold: str = "",
    features_fold: str = "",
) -> dict[str, Table]:
    """The tables of a run, by their path in the results folder without `.tsv`.

    Args:
        contigs: Contigs that haplotypes and features are made for.
        models: Models that are attributed.
        compressor: Tables of the experiment with compressors, by their path in `compressor/` without `.tsv`.
        ablations: Whether there are models beside the first one.
        compresses: Whether any model shortens its prompts or its windows.
        genotypes: Whether there are genotypes; without them, what is about differences between individuals is left out.
        fold: Folder of the fold whose baselines are shown, with a slash; empty without folds.
        features_fold: Folder of the fold whose features are shown, with a slash; empty where all folds share them.
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
            "The variant records of each window, and what became of them.",
        )
        tables[f"{features_fold}features/{contig}.summary"] = Table(
            "2 Haplotypes",
            f"De-duplication on {contig}",
            "Distinct haplotypes, tiles and sequences of each window.",
        )
    tables["language/pretrained/full/prompts"] = Table(
        "3 Language",
        "Prompts",
        "The prompt of every gene, how many tokens of it the language model reads, and how many were left out (n_cut).",
    )
    for name in compressor:
        title, description = _COMPRESSOR[name.rsplit("/", maxsplit=1)[-1]]
        tables[f"compressor/{name}"] = Table(
            "3 Language", f"{title}: {Path(name).parent.name}" if "/" in name else title, description
        )
    tables["language/pretrained/full/statistics"] = Table(
        "3 Language",
        "Prompt statistics",
        "Lengths of the prompts in tokens, how many were cut, and how many genes have anything in each column of the annotation.",
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
    if ablations:
        tables["evaluation/ablations"] = Table(
            "5 Evaluation",
            "Ablations",
            "The first model minus every other one on the same genes and people, with paired intervals: what each part is worth.",
        )
    if compresses:
        tables["evaluation/compression"] = Table(
            "5 Evaluation",
            "Compression",
            "What every model reads of prompts, the time it takes, and how well it predicts: one row per model and regime.",
        )
    tables["evaluation/per_gene"] = Table(
        "5 Evaluation", "Per gene", "Correlation across the held-out people of every gene, model and seed."
    )
    tables["evaluation/per_person"] = Table(
        "5 Evaluation",
        "Per person",
        f"Correlation across the unseen genes of every {'held-out person' if genotypes else 'individual'}, model and seed.",
    )
    tables["evaluation/dependence"] = Table(
        "5 Evaluation",
        "Dependence",
        "Mean correlation across people in thirds of the genes by expression, predictability from genotypes, number of variants"
        " and distance of the best variant; the trend over all; and groups of genes apart.",
    )
    tables["baselines/elastic_net.genes"] = Table(
        "5 Evaluation",
        "Elastic net: genes",
        "For each gene of every split: usable variants, variants in its elastic net, and the share of variance that it predicts"
        " in nested cross-validation among the training people.",
    )
    tables[f"{fold}baselines/prompt_ridge.choice"] = Table(
        "5 Evaluation",
        "Prompt: layers",
        "Ridge regression on the language model's hidden states of the prompt: how well each layer and pooling predicts mean"
        " expression of training genes in cross-validation.",
    )
    tables[f"{fold}baselines/stack.weights"] = Table(
        "5 Evaluation",
        "Stacks: weights",
        "How much each part of a stack contributes to its prediction of mean expression; fitted on out-of-fold predictions.",
    )
    tables["baselines/top_eqtl.variants"] = Table(
        "5 Evaluation",
        "Strongest variants",
        "For each gene of every split: the variant that is most correlated with it among the training people (0-based position;"
        " distance in bp from the TSS in the gene's direction; slope in ln expression per allele).",
    )
    for model in models:
        tables[f"attribution/{model}/enrichment"] = Table(
            "6 Attribution",
            f"{model}: enrichment",
            "How well each attribution finds the known regulatory elements (AUROC and AUPRC with intervals), beside nearness to"
            " the TSS alone, GC content, and the same measure at the same distance in other genes (beyond: the difference).",
        )
        tables[f"attribution/{model}/words"] = Table(
            "6 Attribution",
            f"{model}: words",
            "The text prototypes that each tile of a few genes attends to most, with the nearest tokens of the vocabulary.",
        )
        tables[f"attribution/{model}/signs"] = Table(
            "6 Attribution",
            f"{model}: signs",
            "Do predicted effects of variants have the sign of the slopes in the test people, and of slopes that are known?",
        )
        tables[f"attribution/{model}/eqtls"] = Table(
            "6 Attribution",
            f"{model}: known eQTLs",
            "Predicted effects of known eQTLs (published, or planted by the simulation) beside their slopes (ln expression per"
            " ALT allele; 0-based position; distance in bp in the gene's direction).",
        )
        tables[f"attribution/{model}/completeness"] = Table(
            "6 Attribution", f"{model}: completeness", "How nearly integrated gradients add up to the prediction (ln expression)."
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
    return tables if genotypes else {name: table for name, table in tables.items() if not _ACROSS_INDIVIDUALS.fullmatch(name)}
