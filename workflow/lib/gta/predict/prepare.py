"""The folders `inputs/` and `cohort/` of new people, so that the stages of the workflow can read them as those of a study."""

import json
import sys
import tempfile
from pathlib import Path

import pandas as pd

from gta.aligner.model import AlignerConfig, read_config
from gta.aligner.reference import require_reference
from gta.cohort.tables import read_genes as read_cohort_genes
from gta.cohort.windows import add_windows
from gta.errors import UserError
from gta.files import checksum_rows, require_file, staged_files
from gta.haplotypes import Reference
from gta.inputs.genotypes import compare_with_reference, contigs_with_records, people_of_bcf, people_of_vcf, place_genotypes
from gta.inputs.names import examples, match_contigs, match_genes, nearest
from gta.inputs.reference import place_reference
from gta.inputs.tables import read_genes, read_names, write_table
from gta.inputs.text_tables import read_list
from gta.predict.settings import PredictSettings

#: The split of everybody and everything that is new.
SPLIT = "new"


def prepare(settings: PredictSettings, inputs: Path, cohort: Path, trained: list[Path], out: Path) -> None:
    """Check the new genotypes and write `inputs/` and `cohort/` below a folder.

    Args:
        settings: The new people and their genes.
        inputs: Folder `inputs/` of the study.
        cohort: Folder `cohort/` of the study, whose windows are as long.
        trained: Folders written by `gta aligner train`.
        out: The folder to write to.

    Raises:
        UserError: for whatever is wrong with a file; if the reference is not that of the training; if a gene is unknown.
    """
    if settings.genotypes is None:
        raise UserError("predict.genotypes: name the genotypes of the new people.")
    source = require_file(settings.genotypes, "file of predict.genotypes,")
    models = {str(folder): read_config(folder / "model") for folder in trained}
    for name, config in models.items():
        if config.mean_only:
            raise UserError(
                f"{name} was trained without genotypes and predicts nothing about differences between individuals: choose a model"
                " of a study with genotypes."
            )
    chosen = _windows(settings, inputs, cohort)
    contigs = list(dict.fromkeys(chosen["contig"]))
    with staged_files(out / "inputs") as folder, staged_files(out / "cohort") as tables:
        given = inputs / read_names(inputs)["reference"]
        reference_name = place_reference(require_file(given, "reference"), folder)
        reference = Reference(folder / reference_name, given)
        _check_reference(models, reference, contigs)
        if settings.reference is not None:
            _check_other(models, require_file(settings.reference, "file of predict.reference,"), contigs)
        name = place_genotypes(source, folder)
        people = people_of_bcf(folder / name) if name.endswith(".bcf") else people_of_vcf(folder / name)
        theirs = match_contigs(contigs_with_records(folder / name, source), list(reference.lengths))
        ours = {contig: called for called, contig in theirs.items()}
        for contig in contigs:
            if contig not in ours:
                raise UserError(
                    f"The genotypes {source} have no record on {contig}, where {_first(chosen, contig)} lies: they have"
                    f" {examples(theirs)}; give genotypes of these contigs, or name others in predict.contigs."
                )
        compare_with_reference(folder / name, source, folder / reference_name, theirs, _log)
        _log(f"{len(people)} people, {len(chosen)} genes on {len(contigs)} contigs")
        lengths = reference.lengths
        table = pd.DataFrame({"contig": list(lengths), "length": list(lengths.values())})
        table["genotypes_name"] = [ours.get(contig, "") for contig in lengths]
        write_table(table.assign(genes_name="", expression_name=""), folder / "contigs.tsv")
        names = {"reference": reference_name, "genotypes": name}
        rows = checksum_rows((given, source))
        write_table(pd.DataFrame(rows, columns=["file", "bytes", "sha256"]), folder / "checksums.tsv")
        (folder / "inputs.json").write_text(json.dumps(names) + "\n")
        write_table(pd.DataFrame({"person": people, "population": "unknown", "split": SPLIT}), tables / "people.tsv")
        write_table(chosen, tables / "genes.tsv")


def _windows(settings: PredictSettings, inputs: Path, cohort: Path) -> pd.DataFrame:
    """The table `cohort/genes.tsv` of the genes to predict, in the order of the study's annotation."""
    study = read_cohort_genes(cohort)
    length = int(study["window_end"].iloc[0] - study["window_start"].iloc[0])
    genes = read_genes(inputs)
    wanted = study["gene"].tolist() if settings.genes is None else _listed(Path(settings.genes), genes)
    known = genes[genes["gene"].isin(wanted)]
    of_study = list(dict.fromkeys(study["contig"]))
    contigs = settings.contigs or [contig for contig in of_study if contig in set(known["contig"])]
    chosen = known[known["contig"].isin(contigs)]
    elsewhere = known[~known["contig"].isin(contigs)]
    if len(elsewhere):
        _log(f"{len(elsewhere)} genes lie on contigs that are not named and are left out ({examples(elsewhere['gene'])})")
    theirs = list(dict.fromkeys(known["contig"]))
    for contig in contigs or of_study[:1]:
        if contig not in set(chosen["contig"]):
            raise UserError(
                f"predict.contigs: no gene that is wanted lies on {contig}; name the contigs of the genes: [{', '.join(theirs)}]."
            )
    chosen = add_windows(chosen, length).assign(block=0, split=SPLIT)
    columns = ["gene", "symbol", "biotype", "contig", "strand", "tss", "window_start", "window_end", "block", "split"]
    return chosen[columns]


def _listed(path: Path, genes: pd.DataFrame) -> list[str]:
    """The genes of a list, by their names in the study.

    Raises:
        UserError: naming the first line that is no gene of the study's annotation.
    """
    given = read_list(path, "list of genes")
    by_id = match_genes(given, genes["gene"]).names
    by_symbol = genes.drop_duplicates("symbol", keep=False).set_index("symbol")["gene"].to_dict()
    for name, number in given.items():
        if name not in by_id and name not in by_symbol:
            twice = "the symbol of several genes: give the id." if name in set(genes["symbol"]) else nearest(name, genes["gene"])
            raise UserError(f"{path}, line {number}: {name!r} is no gene of the study's annotation, or {twice}")
    return [by_id.get(name) or str(by_symbol[name]) for name in given]


def _check_reference(models: dict[str, AlignerConfig], reference: Reference, contigs: list[str]) -> None:
    checked: list[dict[str, str]] = []
    for name, config in models.items():
        if config.prompt == "shuffled":
            raise UserError(
                f"{name} was trained with shuffled prompts, a control that says nothing of other genes and people: choose another"
                " model in predict.model."
            )
        if not config.reference:
            raise UserError(f"{name} does not say which reference it was trained with: train it again with --inputs.")
        if config.reference not in checked:
            require_reference(config.reference, reference, contigs, name)
            checked.append(config.reference)


def _check_other(models: dict[str, AlignerConfig], given: Path, contigs: list[str]) -> None:
    """Compare the reference of the genotypes, which is read for this alone: the study's has the same sequence."""
    with tempfile.TemporaryDirectory() as folder:
        _check_reference(models, Reference(Path(folder) / place_reference(given, Path(folder)), given), contigs)


def _first(genes: pd.DataFrame, contig: str) -> str:
    return str(genes.loc[genes["contig"] == contig, "gene"].iloc[0])


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
