"""Checking a configuration before any job starts: every mistake is one sentence that names the key."""

import dataclasses
import difflib
import json
import os
import re
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from gta.aligner.settings import BY_GENES, for_reference_study
from gta.aligner.settings import check as check_aligner
from gta.attribution.known import is_bigwig, read_element_rows, read_eqtl_rows
from gta.baselines.settings import AND_PROMPT, TEXT_BASELINES
from gta.baselines.settings import check as check_ridge
from gta.cnn.settings import check as check_cnn
from gta.cohort.settings import FoldSettings
from gta.cohort.settings import check as check_cohort
from gta.compressor.settings import check as check_compressor
from gta.download.manifest import ANNOTATION_COLUMNS as DOWNLOADED_COLUMNS
from gta.download.manifest import Study, read_study
from gta.errors import UserError
from gta.features.factors import read_factors
from gta.features.settings import TRAINED, WITHOUT_WEIGHTS
from gta.files import require_file
from gta.inputs.names import examples, match_contigs, match_genes, nearest
from gta.inputs.text_tables import INDIVIDUAL, POPULATION, read_text_table
from gta.language.hub import check_pinned
from gta.language.places import find_gguf
from gta.language.settings import PACKAGED, PACKAGED_POSITIONS, PRETRAINED_POSITIONS, check_sources
from gta.language.settings import check as check_language
from gta.language.template import QUESTION, compile_template
from gta.networks.folder import check_network, first_position, positions_read
from gta.predict.settings import PredictSettings
from gta.settings import from_mapping
from gta.simulate.names import ANNOTATION_COLUMNS, contig_names, gene_names, person_names, places_of_genes
from gta.simulate.settings import check as check_simulation
from gta.workflow import names
from gta.workflow.run import Run
from gta.workflow.settings import (
    BASELINES,
    DEFAULT_MODELS,
    MEAN,
    SECTIONS,
    TEXT_SOURCES,
    TRACK,
    AlignerSettings,
    DataSettings,
    GeneralSettings,
    LanguageSettings,
    SimulateSettings,
)
from gta.workflow.written import as_written

#: What a simulation writes, by the key under `data` that it stands for; paths inside the results folder.
SIMULATED = {
    "reference": "simulated/reference.fa",
    "genotypes": "simulated/genotypes.vcf.gz",
    "genes": "simulated/genes.gtf",
    "expression": "simulated/expression.bed.gz",
    "annotation": "simulated/annotation.tsv",
    "populations": "simulated/people.tsv",
}

#: What the stage `download` makes, or fetches in its final form, by the key under `data`; paths inside `data_dir`.
PREPARED = {
    "genotypes": "prepared/genotypes.bcf",
    "expression": "prepared/expression.bed.gz",
    "annotation": "prepared/annotation.tsv",
    "populations": "prepared/people.tsv",
}
#: The public data of the studies.
MANIFEST = Path(__file__).resolve().parents[4] / "resources" / "manifest.yaml"

S = TypeVar("S")

_NEEDED = ("reference", "genes", "expression", "annotation")
_GENERAL = tuple(field.name for field in dataclasses.fields(GeneralSettings))
_TOP_LEVEL = (*_GENERAL, "data", "simulation", *SECTIONS, "models", "baselines")
_MODEL_NAME = re.compile(r"[A-Za-z0-9_-]+")
#: Snakemake gives these a meaning in paths.
_SPECIAL = re.compile(r"[{}<>\n]")
#: It ends, or hides the end of, the script of Snakemake's report in which the settings stand.
_ENDS_SCRIPT = re.compile(r"</script|<!--", re.IGNORECASE)


