"""Measure what the prompt is worth on simulated cohorts: GTA compared with its controls and with baselines that read text.

Runs the workflow on `config/demo.yaml` once per simulation seed, up to the predictions, and scores held-out genes: Spearman
correlation of predicted and observed mean expression, averaged over training seeds and then over simulations. Intervals are 95
% percentile bootstraps: genes are drawn within each simulation, every resample is scored per simulation, and the scores are
averaged; differences are paired on the same resamples. Values of different simulations are never pooled. Writes
benchmarks/results/prompt.json and prompt.tsv; the last line of the output is the former, as one JSON object.

Each simulation has a folder of its own, and a second call runs only what is missing. After a change to the library, name the rule
from which on to run again, such as `--forcerun aligner_train`, or choose another folder.

    make bench-prompt [ARGS="--simulation-seed 1 --training-seeds 1 --text-effect 0"]
"""

import argparse
import hashlib
import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from snakemake.utils import update_config

from gta.baselines.settings import AND_PROMPT, TEXT_BASELINES
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.evaluation.correlation import Floats, constant_rows, dot_rows, unit_ranks
from gta.evaluation.models import Model
from gta.evaluation.resampling import bootstrap_counts, generator, interval, resampled_spearman
from gta.evaluation.tables import read_predictions
from gta.settings import MAX_SEED, whole_number
from gta.workflow.config import check
from gta.workflow.run import Run
from gta.workflow.settings import DEFAULT_MODELS

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "config" / "demo.yaml"
RESULT = ROOT / "benchmarks" / "results" / "prompt.json"
BOOTSTRAPS, CONFIDENCE, SEED = 2000, 0.95, 1
#: The model that all others are compared with, and the control whose difference has a shorter key.
GTA, SHUFFLED = "gta", "shuffled_prompt"
#: Models that are scored across individuals, too.
ACROSS_INDIVIDUALS = ("gta", "no_llm")
#: Purpose of the bootstrap's random stream, by the split of the genes.
_STREAMS = {"test": 0, "train": 1}


@dataclass(frozen=True)
class Simulation:
    """Expression of one simulated cohort and the predictions of its test individuals.

    Attributes:
        seed: Seed of the simulation.
        observed: (genes, test individuals), natural-log units.
        splits: (genes,), split of every gene: train, valid or test.
        models: Predictions by model; each (training seeds, genes, test individuals).
    """

    seed: int
    observed: Floats
    splits: np.ndarray
    models: Mapping[str, Floats]

    def genes(self, split: str) -> np.ndarray:
        """Return the indices of the genes of a split.

        Raises:
            UserError: if there are fewer than three.
        """
        genes = np.flatnonzero(self.splits == split)
        if len(genes) < 3:
            raise UserError(f"Simulation {self.seed} has {len(genes)} genes of the split {split}; a correlation needs three.")
        return genes


@dataclass(frozen=True)
class Score:
    """A correlation with its bootstrap draws; scores of the same simulations are paired draw by draw.

    Attributes:
        by_simulation: (simulations,), averaged over training seeds.
        draws: (bootstraps,), the average over simulations in each resample of the genes.
    """

    by_simulation: Floats
    draws: Floats

    @property
    def value(self) -> float:
        """The average over simulations."""
        return float(self.by_simulation.mean())

    def __sub__(self, other: "Score") -> "Score":
        """The paired difference."""
        return Score(self.by_simulation - other.by_simulation, self.draws - other.draws)

    def entries(self, key: str) -> dict[str, float]:
        """Return the entries of the JSON object: value and bounds of its interval."""
        low, high = interval(self.draws, CONFIDENCE)
        return {key: round(self.value, 4), f"{key}_low": round(low, 4), f"{key}_high": round(high, 4)}


def _average(parts: Sequence[tuple[float, Floats]]) -> Score:
    """Average values and draws of single simulations."""
    values, draws = zip(*parts, strict=True)
    return Score(np.array(values), np.mean(draws, axis=0, dtype=np.float64))


def _counts(genes: int, split: str, number: int) -> np.ndarray:
    """Return the resamples of one simulation's genes, (genes, bootstraps): the same for all models."""
    return bootstrap_counts(genes, BOOTSTRAPS, generator(SEED, _STREAMS[split], number))


def across_genes(simulations: Sequence[Simulation], model: str) -> Score:
    """Score the mean expression of held-out genes, averaged over test individuals: Spearman correlation across genes."""
    parts = []
    for number, simulation in enumerate(simulations):
        genes = simulation.genes("test")
        observed = simulation.observed[genes].mean(axis=1)
        predicted = simulation.models[model][:, genes].mean(axis=2)
        value = float(dot_rows(unit_ranks(observed), unit_ranks(predicted)).mean())
        draws = resampled_spearman(observed[None], predicted[:, None], _counts(len(genes), "test", number))
        parts.append((value, draws[:, 0].mean(axis=0, dtype=np.float64)))
    return _average(parts)


