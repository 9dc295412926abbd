"""Settings of the compressor stage."""

import math
import re
from dataclasses import dataclass

from gta.errors import UserError
from gta.settings import setting

#: What is said of a name that `ENCODER_NAME` does not match.
NO_ENCODER = (
    "is no encoder; write aoc, attention, lora, lora_aoc or icae, then, if wanted, _identity, _r16 and _embeds, in this order."
)

#: An encoder with its variants, as the configuration names it: `aoc`, `aoc_identity`, `lora_r64`, `lora_aoc_r2_embeds` ...
ENCODER_NAME = re.compile(
    r"(?P<encoder>aoc|attention|lora_aoc|lora|icae)(?P<identity>_identity)?(?:_r(?P<rank>[1-9][0-9]*))?(?P<embeds>_embeds)?"
)
#: Baselines that need no training: the first tokens, and the mean embeddings of pieces.
UNTRAINED = ("truncate", "mean_pool")
#: Metrics of a regenerated text, 0..1: `gta.compressor.scores.text_metrics`.
TEXT_METRICS = ("rouge1", "rouge2", "rougeL", "bleu", "word_f1", "exact", "prefix_match")


@dataclass(frozen=True)
class CorpusSettings:
    """The texts on which compressors are trained and tested."""

    corpus: str | None = setting(
        None,
        "Table of texts: .tsv, .csv, .parquet, or .json or .jsonl with an object per line; empty: the prompts of the annotation. "
        "Texts that occur twice count once.",
    )
    text_column: str = setting("text", "Column of `corpus` that holds the texts.")
    date_column: str | None = setting(
        None,
        "Column of `corpus` with dates as YYYY-MM-DD, by which texts are divided: training before `train_before`, validation and"
        " test after `test_after`. Empty: texts are divided at random.",
    )
    train_before: str = setting(
        "2023-07-01", "Training texts are older than this date (the paper's division of arXiv abstracts)."
    )
    test_after: str = setting("2024-01-04", "Validation and test texts are younger than this date.")
    train_texts: int = setting(300_000, "The most training texts.", minimum=1)
    test_texts: int = setting(
        3_000, "The most validation texts, and the most test texts; at random division a tenth each.", minimum=1
    )


@dataclass(frozen=True)
class ReadingSettings:
    """Where texts are read, and how many at once."""

    batch: int = setting(16, "Texts of a step.", minimum=1)
    accumulation: int = setting(
        1, "Parts in which a batch is read, one after the other: the same result with less memory.", minimum=1
    )
    device: str = setting("auto", "auto: a GPU if there is one; cpu; or cuda.", choices=("auto", "cpu", "cuda"))
    precision: str = setting(
        "float32",
        "float32, or bfloat16 for matrix products and the language model: half the memory and faster on a GPU.",
        choices=("float32", "bfloat16"),
    )

    @property
    def at_once(self) -> int:
        """Texts that one process reads at once."""
        return math.ceil(self.batch / self.accumulation)


@dataclass(frozen=True)
class CompressorTrainingSettings(ReadingSettings):
    """How compressors are trained; the defaults suit language models of a width of about 64."""

    positions: str = setting(
        "prefix",
        "Positions of memory and text: prefix (memory first, whatever the length of the text), continued (memory after the text),"
        " or restarted (the published code: memory after the text, then on from the number of memory tokens).",
        choices=("prefix", "continued", "restarted"),
    )
    steps: int = setting(2_000, "Optimiser steps.", minimum=1)
    warm_up: int = setting(100, "Steps over which the learning rate rises; then it is constant.", minimum=1)
    evaluate_every: int = setting(100, "Steps between two validations, at which the state of the training is kept.", minimum=1)
    processes: int = setting(
        1, "Processes of one machine that share each batch, one GPU or CPU core each; they learn as one does.", minimum=1
    )


@dataclass(frozen=True)
class CompressorSettings(CorpusSettings, CompressorTrainingSettings):
    """Compression of prompts to memory tokens (AOC), and the comparison of encoders by regeneration."""

    encoders: list[str] = setting(
        [],
        "Encoders of the experiment; empty: no experiment. aoc, attention, lora, lora_aoc or icae; then, where wanted, _identity"
        " (what is left of removed MLPs in the published code), _r16 (rank of LoRA, otherwise 64) and _embeds (hidden states"
        " handed over in place of keys and values). What needs no training, truncate and mean_pool, stands beside them.",
    )
    lengths: list[int] = setting([96], "Texts of the experiment are cut to so many tokens, one run each.", minimum=2)
    memory_tokens: list[int] = setting([4], "Memory tokens, one run each.", minimum=1)
    learning_rates: list[float] = setting(
        [3e-3],
        "Peak learning rates of AdamW, one run each with the first seed; validation chooses the best of them for each encoder,"
        " length and number of memory tokens, with which the other seeds run.",
        minimum=0,
    )
    seeds: int = setting(1, "Runs with different seeds.", minimum=1)


def check(settings: CompressorSettings) -> None:
    """The names of the encoders are known.

    Raises:
        UserError: naming the key.
    """
    for name in settings.encoders:
        if not ENCODER_NAME.fullmatch(name):
            raise UserError(f"encoders: {name!r} {NO_ENCODER}")
