"""`gta attribution`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.attribution.settings import AttributionSettings

EPILOG = """\
Writes to --out:
  tiles.tsv       attribution of every tile of every window (bp, 0-based half-open; natural-log units)
  tracks/         bigWig and bedGraph per gene and measure, for IGV or UCSC
  figures/        attribution along the window, per gene
  enrichment.tsv  AUROC of known elements, beside nearness to the TSS alone (empty without --elements or --truth)

measures:
  gradient_x_input  gradient of the predicted mean with respect to the tile's standardised features, times the features
  deletion          predicted mean minus that with an average tile in the tile's place; positive: the tile raises expression
  personal          mean absolute contribution of the tile's differences from the reference to the predicted deviation

example:
  gta attribution --trained aligner/gta/seed1 aligner/gta/seed2 --inputs inputs --cohort cohort \\
      --features features/sim1.safetensors --model language/model --cache language/pretrained/full/prompt_cache.safetensors \\
      --truth simulated/truth_elements.tsv --out attribution/gta
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    parser = stages.add_parser(
        "attribution",
        help="which tiles made the prediction",
        description="Attribute the predictions of a trained model to the tiles of every gene's window, averaged over its seeds.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--trained", type=Path, nargs="+", required=True, help="folders of `gta aligner train`, one per seed")
    parser.add_argument("--inputs", type=Path, required=True, help="folder written by `gta inputs`")
    parser.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    parser.add_argument("--features", type=Path, nargs="+", required=True, help="feature stores of all contigs, .safetensors")
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--cache", type=Path, required=True, help="prompt cache, .safetensors")
    parser.add_argument(
        "--elements", type=Path, help="known regulatory elements, .bed or .bed.gz (contigs named as in the reference)"
    )
    parser.add_argument("--truth", type=Path, help="planted elements of a simulation, .tsv")
    settings.add_threads(parser)
    settings.add_seed(parser, "the resampling of genes")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    settings.add_arguments(parser, AttributionSettings)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    import pandas as pd
    import torch

    from gta.aligner.predict import load_trained
    from gta.attribution.enrichment import enrichment, read_elements, require_shared_contigs
    from gta.attribution.figures import chosen_genes, draw_gene, require_genes
    from gta.attribution.run import attribute_cohort
    from gta.attribution.tracks import write_tracks
    from gta.cohort.tables import Cohort, read_table
    from gta.features.store import FeatureStore
    from gta.files import atomic_path

    torch.set_num_threads(arguments.threads)
    chosen = settings.from_arguments(AttributionSettings, arguments)
    cohort = Cohort.load(arguments.cohort)
    require_genes(chosen.figure_genes, cohort.genes)
    store = FeatureStore.load_all(arguments.features)
    trained = load_trained(arguments.trained, cohort, store, arguments.model, arguments.cache)
    contigs = read_table(arguments.inputs / "contigs.tsv", ("contig", "length"))
    known = arguments.truth or arguments.elements
    elements = read_elements(known) if known else pd.DataFrame(columns=["gene", "contig", "start", "end"])
    if known:
        require_shared_contigs(elements, contigs["contig"].tolist(), known)
    tiles = attribute_cohort(trained, cohort, store, chosen.haplotypes)
    enriched = enrichment(tiles, elements, chosen.bootstraps, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with atomic_path(arguments.out / "figures") as folder:
        folder.mkdir()
        for gene in chosen_genes(tiles, chosen.figures, chosen.figure_genes):
            draw_gene(gene, tiles, cohort.genes, elements, folder)
    with atomic_path(arguments.out / "tracks") as folder:
        folder.mkdir()
        write_tracks(tiles, dict(zip(contigs["contig"], contigs["length"].astype(int), strict=True)), folder)
    for name, table in (("tiles.tsv", tiles), ("enrichment.tsv", enriched)):
        with atomic_path(arguments.out / name) as temporary:
            table.to_csv(temporary, sep="\t", index=False, float_format="%.6g")
    for row in enriched.itertuples():
        print(
            f"{row.region} tiles, {row.measure}: AUROC {row.auroc:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}], {row.n_genes} genes"
        )
