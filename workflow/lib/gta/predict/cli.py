"""`gta predict`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.aligner.cli import add_computing
from gta.predict.settings import PredictSettings

EPILOG = """\
actions:
  prepare  checks new genotypes against the reference that the model was trained with; writes OUT/inputs and OUT/cohort, which
           `gta haplotypes build`, `gta features` and `gta language prompts` read as those of a study
  people   writes predictions per haplotype and per person (natural-log units), from the features that these stages made

`snakemake --config predict="{genotypes: new.vcf.gz}" -- predict` runs all of it beside the study; docs/aligner.md tells more.

example:
  gta predict prepare --genotypes new.vcf.gz --genes genes.txt --inputs results/demo/inputs --cohort results/demo/cohort \\
      --trained results/demo/aligner/gta/seed1 --out new
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    stage = stages.add_parser(
        "predict",
        help="predict new people, without expression",
        description="Predict people that were not in the study.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = stage.add_subparsers(dest="action", metavar="ACTION", required=True)

    parser = actions.add_parser("prepare", help="check new genotypes and write folders that the other stages read")
    parser.add_argument("--inputs", type=Path, required=True, help="folder of the study written by `gta inputs`")
    parser.add_argument("--cohort", type=Path, required=True, help="folder of the study written by `gta cohort`")
    parser.add_argument("--trained", type=Path, nargs="+", required=True, help="folders written by `gta aligner train`")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    settings.add_arguments(parser, PredictSettings)
    parser.set_defaults(run=run_prepare)

    parser = actions.add_parser("people", help="predict per haplotype and per person")
    parser.add_argument("--trained", type=Path, nargs="+", required=True, help="folders written by `gta aligner train`")
    parser.add_argument("--cohort", type=Path, required=True, help="folder OUT/cohort written by `gta predict prepare`")
    parser.add_argument("--features", type=Path, nargs="+", required=True, help="feature stores of the new people, .safetensors")
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--cache", type=Path, required=True, help="prompt cache of the new genes, .safetensors")
    settings.add_threads(parser)
    add_computing(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write haplotypes.parquet and people.parquet to")
    parser.set_defaults(run=run_people)


def run_prepare(arguments: argparse.Namespace) -> None:
    """Check new genotypes."""
    from gta.predict.prepare import prepare

    chosen = settings.from_arguments(PredictSettings, arguments)
    prepare(chosen, arguments.inputs, arguments.cohort, arguments.trained, arguments.out)


def run_people(arguments: argparse.Namespace) -> None:
    """Predict new people."""
    import torch

    from gta.aligner.predict import load_trained
    from gta.features.store import FeatureStore
    from gta.files import staged_files
    from gta.predict.people import average_folds, new_cohort, predict_new
    from gta.processes import Workers

    torch.set_num_threads(arguments.threads)
    cohort, store = new_cohort(arguments.cohort), FeatureStore.load_all(arguments.features)
    workers = Workers(arguments.device, arguments.precision)
    models = load_trained(arguments.trained, cohort, store, arguments.model, arguments.cache, workers)
    tables = [predict_new(trained) for trained in models]
    with staged_files(arguments.out) as folder:
        for name, parts in zip(("haplotypes", "people"), zip(*tables, strict=True), strict=True):
            average_folds(list(parts)).to_parquet(folder / f"{name}.parquet", index=False)
