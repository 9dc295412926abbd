"""Settings of the language stage."""

from collections.abc import Collection
from dataclasses import dataclass

from gta.errors import UserError
from gta.settings import setting


@dataclass(frozen=True)
class LanguageSettings:
    """The language model, the prompts and the text prototypes."""

    model: str | None = setting(
        None,
        "The language model, which is frozen: the folder of a Hugging Face causal model with attention in every block, or of"
        " an encoder (config.json, safetensors weights, tokenizer; see docs/language.md); a GGUF file or a folder with one; with"
        " `revision` the id of a repository on the hub; or smollm2 (a causal model of 135 million weights) or minilm (a small"
        " encoder), which come in optional packages. Empty: a small Llama is pretrained on the annotation text of the run, as"
        " in the"
        " demo.",
    )
    revision: str | None = setting(
        None,
        "Commit of the repository on the Hugging Face hub, 40 hexadecimal digits; the model is downloaded into the results."
        " Empty: `model` is a folder.",
    )
    blocks: int | None = setting(
        None,
        "Read with the first so many transformer blocks of the language model only, and its final norm: what is left out costs"
        " neither time nor memory. Empty: all.",
        minimum=1,
    )
    template: str = setting(
        "gene.j2",
        "Jinja template of the prompt over the columns of the annotation table (symbol, biotype, description, ...), task and"
        " cell_type: its text, or a file .j2: one of resources/prompts by name (gene.j2, summary.j2), or a path.",
    )
    task: str = setting("Expression in", "What the prompt asks for: `task` in the template.")
    cell_type: str = setting("lymphoblastoid cells", "Cells whose expression is predicted: `cell_type` in the template.")
    max_prompt_tokens: int = setting(96, "Prompts are cut to this many tokens; the table of prompts says which.", minimum=4)
    truncation: str = setting(
        "end",
        "What of a prompt that is too long is left out: its end, or its middle (two thirds of what is kept are its beginning, one"
        " third its end, where a template may put its question).",
        choices=("end", "middle"),
    )
    precision: str = setting(
        "auto",
        "Precision in which prompts are read: float32, bfloat16, or auto: bfloat16 for models of 20 million weights and more on a"
        " CPU that has it natively (AVX-512 BF16, AMX), else float32. Trainings read in `aligner.precision`.",
        choices=("auto", "float32", "bfloat16"),
    )
    max_cache_gb: float = setting(
        4.0,
        "Keys and values of the prompts are kept if they take at most so many GB; else only the pooled hidden states are, and"
        " aligned tokens are read after prompts that are read anew for each batch.",
        minimum=0,
    )
    examples: int = setting(
        0,
        "In-context examples in front of a gene's prompt: this many training genes with the most similar text, and their mean"
        " expression over the training individuals. Those that do not fit into `max_prompt_tokens` are dropped.",
        minimum=0,
        maximum=16,
    )
    example_words: int = setting(12, "Maximum number of words of a gene's text in an in-context example.", minimum=1)
    prototypes: int = setting(
        64,
        "Number of text prototypes: k-means centres of the vocabulary's word embeddings that the aligner may use.",
        minimum=2,
    )
    vocabulary: int = setting(1024, "Only when pretraining: size of the byte-pair vocabulary.", minimum=300)
    hidden_size: int = setting(64, "Only when pretraining: width of the model.", minimum=8)
    layers: int = setting(4, "Only when pretraining: number of layers.", minimum=1)
    heads: int = setting(4, "Only when pretraining: attention heads; must divide the width.", minimum=1)
    pretraining_steps: int = setting(300, "Only when pretraining: optimiser steps of 16 texts each.", minimum=1)
    pretraining_learning_rate: float = setting(3e-3, "Only when pretraining: peak learning rate of AdamW.", minimum=0)


#: Files of text that are of no use without another.
_PARTNERS = (("gene_summaries", "gene_info"), ("go_annotations", "go_terms"), ("go_terms", "go_annotations"))


def check_sources(given: Collection[str]) -> None:
    """Refuse a file of text without the one that it needs.

    Args:
        given: Keys of `data` that are given.

    Raises:
        UserError: naming both keys.
    """
    for key, partner in _PARTNERS:
        if key in given and partner not in given:
            raise UserError(f"data.{key}: it needs data.{partner} beside it; give both.")


#: Values of `model` that stand for a language model from PyPI: its width, and its number of transformer blocks.
PACKAGED = {"minilm": (384, 6), "smollm2": (576, 30)}
#: How many positions they read, and how many a model that is pretrained on the annotation does.
PACKAGED_POSITIONS = {"minilm": 512, "smollm2": 8192}
PRETRAINED_POSITIONS = 2048


def check(settings: LanguageSettings) -> None:
    """What must hold between the sizes of a model that is pretrained.

    Raises:
        UserError: naming the setting.
    """
    # Rotary positions turn pairs of numbers, so each head's share must be even.
    if settings.hidden_size % (2 * settings.heads):
        raise UserError(
            f"heads: {settings.heads} heads do not share hidden_size ({settings.hidden_size}) in equal, even parts; choose a"
            " divisor of half of it."
        )


def required_model(settings: LanguageSettings) -> str:
    """The folder of the language model.

    Raises:
        UserError: if none is named.
    """
    if settings.model is None:
        raise UserError("--model is needed: give the folder of the language model.")
    return settings.model