def check(config: Mapping[str, Any], files: bool = True, written: Mapping[str, Any] | None = None) -> Run:
    """Check a configuration and complete it.

    Args:
        config: The configuration as read from YAML and the command line.
        files: Whether to look at the files that it names, too. The jobs of a run trust the check that was made at its start.
        written: The text of its values, from `gta.workflow.written.read_written`, as far as it is known.

    Raises:
        UserError: at the first mistake; one sentence that names the key.
    """
    _refuse_unknown(config, _TOP_LEVEL, "configuration")
    _refuse_end_of_script(config, "")
    config = as_written(config, written or {})
    general = from_mapping(GeneralSettings, {key: config[key] for key in _GENERAL if key in config}, "configuration")
    results = general.results.rstrip("/")
    _refuse_special(results, "results")
    if not results:
        raise UserError(f"results: {general.results!r} is no folder that a run may write to; name one, such as results/demo.")

    cohort = _section(config, "cohort")
    folds = None
    if cohort.get("folds") is not None:
        folds = _settings(FoldSettings, _section(cohort, "folds", "cohort."), "cohort.folds")
    given = {**{name: _section(config, name) for name in SECTIONS}, "cohort": {k: v for k, v in cohort.items() if k != "folds"}}
    sections: dict[str, Any] = {name: _settings(cls, given[name], name) for name, cls in SECTIONS.items()}
    baselines = _section(config, "baselines")
    _refuse_unknown(baselines, tuple(BASELINES), "baselines")
    for name, cls in BASELINES.items():
        sections[name] = _settings(cls, _section(baselines, name, "baselines."), f"baselines.{name}")
    _within("baselines.ridge", check_ridge, sections["ridge"])

    base = Path(general.data_dir).expanduser() if general.data_dir else Path()
    sections["language"] = _resolve_language_model(sections["language"], base)
    _within("compressor", check_compressor, sections["compressor"])
    sections["compressor"] = _resolve_corpus(sections["compressor"], base)
    sections["features"] = _resolve_weights(sections["features"], base)
    sections["predict"] = _resolve_predict(sections["predict"], base)
    simulation = None
    if config.get("simulation") is not None:
        values = {"seed": general.seed, **_section(config, "simulation")}
        simulation = _settings(SimulateSettings, values, "simulation")
        _within("simulation", check_simulation, simulation)
    _within("cohort", check_cohort, sections["cohort"])
    if sections["language"].model is None:
        _within("language", check_language, sections["language"])
    study = None if general.study is None else read_study(MANIFEST, general.study)
    _refuse_special(str(base), "data_dir")
    data = _data(config, base, simulation is not None, results, study)
    if data.genotypes is None:
        _require_for_genes(config)
        sections["aligner"] = for_reference_study(sections["aligner"])
    run = Run(
        results=results,
        seed=general.seed,
        data=data,
        simulation=simulation,
        sections=sections,
        models=_models(config, sections["aligner"]),
        study=study,
        data_dir=str(base),
        folds=folds,
    )
    run = _with_contigs_of_listed(run, files)
    _check_consistency(run)
    if files:
        _check_files(run, general.data_dir)
        if run.simulation is None and run.study is None:
            _check_headers(run)
        _check_language(run)
        _check_names(run)
        _check_known(run)
    return run


def _within(section: str, check_section: Callable[[S], None], settings: S) -> None:
    """Check the settings of a section; an error names the section before the key."""
    try:
        check_section(settings)
    except UserError as error:
        raise UserError(f"{section}.{error}") from None


def _section(config: Mapping[str, Any], name: str, above: str = "") -> Mapping[str, Any]:
    values = config.get(name)
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise UserError(f"{above}{name}: {values!r} is not a section; write its keys below it, indented.")
    return values


def _settings(cls: type[S], values: Mapping[str, Any], where: str) -> S:
    """Checked settings; text is read as the number or truth value that is needed.

    Snakemake hands over everything inside `--config section="{key: value}"` as text, and YAML takes `1e-3` for text.
    """
    hints = get_type_hints(cls)
    return from_mapping(cls, {key: _typed(value, hints.get(key)) for key, value in values.items()}, where)


def _typed(value: Any, kind: Any) -> Any:
    """Text as a value of a kind, where it is one; everything else as it is."""
    if isinstance(kind, types.UnionType):
        kind = next(part for part in get_args(kind) if part is not types.NoneType)
    if isinstance(value, str) and kind is bool:
        return {"true": True, "false": False}.get(value.lower(), value)
    if isinstance(value, str) and kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            return value
    return value


def _refuse_unknown(values: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(known)}."
            raise UserError(f"{where}: unknown key {key!r}; {hint}")


