"""The work of the inputs stage: read every file, match the names, write the folder."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gta.errors import UserError
from gta.files import checksum_rows, require_file, staged_files
from gta.inputs.expression import Expression, read_expression
from gta.inputs.genes import COLUMNS as GENE_COLUMNS
from gta.inputs.genes import PLACE_TOLERANCE, read_genes
from gta.inputs.genotypes import compare_with_reference, contigs_with_records, place_genotypes, require_genotypes
from gta.inputs.names import examples, match_contigs, match_genes
from gta.inputs.reference import contig_lengths, place_reference, require_fasta
from gta.inputs.tables import write_table
from gta.inputs.text_tables import warning_of_mangled
from gta.inputs.user_tables import read_populations, read_user_annotation

UNKNOWN_POPULATION = "unknown"


@dataclass(frozen=True)
class InputFiles:
    """The user's files; the field names are those of the command line's options."""

    reference: Path
    genotypes: Path | None
    genes: Path
    expression: Path
    annotation: Path
    populations: Path | None = None

    def given(self) -> dict[str, Path]:
        """name -> path of the files that are given."""
        return {name: path for name, path in vars(self).items() if path is not None}


def log(line: str) -> None:
    """A line of progress on standard error."""
    print(line, file=sys.stderr, flush=True)


def prepare_inputs(files: InputFiles, out: Path) -> None:
    """Check the user's files and write the folder `inputs/` (see docs/contracts.md).

    Args:
        files: The user's files.
        out: The folder; files of this stage in it are replaced, once everything has been checked.

    Raises:
        UserError: for whatever is wrong with a file, or between two of them.
    """
    seen: dict[Path, str] = {}
    for name, path in files.given().items():
        require_file(path, name)
        other = seen.setdefault(path.resolve(), name)
        if other != name:
            raise UserError(f"--{name} {path} is the file that was given as --{other}: each needs its own.")
        if path.absolute().parent.resolve() == out.resolve():
            raise UserError(f"--out {out} is the folder of the input {path}, which would be replaced: choose another folder.")

    # What is small and cheap is checked first: a typing error in a header shows before anything is indexed.
    annotation = read_user_annotation(files.annotation)
    populations = None if files.populations is None else read_populations(files.populations)
    require_fasta(files.reference)
    genotyped = None if files.genotypes is None else require_genotypes(files.genotypes)
    expression = read_expression(files.expression)
    people = expression.people if genotyped is None else genotyped
    _check_expression(expression, people, files)
    table_of_people = _people(people, populations, files)
    genes = read_genes(files.genes, log, expression.genes)
    names = list(expression.genes["gene"])
    genes["gene"] = _matched(genes["gene"], names, files.genes, files.expression, "genes")
    annotation["gene"] = _matched(annotation["gene"], names, files.annotation, files.expression, "annotation")
    completed = _complete(annotation, genes)
    _warn_of_text(completed, names)

    with staged_files(out) as folder:
        reference = place_reference(files.reference, folder)
        lengths = contig_lengths(folder / reference)
        log(f"reference: {len(lengths)} contigs, {sum(lengths.values()):,} bp")
        gene_contigs = _contigs(genes["contig"], lengths, files.genes, "genes")
        expression_contigs = _contigs(expression.genes["contig"], lengths, files.expression, "expression")
        genes["contig"] = _renamed(genes["contig"], gene_contigs)
        _check_places(genes, expression.genes, expression_contigs, files)
        genes = _sorted(genes, lengths)

        genotypes: str | None = None
        genotype_contigs: dict[str, str] = {}
        if files.genotypes is None:
            log("genotypes: none; individuals are the columns of the expression matrix, genes have the reference haplotype only")
        else:
            log(f"genotypes: {len(people)} people")
            genotypes = place_genotypes(files.genotypes, folder, log)
            genotype_contigs = _check_genotypes(folder / genotypes, files.genotypes, folder / reference, lengths)

        write_table(genes[GENE_COLUMNS], folder / "genes.tsv")
        pq.write_table(pa.Table.from_pandas(expression.as_table(), preserve_index=False), folder / "expression.parquet")
        write_table(completed, folder / "annotation.tsv")
        write_table(table_of_people, folder / "people.tsv")
        write_table(_contig_table(lengths, genotype_contigs, gene_contigs, expression_contigs), folder / "contigs.tsv")
        log("checksums ...")
        write_table(_checksums(files), folder / "checksums.tsv")
        (folder / "inputs.json").write_text(json.dumps({"reference": reference, "genotypes": genotypes}) + "\n")
        _remove_stale(out)
    log(f"done: {out}")


def _check_genotypes(path: Path, source: Path, reference: Path, lengths: Mapping[str, int]) -> dict[str, str]:
    """Compare placed genotypes with the reference.

    Returns:
        Their contigs that the reference has, under the reference's names.
    """
    contigs = _contigs(contigs_with_records(path, source), lengths, source, "genotypes")
    compare_with_reference(path, source, reference, contigs, log)
    return contigs


def _contigs(names: Sequence[str] | pd.Series, lengths: Mapping[str, int], path: Path, kind: str) -> dict[str, str]:
    """The file's contigs that the reference has, under the reference's names."""
    theirs = list(dict.fromkeys(names))
    matched = match_contigs(theirs, list(lengths))
    if not matched:
        raise UserError(
            f"The {kind} {path} and the reference have no contig in common: the file has {examples(theirs)}, the reference"
            f" {examples(lengths)}; give files of the same genome."
        )
    renamed = [f"{name} is {ours}" for name, ours in matched.items() if name != ours]
    left_out = [name for name in theirs if name not in matched]
    log(
        f"{kind}: {len(matched)} contigs are in the reference"
        + (f" ({', '.join(renamed[:3])}{' ...' if len(renamed) > 3 else ''})" if renamed else "")
        + (f"; {len(left_out)} are not ({examples(left_out)})" if left_out else "")
    )
    return matched


def _renamed(names: pd.Series, mapping: Mapping[str, str]) -> pd.Series:
    """Names replaced where the mapping has them."""
    return names.map(lambda name: mapping.get(name, name))


def _matched(theirs: pd.Series, ours: Sequence[str], path: Path, expression: Path, kind: str) -> pd.Series:
    """A file's gene ids, replaced by the expression matrix's where they are the same gene."""
    match = match_genes(theirs, ours)
    if not match.names:
        raise UserError(
            f"The {kind} {path} and the expression matrix {expression} have no gene in common: the one has {examples(theirs)},"
            f" the other {examples(ours)}; give the same kind of gene id in both."
        )
    log(
        f"{kind}: {len(match.names)} of the {len(ours)} genes with expression are among its {len(theirs)} genes"
        f" ({match.n_exact} by the same id, {match.n_unversioned} by the id without version)"
    )
    return _renamed(theirs, match.names)


def _check_expression(expression: Expression, people: Sequence[str], files: InputFiles) -> None:
    """Whether the matrix has people of the genotypes; say how large its values are."""
    shared = set(people) & set(expression.people)
    if not shared:
        raise UserError(
            f"The genotypes {files.genotypes} and the expression matrix {files.expression} have no person in common: the one has"
            f" {examples(people)}, the other {examples(expression.people)}; give the same names in both."
        )
    values, sums = expression.values, expression.values.sum(axis=0)  # noqa: PD011 (not a DataFrame)
    with_genotypes = f", {len(shared)} of them with genotypes" if files.genotypes is not None else ""
    log(
        f"expression: {values.shape[0]} genes, {values.shape[1]} people{with_genotypes}; values up to"
        f" {values.max():.4g}, the median person's sum is {np.median(sums):.4g}"
    )


def _check_places(genes: pd.DataFrame, places: pd.DataFrame, contigs: Mapping[str, str], files: InputFiles) -> None:
    """Whether GTF and expression matrix put the same genes at the same places: if not, they are of two genome builds."""
    both = genes.merge(places, on="gene", suffixes=("", "_expression"))
    same = (
        (both["contig"] == _renamed(both["contig_expression"], contigs))
        & (both["start_expression"] < both["end"] + PLACE_TOLERANCE)
        & (both["end_expression"] > both["start"] - PLACE_TOLERANCE)
    )
    if same.sum() * 2 < len(both):
        odd = both[~same].iloc[0]
        raise UserError(
            f"{(~same).sum()} of {len(both)} genes lie elsewhere in the genes {files.genes} than in the expression matrix"
            f" {files.expression} (e.g. {odd['gene']}: {odd['contig']}:{odd['start'] + 1}-{odd['end']} and"
            f" {odd['contig_expression']}:{odd['start_expression'] + 1}-{odd['end_expression']}): give files of one genome build."
        )
    if not same.all():
        log(
            f"genes: warning: {(~same).sum()} of {len(both)} genes lie elsewhere than the expression matrix says; the GTF is used"
        )


def _sorted(genes: pd.DataFrame, lengths: Mapping[str, int]) -> pd.DataFrame:
    """Genes by contig (order of the reference, others last by name), TSS and name."""
    order = {name: number for number, name in enumerate(lengths)}
    keys = genes.assign(_order=genes["contig"].map(lambda name: order.get(name, len(order))))
    return keys.sort_values(["_order", "contig", "tss", "gene"], kind="stable", ignore_index=True).drop(columns="_order")


def _complete(annotation: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """`gene symbol biotype description` and the user's further columns; an empty symbol or biotype is filled from the GTF."""
    from_gtf = genes.set_index("gene")
    completed = annotation[["gene"]].copy()
    for column in ("symbol", "biotype"):
        given = annotation[column] if column in annotation else pd.Series("", index=annotation.index)
        completed[column] = given.mask(given == "", annotation["gene"].map(from_gtf[column]).fillna(""))
    completed["description"] = annotation.get("description", "")
    further = annotation.drop(columns=[name for name in completed.columns if name in annotation])
    return pd.concat([completed, further], axis=1)


