"""`gta language`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.language.settings import LanguageSettings

EPILOG = """\
actions:
  pretrain  writes a Hugging Face folder with a small Llama trained on the annotation text (only where no model is given)
  prepare   lets the language model read once what training reads again and again; writes to --out
              prompts.tsv               each gene's prompt as text, and its number of tokens
              prompt_cache.safetensors  the language model's keys and values of each prompt
              prototypes.safetensors    the text prototypes: k-means centres of the vocabulary's embeddings

example:
  gta language prepare --cohort results/demo/cohort --inputs results/demo/inputs \\
      --model results/demo/language/model --out prepared
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

    parser = actions.add_parser("prepare", help="write prompts, their keys and values, and text prototypes")
    parser.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    parser.add_argument("--inputs", type=Path, required=True, help="folder written by `gta inputs`")
    settings.add_seed(parser, "k-means")
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    settings.add_arguments(parser, LanguageSettings)
    parser.set_defaults(run=run_prepare)


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


def run_prepare(arguments: argparse.Namespace) -> None:
    """Write prompts, prompt cache and text prototypes."""
    import torch

    from gta.cohort.tables import read_genes
    from gta.errors import UserError
    from gta.files import staged_files
    from gta.inputs.tables import read_annotation
    from gta.language.cache import read_prompts
    from gta.language.models import fingerprint, load_frozen, load_tokenizer
    from gta.language.prompts import complete, render, table, tokenize
    from gta.language.prototypes import kmeans_prototypes, save_prototypes

    torch.set_num_threads(arguments.threads)
    chosen = settings.from_arguments(LanguageSettings, arguments)
    if chosen.model is None:
        raise UserError("--model is needed: give the folder of the language model.")
    genes = read_genes(arguments.cohort)
    annotation = complete(read_annotation(arguments.inputs / "annotation.tsv"), genes)
    texts = render(chosen.template, annotation, genes["gene"])
    prompts = tokenize(texts, load_tokenizer(chosen.model), chosen.max_prompt_tokens)
    model = load_frozen(chosen.model)
    with staged_files(arguments.out) as folder:
        read_prompts(model, prompts, fingerprint(model)).save(folder / "prompt_cache.safetensors")
        table(prompts).to_csv(folder / "prompts.tsv", sep="\t", index=False)
        save_prototypes(kmeans_prototypes(model, chosen.prototypes, arguments.seed), folder / "prototypes.safetensors")
    lengths = sorted(len(prompt.tokens) for prompt in prompts)
    cut = sum(prompt.truncated for prompt in prompts)
    print(
        f"{len(prompts)} prompts of {lengths[0]} to {lengths[-1]} tokens (median {lengths[len(lengths) // 2]}), {cut} cut short"
    )