def _refuse_end_of_script(value: Any, key: str) -> None:
    """Refuse text, anywhere in the configuration, that would break the report or run in the browser of whoever opens it."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            _refuse_end_of_script(below, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for below in value:
            _refuse_end_of_script(below, key)
    elif isinstance(value, str) and (found := _ENDS_SCRIPT.search(value)):
        raise UserError(f"{key}: {value!r} contains {found[0]!r}, which breaks the page of the report; write it without.")


def _refuse_special(path: str, key: str) -> None:
    if path.startswith("-"):
        raise UserError(f"{key}: the path {path!r} begins with a dash, as options of commands do; rename the folder or file.")
    if path.startswith("~"):
        raise UserError(f"{key}: the path {path!r} begins with ~, which only a shell understands; write the whole path.")
    found = _SPECIAL.search(path)
    if found:
        raise UserError(
            f"{key}: the path {path!r} contains {found[0]!r}, which has a meaning in Snakemake; rename the folder or file."
        )


def _data(config: Mapping[str, Any], base: Path, simulated: bool, results: str, study: Study | None) -> DataSettings:
    """The input files of the run, with their folder."""
    data = from_mapping(DataSettings, _section(config, "data"), "data")
    given = {key: path for key, path in dataclasses.asdict(data).items() if path is not None}
    if study is not None:
        twice = [key for key in given if key not in ("elements", "eqtls")]
        if twice or simulated:
            key = f"data.{twice[0]}" if twice else "simulation"
            raise UserError(f"{key}: a run with `study` downloads its data; leave out one of the two.")
        ready = {role: f"downloads/{study.file(role).name}" for role in ("reference", "genes")}
        given |= ready | PREPARED
    if simulated:
        if given:
            raise UserError(
                f"data.{next(iter(given))}: a run with a section `simulation` makes its own data; leave out one of the two."
            )
        return DataSettings(**{key: f"{results}/{path}" for key, path in SIMULATED.items()})
    for key in _NEEDED:
        if key not in given:
            raise UserError(f"data.{key}: a path is needed; give it, or add a section `simulation` to make data.")
    for key, path in given.items():
        _refuse_special(path, f"data.{key}")
    return DataSettings(**{key: str(base / path) for key, path in given.items()})


def _resolve_language_model(language: Any, base: Path) -> Any:
    if language.model is None:
        if language.revision is not None:
            raise UserError("language.revision: it goes with the id of a repository; give that as language.model.")
        return language
    _refuse_special(language.model, "language.model")
    if language.revision is not None:
        check_pinned(language.model, language.revision)
        return language
    if language.model in PACKAGED:
        return language
    return dataclasses.replace(language, model=os.path.normpath(base / language.model))


def _resolve_corpus(compressor: Any, base: Path) -> Any:
    if compressor.corpus is None:
        return compressor
    _refuse_special(compressor.corpus, "compressor.corpus")
    return dataclasses.replace(compressor, corpus=os.path.normpath(base / compressor.corpus))


def _resolve_weights(features: Any, base: Path) -> Any:
    """The settings of the features with the path of the weights; an id on the hub, which has a revision, stays as it is."""
    if features.extractor in WITHOUT_WEIGHTS:
        if features.weights is not None:
            raise UserError(
                f"features.weights: {features.extractor} has no weights; name another extractor, or leave the key out."
            )
        return features
    if features.weights is None and features.extractor in TRAINED:
        return features
    if features.weights is None:
        raise UserError(
            f"features.weights: {features.extractor} needs weights; give a path, or the id of a repository on the Hugging Face"
            " hub and its `revision`."
        )
    _refuse_special(features.weights, "features.weights")
    if features.revision is not None:
        return features
    return dataclasses.replace(features, weights=os.path.normpath(base / features.weights))


def _with_contigs_of_listed(run: Run, files: bool) -> Run:
    """The run with the contigs on which the genes of `predict.genes` lie, where the configuration names none.

    They are looked up in the GTF or, by the jobs, which need not read all of it again, in the table that the study made of it.
    Where neither is there yet, the contigs are those of the study, and the first job of the prediction names the right ones.
    """
    predict = run.sections["predict"]
    if predict.genotypes is None or predict.genes is None or predict.contigs or not Path(predict.genes).is_file():
        return run
    table = Path(run.results) / "inputs" / "genes.tsv"
    if run.simulation is not None:
        places = places_of_genes(run.simulation)
    elif files and Path(str(run.data.genes)).is_file():
        places = names.places_of_gtf(str(run.data.genes))
    elif table.is_file():
        places = names.places_of_table(str(table))
    else:
        return run
    contigs = names.contigs_of_listed(predict.genes, *places, run.contigs)
    if contigs == []:
        raise UserError(
            f"predict.genes: no gene of {predict.genes} lies on a contig of the study ({', '.join(run.contigs[:5])}); name the"
            " contigs of the genes in predict.contigs."
        )
    if contigs is None:
        return run
    return dataclasses.replace(run, sections={**run.sections, "predict": dataclasses.replace(predict, contigs=contigs)})


def _resolve_predict(predict: PredictSettings, base: Path) -> PredictSettings:
    """The settings of the prediction of new people with the paths of their files."""
    given = {
        key: path for key in ("genotypes", "reference", "genes", "expression") if (path := getattr(predict, key)) is not None
    }
    for key, path in given.items():
        _refuse_special(path, f"predict.{key}")
        if predict.genotypes is None:
            raise UserError(f"predict.{key}: nobody is predicted without predict.genotypes; give them, or leave the key out.")
    return dataclasses.replace(predict, **{key: os.path.normpath(base / path) for key, path in given.items()})


def _models(config: Mapping[str, Any], aligner: Any) -> dict[str, AlignerSettings]:
    """Settings of every model: those of `aligner`, with the model's own on top."""
    models = _section(config, "models") if config.get("models") is not None else DEFAULT_MODELS
    if not models:
        raise UserError("models: at least one model is needed, such as `gta: {}`.")
    known = [field.name for field in dataclasses.fields(AlignerSettings)]
    common = {key: value for key, value in dataclasses.asdict(aligner).items() if key in known}
    settings = {}
    for name in models:
        if not isinstance(name, str) or not _MODEL_NAME.fullmatch(name):
            quoted = "" if isinstance(name, str) else ", and write it in quotation marks, since YAML takes it for no text"
            raise UserError(f"models: {name!r} cannot be a model's name; use letters, digits, _ and - only{quoted}.")
        if name in (*TEXT_BASELINES, *BASELINES, MEAN, TRACK):
            raise UserError(f"models.{name}: this is the name of a baseline; call the model something else.")
        settings[name] = _settings(AlignerSettings, {**common, **_section(models, name, "models.")}, f"models.{name}")
    return settings


