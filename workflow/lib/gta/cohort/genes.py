"""Which genes are in the cohort, before the split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from gta.cohort.people import check_names
from gta.cohort.settings import CohortSettings
from gta.cohort.windows import add_windows, window_gaps
from gta.errors import UserError
from gta.inputs.names import match_contigs, match_genes, nearest


def named_genes(names: Sequence[str], genes: pd.DataFrame, expressed: Sequence[str], key: str) -> set[str]:
    """The inputs' ids of genes that the settings name, with or without version.

    Raises:
        UserError: for a gene that is not in the inputs, with the nearest id (or the id that has this symbol).
    """
    known = list(dict.fromkeys([*genes["gene"], *expressed]))
    match = match_genes(dict.fromkeys(names), known)
    for name in names:
        if name not in match.names:
            same_symbol = genes["gene"][genes["symbol"] == name]
            hint = f"did you mean {same_symbol.iloc[0]!r}, which has this symbol?" if len(same_symbol) else nearest(name, known)
            raise UserError(f"{key}: {name!r} is no gene of the inputs; {hint}")
    return set(match.names.values())


def choose_genes(
    genes: pd.DataFrame,
    contigs: pd.DataFrame,
    expressed_fraction: pd.Series,
    reference: Path,
    settings: CohortSettings,
    genotypes: bool = True,
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The genes of the cohort: with expression, a full window and enough training people that express them.

    With `genes_without_expression: predict`, genes of the GTF without expression are among them, if nothing else speaks against
    them.

    Args:
        genes: `genes.tsv` of the inputs.
        contigs: `contigs.tsv` of the inputs.
        expressed_fraction: Fraction of the training people with a value above zero; the index names the matrix's genes.
        reference: Indexed FASTA.
        settings: The cohort's settings.
        genotypes: Whether there are genotypes, which a gene's contig must then have.

    Returns:
        The genes with their windows, in the order of `genes`; and gene -> reason of all others.

    Raises:
        UserError: for an unknown name in the settings, or if no gene is left.
    """
    expressed = list(expressed_fraction.index)
    known_contigs = set(contigs["contig"])
    genotyped = set(contigs["contig"][contigs["genotypes_name"] != ""])
    wanted_contigs = match_contigs(settings.contigs, list(contigs["contig"]))
    check_names(settings.contigs, [*wanted_contigs, *contigs["contig"]], "contigs", "contig")
    check_names(settings.biotypes, sorted(set(genes["biotype"])), "biotypes", "biotype")
    included = named_genes(settings.include_genes, genes, expressed, "include_genes")
    excluded = named_genes(settings.exclude_genes, genes, expressed, "exclude_genes")

    genes = add_windows(genes, settings.window_length)
    there = genes["contig"].isin(known_contigs)
    unmeasured = ~genes["gene"].isin(expressed) & (settings.genes_without_expression == "predict")
    gaps = window_gaps(genes[there & (genes["gene"].isin(expressed) | unmeasured)], reference).reindex(genes.index, fill_value=0)
    too_many = gaps["padding"] + gaps["unknown"] > settings.max_unknown_bases
    fraction = genes["gene"].map(expressed_fraction).fillna(0.0)
    # The first reason that holds is the one that is told.
    reasons = {
        "no expression": ~genes["gene"].isin(expressed) & ~unmeasured,
        "its contig is not in the reference": ~there,
        "no genotypes on its contig": ~genes["contig"].isin(genotyped) & genotypes,
        "its contig is not named in contigs": ~genes["contig"].isin(wanted_contigs.values()) & bool(settings.contigs),
        "named in exclude_genes": genes["gene"].isin(excluded),
        "not named in include_genes": ~genes["gene"].isin(included) & bool(settings.include_genes),
        "its biotype is not named in biotypes": ~genes["biotype"].isin(settings.biotypes) & bool(settings.biotypes),
        "window reaches past the contig's end": too_many & (gaps["padding"] > 0),
        "window has too many unknown bases (N)": too_many,
        "expressed in too few training people": (fraction < settings.min_expressed_fraction) & ~unmeasured,
    }
    reason = np.select([mask.to_numpy() for mask in reasons.values()], list(reasons), default="")
    dropped = {name: why for name, why in zip(genes["gene"], reason.tolist(), strict=True) if why}
    in_gtf = set(genes["gene"])
    dropped |= {name: "not in the gene annotation (GTF)" for name in expressed if name not in in_gtf}
    chosen = genes[reason == ""].reset_index(drop=True)
    if not chosen["gene"].isin(expressed).any():
        counts = pd.Series(dropped).value_counts(sort=False)
        raise UserError(
            "No gene is left in the cohort: " + "; ".join(f"{why}: {n}" for why, n in counts.items()) + ". Change the settings."
        )
    return chosen, dropped
