"""`gta baselines`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.baselines.settings import AND_PROMPT, ElasticNetSettings, RidgeSettings, TopEqtlSettings, check
from gta.errors import UserError

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
a model has to beat in R2. Correlations across people do not exist for it. In a reference study, without genotypes, deviation is
empty.

example:
  gta baselines mean --cohort results/demo/cohort --out mean.parquet
"""

RIDGE_EPILOG = """\
Reads  cohort/                         expression (natural log), splits of genes and people
       features/{contig}.safetensors   features of every haplotype's tiles
Writes predictions/ridge.parquet       gene, person, mean, deviation, predicted (natural-log units)

The level of a gene is predicted from the features of the reference sequence, a person's deviation from it by how the features
of the two haplotypes differ from those of the training people. Features are pooled in three zones by distance from the TSS. In a
reference study, without genotypes, deviation is empty.

example:
  gta baselines ridge --cohort results/demo/cohort --features results/demo/features/sim*.safetensors --out ridge.parquet
"""

TEXT_EPILOG = """\
Reads  cohort/                          expression (natural log), splits of genes and individuals
       prompts.tsv                      the prompt of each gene as text, uncut
       prompt_cache.safetensors         the language model's hidden states of each prompt
       annotation.tsv                   what is known of each gene
Writes into the folder of --out: gene, person, mean, deviation (empty), predicted (natural-log units), of all genes
       tfidf_ridge.parquet              ridge regression on words and pairs of words (TF-IDF): no language model
       prompt_ridge.parquet             ridge regression on the hidden states; layer and pooling by cross-validation
       text_length.parquet              linear regression on the number of words, of GO terms and of columns with anything in them
       --choice                         layer (0: token embeddings), pooling, penalty, r2, spearman (cross-validated), chosen
       --out-of-fold                    gene, mean: of the training genes, predicted by prompt_ridge without the gene's fold

These baselines know a gene's text and nothing else, so they predict mean expression: one number per gene, the same for every
individual. They are fitted on the training genes and training individuals. Every choice is made by cross-validation over folds of
training genes that are contiguous along the genome; for --out-of-fold it is repeated without each fold (nested cross-validation).

example:
  gta baselines text --cohort results/demo/cohort --prompts results/demo/language/pretrained/full/prompts.tsv \\
      --cache results/demo/language/pretrained/full/prompt_cache.safetensors \\
      --annotation results/demo/inputs/annotation.tsv --out predictions --choice prompt_ridge.choice.tsv \\
      --out-of-fold prompt_ridge.out_of_fold.tsv
"""