def _require_for_genes(config: Mapping[str, Any]) -> None:
    """Refuse what a study without genotypes cannot do though the configuration asks for it.

    Settings about individuals do not apply and are let be, since a configuration may be used with and without genotypes.
    """
    sections = {"aligner": _section(config, "aligner")}
    models = _section(config, "models")
    sections |= {f"models.{name}": _section(models, name, "models.") for name in models if isinstance(name, str)}
    for name, values in sections.items():
        if (value := values.get("select")) in BY_GENES:
            raise UserError(
                f"{name}.select: {value} compares individuals, which needs data.genotypes; choose {BY_GENES[value]}, or leave the"
                " key out."
            )
    if _section(config, "data").get("eqtls") is not None:
        raise UserError(
            "data.eqtls: known eQTLs are compared with predicted differences between individuals, which need data.genotypes;"
            " leave the key out."
        )
    if _section(config, "predict").get("genotypes") is not None:
        raise UserError(
            "predict.genotypes: without data.genotypes nothing is learnt of differences between individuals, so that new ones"
            " cannot be predicted; leave the key out, or give data.genotypes."
        )


def _check_consistency(run: Run) -> None:
    """What must hold between keys of different sections."""
    window, tile = run.sections["cohort"].window_length, run.sections["features"].tile_length
    by_tiles = run.sections["features"].extractor in ("motif", "hf")
    if by_tiles and window % tile:
        raise UserError(
            f"features.tile_length: tiles of {tile} bp do not fill windows of {window} bp (cohort.window_length); "
            "choose a length that divides the other."
        )
    if run.sections["features"].extractor == "kmers" and window % (2 * tile):
        raise UserError(
            f"features.tile_length: tiles of {tile} bp do not fill the halves of windows of {window} bp (cohort.window_length); "
            "choose a length that divides the half."
        )
    if run.trains_extractor:
        check_cnn(run.sections["cnn"], tile)
    for name, settings in run.models.items():
        _within(f"models.{name}", check_aligner, settings)
        if run.sections["language"].examples and settings.compressor != "none":
            raise UserError(
                f"models.{name}.compressor: compressed prompts have no in-context examples; set compressor: none, or"
                " language.examples: 0."
            )
        tokens = min(window // tile, settings.aligned_tokens or window)
        if by_tiles and settings.context != "none" and settings.context_near >= tokens:
            raise UserError(
                f"models.{name}.context_near: all {tokens} aligned tokens of a window are near, so nothing is compressed; lower"
                " it, or leave `context` out."
            )
    for model in (f"{fused}{AND_PROMPT}" for fused in run.fused_models):
        if model in run.models:
            raise UserError(f"models.{model}: this is the name of a baseline; call the model something else.")
    for model in run.sections["attribution"].models:
        _refuse_unknown({model: None}, tuple(run.models), "attribution.models")
    if run.predict_files:
        _refuse_unknown({run.predict_model: None}, tuple(run.models), "predict.model")
    for key, listed in (("attribution.models", run.sections["attribution"].models), ("cohort.contigs", run.contigs)):
        again = [name for name in listed if listed.count(name) > 1]
        if again:
            raise UserError(f"{key}: {again[0]!r} is named twice; name it once.")
    _refuse_special(run.sections["features"].factors, "features.factors")
    _check_folds(run)
    if not run.contigs:
        raise UserError("cohort.contigs: name the contigs to use, as the reference calls them, such as [chr1, chr2].")
    for contig in run.contigs:
        if "," in contig:
            raise UserError(f"cohort.contigs: {contig!r} is one name; write [{', '.join(contig.split(','))}] for several.")
        if not re.fullmatch(r"[^-\s/{}<>][^\s/{}<>]*", contig):
            raise UserError(f"cohort.contigs: {contig!r} cannot be part of a file's name; rename the contig in the reference.")


def _check_folds(run: Run) -> None:
    """Refuse folds that the study cannot have."""
    if run.folds is None:
        return
    if run.contigs and len(run.contigs) < run.folds.number:
        raise UserError(
            f"cohort.folds.number: {run.folds.number} folds of whole chromosomes need as many contigs, and the study has"
            f" {len(run.contigs)}; lower it, or name more in cohort.contigs."
        )
    if run.new_expression:
        raise UserError(
            "predict.expression: a second cohort is compared with one training, which a study with cohort.folds does not have:"
            " nearly every gene is in the training of some fold; leave one of the two out."
        )
    if run.predict_files and run.trains_extractor:
        raise UserError(
            f"predict.genotypes: with cohort.folds every fold trains a {run.sections['features'].extractor} of its own, and new"
            " individuals are predicted from the features of one extractor; leave cohort.folds out, or give features.weights."
        )


def _check_files(run: Run, data_dir: str | None) -> None:
    """Every file of the user that the run reads is there."""
    if Path(run.results).exists() and not Path(run.results).is_dir():
        raise UserError(f"results: {run.results} is a file; name a folder.")
    if run.study is not None:
        _check_taken_out(run)
    files = {} if run.simulation is not None else dataclasses.asdict(run.data)
    if run.study is not None:
        files = {"elements": run.data.elements, "eqtls": run.data.eqtls}
    seen: dict[Path, str] = {}
    for key, path in files.items():
        if path is None:
            continue
        other = seen.setdefault(Path(path).resolve(), key)
        if other != key:
            raise UserError(f"data.{key}: {path} is the file that was given as data.{other}; each needs its own.")
        if data_dir is None and not Path(path).is_absolute() and not Path(path).exists():
            raise UserError(
                f"data.{key}: there is no {path} in the working directory; say which folder holds the data:"
                " --config data_dir=FOLDER."
            )
        if require_file(path, f"file of data.{key},").stat().st_size == 0:
            raise UserError(f"data.{key}: the file {path} is empty; was it copied or downloaded completely?")
    for key, path in run.predict_files.items():
        require_file(path, f"file of predict.{key.removeprefix('new_')},")
    for path in run.new_expression.values():
        require_file(path, "file of predict.expression,")
    features = run.sections["features"]
    if features.weights is not None and features.revision is None and not Path(features.weights).exists():
        raise UserError(
            f"features.weights: there is no {features.weights}; give the path of the weights, or a `revision` of the hub."
        )
    if features.extractor == "hf" and features.weights is not None and features.revision is None:
        check_network(Path(features.weights), "features.weights", language=False)
    language = run.sections["language"]
    if run.gguf_files:
        require_file(run.gguf_files[0], "GGUF file of language.model,")
    elif _is_folder(language):
        check_network(Path(str(language.model)), "language.model")
    for path in run.corpus_files:
        require_file(path, "corpus of compressor.corpus,")
    for path in run.factor_files:
        read_factors(Path(path))
    _check_known(run)


def _check_headers(run: Run) -> None:
    """The beginnings of the user's files: what they are, whom they name, and whether the genotypes are phased."""
    data = run.data
    names.require_beginnings(data)
    individuals = names.people_of_expression(str(data.expression))
    if data.populations is not None:
        populations = read_text_table(Path(data.populations), "table of populations")
        populations.column(*INDIVIDUAL)
        populations.column(*POPULATION)
    if data.genotypes is None:
        return
    genotyped = names.people_of_genotypes(data.genotypes)
    shared = set(genotyped) & set(individuals)
    if not shared:
        raise UserError(
            f"data.genotypes: {data.genotypes} and the expression matrix {data.expression} have no person in common: the one has"
            f" {examples(genotyped)}, the other {examples(individuals)}; give the same names in both."
        )
    if run.sections["haplotypes"].unphased == "error":
        phase = names.phase_of_first_records(data.genotypes, shared)
        if 2 * phase.n_unphased > phase.n_heterozygous:
            raise UserError(
                f"data.genotypes: {phase.n_unphased} of the first {phase.n_heterozygous} heterozygous calls of {data.genotypes}"
                f" are unphased (such as {phase.example}); phase them, or set haplotypes.unphased to as_listed or iupac."
            )


def _named_by_groups(path: Path) -> tuple[list[str], list[str]]:
    """The contigs, which are none, and genes that a table of gene groups names."""
    table = read_text_table(path, "table of gene groups")
    gene, _ = table.column("gene", "gene_id"), table.column("group")
    return [], [cells[gene] for _, cells in table.rows]


def _named_by_eqtls(path: Path) -> tuple[list[str], list[str]]:
    """The contigs and genes that a table of eQTLs names."""
    rows = read_eqtl_rows(path)
    return [row.contig for row in rows], [row.gene for row in rows]


def _named_by_elements(path: Path) -> tuple[list[str], list[str]]:
    """The contigs and genes that a file of elements names; of a bigWig none."""
    if is_bigwig(path):
        with path.open("rb") as handle:
            if handle.read(4) not in (b"\x26\xfc\x8f\x88", b"\x88\x8f\xfc\x26"):
                raise UserError(f"{path} is no bigWig; give a whole one, or BED.")
        return [], []
    rows = read_element_rows(path)
    return [row[1] for row in rows], [row[0] for row in rows if row[0]]


_KNOWN = {"gene_groups": _named_by_groups, "eqtls": _named_by_eqtls, "elements": _named_by_elements}


def _check_known(run: Run) -> None:
    """Tables that only late stages read: their form, and whether they are about the contigs and genes of the study.

    A bigWig is opened when it is needed: that takes a package that a dry run must not wait for. Of a study that is yet to be
    downloaded nothing is known.
    """
    contigs = None if run.study is not None else names.contigs_of_data(run.data) if run.simulation is None else run.contigs
    tables: dict[str, tuple[list[str], list[str]]] = {}  # key -> (contigs, genes) in the table
    for key in ("gene_groups", "eqtls", "elements"):
        path = getattr(run.data, key)
        if path is not None:
            try:
                tables[key] = _KNOWN[key](Path(path))
            except UserError as error:
                raise UserError(f"data.{key}: {error}") from None
    for key, (named_contigs, named_genes) in tables.items():
        path, of_table = getattr(run.data, key), list(dict.fromkeys(named_contigs))
        if contigs is not None and of_table and not match_contigs(of_table, contigs):
            raise UserError(
                f"data.{key}: no contig of {path} is in the reference: it has {examples(of_table)}, the reference"
                f" {examples(contigs)}; rename the contigs in the table."
            )
        if named_genes and run.study is None and run.simulation is None:
            _refuse_other_genes(f"data.{key}", str(path), list(dict.fromkeys(named_genes)), run.data)


def _refuse_other_genes(key: str, path: str, genes: list[str], data: DataSettings) -> None:
    """Refuse a table none of whose genes is in the expression matrix or the GTF, which is read only if need be."""
    for read in (lambda: names.genes_of_expression(str(data.expression)), lambda: names.genes_of_gtf(str(data.genes))):
        known = read()
        if match_genes(genes, known).names:
            return
    raise UserError(
        f"{key}: no gene of {path} is in the data: it has {examples(genes)}, the GTF {examples(known)}; give the same kind of"
        " gene id."
    )


def _check_taken_out(run: Run) -> None:
    """Files of the study that are part of an archive, which no rule fetches, are there."""
    assert run.study is not None
    for role, by_contig in run.study.roles.items():
        for contig, file in by_contig.items():
            path = run.downloaded(role, contig)
            if file.member is not None and not Path(path).is_file():
                raise UserError(
                    f"study: {path} is for you to put there: it is the file {file.member} of the archive {file.url}, which is too"
                    " large to fetch for it."
                )


def _check_language(run: Run) -> None:
    """The template fits the annotation, and the heads of every model the width of the language model."""
    if run.simulation is not None:
        columns = ["gene", *ANNOTATION_COLUMNS[1:]]
    elif run.study is not None:
        columns = ["gene", *DOWNLOADED_COLUMNS[1:]]
    else:
        columns = names.columns_of_annotation(str(run.data.annotation))
    columns += [column for key in run.text_sources for column in TEXT_SOURCES[key] if column not in columns]
    check_sources(run.text_sources)
    _check_blocks(run.sections["language"])
    compile_template(run.sections["language"].template, [*columns, *QUESTION])
    for name, model in run.models.items():
        packaged = PACKAGED.get(model.language_model)
        width = packaged[0] if packaged else _width(run.sections["language"])
        if width is not None and width % model.heads:
            key = "aligner.heads" if model.heads == run.sections["aligner"].heads else f"models.{name}.heads"
            raise UserError(f"{key}: {model.heads} does not divide the language model's width, {width}; choose a divisor of it.")
        _check_positions(run, name)


def _is_folder(language: LanguageSettings) -> bool:
    """Whether the language model is a folder of the user's."""
    return language.model not in (None, *PACKAGED) and language.revision is None


def _width(language: LanguageSettings) -> int | None:
    """Width of the language model's embedding space; None where its folder does not tell."""
    if language.model is None:
        return language.hidden_size
    if language.model in PACKAGED:
        return PACKAGED[language.model][0]
    config = _model_config(language)
    # Words may be narrower than the blocks, as those of ALBERT and ELECTRA.
    widths = [
        config.get(key)
        for key in ("embedding_size", "input_embedding_size", "word_embed_proj_dim", "hidden_size", "n_embd", "d_model")
    ]
    return next((width for width in widths if isinstance(width, int) and width > 0), None)


def _check_positions(run: Run, name: str) -> None:
    """A model's language model has positions for the longest prompt and the aligned tokens of a window.

    What is compressed takes fewer, which is known when the compressor is.
    """
    model, language, features = run.models[name], run.sections["language"], run.sections["features"]
    if model.language_model in ("none", "attention"):
        return
    limit, first = _positions(language, model.language_model)
    prompt = language.max_prompt_tokens if model.prompt in ("full", "shuffled") else 1
    if limit is None or model.compressor != "none":
        return
    if first + prompt > limit:
        raise UserError(
            f"language.max_prompt_tokens: prompts of up to {prompt} tokens are longer than the {limit - first} that the language"
            " model reads; lower it, or choose another model."
        )
    # The tiles of other extractors are their own.
    if features.extractor not in ("motif", "hf", "kmers", *TRAINED) or model.context != "none":
        return
    tiles = run.sections["cohort"].window_length // features.tile_length
    tokens = tiles if model.aligned_tokens is None else min(tiles, model.aligned_tokens)
    if first + prompt + tokens > limit:
        raise UserError(
            f"language.max_prompt_tokens: prompts of up to {prompt} tokens and {tokens} aligned tokens of a window"
            f" (models.{name}) are"
            f" more than the {limit - first} positions that the language model reads; lower it or aligner.aligned_tokens, raise"
            " features.tile_length, or compress (docs/compressor.md)."
        )


def _positions(language: LanguageSettings, reads: str) -> tuple[int | None, int]:
    """How many positions a language model has, None where that is not known yet, and the position of its first token.

    Args:
        language: The settings.
        reads: Which language model, as in `AlignerSettings.language_model`.
    """
    packaged = reads if reads in PACKAGED else language.model
    if packaged is None:
        return PRETRAINED_POSITIONS, 0
    if packaged in PACKAGED:
        return PACKAGED_POSITIONS[packaged], 0
    config = _model_config(language)
    return positions_read(config), first_position(config)


def _check_blocks(language: LanguageSettings) -> None:
    """The language model has as many transformer blocks as are to be read with, where that is known before it is read."""
    if language.blocks is None:
        return
    if language.model is None:
        there: Any = language.layers
    elif language.model in PACKAGED:
        there = PACKAGED[language.model][1]
    else:
        there = next((value for key in ("num_hidden_layers", "n_layer") if (value := _model_config(language).get(key))), None)
    if isinstance(there, int) and language.blocks > there:
        raise UserError(f"language.blocks: {language.blocks} are wanted, but the language model has {there}; empty: all.")


def _model_config(language: LanguageSettings) -> dict[str, Any]:
    """What `config.json` of the user's language model says; nothing if the language model is no folder."""
    if not _is_folder(language) or find_gguf(Path(str(language.model))) is not None:
        return {}
    path = Path(str(language.model)) / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"language.model: {path} is not JSON ({error}); download the model again.") from error
    return config if isinstance(config, dict) else {}