def across_individuals(simulations: Sequence[Simulation], model: str, split: str) -> Score:
    """Score individuals gene by gene: mean over the genes of a split of the Spearman correlation over test individuals.

    The correlation of a constant prediction counts as 0.
    """
    parts = []
    for number, simulation in enumerate(simulations):
        genes = simulation.genes(split)
        predicted = simulation.models[model][:, genes]
        by_gene = dot_rows(unit_ranks(simulation.observed[genes]), unit_ranks(predicted)).mean(axis=0)
        draws = by_gene @ _counts(len(genes), split, number).astype(np.float64) / len(genes)
        parts.append((float(by_gene.mean()), draws))
    return _average(parts)


def constant_predictions(simulations: Sequence[Simulation]) -> dict[str, list[int]]:
    """Return, by model, the seeds of the simulations in which it predicts the same mean for all held-out genes.

    The correlation counts as 0, so a difference from it means little. It happens to stacks whose weights are all 0.
    """
    found: dict[str, list[int]] = {}
    for simulation in simulations:
        for name, predicted in simulation.models.items():
            if constant_rows(predicted[:, simulation.genes("test")].mean(axis=2)).any():
                found.setdefault(name, []).append(simulation.seed)
    return found


def summarise(simulations: Sequence[Simulation]) -> tuple[dict[str, float], pd.DataFrame]:
    """Score all models of some simulations.

    Returns:
        The entries of the JSON object, and a table with one row per simulation and model.
    """
    names = list(simulations[0].models)
    scores = {name: across_genes(simulations, name) for name in names}
    entries: dict[str, float] = {}
    for name, score in scores.items():
        entries |= score.entries(name)
    for name in names:
        if name != GTA:
            entries |= (scores[GTA] - scores[name]).entries("gta_minus_shuffled" if name == SHUFFLED else f"gta_minus_{name}")
    for name, (split, label) in itertools.product(ACROSS_INDIVIDUALS, (("train", "training"), ("test", "held_out"))):
        entries |= across_individuals(simulations, name, split).entries(f"{name}_{label}_genes")
    rows = [
        {
            "simulation_seed": simulation.seed,
            "model": name,
            "spearman": score.by_simulation[number],
            "n_genes": len(simulation.genes("test")),
        }
        for number, simulation in enumerate(simulations)
        for name, score in scores.items()
    ]
    return entries, pd.DataFrame(rows)


def prediction_names(run: Run) -> list[str]:
    """Return the stems of the prediction files that are scored: models, their late fusion, and baselines that read text."""
    models = [*run.models, *(f"{model}{AND_PROMPT}" for model in run.fused_models)]
    return [f"{model}.seed{seed}" for model in models for seed in run.seeds] + list(TEXT_BASELINES)


def read_simulation(run: Run, seed: int) -> Simulation:
    """Read cohort and predictions of a finished run.

    Raises:
        UserError: if files are absent or broken, or a model lacks a gene of the split train or test.
    """
    results = ROOT / run.results
    cohort = Cohort.load(results / "cohort")
    paths = [results / "predictions" / f"{name}.parquet" for name in prediction_names(run)]
    models = {name: Model.of(predictions).predicted for name, predictions in read_predictions(paths, cohort).items()}
    splits = cohort.genes["split"].to_numpy()
    for name, predicted in models.items():
        if np.isnan(predicted[:, splits != "valid"]).any():
            raise UserError(f"{results}: {name} does not predict every gene, so that it cannot be compared; remove the folder.")
    return Simulation(seed, cohort.expression[:, cohort.people_numbers("test")], splits, models)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a configuration file.

    Raises:
        UserError: if it is absent or not a mapping.
    """
    try:
        values = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise UserError(f"--configfile: {path} is not a YAML file that can be read; check the path.") from None
    if not isinstance(values, dict):
        raise UserError(f"--configfile: {path} has no keys at its top level; give a configuration to lay over the demo.")
    return values


def variant(text_effect: float | None, overlays: Sequence[Path]) -> str:
    """Return the name of the subfolder of a variant of the demo; overlays of other contents have another name."""
    parts = ["demo"] if text_effect is None else ["demo", f"text_effect_{text_effect:.15g}"]
    digests = [f"{path.stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}" for path in overlays]
    return "+".join(parts + digests)


def configuration(
    seed: int, training_seeds: int, text_effect: float | None, overlays: Sequence[Path], results: str
) -> dict[str, Any]:
    """Lay the default models, the overlays and the options over the demo, in this order; sections are merged key by key."""
    options: dict[str, Any] = {"results": results, "simulation": {"seed": seed}, "aligner": {"seeds": training_seeds}}
    if text_effect is not None:
        options["simulation"]["text_effect"] = text_effect
    merged = load_yaml(DEMO)
    for layer in (
        {"models": {name: dict(values) for name, values in DEFAULT_MODELS.items()}},
        *map(load_yaml, overlays),
        options,
    ):
        update_config(merged, layer)
    return merged


def fingerprint() -> str:
    """Return a hash of the library's code."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "workflow" / "lib" / "gta").rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def execute(run: Run, config: dict[str, Any], cores: int, forcerun: Sequence[str]) -> None:
    """Run the workflow up to the predictions; only what is missing, and the rules of `forcerun` with what depends on them.

    Raises:
        UserError: if a job fails.
    """
    results = ROOT / run.results
    results.mkdir(parents=True, exist_ok=True)
    configfile, code = results / "config.yaml", results / "code.sha256"
    configfile.write_text(yaml.safe_dump(config, sort_keys=False))
    if not code.exists():
        code.write_text(fingerprint())
    if not forcerun and code.read_text() != fingerprint():
        print(
            f"warning: {run.results} was made by another version of the library, and finished files are kept: add "
            "--forcerun aligner_train, or choose another --folder.",
            file=sys.stderr,
        )
    command = [sys.executable, "-m", "snakemake", "--configfile", str(configfile), "--cores", str(cores)]
    command += ["--quiet", "host", "reason", *(["--forcerun", *forcerun] if forcerun else [])]
    command += ["--", *(f"{run.results}/predictions/{name}.parquet" for name in prediction_names(run))]
    process = subprocess.Popen(command, cwd=ROOT, stdout=sys.stderr)
    try:
        status = process.wait()
    except BaseException:
        # Snakemake stops its jobs and unlocks the folder, which it could not if it were killed.
        process.terminate()
        process.wait()
        raise
    if status:
        raise UserError(f"The workflow failed; see its logs under {run.results}/logs, fix the cause and run again.")
    if forcerun:
        code.write_text(fingerprint())


