"""A checked configuration, and the paths, names and options that the rules take from it."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gta.download.manifest import Study
from gta.features.settings import NAMED_FACTORS, ON_GPU, WITH_TRACKS
from gta.features.weights import weight_files
from gta.settings import as_options
from gta.simulate.names import contig_names
from gta.workflow.settings import BASELINES, SECTIONS, TRACK, AlignerSettings, DataSettings, SimulateSettings


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
        sections: Settings of every stage by the name of its section; baselines as `elastic_net` and `ridge`.
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
        return [f"{model}.seed{seed}" for model in self.models for seed in self.seeds] + list(BASELINES) + own

    @property
    def language_model(self) -> str:
        """The folder of the language model: the user's, or the one that the run pretrains."""
        return self.sections["language"].model or f"{self.results}/language/model"

    @property
    def input_files(self) -> dict[str, str]:
        """The files that the stage `inputs` reads, by the name of its option."""
        return {key: path for key, path in dataclasses.asdict(self.data).items() if path is not None and key != "elements"}

    @property
    def language_model_files(self) -> list[str]:
        """The files of the user's language model: a change within its folder must be noticed. None if the run pretrains one."""
        folder = self.sections["language"].model
        if folder is None:
            return []
        names = ("config.json", "tokenizer*", "*.safetensors")
        return sorted(str(path) for name in names for path in Path(folder).glob(name))

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
    def weight_files(self) -> list[str]:
        """The files of the user's network of sequence: none if it is on the hub, where a revision never changes."""
        features = self.sections["features"]
        if features.weights is None or features.revision is not None:
            return []
        return [str(path) for path in weight_files(Path(features.weights))]

    @property
    def known_elements(self) -> dict[str, str]:
        """What is known of regulatory elements: `truth` of a simulation, `elements` of the user, or nothing."""
        if self.simulation is not None:
            return {"truth": f"{self.results}/simulated/truth_elements.tsv"}
        return {} if self.data.elements is None else {"elements": self.data.elements}

    @property
    def as_json(self) -> str:
        """The whole configuration, defaults included, as JSON; for the provenance."""
        values = {
            "results": self.results,
            "seed": self.seed,
            "study": None if self.study is None else self.study.name,
            "data": dataclasses.asdict(self.data),
            "simulation": None if self.simulation is None else dataclasses.asdict(self.simulation),
            **{name: dataclasses.asdict(settings) for name, settings in self.sections.items()},
            "models": {name: dataclasses.asdict(settings) for name, settings in self.models.items()},
        }
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

    def model_options(self, model: str) -> str:
        """Command-line options of the aligner for one of the models, quoted for the shell."""
        return as_options(dataclasses.asdict(self.models[model]))


def _keys_of_workflow(section: str) -> set[str]:
    """The keys of a section that the workflow reads itself and no command knows: those that its subclass adds."""
    cls = SECTIONS.get(section, object)
    inherited = {field.name for base in cls.__bases__ if dataclasses.is_dataclass(base) for field in dataclasses.fields(base)}
    if not inherited:
        return set()
    return {field.name for field in dataclasses.fields(cls)} - inherited
