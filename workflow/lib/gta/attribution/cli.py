"""`gta attribution`."""

import argparse
import os
from pathlib import Path
from typing import Any

from gta import settings
from gta.attribution.settings import NOT_MUTATED, AttributionSettings
from gta.errors import UserError
from gta.features.settings import FeatureSettings

EPILOG = """\
Writes to --out (bp, 0-based half-open; natural-log units; means over the seeds):
  tiles.tsv            attribution of every tile of every window
  enrichment.tsv       AUROC and AUPRC of known elements, beside nearness to the TSS, GC content and the same distance in other
                       genes (empty without --elements or --truth)
  eqtls.tsv            predicted effects of known eQTLs beside their slopes (empty without --eqtls or --planted)
  signs.tsv            whether effects have the sign of slopes: of each detailed gene's strongest variant in the test people, and
                       of the known eQTLs of all genes
  tracks/              bigWig and bedGraph per gene and measure, igv_session.xml, and hub.txt for UCSC with --assembly
  figures/             attribution along the window, per gene
and of the --detailed genes:
  integrated.tsv       integrated gradients of every tile; completeness.tsv tells how nearly they add up
  words.tsv            the text prototypes that each tile attends to most, and their nearest tokens, by seed
  mutagenesis.parquet  effect of every variant in the window and of every change of a base near the TSS
  logos/, pages/       the strongest stretches of bases; an interactive page per gene

measures:
  gradient_x_input  gradient of the predicted mean with respect to the tile's standardised features, times the features
  deletion          predicted mean minus that with an average tile in the tile's place; positive: the tile raises expression
  personal          mean absolute contribution of the tile's differences from the reference to the predicted deviation

In a reference study, without genotypes, everything is of the reference haplotype: personal is 0 throughout, mutagenesis.parquet
has no variants, eqtls.tsv and signs.tsv have no rows, and genes are chosen by their deletion effects.

The features' settings (--extractor ... --factors) must be those of the feature stores.

example:
  gta attribution --trained aligner/gta/seed1 aligner/gta/seed2 --inputs inputs --cohort cohort \\
      --features features/sim1.safetensors --panels haplotypes/sim1.npz --tile-length 4096 \\
      --model language/model --cache language/pretrained/full/prompt_cache.safetensors \\
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
    parser.add_argument("--panels", type=Path, nargs="+", required=True, help="haplotype panels of all contigs, .npz")
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--cache", type=Path, required=True, help="prompt cache, .safetensors")
    parser.add_argument(
        "--elements",
        type=Path,
        help="known regulatory elements: .bed, .bed.gz or .bw (contigs named as in the reference), or .tsv with gene, contig,"
        " start, end",
    )
    parser.add_argument(
        "--eqtls", type=Path, help="known eQTLs, .tsv with gene, variant (chr1_12345_A_G, from 1), slope and maybe p_value"
    )
    parser.add_argument("--planted", type=Path, help="planted variants of a simulation, .tsv")
    parser.add_argument("--truth", type=Path, help="planted elements of a simulation, .tsv")
    settings.add_threads(parser)
    settings.add_seed(parser, "the resampling of genes")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    settings.add_arguments(parser, AttributionSettings)
    settings.add_arguments(parser, FeatureSettings)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    import pandas as pd
    import torch

    from gta.aligner.predict import load_trained
    from gta.attribution.browsers import write_hub, write_session
    from gta.attribution.detail import detail
    from gta.attribution.enrichment import enrichment, gc_content, read_elements, require_shared_contigs, with_genes_of
    from gta.attribution.eqtls import COLUMNS, known_effects, known_signs, place, read_eqtls, read_planted
    from gta.attribution.figures import chosen_genes, draw_gene, require_genes
    from gta.attribution.mutagenesis import SIGNS, Sequences, sign_agreement
    from gta.attribution.page import page_data, write_page
    from gta.attribution.run import attribute_cohort
    from gta.attribution.stretches import base_importance, draw_logos, strongest
    from gta.attribution.tracks import write_base_track, write_tracks
    from gta.cohort.tables import Cohort, read_table
    from gta.features.extractor import make_extractor
    from gta.features.store import FeatureStore
    from gta.files import atomic_path
    from gta.haplotypes import PanelSet, open_reference
    from gta.inputs.tables import write_table

    torch.set_num_threads(arguments.threads)
    chosen = settings.from_arguments(AttributionSettings, arguments)
    features = settings.from_arguments(FeatureSettings, arguments)
    cohort = Cohort.load(arguments.cohort)
    genes = cohort.genes
    require_genes(chosen.figure_genes, genes)
    store = FeatureStore.load_all(arguments.features)
    trained = load_trained(arguments.trained, cohort, store, arguments.model, arguments.cache)
    reference = open_reference(arguments.inputs)
    panels = {panel.contig: panel for panel in map(PanelSet.load, arguments.panels)}
    lengths = read_table(arguments.inputs / "contigs.tsv", ("contig", "length"))
    contigs = dict(zip(lengths["contig"], lengths["length"].astype(int), strict=True))
    known = arguments.truth or arguments.elements
    elements = read_elements(known) if known else pd.DataFrame(columns=["gene", "contig", "start", "end"])
    if known:
        require_shared_contigs(elements, list(contigs), known)
        elements = with_genes_of(elements, cohort.gene_names, known)
    sequences = None
    if features.extractor not in NOT_MUTATED:
        length, device = int(genes["window_end"].iloc[0] - genes["window_start"].iloc[0]), torch.device("cpu")
        extractor = make_extractor(features, length, device)
        if extractor.weights != store.weights:
            raise UserError("The features were computed with other settings than those given: give the same.")
        sequences = Sequences(panels, reference, extractor, store.tile_length, device)
    tiles = attribute_cohort(trained, cohort, store, chosen.haplotypes, chosen.over)
    enriched = enrichment(tiles, elements, gc_content(tiles, reference), chosen.bootstraps, arguments.seed)
    drawn = chosen_genes(tiles, chosen.figures, chosen.figure_genes)
    shown = drawn[: chosen.detailed]
    found = detail(trained, cohort, tiles, shown, sequences, chosen, arguments.model)
    signs = pd.DataFrame(columns=SIGNS) if cohort.reference_study else sign_agreement(found.mutations)
    effects_of_known = pd.DataFrame(columns=list(COLUMNS))
    variants = arguments.planted or arguments.eqtls
    if variants and sequences is not None:
        known_variants = read_planted(variants) if arguments.planted else read_eqtls(variants)
        effects_of_known = known_effects(trained, cohort, place(known_variants, cohort, sequences, variants), sequences)
        rows = known_signs(effects_of_known, "planted effects" if arguments.planted else "published slopes")
        signs = pd.concat([signs, pd.DataFrame(rows, columns=SIGNS)], ignore_index=True)
    importance = {gene: base_importance(found.mutations[found.mutations["gene"] == gene]) for gene in shown}
    by_gene = {str(row["gene"]): row for _, row in genes.iterrows()}
    contig_of = dict(zip(genes["gene"].astype(str), genes["contig"].astype(str), strict=True))

    arguments.out.mkdir(parents=True, exist_ok=True)
    with atomic_path(arguments.out / "figures") as folder:
        folder.mkdir()
        for gene in drawn:
            positions = panels[contig_of[gene]].panel(gene).positions
            draw_gene(gene, tiles, genes, elements, positions, folder)
    with atomic_path(arguments.out / "tracks") as folder:
        folder.mkdir()
        write_tracks(tiles, contigs, folder)
        for gene in shown:
            write_base_track(gene, contig_of[gene], importance[gene], contigs, folder)
        # The session's paths are relative to it.
        beside = os.path.relpath(reference.path, arguments.out / "tracks")
        write_session(genes, shown, chosen.assembly or beside, folder)
        if chosen.assembly:
            write_hub(genes, shown, chosen.assembly, folder)
    with atomic_path(arguments.out / "logos") as folder:
        folder.mkdir()
        for gene in shown:
            stretches = list(strongest(importance[gene]))
            if stretches:
                draw_logos(
                    f"{by_gene[gene]['symbol']} ({gene})", contig_of[gene], stretches, folder / f"{gene.replace('/', '_')}.svg"
                )
    with atomic_path(arguments.out / "pages") as folder:
        folder.mkdir()
        for gene in shown:
            own = [table[table["gene"] == gene] for table in (tiles, found.integrated, found.words, found.mutations)]
            data = page_data(by_gene[gene], own[0], own[1], own[2], own[3], importance[gene], elements, genes)
            write_page(by_gene[gene], data, folder / f"{gene.replace('/', '_')}.html")
    with atomic_path(arguments.out / "mutagenesis.parquet") as temporary:
        found.mutations.to_parquet(temporary, index=False)
    tables = {
        "tiles.tsv": tiles,
        "enrichment.tsv": enriched,
        "integrated.tsv": found.integrated,
        "completeness.tsv": found.completeness,
        "words.tsv": found.words,
        "eqtls.tsv": effects_of_known,
        "signs.tsv": signs,
    }
    for name, table in tables.items():
        with atomic_path(arguments.out / name) as temporary:
            write_table(table, temporary, "%.6g")
    for row in enriched.itertuples():
        print(
            f"{row.region} tiles, {row.measure}: AUROC {row.auroc:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}], {row.n_genes} genes"
            f"; beyond the distance {row.beyond:+.3f} [{row.beyond_low:+.3f}, {row.beyond_high:+.3f}]"
        )
