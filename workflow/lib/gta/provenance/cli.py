"""`gta provenance`."""

import argparse
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Writes what a finished run was made of: commit of the code, configuration with seeds, versions of the software, the machine that
this step runs on, and the checksums of inputs and results. `gta verify` compares with them later.

reads
  --results      folder of a finished run
writes into --out
  run.tsv        section, what, value
  files.tsv      kind (input or result), file, bytes, sha256
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    parser = stages.add_parser(
        "provenance",
        help="write down what a run was made of",
        description=DESCRIPTION,
        epilog="example\n  gta provenance --results results/demo --config '{\"seed\": 1}' --out results/demo/provenance\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, required=True, metavar="DIR", help="results of the run")
    parser.add_argument("--config", required=True, metavar="JSON", help="the whole configuration")
    parser.add_argument("--downloads", type=Path, metavar="FILE", help="table of `gta download checksums`")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write into")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    from gta.provenance.record import write_provenance

    write_provenance(arguments.results, arguments.config, arguments.downloads, arguments.out)
