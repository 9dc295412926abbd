"""`gta language`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.language.settings import LanguageSettings

EPILOG = """\
actions:
  pretrain    writes a Hugging Face folder with a small Llama trained on the annotation text (only where no model is given)
  prompts     writes each gene's prompt and the language model's keys and values of it
  prototypes  writes the text prototypes: k-means centres of the vocabulary's embeddings

example:
  gta language prompts --cohort results/demo/cohort --inputs results/demo/inputs --model results/demo/language/model \\
      --prompts prompts.tsv --cache prompt_cache.safetensors
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

    parser = actions.add_parser("pretrain", help="pretrain a small Llama on the annotation text")
    parser.add_argument("--annotation", type=Path, required=True, help="annotation table written by `gta inputs`")
    settings.add_seed(parser, "weights and order")
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    settings.add_arguments(parser, LanguageSettings)
    parser.set_defaults(run=run_pretrain)

    parser = actions.add_parser("prompts", help="write prompts and their keys and values")
    parser.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    parser.add_argument("--inputs", type=Path, required=True, help="folder written by `gta inputs`")
    parser.add_argument("--prompts", type=Path, required=True, help="table of prompts to write, .tsv")
    parser.add_argument("--cache", type=Path, required=True, help="prompt cache to write, .safetensors")
    settings.add_arguments(parser, LanguageSettings)
    parser.set_defaults(run=run_prompts)

    parser = actions.add_parser("prototypes", help="write the text prototypes")
    settings.add_seed(parser, "k-means")
    parser.add_argument("--out", type=Path, required=True, help="prototypes to write, .safetensors")
    settings.add_arguments(parser, LanguageSettings)
    parser.set_defaults(run=run_prototypes)


def run_pretrain(arguments: argparse.Namespace) -> None:
    """Pretrain a small language model."""
    import torch

    from gta.inputs.tables import read_annotation
    from gta.language.pretrain import pretrain, save
    from gta.language.prompts import render

    torch.set_num_threads(arguments.threads)
    chosen = settings.from_arguments(LanguageSettings, arguments)
    annotation = read_annotation(arguments.annotation)
    described = annotation[annotation["description"].fillna("") != ""]
    texts = list(render(chosen.template, annotation, described["gene"]).values())
    model, tokenizer, loss = pretrain(texts, chosen, arguments.seed)
    save(model, tokenizer, arguments.out)
    print(f"{len(texts)} texts, {model.num_parameters()} weights, {len(tokenizer)} words, loss {loss:.3f} nats per token")


def run_prompts(arguments: argparse.Namespace) -> None:
    """Write prompts and prompt cache."""
    from gta.cohort.tables import read_genes
    from gta.errors import UserError
    from gta.files import atomic_path
    from gta.inputs.tables import read_annotation
    from gta.language.cache import read_prompts
    from gta.language.models import fingerprint, load_frozen, load_tokenizer
    from gta.language.prompts import complete, render, table, tokenize

    chosen = settings.from_arguments(LanguageSettings, arguments)
    if chosen.model is None:
        raise UserError("--model is needed: give the folder of the language model.")
    genes = read_genes(arguments.cohort)
    annotation = complete(read_annotation(arguments.inputs / "annotation.tsv"), genes)
    texts = render(chosen.template, annotation, genes["gene"])
    prompts = tokenize(texts, load_tokenizer(chosen.model), chosen.max_prompt_tokens)
    model = load_frozen(chosen.model)
    read_prompts(model, prompts, fingerprint(model)).save(arguments.cache)
    with atomic_path(arguments.prompts) as temporary:
        table(prompts).to_csv(temporary, sep="\t", index=False)
    lengths = sorted(len(prompt.tokens) for prompt in prompts)
    cut = sum(prompt.truncated for prompt in prompts)
    print(
        f"{len(prompts)} prompts of {lengths[0]} to {lengths[-1]} tokens (median {lengths[len(lengths) // 2]}), {cut} cut short"
    )


def run_prototypes(arguments: argparse.Namespace) -> None:
    """Write the text prototypes."""
    from gta.errors import UserError
    from gta.language.models import load_frozen
    from gta.language.prototypes import kmeans_prototypes, save_prototypes

    chosen = settings.from_arguments(LanguageSettings, arguments)
    if chosen.model is None:
        raise UserError("--model is needed: give the folder of the language model.")
    save_prototypes(kmeans_prototypes(load_frozen(chosen.model), chosen.prototypes, arguments.seed), arguments.out)