def measure(arguments: argparse.Namespace) -> tuple[dict[str, object], pd.DataFrame]:
    """Run what is missing and score it; see `summarise`."""
    seeds = arguments.simulation_seed or [1, 2, 3]
    repeated = next((seed for number, seed in enumerate(seeds) if seed in seeds[:number]), None)
    if repeated is not None:
        raise UserError(f"--simulation-seed: {repeated} is given twice; give every simulation once.")
    folder = arguments.folder.resolve()
    if folder.is_relative_to(ROOT):
        folder = folder.relative_to(ROOT)
    overlays = [path.resolve() for path in arguments.configfile]
    for path in overlays:
        load_yaml(path)
    folder = folder / variant(arguments.text_effect, overlays)
    runs = []
    for seed in seeds:
        results = f"{folder}/simulation{seed}"
        config = configuration(seed, arguments.training_seeds, arguments.text_effect, overlays, results)
        runs.append((seed, config, check(config)))
    simulations = []
    for number, (seed, config, run) in enumerate(runs, 1):
        print(f"simulation {seed} ({number} of {len(runs)}) in {run.results}", file=sys.stderr, flush=True)
        execute(run, config, arguments.cores, arguments.forcerun)
        simulations.append(read_simulation(run, seed))
    entries, table = summarise(simulations)
    constant = constant_predictions(simulations)
    for name, where in constant.items():
        print(
            f"warning: {name} predicts the same for all held-out genes in simulation {str(where)[1:-1]}; this counts as 0.",
            file=sys.stderr,
        )
    sizes: dict[str, object] = {"simulation_seeds": seeds, "training_seeds": arguments.training_seeds}
    sizes["n_genes"] = sum(len(simulation.genes("test")) for simulation in simulations)
    return {"benchmark": "prompt", "variant": folder.name, **entries, **sizes, "constant_predictions": constant}, table


def simulation_seed(text: str) -> int:
    """Parse the seed of a simulation."""
    if not (text.isascii() and text.isdecimal() and int(text) <= MAX_SEED):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to {MAX_SEED}")
    return int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, measure, write and print; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--simulation-seed", type=simulation_seed, action="append", help="seed of a simulation; repeatable [1, 2 and 3]")
    add("--training-seeds", type=whole_number, default=2, help="training runs of each model [2]")
    add("--configfile", type=Path, action="append", default=[], help="configuration to lay over the demo; repeatable")
    add("--text-effect", type=float, help="sets simulation.text_effect; 0 as negative control")
    add("--forcerun", action="append", default=[], metavar="RULE", help="run this rule and what depends on it again; repeatable")
    add("--cores", type=whole_number, default=2, help="cores of the workflow [2]")
    add("--folder", type=Path, default=ROOT / "results" / "bench_prompt", help="folder of the runs [results/bench_prompt]")
    add("--out", type=Path, default=RESULT, help="JSON file; the table is written next to it [benchmarks/results/prompt.json]")
    arguments = parser.parse_args(argv)
    try:
        if arguments.out.suffix != ".json":
            raise UserError(f"--out: {arguments.out} does not end in .json; rename it.")
        result, table = measure(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(arguments.out.with_suffix(".tsv"), sep="\t", index=False, float_format="%.6g", lineterminator="\n")
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
