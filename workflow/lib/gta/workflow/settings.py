"""The keys of the configuration: those of the stages, and those that the workflow itself reads."""

from dataclasses import dataclass

from gta.aligner.settings import AlignerSettings
from gta.attribution.settings import AttributionSettings
from gta.baselines.settings import ElasticNetSettings, RidgeSettings
from gta.cohort.settings import CohortSettings
from gta.evaluation.settings import EvaluationSettings
from gta.features.settings import FeatureSettings
from gta.haplotypes.settings import HaplotypeSettings
from gta.language.settings import LanguageSettings
from gta.settings import MAX_SEED, setting
from gta.simulate.settings import SimulateSettings


@dataclass(frozen=True)
class GeneralSettings:
    """Where results go and how chance is seeded."""

    results: str = setting("results/demo", "Folder of everything that the run writes; give every configuration its own.")
    seed: int = setting(1, "Seed of everything random outside the training of the aligner.", minimum=0, maximum=MAX_SEED)
    data_dir: str | None = setting(
        None,
        "Folder that relative paths under `data`, `language.model` and `features.weights` start from; empty: the working"
        " directory.",
    )


@dataclass(frozen=True)
class DataSettings:
    """The user's files, all of one genome build; leave all of them out when the run simulates its data."""

    reference: str | None = setting(None, "Reference genome: FASTA, plain or compressed with bgzip or gzip.")
    genotypes: str | None = setting(
        None, "Phased genotypes of all people and contigs in one file: VCF (bgzip, gzip or plain) or BCF, sorted by position."
    )
    genes: str | None = setting(None, "Gene annotation: GTF of GENCODE or Ensembl, plain or gzip; it gives the TSS of each gene.")
    expression: str | None = setting(
        None,
        "Expression matrix: BED, plain or gzip, with a header `#chr start end gene length strand` and then one column per person;"
        " TPM or RPKM, neither log-transformed nor corrected.",
    )
    annotation: str | None = setting(
        None, "What is known of each gene, in words: TSV with a column `gene_id` or `gene` and any number of text columns."
    )
    populations: str | None = setting(
        None, "Population of each person: TSV with the columns person and population (or sample and pop); empty: all of one."
    )
    elements: str | None = setting(
        None,
        "Known regulatory elements, which attribution draws and tests for enrichment: BED, plain or gzip, or bigWig, contigs"
        " named as in the reference; empty: none.",
    )


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
class AttributionSection(AttributionSettings):
    """Which tiles made the prediction."""

    models: list[str] = setting(["gta"], "The models, by their name under `models`, that maps are drawn for.")


#: Sections of the configuration that are one stage's settings.
SECTIONS: dict[str, type] = {
    "cohort": CohortSection,
    "haplotypes": HaplotypeSettings,
    "features": FeatureSettings,
    "language": LanguageSettings,
    "aligner": AlignerSection,
    "evaluation": EvaluationSettings,
    "attribution": AttributionSection,
}

#: Sections below `baselines`.
BASELINES: dict[str, type] = {"elastic_net": ElasticNetSettings, "ridge": RidgeSettings}

#: Name of the baseline that has no settings: the feature extractor's own prediction.
TRACK = "track"

#: The models that are trained when the configuration names none: GTA and two controls.
DEFAULT_MODELS: dict[str, dict[str, object]] = {
    "gta": {},
    "no_llm": {"language_model": False},
    "shuffled_prompt": {"prompt": "shuffled"},
}

__all__ = [
    "BASELINES",
    "DEFAULT_MODELS",
    "SECTIONS",
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