STACK_EPILOG = """\
Reads  cohort/                          expression (natural log), splits of genes and individuals
       features/{contig}.safetensors    features of every haplotype's tiles
       --prompt-ridge, --out-of-fold    what `gta baselines text` wrote
       --models, --models-out-of-fold   predictions of trained models (MODEL.seedN.parquet), and for each of them its table
                                        `gene mean` of predictions that did not use the gene's expression
Writes into the folder of --out: gene, person, mean, deviation (empty), predicted (natural-log units), of all genes
       features_and_prompt.parquet      ridge regression on sequence features, and on the prompt
       MODEL_and_prompt.seedN.parquet   late fusion: the trained model, and ridge regression on the prompt
       --weights                        name, seed, part, weight, intercept

A stack adds up the predictions of its parts with weights that are not negative. They are fitted on out-of-fold predictions, so
that a part gets no credit for training genes that it memorised: on those of the training genes, and for late fusion on those of
the training and validation genes in the model's table.

example:
  gta baselines stack --cohort results/demo/cohort --features results/demo/features/sim*.safetensors \\
      --prompt-ridge results/demo/predictions/prompt_ridge.parquet \\
      --out-of-fold results/demo/baselines/prompt_ridge.out_of_fold.tsv \\
      --models results/demo/predictions/no_llm.seed1.parquet \\
      --models-out-of-fold results/demo/aligner/no_llm/seed1/mean_out_of_fold.tsv --out predictions --weights stack.weights.tsv
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

    text = actions.add_parser(
        "text",
        help="the gene's text: words, hidden states of the prompt, how much is known",
        description="Predict mean expression from the gene's text alone.",
        epilog=TEXT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    text.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    text.add_argument("--prompts", type=Path, required=True, help="prompts.tsv written by `gta language prompts`")
    text.add_argument("--cache", type=Path, required=True, help="prompt_cache.safetensors written by `gta language prompts`")
    text.add_argument("--annotation", type=Path, required=True, help="annotation table that the prompts were made of, .tsv")
    text.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the predictions")
    text.add_argument("--choice", type=Path, required=True, help="table of layers and poolings to write, .tsv")
    text.add_argument("--out-of-fold", type=Path, required=True, help="table of out-of-fold predictions to write, .tsv")
    text.set_defaults(run=run_text)

    stack = actions.add_parser(
        "stack",
        help="sequence features and prompt together; trained models and prompt together",
        description="Combine predictions of mean expression from sequence and from text by stacking.",
        epilog=STACK_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    stack.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    stack.add_argument("--features", type=Path, nargs="+", required=True, help="feature stores of every contig, .safetensors")
    stack.add_argument("--prompt-ridge", type=Path, required=True, help="prompt_ridge.parquet written by `gta baselines text`")
    stack.add_argument("--out-of-fold", type=Path, required=True, help="its table of out-of-fold predictions, .tsv")
    stack.add_argument("--models", type=Path, nargs="*", default=[], help="predictions of trained models, .parquet [none]")
    stack.add_argument(
        "--models-out-of-fold", type=Path, nargs="*", default=[], help="their out-of-fold predictions, in the same order [none]"
    )
    stack.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the predictions")
    stack.add_argument("--weights", type=Path, required=True, help="table of weights to write, .tsv")
    settings.add_arguments(stack, RidgeSettings)
    stack.set_defaults(run=run_stack)

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


def run_text(arguments: argparse.Namespace) -> None:
    """Fit and predict with the baselines that read text."""
    from gta.baselines.predictions import mean_only_table, write_predictions
    from gta.baselines.stack import means_table
    from gta.baselines.text import prompt_ridge, read_prompts, read_states, text_length, tfidf_ridge
    from gta.cohort.tables import Cohort
    from gta.files import atomic_path, staged_files
    from gta.inputs.tables import read_annotation, write_table

    cohort = Cohort.load(arguments.cohort)
    texts = read_prompts(arguments.prompts, cohort.gene_names)
    annotation = read_annotation(arguments.annotation)
    from_states = prompt_ridge(read_states(arguments.cache, cohort.gene_names), cohort)
    predictions = {
        "tfidf_ridge": tfidf_ridge(texts, cohort).predicted,
        "prompt_ridge": from_states.predicted,
        "text_length": text_length(texts, annotation, cohort),
    }
    with staged_files(arguments.out) as folder:
        for name, mean in predictions.items():
            write_predictions(mean_only_table(cohort.gene_names, cohort.people_names, mean), folder / f"{name}.parquet")
    choice = from_states.candidates
    for name in ("penalty", "r2", "spearman"):
        choice[name] = choice[name].map("{:.6g}".format)
    training = [cohort.gene_names[number] for number in cohort.gene_numbers("train")]
    tables = ((choice, arguments.choice), (means_table(training, from_states.out_of_fold), arguments.out_of_fold))
    for table, path in tables:
        with atomic_path(path) as temporary:
            write_table(table, temporary)
    best = choice[choice["chosen"] == "yes"].iloc[0]
    print(
        f"prompt: layer {best['layer']}, {best['pooling']} of the tokens' states, cross-validated Spearman {best['spearman']}"
        f" over {len(training)} training genes"
    )


def run_stack(arguments: argparse.Namespace) -> None:
    """Fit the weights of stacks, and predict with them."""
    from gta.baselines.predictions import mean_only_table, write_predictions
    from gta.baselines.stack import features_part, read_part, stack, weights_table
    from gta.cohort.tables import Cohort
    from gta.evaluation.tables import parse_name
    from gta.features.store import FeatureStore
    from gta.files import atomic_path, staged_files
    from gta.inputs.tables import write_table

    ridge_settings = settings.from_arguments(RidgeSettings, arguments)
    check(ridge_settings)
    if len(arguments.models) != len(arguments.models_out_of_fold):
        raise UserError(
            f"--models names {len(arguments.models)} files and --models-out-of-fold {len(arguments.models_out_of_fold)}: give one"
            " table of out-of-fold predictions for each model."
        )
    cohort = Cohort.load(arguments.cohort)
    sequence = features_part(cohort, FeatureStore.load_all(arguments.features), ridge_settings)
    text = read_part("prompt_ridge", arguments.prompt_ridge, arguments.out_of_fold, cohort, valid_unused=True)
    stacks = {("features_and_prompt", ""): stack([sequence, text], cohort)}
    for predictions, table in zip(arguments.models, arguments.models_out_of_fold, strict=True):
        model, seed = parse_name(predictions)
        stacks[f"{model}{AND_PROMPT}", seed] = stack([read_part(model, predictions, table, cohort), text], cohort)
    with staged_files(arguments.out) as folder:
        for (name, seed), fitted in stacks.items():
            file = f"{name}.seed{seed}.parquet" if seed else f"{name}.parquet"
            write_predictions(mean_only_table(cohort.gene_names, cohort.people_names, fitted.predicted), folder / file)
    weights = weights_table(stacks)
    for column in ("weight", "intercept"):
        weights[column] = weights[column].map("{:.6g}".format)
    with atomic_path(arguments.weights) as temporary:
        write_table(weights, temporary)
    for (name, seed), fitted in stacks.items():
        parts = ", ".join(f"{weight:.2f} {part}" for part, weight in zip(fitted.parts, fitted.weights, strict=True))
        print(f"{name}{f', seed {seed}' if seed else ''}: {parts}")


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
