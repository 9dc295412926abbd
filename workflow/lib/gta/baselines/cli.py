"""`gta baselines`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.baselines.settings import ElasticNetSettings, RidgeSettings, TopEqtlSettings, check

ELASTIC_NET_EPILOG = """\
Reads  cohort/                 expression (natural log), splits of genes and people
       haplotypes/{contig}.npz dosages of the variants in each gene's window
Writes predictions/elastic_net.parquet   gene, person, mean, deviation, predicted (natural-log units)
       weights.tsv             gene, contig, pos (0-based), ref, alt, weight per ALT allele, cv_r2, n_variants
       genes.tsv               gene, n_variants, n_weights, cv_r2 (nested cross-validation), of the genes of all splits

One model per gene, fitted on the training people alone. Models of training genes predict everybody; those of other genes only
tell how well genotypes can predict them (cv_r2). A gene whose best model is empty is predicted to deviate by 0 in everybody.

example:
  gta baselines elastic-net --cohort results/demo/cohort --haplotypes results/demo/haplotypes/sim*.npz \\
      --out elastic_net.parquet --weights elastic_net.weights.tsv --genes elastic_net.genes.tsv
"""

TOP_EQTL_EPILOG = """\
Reads  cohort/                 expression (natural log), splits of genes and people
       haplotypes/{contig}.npz dosages of the variants in each gene's window
