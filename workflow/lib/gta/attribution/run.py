"""Attribution of all genes, averaged over the seeds of a model."""

import sys

import numpy as np
import pandas as pd
from tqdm import tqdm

from gta.aligner.predict import Trained
from gta.attribution.tiles import MEASURES, attribute_gene, reference_order
from gta.cohort.tables import Cohort
from gta.features.store import FeatureStore


def attribute_cohort(
    trained: list[Trained], cohort: Cohort, store: FeatureStore, haplotypes: int, over: str = "reference"
) -> pd.DataFrame:
    """The table of tiles: every tile of every gene's window, in reference order.

    Args:
        trained: The trained aligner of each seed.
        cohort: The cohort.
        store: The features.
        haplotypes: Haplotypes to average over, at the most.
        over: `reference` or `personal`: the haplotypes whose gradient x input is averaged.

    Returns:
        `gene contig start end tile distance gradient_x_input deletion personal n_seeds`: bp, 0-based half-open; distance from the
        TSS to the tile's centre in bp, in the gene's direction; measures in natural-log units, the mean over seeds.
    """
    parts = []
    for number, gene in enumerate(
        tqdm(cohort.genes.itertuples(), total=len(cohort.genes), desc="genes", file=sys.stderr, mininterval=5)
    ):
        runs = [attribute_gene(one.aligner, one.data, one.reader, number, haplotypes, over) for one in trained]
        distance = store.layout(str(gene.gene))[1]
        back = reference_order(distance)
        tiles = np.arange(len(distance))
        bounds = store.tile_bounds(str(gene.gene), int(gene.tss), str(gene.strand))
        columns: dict[str, object] = {
            "gene": gene.gene,
            "contig": gene.contig,
            "start": bounds[:, 0],
            "end": bounds[:, 1],
            "tile": tiles,
            "distance": distance,
        }
        columns |= {measure: np.mean([getattr(run, measure) for run in runs], axis=0)[back] for measure in MEASURES}
        parts.append(pd.DataFrame({**columns, "n_seeds": len(trained)}))
    return pd.concat(parts, ignore_index=True)
