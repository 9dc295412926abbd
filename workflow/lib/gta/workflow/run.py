"""A checked configuration, and the paths, names and options that the rules take from it."""

import dataclasses
import itertools
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gta.baselines.settings import AND_PROMPT, TEXT_BASELINES
from gta.cohort.settings import FoldSettings
from gta.compressor.settings import UNTRAINED
from gta.download.manifest import Study
from gta.features.settings import NAMED_FACTORS, ON_GPU, TRAINED, WITH_TRACKS
from gta.features.weights import weight_files
from gta.language.places import find_gguf
from gta.language.settings import PACKAGED
from gta.language.template import template_file
from gta.settings import as_options
from gta.simulate.names import contig_names
from gta.workflow.settings import (
    BASELINES,
    GENOTYPE_BASELINES,
    MEAN,
    SECTIONS,
    TEXT_SOURCES,
    TRACK,
    AlignerSettings,
    DataSettings,
    SimulateSettings,
)

#: In the name of a training of a compressor: the best of the learning rates tried, in place of one of them.
BEST = "best"

#: The keys of `data` that the stage `inputs` reads; the others are read as they are by the stage that needs them.
INPUT_FILES = ("reference", "genotypes", "genes", "expression", "annotation", "populations")


@dataclass(frozen=True)
class Run:
    """A checked configuration.

    Attributes:
        results: Folder of the results, as given.
        seed: Seed of everything but the training of the aligner.
        data: The input files, or what the simulation will write in their place.
        simulation: Settings of the simulation; None if the data are the user's.
        study: The study whose public files the run downloads, if it does.
        data_dir: Folder of the user's or the downloaded data.
        folds: Folds of a cross-validation over the whole study; None: one training and test set.
        sections: Settings of every stage by the name of its section; baselines as `elastic_net`, `top_eqtl` and `ridge`.
        models: Settings of the aligner for every model, overrides applied.
    """

    results: str
    seed: int
    data: DataSettings
    simulation: SimulateSettings | None
    sections: dict[str, Any]
    models: dict[str, AlignerSettings]
    study: Study | None = None
    data_dir: str = "."
    folds: FoldSettings | None = None

    @property
    def genotypes(self) -> bool:
        """Whether there are genotypes; without them it is a reference study, which predicts mean expression only."""
        return self.data.genotypes is not None

    @property
    def contigs(self) -> list[str]:
        """The contigs that haplotypes and features are made for, one job each."""
        if self.simulation is None or self.sections["cohort"].contigs:
            return list(self.sections["cohort"].contigs)
        return contig_names(self.simulation)

    def downloaded(self, role: str, contig: str = "") -> str:
        """Path of a published file of the study, by what it is for."""
        assert self.study is not None
        return f"{self.data_dir}/downloads/{self.study.file(role, contig).name}"

    @property
    def seeds(self) -> list[int]:
        """The seeds of the training runs of each model."""
        return list(range(1, self.sections["aligner"].seeds + 1))

    @property
    def predictors(self) -> list[str]:
        """Everything that predicts, by the stem of its file in `predictions/`."""
        own = [TRACK] if self.sections["features"].extractor in WITH_TRACKS else []
        trained = [f"{model}.seed{seed}" for model in self.models for seed in self.seeds]
        fused = [f"{model}{AND_PROMPT}.seed{seed}" for model in self.fused_models for seed in self.seeds]
        # A model of one gene's genotypes says nothing of a gene that is held out, and with folds every gene is.
        of_genotypes = self.genotypes and not self.folds
        baselines = [name for name in BASELINES if of_genotypes or name not in GENOTYPE_BASELINES]
        return [*trained, *fused, *TEXT_BASELINES, *baselines, MEAN, *own]

    @property
    def genotype_tables(self) -> dict[str, str]:
        """The tables of the baselines on genotypes that the evaluation reads, by the name of its option, if there are any."""
        if not self.genotypes:
            return {}
        tables = {"elastic_net": "elastic_net.genes", "top_eqtl": "top_eqtl.variants"}
        return {name: f"{self.results}/baselines/{table}.tsv" for name, table in tables.items()}

    @property
    def evaluation_figures(self) -> list[str]:
        """Figures of the evaluation in the overview, in its order: those across individuals only with genotypes."""
        return ["per_gene", "cis_signal", "across_genes", "dependence"] if self.genotypes else ["across_genes"]

    @property
    def predictors_of_unmeasured(self) -> list[str]:
        """What predicts genes without expression, by the stem of its file in `predictions/`."""
        return [name for name in self.predictors if name not in GENOTYPE_BASELINES]

    @property
    def predicts_unmeasured(self) -> bool:
        """Whether genes without expression are predicted."""
        return bool(self.sections["cohort"].genes_without_expression == "predict")

    @property
    def fold_folders(self) -> list[str]:
        """The folder of each fold in the results, with a slash; without folds, nothing once."""
        return [f"folds/{fold}/" for fold in range(1, self.folds.number + 1)] if self.folds else [""]

    @property
    def one_fold(self) -> str | None:
        """The fold whose models are taken where one training is enough; None without folds."""
        return "1" if self.folds else None

    @property
    def cohort_options(self) -> str:
        """Command-line options of the cohort, quoted for the shell."""
        options = self.options("cohort")
        if self.folds is None:
            return options
        return f"{options} {as_options({'folds': self.folds.number, 'folds_by': self.folds.by})}"

    @property
    def homologues(self) -> dict[str, str]:
        """The table of homologous genes, if the study has folds, by the name of its option."""
        return {"homologues": f"{self.results}/cohort/homologues.tsv"} if self.folds else {}

    @property
    def fused_models(self) -> list[str]:
        """The model whose late fusion with the prompt is made, if there is one: the first without its language model.

        It differs from the first model in nothing but `language_model: none`. There is none where gradient descent trains the
        read-out of mean expression (`tokens_learn_means`): then there are no predictions of training genes out of fold.
        """
        first = next(iter(self.models.values()))
        if first.tokens_learn_means:
            return []
        control = dataclasses.replace(first, language_model="none")
        return [name for name, settings in self.models.items() if first != settings == control][:1]

    @property
    def full_prompts(self) -> str:
        """The folder of the full prompts without examples, as the language model of the first model reads them.

        Baselines of text read these: an example would give them the expression of other genes.
        """
        mode = "plain" if self.sections["language"].examples else "full"
        return f"{self.results}/language/{self.reads_with(next(iter(self.models)))}/{mode}"

    @property
    def language_model(self) -> str:
        """The folder of the language model: the user's, or one that the run makes."""
        return self.whole_language_model if self.sections["language"].blocks is None else f"{self.results}/language/first_blocks"

    @property
    def whole_language_model(self) -> str:
        """The folder of the language model with all of its transformer blocks."""
        language = self.sections["language"]
        if language.revision is not None:
            return f"{self.results}/language/downloaded"
        if language.model in PACKAGED:
            return f"{self.results}/language/{language.model}/model"
        if self.gguf_files:
            return f"{self.results}/language/converted"
        return language.model or f"{self.results}/language/model"

    @property
    def gguf_files(self) -> list[str]:
        """The user's GGUF file, if the language model is one."""
        language = self.sections["language"]
        if language.model in (None, *PACKAGED) or language.revision is not None:
            return []
        file = find_gguf(Path(language.model))
        return [] if file is None else [str(file)]

    @property
    def input_files(self) -> dict[str, str]:
        """The files that the stage `inputs` reads, by the name of its option."""
        return {key: path for key, path in dataclasses.asdict(self.data).items() if path is not None and key in INPUT_FILES}

    @property
    def text_sources(self) -> dict[str, str]:
        """The public files with text about genes, by the name of the option that takes them."""
        return {key: path for key, path in dataclasses.asdict(self.data).items() if path is not None and key in TEXT_SOURCES}

    @property
    def annotation(self) -> str:
        """The table that prompts are made of: the user's, or that with what the public files add."""
        return f"{self.results}/language/annotation.tsv" if self.text_sources else f"{self.results}/inputs/annotation.tsv"

    @property
    def template_file(self) -> dict[str, str]:
        """The file of the prompt's template, if it is in one."""
        file = template_file(self.sections["language"].template)
        return {} if file is None else {"template": str(file)}

    def reads_with(self, model: str) -> str:
        """Which language model goes with one of the models: pretrained, one from PyPI, or random.

        What reads no language model, or only its words, is built as beside the pretrained one.
        """
        kind = self.models[model].language_model
        return kind if kind in ("random", *PACKAGED) else "pretrained"

    def model_folder(self, kind: str) -> str:
        """The folder of a language model, by what `reads_with` calls it."""
        return self.language_model if kind == "pretrained" else f"{self.results}/language/{kind}/model"

    def prompt_cache(self, model: str, new: bool = False, fold: str | None = None) -> str:
        """The prompts that one of the models reads: of the study's genes, or of those that new people are predicted for."""
        settings = self.models[model]
        results = f"{self.results}/predict" if new else self.results
        if settings.compressor != "none" and not settings.tune_compressor:
            method = f"{settings.compressor}.m{settings.memory_tokens}"
            return f"{results}/compressor/prompts/{method}/prompt_cache.safetensors"
        mode = settings.prompt
        own = "full" if mode == "shuffled" else mode
        # Only in-context examples differ between folds.
        inside = f"folds/{fold}/" if fold is not None and not new and self.example_files(own) else ""
        return f"{results}/{inside}language/{self.reads_with(model)}/{own}/prompt_cache.safetensors"

    @property
    def compressor_runs(self) -> list[str]:
        """The trainings of the experiment with compressors, by the name of their folder.

        Each learning rate runs with the first seed, the other seeds with the best of them.
        """
        chosen = self.sections["compressor"]
        rates = [f"{rate:g}" for rate in chosen.learning_rates]
        others = rates if len(rates) == 1 else [BEST]
        runs = [(rate, 1) for rate in rates] + [(rate, seed) for seed in range(2, chosen.seeds + 1) for rate in others]
        cells = itertools.product(chosen.encoders, chosen.lengths, chosen.memory_tokens, runs)
        return [_compressor_run(encoder, length, tokens, *run) for encoder, length, tokens, run in cells]

    @property
    def compressor_baselines(self) -> list[str]:
        """The baselines without training of the experiment with compressors, by the name of their folder."""
        chosen = self.sections["compressor"]
        cells = itertools.product(UNTRAINED if chosen.encoders else [], chosen.lengths, chosen.memory_tokens)
        return [f"{method}.n{length}.m{tokens}" for method, length, tokens in cells]

    @property
    def compressor_cells(self) -> list[str]:
        """Trainings and baselines of the experiment with compressors, by their folder in `compressor/`."""
        return [f"runs/{run}" for run in self.compressor_runs] + [f"baselines/{run}" for run in self.compressor_baselines]

    def compressor_search(self, encoder: str, length: str, tokens: str, rate: str) -> list[str]:
        """The records of the trainings among which the learning rate `best` is chosen; none for one that is a number."""
        if rate != BEST:
            return []
        rates = [f"{rate:g}" for rate in self.sections["compressor"].learning_rates]
        runs = [_compressor_run(encoder, int(length), int(tokens), rate, 1) for rate in rates]
        return [f"{self.results}/compressor/runs/{run}/training.json" for run in runs]

    @property
    def corpus_files(self) -> list[str]:
        """The user's table of texts to compress, if there is one."""
        corpus = self.sections["compressor"].corpus
        return [] if corpus is None else [corpus]

    def compressor_weights(self, method: str, memory_tokens: str) -> list[str]:
        """The files of the compressor that shortens prompts; none for what needs no training."""
        if method in UNTRAINED:
            return []
        chosen = self.sections["compressor"]
        length = self.sections["language"].max_prompt_tokens
        run = _compressor_run(method, length, int(memory_tokens), f"{chosen.learning_rates[0]:g}", 1)
        folder = f"{self.results}/compressor/runs/{run}"
        return [f"{folder}/model/config.json", f"{folder}/model/model.safetensors"]

    def tuned_compressor(self, model: str) -> list[str]:
        """The files of the compressor of prompts that one of the models trains further; none if it does not."""
        settings = self.models[model]
        return self.compressor_weights(settings.compressor, str(settings.memory_tokens)) if settings.tune_compressor else []

    @property
    def prompt_compressions(self) -> list[str]:
        """The ways in which models shorten prompts before they are trained, by the name of their folder."""
        used = [model for model in self.models.values() if model.compressor != "none" and not model.tune_compressor]
        return list(dict.fromkeys(f"{model.compressor}.m{model.memory_tokens}" for model in used))

    @property
    def compressor_tables(self) -> list[str]:
        """The tables of the compressor that the report shows, by their path in `compressor/` without `.tsv`."""
        runs, prompts = self.compressor_runs, [f"prompts/{name}/size" for name in self.prompt_compressions]
        return ["summary", "parameters", f"runs/{runs[0]}/interpolation", *prompts] if runs else prompts

    @property
    def compresses(self) -> bool:
        """Whether any model shortens its prompts or its windows."""
        return any((model.compressor, model.context) != ("none", "none") for model in self.models.values())

    def prototypes(self, model: str) -> str:
        """The text prototypes of one of the models."""
        return f"{self.results}/language/{self.reads_with(model)}/prototypes.safetensors"

    @property
    def predict_files(self) -> dict[str, str]:
        """The files of new people to predict, by key; none if there are none."""
        section = self.sections["predict"]
        if section.genotypes is None:
            return {}
        return {f"new_{key}": path for key in ("genotypes", "reference", "genes") if (path := getattr(section, key)) is not None}

    @property
    def new_expression(self) -> dict[str, str]:
        """The expression of the new people, if they are a second cohort, by the name of its option."""
        path = self.sections["predict"].expression
        return {} if path is None else {"expression": path}

    @property
    def populations(self) -> dict[str, str]:
        """The table of populations, if there is one, by the name of its option."""
        return {} if self.data.populations is None else {"populations": self.data.populations}

    @property
    def predict_model(self) -> str:
        """The model that predicts new people."""
        return self.sections["predict"].model

    @property
    def predict_contigs(self) -> list[str]:
        """The contigs of the genes that are predicted of new people."""
        return list(self.sections["predict"].contigs) or self.contigs

    @property
    def ablations(self) -> dict[str, str]:
        """Every model that differs from the first, and in which settings."""
        names = list(self.models)
        base = dataclasses.asdict(self.models[names[0]])
        changes = {name: dataclasses.asdict(self.models[name]) for name in names[1:]}
        return {
            name: ", ".join(f"{key}: {value}" for key, value in values.items() if value != base[key])
            for name, values in changes.items()
            if values != base
        }

    def language_model_files(self, kind: str) -> list[str]:
        """The files of the user's language model: a change within its folder must be noticed. None if the run makes it."""
        return [] if kind != "pretrained" or self.sections["language"].blocks is not None else self.whole_language_model_files

    @property
    def whole_language_model_files(self) -> list[str]:
        """The files of the user's language model with all of its transformer blocks; none if the run makes it."""
        language = self.sections["language"]
        if self.whole_language_model != language.model:
            return []
        names = ("config.json", "tokenizer*", "*.safetensors")
        return sorted(str(path) for name in names for path in Path(language.model).glob(name))

    @cached_property
    def language_model_mb(self) -> int:
        """Memory for the user's language model, MB: its files hold two bytes per weight, or half of one, four in memory."""
        files = [Path(path) for path in self.whole_language_model_files if path.endswith(".safetensors")]
        sizes = [3 * path.stat().st_size for path in files if path.exists()]
        sizes += [12 * Path(path).stat().st_size for path in self.gguf_files if Path(path).exists()]
        return sum(sizes) // 2**20

    @property
    def factor_files(self) -> list[str]:
        """The user's list of transcription factors, if the features are scanned by one."""
        factors = self.sections["features"].factors
        return [] if factors in NAMED_FACTORS else [factors]

    @property
    def gpus(self) -> int:
        """How many GPUs a job of the features asks a cluster for; without one the same features take far longer."""
        return int(self.sections["features"].extractor in ON_GPU)

    @property
    def trains_extractor(self) -> bool:
        """Whether the feature extractor is trained on the study's training genes."""
        features = self.sections["features"]
        return features.extractor in TRAINED and features.weights is None

    @property
    def gpus_of_extractor(self) -> int:
        """How many GPUs the training of the extractor asks a cluster for."""
        return int(self.sections["cnn"].device == "cuda")

    @property
    def one_features_fold(self) -> str | None:
        """The fold whose features are taken where those of one fold are enough; None where all folds share them."""
        return self.one_fold if self.trains_extractor else None

    def trained_extractor(self, fold: str | None = None) -> str:
        """The folder of the extractor that is trained on the study, or on the training genes of one of its folds."""
        return f"{self.results}/{f'folds/{fold}/' if fold else ''}cnn/model"

    def feature_options(self, fold: str | None = None) -> str:
        """Command-line options of the features, with the weights of an extractor that is trained on the study."""
        if not self.trains_extractor:
            return self.options("features")
        return f"{self.options('features')} {as_options({'weights': self.trained_extractor(fold)})}"

    def weight_files(self, fold: str | None = None) -> list[str]:
        """The files of the network of sequence: none if it is on the hub, where a revision never changes."""
        features = self.sections["features"]
        if self.trains_extractor:
            return [f"{self.trained_extractor(fold)}/{name}" for name in ("config.json", "model.safetensors", "left_out.json")]
        if features.weights is None or features.revision is not None:
            return []
        return [str(path) for path in weight_files(Path(features.weights))]

    @property
    def gene_groups(self) -> dict[str, str]:
        """The user's table of groups of genes, if there is one, by the name of its option."""
        return {} if self.data.gene_groups is None else {"gene_groups": self.data.gene_groups}

    @property
    def known_elements(self) -> dict[str, str]:
        """What is known of regulatory elements: `truth` of a simulation, `elements` of the user, or nothing."""
        if self.simulation is not None:
            return {"truth": f"{self.results}/simulated/truth_elements.tsv"}
        return {} if self.data.elements is None else {"elements": self.data.elements}

    @property
    def known_eqtls(self) -> dict[str, str]:
        """What is known of effects of variants: `planted` ones of a simulation, `eqtls` of the user, or nothing."""
        if not self.genotypes:
            return {}
        if self.simulation is not None:
            return {"planted": f"{self.results}/simulated/truth_variants.tsv"}
        return {} if self.data.eqtls is None else {"eqtls": self.data.eqtls}

    @property
    def as_json(self) -> str:
        """The whole configuration, defaults included, as JSON; for the provenance."""
        values: dict[str, Any] = {
            "results": self.results,
            "seed": self.seed,
            "study": None if self.study is None else self.study.name,
            "data": dataclasses.asdict(self.data),
            "simulation": None if self.simulation is None else dataclasses.asdict(self.simulation),
            **{name: dataclasses.asdict(settings) for name, settings in self.sections.items()},
            "models": {name: dataclasses.asdict(settings) for name, settings in self.models.items()},
        }
        if self.folds is not None:
            values["cohort"]["folds"] = dataclasses.asdict(self.folds)
        return json.dumps(values, ensure_ascii=False)

    def options(self, section: str, *keys: str) -> str:
        """Command-line options of a section, quoted for the shell.

        Args:
            section: Name of the section.
            keys: The settings that the step depends on, so that a change of others does not repeat it; none: all of them.
        """
        values = dataclasses.asdict(self.sections[section])
        chosen = keys or [key for key in values if key not in _keys_of_workflow(section)]
        return as_options({key: values[key] for key in chosen})

    def prompt_options(self, prompt: str, fold: str | None = None) -> str:
        """Command-line options of the prompts in one mode, quoted for the shell."""
        options = self.options(
            "language", "template", "task", "cell_type", "max_prompt_tokens", "truncation", "precision", "max_cache_gb"
        )
        examples = self.example_files(prompt, fold)
        if not examples:
            return options
        cohort = as_options({"training_cohort": Path(examples[0]).parent})
        return f"{options} {self.options('language', 'examples', 'example_words')} {cohort}"

    def example_files(self, mode: str, fold: str | None = None) -> list[str]:
        """Files of the cohort that prompts of a mode take in-context examples from; none if they have no examples."""
        if mode != "full" or not self.sections["language"].examples:
            return []
        cohort = f"{self.results}/cohort" if fold is None else f"{self.results}/folds/{fold}/cohort"
        return [f"{cohort}/{name}" for name in ("genes.tsv", "people.tsv", "expression.parquet")]

    def model_options(self, model: str) -> str:
        """Command-line options of the aligner for one of the models, quoted for the shell."""
        return as_options(dataclasses.asdict(self.models[model]))

    def computing_options(self, model: str) -> str:
        """Options that say where and how precisely one of the trained models computes, quoted for the shell."""
        chosen = self.models[model]
        return as_options({"device": chosen.device, "precision": chosen.precision})

    @property
    def gpus_of_compressor(self) -> int:
        """How many GPUs a training of a compressor asks a cluster for."""
        chosen = self.sections["compressor"]
        return chosen.processes if chosen.device == "cuda" else 0

    def gpus_of(self, model: str) -> int:
        """How many GPUs a training of one of the models asks a cluster for: one for each process, if it wants any."""
        chosen = self.models[model]
        return chosen.processes if chosen.device == "cuda" else 0


def _compressor_run(encoder: str, length: int, memory_tokens: int, rate: str, seed: int) -> str:
    """The name of the folder of a training."""
    return f"{encoder}.n{length}.m{memory_tokens}.lr{rate}.seed{seed}"


def _keys_of_workflow(section: str) -> set[str]:
    """The keys of a section that the workflow reads itself and no command knows: those that its subclass adds."""
    cls = SECTIONS.get(section, object)
    inherited = {field.name for base in cls.__bases__ if dataclasses.is_dataclass(base) for field in dataclasses.fields(base)}
    if not inherited:
        return set()
    return {field.name for field in dataclasses.fields(cls)} - inherited
