"""`gta evaluation`: compare predictions with expression."""

import argparse
from pathlib import Path

from gta.evaluation.settings import EvaluationSettings
from gta.settings import add_arguments, add_seed, from_arguments

_SCORE = """\
Compares predictions with the expression of the held-out people (split test of the cohort), in three regimes:

  across_genes                Spearman correlation over the unseen genes (split test) of predicted and observed expression,
                              both averaged over the held-out people; and for each person alone
  seen_genes_unseen_people    for each gene of training (split train): Spearman correlation across the held-out people
  unseen_genes_unseen_people  the same for each gene of the split test

and with --homologues in a fourth, across_genes_without_homologues: as across_genes, without genes that have a homologue in
another fold. With folds every prediction is out of fold, and all genes with expression are of the split test.
In a reference study (a cohort without genotypes) the first alone applies, on the expression of all individuals: summary.tsv has
no values for the others, per_gene.tsv no rows.

Every number stands beside a bootstrap interval over genes, the number of genes and people, and a null of permuted data: across
genes, genes are permuted; across people, people are permuted within their population, in the same way for all genes.

reads
  DIR/people.tsv, genes.tsv, expression.parquet   the cohort; expression is ln(TPM + 0.01)
  MODEL.seedN.parquet or MODEL.parquet            columns gene, person, predicted (natural-log units); the name of the file gives
                                                  model and seed
  --elastic-net                                   gene, cv_r2, n_variants: how well genotypes predict the gene
  --top-eqtl                                      gene, distance (bp) of the strongest variant from the TSS
  --gene-groups                                   gene, group: such as the split of a published network's training
writes, into the folder of --out
  per_gene.tsv      correlation across people of every gene, model and seed, with a bootstrap interval over people;
                    p_permutation is one-sided, from people permuted within their population, q_value the same by Benjamini and
                    Hochberg over the genes of model, seed and regime; p_value is scipy's, two-sided
  per_person.tsv    correlation across genes of every person, model and seed
  summary.tsv       one row per model, regime and metric: value, interval over genes (ci) and over people (people_ci), null,
                    p-value. Several seeds: the metric of each seed, averaged; metrics that begin with ensemble_ are of one
                    prediction, the mean over the seeds
  comparisons.tsv   differences between every two models on the same genes and people, with paired bootstrap intervals
  dependence.tsv    mean correlation across people in thirds of the genes by what is known of them, and the trend over all; the
                    groups of --gene-groups apart

Where a prediction is constant a correlation is undefined: it is empty in per_gene.tsv, counts as 0 in the summary, and n_constant
says how often. Predictions are rounded to 1e-6 first, so that the noise of float32 does not break ties.
"""

_SCORE_EXAMPLE = """\
example
  gta evaluation score --cohort results/demo/cohort \\
      --predictions results/demo/predictions/gta.seed1.parquet results/demo/predictions/elastic_net.parquet \\
      --out results/demo/evaluation --seed 1
"""

_ABLATIONS = """\
Writes the differences between a model and its ablations (the model without a part of it), with paired bootstrap intervals over
genes: what each part is worth. Every difference is the whole model minus the ablation, so positive means that the part helps.

reads
  comparisons.tsv   as `score` writes it
writes
  --out             tab-separated: ablation, what it changes, regime, metric, numbers of genes and people, difference, interval,
                    and what it decides: better (the interval is above 0), worse (below) or open
"""

_TRANSFER = """\
Compares the predictions of people of a second cohort (`gta predict people`) with the expression measured in them, by the code and
in the regimes of `score`. Nothing is fitted on the second cohort: the elastic net and the strongest variants stand beside with
the weights that they have in the study; a variant that the second cohort lacks counts as if nobody carried it.

Left out, and listed in dropped.tsv: people who were in the training of the study (by name), people without expression, genes
without expression, and genes that were not in the study but share sequence with its training. Expression is ln(TPM + 0.01) as
measured: no hidden factors are removed, for they would have to be fitted on the people who are tested.

writes, into the folder of --out
  summary.tsv, comparisons.tsv, per_gene.tsv, per_person.tsv   as `score` writes them
  variants.tsv      model, genes, variants with a weight, and how many of these the second cohort has
  dropped.tsv       kind, name, reason
"""

