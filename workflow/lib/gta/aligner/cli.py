"""`gta aligner`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.aligner.settings import AlignerSettings

EPILOG = """\
actions:
  train    writes the trained aligner, its learning curve, and a record with the checksums of the frozen weights before and after;
           if it is killed, the same command goes on from the state that OUT.running keeps, with the same result;
           OUT.running/metrics.jsonl shows the losses of every step while it runs
  predict  writes predictions for every gene and person of a cohort (natural-log units), one table per trained folder

example:
  gta aligner train --cohort results/demo/cohort --features results/demo/features/sim1.safetensors \\
      --model results/demo/language/model --cache results/demo/language/pretrained/full/prompt_cache.safetensors \\
      --prototypes results/demo/language/pretrained/prototypes.safetensors --seed 1 --out trained
"""


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    parser.add_argument("--features", type=Path, nargs="+", required=True, help="feature stores of all contigs, .safetensors")
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--cache", type=Path, required=True, help="prompt cache, .safetensors")
    settings.add_threads(parser)


def add_computing(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where and how precisely a trained model computes."""
    for name in ("device", "precision"):
        field = AlignerSettings.__dataclass_fields__[name]
        shown = f"{field.metadata['help']} [{field.default}]"
        parser.add_argument(f"--{name}", choices=field.metadata["choices"], default=field.default, help=shown)


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    stage = stages.add_parser(
        "aligner",
        help="train GTA and predict with it",
        description="Token alignment of sequence features onto a frozen language model.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = stage.add_subparsers(dest="action", metavar="ACTION", required=True)

    parser = actions.add_parser("train", help="train one model with one seed")
    _add_common(parser)
    parser.add_argument("--prototypes", type=Path, required=True, help="text prototypes, .safetensors")
    parser.add_argument(
        "--inputs", type=Path, help="folder written by `gta inputs`, whose reference is noted for `gta predict` [none]"
    )
    parser.add_argument(
        "--compressor-weights",
        type=Path,
        metavar="DIR",
        help="trained compressor of prompts, if it is to be trained further [none]",
    )
    settings.add_seed(parser, "weights and batches")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    settings.add_arguments(parser, AlignerSettings)
    parser.set_defaults(run=run_train)

    parser = actions.add_parser("predict", help="predict a cohort with trained models")
    _add_common(parser)
    parser.add_argument("--trained", type=Path, nargs="+", required=True, help="folders written by `gta aligner train`")
    add_computing(parser)
    parser.add_argument(
        "--out", type=Path, nargs="+", required=True, help="predictions to write, .parquet, one for each trained folder"
    )
    parser.set_defaults(run=run_predict)


def run_train(arguments: argparse.Namespace) -> None:
    """Train, in one process or in several."""
    from gta.processes import run_in_processes

    chosen = settings.from_arguments(AlignerSettings, arguments)
    run_in_processes(_train, chosen.processes, arguments, chosen)


def _train(arguments: argparse.Namespace, chosen: AlignerSettings) -> None:
    """The share of one process in a training."""
    import torch

    from gta.aligner.reference import sequence_checksums
    from gta.aligner.setup import set_up
    from gta.aligner.train import Training
    from gta.cohort.tables import Cohort
    from gta.compressor.encoder import AttentionOnlyCompressor
    from gta.features.store import FeatureStore
    from gta.haplotypes import open_reference
    from gta.language.cache import PromptCache
    from gta.language.hub import source_of
    from gta.language.models import load_frozen
    from gta.language.prototypes import load_prototypes

    torch.set_num_threads(max(1, arguments.threads // chosen.processes))
    model = load_frozen(arguments.model)
    tuned = arguments.compressor_weights
    setup = set_up(
        Cohort.load(arguments.cohort),
        FeatureStore.load_all(arguments.features),
        model,
        source_of(arguments.model),
        PromptCache.load(arguments.cache),
        load_prototypes(arguments.prototypes),
        chosen,
        arguments.seed,
        sequence_checksums(open_reference(arguments.inputs)) if arguments.inputs else None,
        AttentionOnlyCompressor.from_pretrained(tuned, model) if tuned else None,
    )
    training = Training(setup)
    running = arguments.out.with_name(f"{arguments.out.name}.running")
    history = training.run(running)
    if setup.workers.main:
        training.save(history, arguments.out, running)


def run_predict(arguments: argparse.Namespace) -> None:
    """Predict."""
    import torch

    from gta.aligner.predict import load_trained, predict_cohort
    from gta.cohort.tables import Cohort
    from gta.errors import UserError
    from gta.features.store import FeatureStore
    from gta.files import atomic_path
    from gta.processes import Workers

    if len(arguments.trained) != len(arguments.out):
        raise UserError(
            f"--trained names {len(arguments.trained)} folders and --out {len(arguments.out)} files: give one for each."
        )
    torch.set_num_threads(arguments.threads)
    cohort, store = Cohort.load(arguments.cohort), FeatureStore.load_all(arguments.features)
    workers = Workers(arguments.device, arguments.precision)
    models = load_trained(arguments.trained, cohort, store, arguments.model, arguments.cache, workers)
    for trained, out in zip(models, arguments.out, strict=True):
        predictions = predict_cohort(trained, cohort)
        with atomic_path(out) as temporary:
            predictions.to_parquet(temporary, index=False)