def _warn_of_text(annotation: pd.DataFrame, names: Sequence[str]) -> None:
    """Say what is missing in the annotation of the genes with expression, and which names a spreadsheet has changed."""
    for kind, column in (("annotation", annotation["symbol"]), ("annotation", annotation["gene"]), ("expression", names)):
        warning = warning_of_mangled(column, kind)
        if warning is not None:
            log(warning)
    of_study = annotation[annotation["gene"].isin(names)]
    for column in of_study.columns.drop("gene"):
        if (of_study[column] == "").all():
            use = ": prompts lack it, and no language model can be pretrained on it" if column == "description" else ""
            log(f"annotation: warning: no gene with expression has anything in the column {column}{use}")


def _people(people: Sequence[str], populations: pd.DataFrame | None, files: InputFiles) -> pd.DataFrame:
    """Everybody in the VCF or, without one, in the matrix, in its order, with population (and sex where the table has it).

    Args:
        people: Their names.
        populations: The table of populations, if there is one.
        files: The user's files, for messages.
    """
    table = pd.DataFrame({"person": list(people)})
    if populations is None:
        return table.assign(population=UNKNOWN_POPULATION)
    kind = "genotypes" if files.genotypes is not None else "expression"
    n_known = int(table["person"].isin(populations["person"]).sum())
    if not n_known:
        raise UserError(
            f"The table of populations {files.populations} has none of the people with {kind}: it has"
            f" {examples(populations['person'])}, they are {examples(people)}; give the same names in both."
        )
    log(f"populations: {n_known} of {len(table)} people are in the table")
    table = table.merge(populations, on="person", how="left").fillna("")
    table["population"] = table["population"].replace("", UNKNOWN_POPULATION)
    return table


def _contig_table(
    lengths: Mapping[str, int], genotypes: Mapping[str, str], genes: Mapping[str, str], expression: Mapping[str, str]
) -> pd.DataFrame:
    """What each file calls each contig of the reference."""
    table = pd.DataFrame({"contig": list(lengths), "length": list(lengths.values())})
    for column, matched in (("genotypes_name", genotypes), ("genes_name", genes), ("expression_name", expression)):
        theirs = {ours: name for name, ours in matched.items()}
        table[column] = [theirs.get(name, "") for name in table["contig"]]
    return table


def _checksums(files: InputFiles) -> pd.DataFrame:
    """Size and SHA-256 of every file, under the name that the user gave."""
    rows = checksum_rows(files.given().values())
    return pd.DataFrame(rows, columns=["file", "bytes", "sha256"])


def _remove_stale(out: Path) -> None:
    """Remove links, copies and indexes of an earlier run: an old index beside a new file would be believed."""
    for pattern in ("reference.fa*", "genotypes.vcf.gz*", "genotypes.bcf*"):
        for path in out.glob(pattern):
            path.unlink()