_UNMEASURED = """\
Tabulates predictions of genes without expression (split unmeasured of the cohort), averaged over seeds and individuals.

reads
  DIR/genes.tsv                           the cohort
  MODEL.seedN.parquet or MODEL.parquet    predictions; with folds already averaged over these
writes
  --out             tab-separated: gene, model, predicted (mean expression, natural-log units)
"""

_HEADLINE = """\
Prints the main numbers of an evaluation: one row per model, one column per regime, each as value [interval], with a star where
the value is above what permuted data give. Regimes that no model predicts, as in a study without genotypes, are left out.

reads
  DIR/summary.tsv, and enrichment.tsv of attributions if given
"""


def _score(arguments: argparse.Namespace) -> None:
    from gta.evaluation.score import score

    settings = from_arguments(EvaluationSettings, arguments)
    tables = (arguments.elastic_net, arguments.top_eqtl, arguments.gene_groups, arguments.homologues)
    score(arguments.cohort, arguments.predictions, arguments.out, settings, arguments.seed, *tables)


def _transfer(arguments: argparse.Namespace) -> None:
    from gta.evaluation.transfer import Files, transfer

    files = Files(
        arguments.study,
        arguments.cohort,
        arguments.predictions,
        arguments.expression,
        arguments.haplotypes,
        arguments.elastic_net,
        arguments.top_eqtl,
        arguments.populations,
    )
    settings = from_arguments(EvaluationSettings, arguments)
    transfer(files, arguments.out, arguments.model, settings, arguments.seed, arguments.unit, arguments.min_expressed_fraction)


def _ablations(arguments: argparse.Namespace) -> None:
    from gta.evaluation.ablations import ablation_table, read_comparisons
    from gta.files import atomic_path
    from gta.inputs.tables import write_table

    table = ablation_table(read_comparisons(arguments.comparisons), arguments.model, dict(arguments.ablation))
    with atomic_path(arguments.out) as temporary:
        write_table(table, temporary, "%.6g")


def _unmeasured(arguments: argparse.Namespace) -> None:
    from gta.evaluation.unmeasured import tabulate
    from gta.files import atomic_path
    from gta.inputs.tables import write_table

    table = tabulate(arguments.cohort, arguments.predictions)
    with atomic_path(arguments.out) as temporary:
        write_table(table.assign(predicted=table["predicted"].map("{:.6g}".format)), temporary)
    print(f"genes without expression: {table['gene'].nunique()}, predicted by {table['model'].nunique()} models")


def _headline(arguments: argparse.Namespace) -> None:
    from gta.evaluation.headline import enrichment_lines, headline

    print(headline(arguments.evaluation))
    for path in arguments.enrichment:
        print(*enrichment_lines(path), sep="\n")


