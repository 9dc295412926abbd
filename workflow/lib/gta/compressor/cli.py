"""`gta compressor`."""

import argparse
from pathlib import Path
from typing import Any

from gta import settings
from gta.compressor.settings import CompressorTrainingSettings, CorpusSettings, ReadingSettings
from gta.language.settings import LanguageSettings, required_model

EPILOG = """\
actions:
  corpus      writes the texts to compress, divided into training, validation and test: `split text`
  sample      writes a table of texts that the language model itself makes up: texts of a kind that it can model
  train       trains a compressor to let the frozen language model write each text again; writes to --out
                model/             config.json and model.safetensors: the trained weights only, of the best validation
                history.tsv        losses (nats per token) at every validation
                texts.tsv          each test text, what was written, its metrics (0..1), and the loss with another text's memory
                interpolation.tsv  what is written along the line between the memories of two test texts
                training.json      what was run
              if it is killed, the same command goes on after the last validation, which OUT.checkpoint.safetensors holds
  baselines   tests what needs no training, the first tokens (truncate) and the means of pieces (mean_pool); writes texts.tsv and
              training.json to OUT/METHOD.nLENGTH.mTOKENS
  summary     puts runs side by side, each encoder at its best learning rate, with intervals, as a table and a figure
  parameters  writes how many weights each encoder has, for public language models (no weights are read)
  prompts     compresses the prompt of every gene; writes a prompt cache of memory tokens, for `gta aligner`, and its size

example:
  gta compressor corpus --annotation results/demo/inputs/annotation.tsv --out corpus.tsv
  gta compressor train --model results/demo/language/model --texts corpus.tsv --encoder aoc --length 24 --memory-tokens 4 \\
      --steps 200 --out trained
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    stage = stages.add_parser(
        "compressor",
        help="compress prompts to a few memory tokens (AOC)",
        description="Attention-only prompt compression, what it is compared with, and its use for prompts.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = stage.add_subparsers(dest="action", metavar="ACTION", required=True)

    parser = actions.add_parser("corpus", help="write the texts to compress")
    parser.add_argument("--annotation", type=Path, help="annotation table written by `gta inputs`, if no --corpus is given")
    parser.add_argument("--template", default=LanguageSettings.template, help="template of the prompts of the annotation")
    parser.add_argument("--task", default=LanguageSettings.task, help="`task` in the template")
    parser.add_argument("--cell-type", default=LanguageSettings.cell_type, help="`cell_type` in the template")
    settings.add_seed(parser, "division and order")
    parser.add_argument("--out", type=Path, required=True, help="table to write, .tsv")
    settings.add_arguments(parser, CorpusSettings)
    parser.set_defaults(run=run_corpus)

    parser = actions.add_parser("sample", help="let the language model make up texts")
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--texts", type=settings.whole_number, required=True, metavar="N", help="number of texts")
    parser.add_argument("--length", type=settings.whole_number, required=True, metavar="N", help="tokens of the longest text")
    settings.add_seed(parser, "words")
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="table to write, .tsv: `text`")
    parser.set_defaults(run=run_sample)

    parser = actions.add_parser("train", help="train and test one compressor")
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--texts", type=Path, required=True, help="table written by `gta compressor corpus`")
    parser.add_argument("--encoder", required=True, help="encoder: aoc, attention, lora_r64, ...; see config/README.md")
    parser.add_argument("--length", type=settings.whole_number, required=True, metavar="N", help="texts are cut to N tokens")
    parser.add_argument("--memory-tokens", type=settings.whole_number, required=True, metavar="M", help="memory tokens")
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--learning-rate", type=float, default=3e-3, metavar="FLOAT", help="peak learning rate [0.003]")
    rate.add_argument(
        "--learning-rate-of",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="trainings with other learning rates: that of the smallest validation loss is taken",
    )
    settings.add_seed(parser, "weights and batches")
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    settings.add_arguments(parser, CompressorTrainingSettings)
    parser.set_defaults(run=run_train)

    parser = actions.add_parser("baselines", help="test what needs no training")
    parser.add_argument("--model", type=Path, required=True, help="folder of the language model")
    parser.add_argument("--texts", type=Path, required=True, help="table written by `gta compressor corpus`")
    parser.add_argument("--length", type=settings.whole_number, required=True, metavar="N", help="texts are cut to N tokens")
    parser.add_argument("--memory-tokens", type=settings.whole_number, required=True, metavar="M", help="memory tokens")
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    settings.add_arguments(parser, ReadingSettings)
    parser.set_defaults(run=run_baselines)

    parser = actions.add_parser("summary", help="put runs side by side")
    parser.add_argument("--runs", type=Path, nargs="+", required=True, help="folders written by `train` and `baselines`")
    settings.add_seed(parser, "resampling")
    parser.add_argument("--out", type=Path, required=True, help="table to write, .tsv")
    parser.add_argument("--figure", type=Path, required=True, help="figure to write, .svg")
    parser.set_defaults(run=run_summary)

    parser = actions.add_parser("parameters", help="count the weights of encoders")
    parser.add_argument("--lora-rank", type=settings.whole_number, default=64, metavar="N", help="rank of LoRA [64]")
    parser.add_argument("--out", type=Path, required=True, help="table to write, .tsv")
    parser.set_defaults(run=run_parameters)

    parser = actions.add_parser("prompts", help="write a prompt cache of memory tokens")
    parser.add_argument("--cohort", type=Path, required=True, help="folder written by `gta cohort`")
    parser.add_argument("--annotation", type=Path, required=True, help="annotation table written by `gta inputs`")
    parser.add_argument("--method", required=True, help="truncate, mean_pool, or anything else with --compressor")
    parser.add_argument("--compressor", type=Path, nargs="*", default=[], help="folder `model` of a trained compressor")
    parser.add_argument("--memory-tokens", type=settings.whole_number, required=True, metavar="M", help="memory tokens")
    settings.add_threads(parser)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to: prompt_cache.safetensors, size.tsv")
    settings.add_arguments(parser, LanguageSettings)
    parser.set_defaults(run=run_prompts)


def run_corpus(arguments: argparse.Namespace) -> None:
    """Write a corpus."""
    import pandas as pd

    from gta.compressor.corpus import divide, read_corpus
    from gta.errors import UserError
    from gta.files import atomic_path
    from gta.inputs.tables import read_annotation
    from gta.language.prompts import render, with_question

    chosen = settings.from_arguments(CorpusSettings, arguments)
    if chosen.corpus is not None:
        texts = read_corpus(Path(chosen.corpus), chosen)
    elif arguments.annotation is not None:
        annotation = read_annotation(arguments.annotation)
        asked = with_question(annotation, arguments.task, arguments.cell_type)
        texts = pd.DataFrame({"text": list(render(arguments.template, asked, annotation["gene"]).values())})
    else:
        raise UserError("Texts are needed: give --corpus or --annotation.")
    divided = divide(texts, chosen, arguments.seed)
    with atomic_path(arguments.out) as temporary:
        divided.to_csv(temporary, sep="\t", index=False)
    print(", ".join(f"{split}: {number}" for split, number in divided["split"].value_counts(sort=False).items()))


def run_sample(arguments: argparse.Namespace) -> None:
    """Let the language model make up texts."""
    import pandas as pd
    import torch

    from gta.compressor.regeneration import sample_texts
    from gta.files import atomic_path
    from gta.language.models import load_frozen, load_tokenizer, require_head

    torch.set_num_threads(arguments.threads)
    model, tokenizer = load_frozen(arguments.model), load_tokenizer(arguments.model)
    require_head(model, arguments.model)
    texts = sample_texts(model, tokenizer, arguments.texts, arguments.length, arguments.seed)
    with atomic_path(arguments.out) as temporary:
        pd.DataFrame({"text": texts}).to_csv(temporary, sep="\t", index=False)


def run_train(arguments: argparse.Namespace) -> None:
    """Train and test a compressor, in one process or in several."""
    from gta.processes import run_in_processes

    chosen = settings.from_arguments(CompressorTrainingSettings, arguments)
    run_in_processes(_train, chosen.processes, arguments, chosen)


def _train(arguments: argparse.Namespace, chosen: CompressorTrainingSettings) -> None:
    """The share of one process in a training."""
    import json

    import torch

    from gta.compressor.corpus import read_texts
    from gta.compressor.encoder import config_of
    from gta.compressor.regeneration import begin_embedding
    from gta.compressor.results import best_rate, read_records
    from gta.compressor.scores import interpolate, score_texts
    from gta.compressor.train import train
    from gta.files import atomic_path
    from gta.language.models import fingerprint, load_frozen, load_tokenizer, require_head, require_positions, vocabulary_rows
    from gta.processes import Workers

    torch.set_num_threads(max(1, arguments.threads // chosen.processes))
    workers = Workers(chosen.device, chosen.precision, "compressor")
    model = load_frozen(arguments.model).float()
    require_head(model, arguments.model)
    # The token that begins a text, the text, and its memory.
    needed, advice = 1 + arguments.length + arguments.memory_tokens, "lower the length of the texts, or choose another model"
    require_positions(model, needed, "A text and its memory take", advice)
    tokenizer = load_tokenizer(arguments.model)
    texts = read_texts(arguments.texts, tokenizer, arguments.length, vocabulary_rows(model))
    config = config_of(arguments.encoder, arguments.memory_tokens, chosen.positions, arguments.seed, fingerprint(model))
    checkpoint = arguments.out.with_name(f"{arguments.out.name}.checkpoint.safetensors")
    searched = arguments.learning_rate_of
    rate = best_rate(read_records(searched)) if searched else arguments.learning_rate
    compressor, history = train(model, texts, config, chosen, rate, checkpoint, workers)
    if not workers.main:
        return
    with workers.autocast():
        begin = begin_embedding(model, compressor)
        scores = score_texts(model, compressor, begin, texts["test"], tokenizer, chosen.at_once)
    ends = texts["test"][0], texts["test"][-1]
    if chosen.positions != "prefix":
        # Their memory stands behind the text: only those of texts of the same length stand at the same positions.
        shorter = min(map(len, ends))
        ends = ends[0][:shorter], ends[1][:shorter]
    with workers.autocast():
        line = interpolate(model, compressor, *ends, tokenizer)
    record = {
        "encoder": arguments.encoder,
        "length": arguments.length,
        "memory_tokens": arguments.memory_tokens,
        "learning_rate": rate,
        "seed": arguments.seed,
        "steps": chosen.steps,
        "diverged": int(history["step"].iloc[-1]) < chosen.steps,
        "batch": chosen.batch,
        "positions": chosen.positions,
        "trained_weights": sum(weight.numel() for weight in compressor.trained_weights().values()),
        "encoder_weights": sum(weight.numel() for weight in compressor.parameters()),
        "valid_loss": float(history["valid_loss"].min()),
        "best_step": int(history["step"].iloc[int(history["valid_loss"].argmin())]),
        "language_model_sha256": config.language_model_sha256,
    }
    with atomic_path(arguments.out) as folder:
        folder.mkdir()
        compressor.save_pretrained(folder / "model")
        history.to_csv(folder / "history.tsv", sep="\t", index=False, float_format="%.6g")
        scores.to_csv(folder / "texts.tsv", sep="\t", index=False, float_format="%.6g")
        line.to_csv(folder / "interpolation.tsv", sep="\t", index=False)
        (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n")
    checkpoint.unlink(missing_ok=True)
    means = scores[["loss", "accuracy", "rougeL", "exact", "loss_other_memory"]].mean()
    print(", ".join(f"{name} {value:.3f}" for name, value in means.items()))


def run_baselines(arguments: argparse.Namespace) -> None:
    """Test memory that needs no training."""
    import json

    import torch

    from gta.compressor.corpus import read_texts
    from gta.compressor.memory import untrained
    from gta.compressor.regeneration import begin_embedding
    from gta.compressor.scores import score_texts
    from gta.compressor.settings import UNTRAINED
    from gta.files import atomic_path
    from gta.language.models import fingerprint, load_frozen, load_tokenizer, require_head, require_positions, vocabulary_rows
    from gta.processes import Workers

    chosen = settings.from_arguments(ReadingSettings, arguments)
    torch.set_num_threads(arguments.threads)
    workers = Workers(chosen.device, chosen.precision, "compressor")
    model = load_frozen(arguments.model).float()
    require_head(model, arguments.model)
    # The token that begins a text, the text, and its memory.
    needed, advice = 1 + arguments.length + arguments.memory_tokens, "lower the length of the texts, or choose another model"
    require_positions(model, needed, "A text and its memory take", advice)
    sha256 = fingerprint(model)
    workers.place(model)
    tokenizer = load_tokenizer(arguments.model)
    texts = read_texts(arguments.texts, tokenizer, arguments.length, vocabulary_rows(model))["test"]
    for method in UNTRAINED:
        compress = untrained(method, arguments.memory_tokens)
        with workers.autocast():
            scores = score_texts(model, compress, begin_embedding(model, None), texts, tokenizer, chosen.at_once)
        record = {
            "encoder": method,
            "length": arguments.length,
            "memory_tokens": arguments.memory_tokens,
            "learning_rate": 0.0,
            "seed": 1,
            "trained_weights": 0,
            "encoder_weights": 0,
            "valid_loss": None,
            "language_model_sha256": sha256,
        }
        with atomic_path(arguments.out / f"{method}.n{arguments.length}.m{arguments.memory_tokens}") as folder:
            folder.mkdir()
            scores.to_csv(folder / "texts.tsv", sep="\t", index=False, float_format="%.6g")
            (folder / "training.json").write_text(json.dumps(record, indent=2) + "\n")


def run_summary(arguments: argparse.Namespace) -> None:
    """Put runs side by side."""
    from gta.compressor.results import draw, read_runs, summarise
    from gta.files import atomic_path
    from gta.report.style import save

    summary = summarise(*read_runs(arguments.runs), arguments.seed)
    save(draw(summary), arguments.figure)
    with atomic_path(arguments.out) as temporary:
        summary.to_csv(temporary, sep="\t", index=False, float_format="%.6g")


def run_parameters(arguments: argparse.Namespace) -> None:
    """Count weights."""
    from gta.compressor.encoder import ENCODERS
    from gta.compressor.parameters import SHAPES, parameter_table
    from gta.files import atomic_path

    table = parameter_table(SHAPES, list(ENCODERS), 16, arguments.lora_rank)
    with atomic_path(arguments.out) as temporary:
        table.to_csv(temporary, sep="\t", index=False, float_format="%.4g")


def run_prompts(arguments: argparse.Namespace) -> None:
    """Compress the prompts of all genes."""
    import pandas as pd
    import torch

    from gta.cohort.tables import read_genes
    from gta.compressor.encoder import AttentionOnlyCompressor
    from gta.compressor.memory import untrained
    from gta.compressor.prompts import bytes_per_gene, compress_prompts
    from gta.compressor.settings import UNTRAINED
    from gta.errors import UserError
    from gta.files import staged_files
    from gta.inputs.tables import read_annotation
    from gta.language.cache import bytes_per_slot
    from gta.language.models import fingerprint, load_frozen
    from gta.language.prompts import complete, make_prompts

    torch.set_num_threads(arguments.threads)
    chosen = settings.from_arguments(LanguageSettings, arguments)
    if chosen.examples:
        raise UserError("--examples: compressed prompts have no in-context examples; leave the option out.")
    genes = read_genes(arguments.cohort)
    prompts = make_prompts(complete(read_annotation(arguments.annotation), genes), genes["gene"], chosen)
    model = load_frozen(required_model(chosen))
    if arguments.method in UNTRAINED:
        compress = untrained(arguments.method, arguments.memory_tokens)
    elif arguments.compressor:
        compress = compressor = AttentionOnlyCompressor.from_pretrained(arguments.compressor[0], model)
        made = compressor.config.memory_tokens
        if made != arguments.memory_tokens:
            raise UserError(f"The compressor makes {made} memory tokens: give --memory-tokens the same.")
    else:
        raise UserError(f"--compressor is needed for {arguments.method}: give the folder of a trained one.")
    sha256 = fingerprint(model)
    cache = compress_prompts(model, prompts, compress, sha256)
    own, full = bytes_per_gene(cache), bytes_per_slot(model) * sum(len(prompt.tokens) for prompt in prompts) / len(prompts)
    size = {"method": arguments.method, "memory_tokens": arguments.memory_tokens, "bytes_per_gene": own}
    with staged_files(arguments.out) as folder:
        cache.save(folder / "prompt_cache.safetensors")
        pd.DataFrame([{**size, "bytes_per_gene_full": full, "times_smaller": full / own}]).to_csv(
            folder / "size.tsv", sep="\t", index=False, float_format="%.6g"
        )
    print(f"{len(prompts)} prompts, {own:.0f} bytes each instead of {full:.0f}")
