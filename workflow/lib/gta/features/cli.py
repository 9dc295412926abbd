"""`gta features`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.features.settings import FeatureSettings

EPILOG = """\
Reads  the haplotype panels of one contig, the cohort's genes and the reference.
Writes the feature store (safetensors), a table of what de-duplication saved, and the features' names.

Each distinct sequence is read once, whoever carries it. Finished windows are kept beside the store until it is complete: run
the same command again after it was killed and it goes on from there. docs/features.md tells of the extractors.

A tile is a fixed piece of a gene's window; its left edge stands at a fixed position of the reference (bp, 0-based half-open).

example:
  gta features --inputs results/demo/inputs --cohort results/demo/cohort --haplotypes results/demo/haplotypes/sim1.npz \\
      --contig sim1 --tile-length 2048 --out sim1.safetensors --summary sim1.summary.tsv --names sim1.features.tsv
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    parser = stages.add_parser(
        "features",
        help="features of every distinct tile sequence",
        description="Run a sequence model once per distinct tile sequence of a contig's windows.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--inputs", type=Path, required=True, help="folder written by `gta inputs`")
    parser.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    parser.add_argument("--haplotypes", type=Path, required=True, help="panels of the contig, .npz")
    parser.add_argument("--contig", required=True, help="name of the contig in the reference")
    settings.add_threads(parser)
    parser.add_argument("--device", choices=("cpu", "cuda"), help="where networks compute [cuda if there is a GPU, else cpu]")
    parser.add_argument("--out", type=Path, required=True, help="feature store to write, .safetensors")
    parser.add_argument("--summary", type=Path, required=True, help="table of what de-duplication saved, to write, .tsv")
    parser.add_argument("--names", type=Path, required=True, help="table of feature names to write, .tsv")
    settings.add_arguments(parser, FeatureSettings)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    import torch

    from gta.cohort.tables import read_genes
    from gta.features.build import build_store, parts_folder, remove_parts, write_feature_names
    from gta.files import atomic_path, require_file
    from gta.haplotypes import PanelSet, open_reference
    from gta.inputs.tables import write_table

    torch.set_num_threads(arguments.threads)
    genes = read_genes(arguments.cohort)
    genes = genes[genes["contig"] == arguments.contig]
    chosen = settings.from_arguments(FeatureSettings, arguments)
    parts = parts_folder(arguments.out, chosen, require_file(arguments.haplotypes, "file of haplotypes"), genes, arguments.inputs)
    store, account = build_store(
        PanelSet.load(arguments.haplotypes),
        genes,
        open_reference(arguments.inputs),
        chosen,
        torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")),
        parts,
    )
    with atomic_path(arguments.summary) as temporary:
        write_table(account, temporary)
    with atomic_path(arguments.names) as temporary:
        write_feature_names(store, temporary)
    store.save(arguments.out, chosen.store)
    # Its windows are mapped from the parts, which a network file system keeps as long as that is so.
    del store
    remove_parts(arguments.out)
    scanned, without = account["scanned_kb"].sum(), account["scanned_kb_without_deduplication"].sum()
    print(f"{len(account)} windows: {scanned:.0f} kb read instead of {without:.0f} kb ({without / scanned:.0f}x less)")