def add_parser(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `evaluation` with its actions."""
    stage = stages.add_parser("evaluation", help="compare predictions with expression")
    actions = stage.add_subparsers(dest="action", metavar="ACTION", required=True)

    score = actions.add_parser(
        "score",
        help="write the tables of the evaluation",
        description=_SCORE,
        epilog=_SCORE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    score.add_argument("--cohort", type=Path, required=True, metavar="DIR", help="folder of the stage cohort")
    score.add_argument(
        "--predictions", type=Path, required=True, nargs="+", metavar="FILE", help="one Parquet file per model and seed"
    )
    score.add_argument("--elastic-net", type=Path, metavar="TSV", help="table of genes of `baselines elastic-net` [none]")
    score.add_argument("--top-eqtl", type=Path, metavar="TSV", help="table of variants of `baselines top-eqtl` [none]")
    score.add_argument("--gene-groups", type=Path, metavar="TSV", help="columns gene and group: groups reported apart [none]")
    score.add_argument(
        "--homologues", type=Path, metavar="TSV", help="table of `gta folds homologues`, of a cohort with folds [none]"
    )
    score.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the tables")
    add_seed(score, "all random draws")
    add_arguments(score, EvaluationSettings)
    score.set_defaults(run=_score)

    transfer = actions.add_parser(
        "transfer",
        help="write the tables of a second cohort",
        description=_TRANSFER,
        epilog="example\n  gta evaluation transfer --study results/demo/cohort --cohort results/demo/predict/cohort \\\n"
        "      --predictions results/demo/predict/people.parquet --expression second.bed.gz \\\n"
        "      --haplotypes results/demo/predict/haplotypes/sim1.npz --model gta \\\n"
        "      --elastic-net results/demo/baselines/elastic_net.weights.tsv \\\n"
        "      --top-eqtl results/demo/baselines/top_eqtl.variants.tsv --out transfer\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    transfer.add_argument("--study", type=Path, required=True, metavar="DIR", help="folder of the stage cohort of the study")
    transfer.add_argument("--cohort", type=Path, required=True, metavar="DIR", help="folder cohort/ of `gta predict prepare`")
    transfer.add_argument(
        "--predictions", type=Path, required=True, metavar="FILE", help="people.parquet of `gta predict people`"
    )
    transfer.add_argument(
        "--expression", type=Path, required=True, metavar="BED", help="expression matrix of the second cohort, as `gta inputs`"
    )
    transfer.add_argument("--unit", choices=("tpm", "rpkm"), default="tpm", help="unit of the matrix [tpm]")
    transfer.add_argument(
        "--min-expressed-fraction", type=float, default=0.5, help="share of people above zero that a gene needs [0.5]"
    )
    transfer.add_argument(
        "--haplotypes", type=Path, required=True, nargs="+", metavar="NPZ", help="haplotype panels of the second cohort"
    )
    transfer.add_argument("--model", required=True, metavar="NAME", help="what the model is called in the tables")
    transfer.add_argument(
        "--elastic-net", type=Path, required=True, metavar="TSV", help="table of weights of `baselines elastic-net`"
    )
    transfer.add_argument("--top-eqtl", type=Path, required=True, metavar="TSV", help="table of variants of `baselines top-eqtl`")
    transfer.add_argument(
        "--populations", type=Path, metavar="TSV", help="person population: people are permuted within these [all alike]"
    )
    transfer.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the tables")
    add_seed(transfer, "all random draws")
    add_arguments(transfer, EvaluationSettings)
    transfer.set_defaults(run=_transfer)

    ablations = actions.add_parser(
        "ablations",
        help="write the table of ablations",
        description=_ABLATIONS,
        epilog="example\n  gta evaluation ablations --comparisons results/demo/evaluation/comparisons.tsv --model gta \\\n"
        "      --ablation no_llm 'language_model: none' --out ablations.tsv\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    ablations.add_argument("--comparisons", type=Path, required=True, metavar="TSV", help="comparisons.tsv that `score` wrote")
    ablations.add_argument("--model", required=True, metavar="NAME", help="the whole model")
    ablations.add_argument(
        "--ablation", nargs=2, action="append", default=[], metavar=("NAME", "CHANGE"), help="an ablation, and what it changes"
    )
    ablations.add_argument("--out", type=Path, required=True, metavar="TSV", help="table to write")
    ablations.set_defaults(run=_ablations)

    unmeasured = actions.add_parser(
        "unmeasured",
        help="write predictions of genes without expression",
        description=_UNMEASURED,
        epilog="example\n  gta evaluation unmeasured --cohort results/run/cohort \\\n"
        "      --predictions results/run/predictions/gta.seed1.parquet --out genes_without_expression.tsv\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    unmeasured.add_argument("--cohort", type=Path, required=True, metavar="DIR", help="folder of the stage cohort")
    unmeasured.add_argument(
        "--predictions", type=Path, required=True, nargs="+", metavar="FILE", help="one Parquet file per model and seed"
    )
    unmeasured.add_argument("--out", type=Path, required=True, metavar="TSV", help="table to write")
    unmeasured.set_defaults(run=_unmeasured)

    headline = actions.add_parser(
        "headline",
        help="print the main numbers",
        description=_HEADLINE,
        epilog="example\n  gta evaluation headline --evaluation results/demo/evaluation\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    headline.add_argument("--evaluation", type=Path, required=True, metavar="DIR", help="folder that `score` wrote")
    headline.add_argument(
        "--enrichment", type=Path, nargs="*", default=[], metavar="TSV", help="enrichment.tsv of attributions, to be shown below"
    )
    headline.set_defaults(run=_headline)
