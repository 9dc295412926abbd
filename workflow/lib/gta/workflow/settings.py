"""The keys of the configuration: those of the stages, and those that the workflow itself reads."""

from dataclasses import dataclass

from gta.aligner.settings import AlignerSettings
from gta.attribution.settings import AttributionSettings
from gta.baselines.settings import ElasticNetSettings, RidgeSettings, TopEqtlSettings
from gta.cnn.settings import CnnSettings
from gta.cohort.settings import CohortSettings
from gta.compressor.settings import CompressorSettings
from gta.evaluation.settings import EvaluationSettings
from gta.features.settings import FeatureSettings
from gta.haplotypes.settings import HaplotypeSettings
from gta.language.settings import LanguageSettings
from gta.predict.settings import PredictSettings
from gta.settings import MAX_SEED, setting
from gta.simulate.settings import SimulateSettings


@dataclass(frozen=True)
class GeneralSettings:
    """Where results go and how chance is seeded."""

    results: str = setting("results/demo", "Folder of everything that the run writes; give every configuration its own.")
    seed: int = setting(1, "Seed of everything random outside the training of the aligner.", minimum=0, maximum=MAX_SEED)
    study: str | None = setting(
        None,
        "A study of resources/manifest.yaml, whose public files the run downloads into `data_dir`; `data` is then left out.",
    )
    data_dir: str | None = setting(
        None,
        "Folder that relative paths under `data`, `predict`, `language.model` and `features.weights` start from; empty: the"
        " working directory.",
    )


@dataclass(frozen=True)
class DataSettings:
    """The user's files, all of one genome build; leave all of them out when the run simulates its data."""

    reference: str | None = setting(None, "Reference genome: FASTA, plain or compressed with bgzip or gzip.")
    genotypes: str | None = setting(
        None,
        "Phased genotypes of all people and contigs in one file: VCF (bgzip, gzip or plain) or BCF, sorted by position. Empty:"
        " none; a study of the reference haplotype alone, which predicts mean expression.",
    )
    genes: str | None = setting(None, "Gene annotation: GTF of GENCODE or Ensembl, plain or gzip; it gives the TSS of each gene.")
    expression: str | None = setting(
        None,
        "Expression matrix: BED, plain or gzip, with a header `#chr start end gene length strand` (or the first four of these)"
        " and then one column per person (without genotypes, one is enough); TPM or RPKM, neither log-transformed nor corrected.",
    )
    annotation: str | None = setting(
        None, "What is known of each gene, in words: TSV with a column `gene_id` or `gene` and any number of text columns."
    )
    gene_info: str | None = setting(
        None,
        "NCBI's gene_info, plain or gzip: full name and synonyms of each gene, where the table above has none; empty: none.",
    )
    gene_summaries: str | None = setting(
        None, "NCBI's gene_summary (RefSeq), plain or gzip: a paragraph about each gene; needs `gene_info`; empty: none."
    )
    go_annotations: str | None = setting(
        None, "Gene ontology annotations, GAF 2, plain or gzip: process, function and place; needs `go_terms`; empty: none."
    )
    go_terms: str | None = setting(None, "The gene ontology, OBO (go-basic.obo): the names of the terms; empty: none.")
    populations: str | None = setting(
        None, "Population of each person: TSV with the columns person and population (or sample and pop); empty: all of one."
    )
    gene_groups: str | None = setting(
        None,
        "Groups of genes that the evaluation also reports apart, such as the splits of a published network's training: TSV with"
        " the columns gene (id, with or without version) and group; empty: none.",
    )
    elements: str | None = setting(
        None,
        "Known regulatory elements, which attribution draws and tests for enrichment: BED, plain or gzip, or bigWig, contigs"
        " named as in the reference; or, of elements known to act on certain genes (such as CRISPRi pairs), TSV with the columns"
        " gene, contig, start and end (bp, 0-based half-open); empty: none.",
    )
    eqtls: str | None = setting(
        None,
        "Published eQTLs, whose signs attribution compares with predicted effects: TSV with the columns gene (id, with or without"
        " version), variant (chr1_12345_A_G: position from 1, REF, ALT), slope per ALT allele and, if there are several variants"
        " of a gene, p_value; needs `genotypes`; empty: none.",
    )


#: Keys of `data` that add text to the annotation, and the columns that they fill.
TEXT_SOURCES: dict[str, tuple[str, ...]] = {
    "gene_info": ("description", "synonyms"),
    "gene_summaries": ("summary",),
    "go_annotations": ("go_bp", "go_mf", "go_cc"),
    "go_terms": (),
}


@dataclass(frozen=True)
class CohortSection(CohortSettings):
    """People, genes and windows of the study, and how expression is corrected."""

    contigs: list[str] = setting(
        [], "Contigs whose genes are used, as the reference names them, one job each; may be empty only with `simulation`: all."
    )


@dataclass(frozen=True)
class AlignerSection(AlignerSettings):
    """The aligner and its training, which every entry of `models` starts from."""

    seeds: int = setting(2, "Training runs per model, with the seeds 1, 2, ...; their spread shows what chance does.", minimum=1)


@dataclass(frozen=True)
class PredictSection(PredictSettings):
    """New people, whom `snakemake predict` predicts with a trained model; nothing of the study is repeated."""

    expression: str | None = setting(
        None,
        "Expression of the new people as a second cohort, BED as under `data`, in the unit of `cohort.unit`: `snakemake transfer`"
        " compares the predictions with it. Empty: none.",
    )


@dataclass(frozen=True)
class AttributionSection(AttributionSettings):
    """Which tiles made the prediction."""

    models: list[str] = setting(["gta"], "The models, by their name under `models`, that maps are drawn for.")


#: Sections of the configuration that are one stage's settings.
SECTIONS: dict[str, type] = {
    "cohort": CohortSection,
    "haplotypes": HaplotypeSettings,
    "features": FeatureSettings,
    "cnn": CnnSettings,
    "language": LanguageSettings,
    "compressor": CompressorSettings,
    "aligner": AlignerSection,
    "evaluation": EvaluationSettings,
    "attribution": AttributionSection,
    "predict": PredictSection,
}

#: Sections below `baselines`.
BASELINES: dict[str, type] = {"elastic_net": ElasticNetSettings, "top_eqtl": TopEqtlSettings, "ridge": RidgeSettings}

#: Those of them that need genotypes.
GENOTYPE_BASELINES = ("elastic_net", "top_eqtl")

#: Names of the baselines that have no settings: the mean of training, and the feature extractor's own prediction.
MEAN, TRACK = "mean", "track"

#: The models that are trained when the configuration names none: GTA and two controls.
DEFAULT_MODELS: dict[str, dict[str, object]] = {
    "gta": {},
    "no_llm": {"language_model": "none"},
    "shuffled_prompt": {"prompt": "shuffled"},
}

__all__ = [
    "BASELINES",
    "DEFAULT_MODELS",
    "GENOTYPE_BASELINES",
    "MEAN",
    "SECTIONS",
    "TEXT_SOURCES",
    "TRACK",
    "AlignerSection",
    "AlignerSettings",
    "AttributionSection",
    "CohortSection",
    "DataSettings",
    "GeneralSettings",
    "LanguageSettings",
    "SimulateSettings",
]
