"""`gta verify`."""

import argparse
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Computes the checksums of a run's inputs and results again and says which files are missing, changed or new. Exit status 0: none.

reads
  RESULTS        folder of a run, with provenance/files.tsv
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    parser = stages.add_parser(
        "verify",
        help="compare a results folder with the checksums of its run",
        description=DESCRIPTION,
        epilog="example\n  gta verify results/demo\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="results of the run")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    from gta.verify.compare import verify

    verify(arguments.results)
