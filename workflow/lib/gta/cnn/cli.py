"""`gta cnn`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.cnn.settings import CnnSettings

EPILOG = """\
Reads  the cohort's genes and expression, and the reference.
Writes a folder for `features.extractor: cnn`: configuration and weights of the networks, which network was trained without which
gene (left_out.json), the learning curves (history.tsv), and the prediction of each training gene by the network that was trained
without it (out_of_fold.tsv: gene, network, mean; natural log).

The networks learn the mean expression of the training genes over the training individuals from the reference sequence around the
TSS. Each is trained without one part of the training genes; validation and held-out genes are never learnt from. If it is
killed, the same command goes on after the last finished epoch, which OUT.running keeps.

example:
  gta cnn --inputs results/demo/inputs --cohort results/demo/cohort --tile-length 128 --seed 1 --out networks
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    parser = stages.add_parser(
        "cnn",
        help="train the extractor cnn",
        description="Train convolutional networks to predict mean expression from the sequence around the TSS.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--inputs", type=Path, required=True, help="folder written by `gta inputs`")
    parser.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    parser.add_argument("--tile-length", type=int, required=True, help="length of a tile, bp; a multiple of 16")
    settings.add_seed(parser, "weights and batches")
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    settings.add_arguments(parser, CnnSettings)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    import shutil

    import torch

    from gta.cnn.train import train
    from gta.cohort.tables import Cohort
    from gta.files import atomic_path
    from gta.haplotypes import open_reference

    torch.set_num_threads(arguments.threads)
    running = arguments.out.with_name(f"{arguments.out.name}.running")
    running.mkdir(parents=True, exist_ok=True)
    trained = train(
        Cohort.load(arguments.cohort),
        open_reference(arguments.inputs),
        settings.from_arguments(CnnSettings, arguments),
        arguments.tile_length,
        arguments.seed,
        running,
    )
    with atomic_path(arguments.out) as folder:
        folder.mkdir()
        trained.save(folder)
    shutil.rmtree(running, ignore_errors=True)
    last = trained.history.groupby("network").last()
    print(f"{len(last)} networks: Spearman {last['left_out_spearman'].mean():.3f} of training genes left out")