def _check_names(run: Run) -> None:
    """The people, genes and contigs that the configuration names are in the data; of a study they are not yet known."""
    if run.study is not None:
        return
    cohort, figure_genes = run.sections["cohort"], run.sections["attribution"].figure_genes
    named_people = {key: getattr(cohort, key) for key in ("include_people", "exclude_people")}
    if any(named_people.values()):
        people = names.people_of_data(run.data) if run.simulation is None else person_names(run.simulation)
        for key, wanted in named_people.items():
            _refuse_absent([name for name in wanted if name not in set(people)], people, f"cohort.{key}", "person")
    if cohort.held_out_population is not None and run.genotypes:
        simulation = run.simulation
        populations = names.populations_of_data(run.data) if simulation is None else simulation.population_names
        if not populations:
            raise UserError("cohort.held_out_population: nobody's population is known; name a table in data.populations.")
        absent = [name for name in [cohort.held_out_population] if name not in populations]
        _refuse_absent(absent, populations, "cohort.held_out_population", "population")
    named_genes = {f"cohort.{key}": getattr(cohort, key) for key in ("include_genes", "exclude_genes")}
    if any(named_genes.values()) or figure_genes:
        genes = names.genes_of_data(run.data) if run.simulation is None else gene_names(run.simulation)
        # Figures are drawn from the results, where a gene has one name only.
        _refuse_absent([name for name in figure_genes if name not in set(genes)], genes, "attribution.figure_genes", "gene")
        for key, wanted in named_genes.items():
            found = match_genes(dict.fromkeys(wanted), genes).names
            _refuse_absent([name for name in wanted if name not in found], genes, key, "gene")
            # A gene that is left out cannot be drawn; found out by the last step, this would cost the whole run.
            left_out = [name for name in figure_genes if wanted and (name in found.values()) == key.startswith("cohort.exclude")]
            if left_out:
                raise UserError(f"attribution.figure_genes: {left_out[0]!r} is left out by {key}; name a gene of the cohort.")
    contigs = names.contigs_of_data(run.data) if run.simulation is None else contig_names(run.simulation)
    if contigs is not None:
        _refuse_absent([name for name in run.contigs if name not in contigs], contigs, "cohort.contigs", "contig")


def _refuse_absent(absent: list[str], known: Sequence[str], key: str, what: str) -> None:
    """Refuse the first of the names that the data do not have."""
    if absent:
        alike = match_contigs(known, absent) if what == "contig" else {}
        hint = f"did you mean {next(iter(alike))!r}?" if alike else nearest(absent[0], known)
        raise UserError(f"{key}: {absent[0]!r} is no {what} of the data; {hint}")
