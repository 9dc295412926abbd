"""The command line: `python -m gta <stage> [<action>] ...`, one sub-command per stage of the workflow.

Each stage has a module `gta.<stage>.cli` with `add_parser(stages)`, which adds its sub-command and sets `run` to the function
that does the work. Nothing heavy (torch, pandas) is imported before that function runs, so that `--help` is instant.
"""

import argparse
import gc
import importlib
import os
import sys
import traceback

from gta import __version__
from gta.errors import UserError

#: After so many new objects the youngest are searched for garbage, and the older ones every so many searches of the younger.
GARBAGE_THRESHOLDS = (50_000, 20, 100)

#: The stages in the order in which data flow through them.
STAGES = (
    "simulate",
    "download",
    "inputs",
    "cohort",
    "folds",
    "haplotypes",
    "cnn",
    "features",
    "language",
    "compressor",
    "aligner",
    "predict",
    "baselines",
    "evaluation",
    "attribution",
    "provenance",
    "report",
    "verify",
)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="gta",
        description=__doc__.split("\n\n")[0] if __doc__ else None,
        epilog="The stages pass files on in this order; `gta STAGE --help` says what each reads and writes.",
    )
    parser.add_argument("--version", action="version", version=f"gta {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    stages = parser.add_subparsers(dest="stage", metavar="STAGE", required=True)
    for stage in STAGES:
        importlib.import_module(f"gta.{stage}.cli").add_parser(stages)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Run the command line; gives the exit status: 0 done, 1 a mistake that was explained, 2 wrong usage, 130 interrupted."""
    # Imports make objects by the hundred thousand, all of which stay: looking for garbage among them takes a second or two.
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    arguments = build_parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except UserError as error:
        if arguments.debug:
            traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        # A full disk, a folder without permission, a file in the place of a folder: not a mistake of the code.
        if arguments.debug or (error.filename is None and error.errno is None):
            raise
        where = f" {error.filename}" if error.filename is not None else ""
        print(
            f"error: The system refused{where}: {error.strerror}; check the path, its permissions and the disk.", file=sys.stderr
        )
        return 1
    return 0