Writes predictions/top_eqtl.parquet   gene, person, mean, deviation, predicted (natural-log units), of the training genes
       variants.tsv            gene, contig, pos (0-based), ref, alt, distance (bp from the TSS, in the gene's direction),
                               slope per ALT allele, r, p_value (of this variant alone), n_variants, of the genes of all splits

The variant with the strongest correlation among the training people, and the straight line through it.

example:
  gta baselines top-eqtl --cohort results/demo/cohort --haplotypes results/demo/haplotypes/sim*.npz \\
      --out top_eqtl.parquet --variants top_eqtl.variants.tsv
"""

MEAN_EPILOG = """\
Reads  cohort/                   expression (natural log), splits of genes and people
Writes predictions/mean.parquet  gene, person, mean, deviation (0), predicted (natural-log units)

A training gene is predicted at its mean over the training people, any other at the mean of those means, for everybody alike: what
a model has to beat in R2. Correlations across people do not exist for it.

example:
  gta baselines mean --cohort results/demo/cohort --out mean.parquet
"""

RIDGE_EPILOG = """\
Reads  cohort/                         expression (natural log), splits of genes and people
       features/{contig}.safetensors   features of every haplotype's tiles
Writes predictions/ridge.parquet       gene, person, mean, deviation, predicted (natural-log units)

The level of a gene is predicted from the features of the reference sequence, a person's deviation from it by how the features
of the two haplotypes differ from those of the training people. Features are pooled in three zones by distance from the TSS.

example:
  gta baselines ridge --cohort results/demo/cohort --features results/demo/features/sim*.safetensors --out ridge.parquet
"""

TRACK_EPILOG = """\
Reads  cohort/                         splits of people
       features/{contig}.safetensors   features of every haplotype, with the extractor's own predictions
Writes predictions/track.parquet       gene, person, mean, deviation, predicted

What the pretrained network predicts, without any training on the cohort: the mean over a person's haplotypes. Its scale is the
network's own; ranks are all that is compared.

example:
  gta baselines track --cohort results/run/cohort --features results/run/features/22.safetensors --out track.parquet
"""


def add_parser(stages: Any) -> None:
    """Add the sub-commands."""
    parser = stages.add_parser("baselines", help="the simple models that everything else is compared with")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    elastic_net = actions.add_parser(
        "elastic-net",
        help="elastic net on the genotypes around each gene",
        description="Fit an elastic net on the dosages of the variants in each training gene's window (PrediXcan).",
        epilog=ELASTIC_NET_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    elastic_net.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    elastic_net.add_argument("--haplotypes", type=Path, nargs="+", required=True, help="haplotype panels of every contig, .npz")
    elastic_net.add_argument("--out", type=Path, required=True, help="predictions to write, .parquet")
    elastic_net.add_argument("--weights", type=Path, required=True, help="table of weights to write, .tsv")
    elastic_net.add_argument("--genes", type=Path, required=True, help="table of genes to write, .tsv")
    settings.add_threads(elastic_net, "genes fitted at the same time")
    settings.add_seed(elastic_net, "the folds of the cross-validation")
    settings.add_arguments(elastic_net, ElasticNetSettings)
    elastic_net.set_defaults(run=run_elastic_net)

    top_eqtl = actions.add_parser(
        "top-eqtl",
        help="the strongest single variant of each gene",
        description="Predict from the variant that is most correlated with each gene's expression.",
        epilog=TOP_EQTL_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top_eqtl.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    top_eqtl.add_argument("--haplotypes", type=Path, nargs="+", required=True, help="haplotype panels of every contig, .npz")
    top_eqtl.add_argument("--out", type=Path, required=True, help="predictions to write, .parquet")
    top_eqtl.add_argument("--variants", type=Path, required=True, help="table of variants to write, .tsv")
    settings.add_arguments(top_eqtl, TopEqtlSettings)
    top_eqtl.set_defaults(run=run_top_eqtl)

    mean = actions.add_parser(
        "mean",
        help="the mean of the training people",
        description="Predict everybody at the mean of the training people.",
        epilog=MEAN_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mean.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    mean.add_argument("--out", type=Path, required=True, help="predictions to write, .parquet")
    mean.set_defaults(run=run_mean)

    ridge = actions.add_parser(
        "ridge",
        help="ridge regression on the features that GTA reads",
        description="Fit ridge regression on the features that GTA reads.",
        epilog=RIDGE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ridge.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    ridge.add_argument("--features", type=Path, nargs="+", required=True, help="feature stores of every contig, .safetensors")
    ridge.add_argument("--out", type=Path, required=True, help="predictions to write, .parquet")
    settings.add_arguments(ridge, RidgeSettings)
    ridge.set_defaults(run=run_ridge)

    track = actions.add_parser(
        "track",
        help="the feature extractor's own prediction",
        description="Take the feature extractor's own prediction of expression.",
        epilog=TRACK_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    track.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    track.add_argument("--features", type=Path, nargs="+", required=True, help="feature stores of every contig, .safetensors")
    track.add_argument("--out", type=Path, required=True, help="predictions to write, .parquet")
    track.set_defaults(run=run_track)


def run_elastic_net(arguments: argparse.Namespace) -> None:
    """Fit and predict with the elastic net."""
    from gta.baselines.elastic_net import fit_cohort
    from gta.baselines.predictions import write_predictions
    from gta.cohort.tables import Cohort
    from gta.files import atomic_path
    from gta.haplotypes import PanelSet
    from gta.inputs.tables import write_table

    chosen = settings.from_arguments(ElasticNetSettings, arguments)
    cohort = Cohort.load(arguments.cohort)
    panels = [PanelSet.load(path) for path in arguments.haplotypes]
    predictions, weights, found = fit_cohort(cohort, panels, chosen, arguments.seed, arguments.threads)
    for table, path in ((weights, arguments.weights), (found, arguments.genes)):
        with atomic_path(path) as temporary:
            write_table(table, temporary)
    write_predictions(predictions, arguments.out)
    genes, empty = predictions["gene"].nunique(), predictions["gene"].nunique() - weights["gene"].nunique()
    print(f"elastic net: {genes} genes, {empty} of them without any variant that helps")


def run_top_eqtl(arguments: argparse.Namespace) -> None:
    """Find and predict with the strongest variants."""
    from gta.baselines.predictions import write_predictions
    from gta.baselines.top_eqtl import fit_cohort
    from gta.cohort.tables import Cohort
    from gta.files import atomic_path
    from gta.haplotypes import PanelSet
    from gta.inputs.tables import write_table

    cohort = Cohort.load(arguments.cohort)
    panels = [PanelSet.load(path) for path in arguments.haplotypes]
    predictions, variants = fit_cohort(cohort, panels, settings.from_arguments(TopEqtlSettings, arguments))
    with atomic_path(arguments.variants) as temporary:
        write_table(variants, temporary)
    write_predictions(predictions, arguments.out)
    print(f"top eQTL: {len(variants)} of {len(cohort.gene_names)} genes have a usable variant")


def run_mean(arguments: argparse.Namespace) -> None:
    """Predict the mean of training."""
    from gta.baselines.mean import predict_cohort
    from gta.baselines.predictions import write_predictions
    from gta.cohort.tables import Cohort

    cohort = Cohort.load(arguments.cohort)
    write_predictions(predict_cohort(cohort), arguments.out)
    print(f"mean of training: {len(cohort.gene_names)} genes, {len(cohort.people_names)} people")


def run_ridge(arguments: argparse.Namespace) -> None:
    """Fit and predict with ridge regression."""
    from gta.baselines.predictions import write_predictions
    from gta.baselines.ridge import fit_cohort
    from gta.cohort.tables import Cohort
    from gta.features.store import FeatureStore

    chosen = settings.from_arguments(RidgeSettings, arguments)
    check(chosen)
    cohort = Cohort.load(arguments.cohort)
    store = FeatureStore.load_all(arguments.features)
    write_predictions(fit_cohort(cohort, store, chosen), arguments.out)
    print(f"ridge: {len(cohort.gene_names)} genes, {len(cohort.people_names)} people")


def run_track(arguments: argparse.Namespace) -> None:
    """Take the extractor's own prediction."""
    from gta.baselines.predictions import write_predictions
    from gta.baselines.track import predict_cohort
    from gta.cohort.tables import Cohort
    from gta.features.store import FeatureStore

    cohort = Cohort.load(arguments.cohort)
    store = FeatureStore.load_all(arguments.features)
    write_predictions(predict_cohort(cohort, store), arguments.out)
    print(f"{store.extractor}, track {store.track_names[0]}: {len(cohort.gene_names)} genes, {len(cohort.people_names)} people")
