"""Reading what homologues are found from, and writing them."""

import sys
from pathlib import Path

import pandas as pd

from gta.cohort.tables import read_genes
from gta.files import atomic_path
from gta.folds.homologues import STRETCH, group, same_family, similar_promoters, straddling
from gta.haplotypes import open_reference
from gta.inputs.names import match_genes
from gta.inputs.tables import read_annotation, write_table


def find_homologues(inputs: Path, cohort: Path, annotation: Path, out: Path) -> None:
    """Write the table of homologues, `gene group reason`, of the genes that have any.

    Args:
        inputs: Folder of `gta inputs`, with the reference.
        cohort: Folder of the study's cohort.
        annotation: Table with the full name of each gene in its column `description`.
        out: Table to write.

    Raises:
        UserError: if a file is absent or broken.
    """
    genes = read_genes(cohort)
    table = read_annotation(annotation).drop_duplicates("gene").set_index("gene")["description"]
    known = match_genes(list(genes["gene"]), list(table.index)).names
    names = [table[known[gene]] if gene in known else "" for gene in genes["gene"]]
    contigs = pd.factorize(genes["contig"])[0]
    reference = open_reference(inputs)
    half = min(STRETCH, int((genes["window_end"] - genes["window_start"]).iloc[0])) // 2
    stretches = [
        reference.fetch(contig, tss - half, tss + half).tobytes().decode("ascii")
        for contig, tss in zip(genes["contig"], genes["tss"].tolist(), strict=True)
    ]
    links = [similar_promoters(stretches, contigs, genes["tss"].to_numpy()), same_family(genes["symbol"], names)]
    rows = pd.DataFrame(list(group(list(genes["gene"]), links)), columns=["gene", "group", "reason"])
    with atomic_path(out) as temporary:
        write_table(rows, temporary)
    message = f"homologues: {len(rows)} of {len(genes)} genes in {rows['group'].nunique()} groups"
    if "fold" in genes:
        measured = genes[genes["fold"] > 0]
        fold_of = dict(zip(measured["gene"], measured["fold"].tolist(), strict=True))
        apart = straddling(dict(zip(rows["gene"], rows["group"], strict=True)), fold_of)
        message += f"; {len(apart)} of {len(measured)} genes with expression have one in another fold"
    print(message, file=sys.stderr, flush=True)
