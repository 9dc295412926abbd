"""Corpora: texts to compress, divided into training, validation and test."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from gta.compressor.settings import CorpusSettings
from gta.errors import UserError
from gta.files import require_file

# Texts are divided without the language model, whose libraries take longer to import than that.
if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: Lines of JSON that are read at once.
LINES = 50_000


def _json_lines(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """These keys of a file with a JSON object per line, which may be far larger than what is wanted of it."""
    with pd.read_json(path, lines=True, chunksize=LINES, dtype=False) as pieces:
        kept: list[pd.DataFrame] = []
        for piece in pieces:
            if not kept and not set(columns) <= set(piece):
                return piece
            kept.append(piece.reindex(columns=list(columns)))
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


READERS: dict[str, Callable[[Path, Sequence[str]], pd.DataFrame]] = {
    ".tsv": lambda path, _: pd.read_csv(path, sep="\t", keep_default_na=False),
    ".csv": lambda path, _: pd.read_csv(path, keep_default_na=False),
    ".parquet": lambda path, _: pd.read_parquet(path),
    ".json": _json_lines,
    ".jsonl": _json_lines,
}


def read_corpus(path: Path, settings: CorpusSettings) -> pd.DataFrame:
    """A table of texts.

    Returns:
        `text`, and `date` if there is a column of dates.

    Raises:
        UserError: if the file is of another kind, cannot be read as what its name says, or lacks a column.
    """
    if path.suffix not in READERS:
        raise UserError(f"compressor.corpus: {path} ends in none of {', '.join(READERS)}; give a table of one of these kinds.")
    columns = {"text": settings.text_column} | ({"date": settings.date_column} if settings.date_column else {})
    try:
        table = READERS[path.suffix](require_file(path, "corpus"), list(columns.values()))
    except (ValueError, pa.ArrowInvalid) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"compressor.corpus: {path} is no {path.suffix} file of texts ({reason}); check it.") from error
    if table.empty:
        raise UserError(f"compressor.corpus: {path} holds no texts; give another table.")
    for key, column in columns.items():
        if column not in table:
            raise UserError(f"compressor.{key}_column: {path} has no column {column!r}; it has {', '.join(map(str, table))}.")
    table = table.dropna(subset=settings.text_column)
    return pd.DataFrame({key: table[column].astype(str) for key, column in columns.items()})


def divide(corpus: pd.DataFrame, settings: CorpusSettings, seed: int) -> pd.DataFrame:
    """Distinct texts with their split.

    Args:
        corpus: `text` and, for a division by date, `date`.
        settings: Dates and numbers of texts.
        seed: Seed of the order.

    Returns:
        `split text`: train, valid, test; in random order within each.

    Raises:
        UserError: if a split would be empty.
    """
    texts = corpus[corpus["text"].str.strip() != ""].drop_duplicates("text")
    texts = texts.iloc[np.random.default_rng(seed).permutation(len(texts))]
    if "date" in texts:
        train = texts[texts["date"] < settings.train_before]
        held_out = texts[texts["date"] > settings.test_after]
    else:
        tenths = min(2 * settings.test_texts, 2 * (len(texts) // 10))
        held_out, train = texts.iloc[:tenths], texts.iloc[tenths:]
    each = min(settings.test_texts, len(held_out) // 2)
    parts = {"train": train.iloc[: settings.train_texts], "valid": held_out.iloc[:each], "test": held_out.iloc[each : 2 * each]}
    for split, part in parts.items():
        if part.empty:
            raise UserError(f"compressor.corpus: no texts are left for the split {split}; give more texts, or other dates.")
    return pd.concat([part.assign(split=split) for split, part in parts.items()], ignore_index=True)[["split", "text"]]


def read_texts(
    path: Path, tokenizer: "PreTrainedTokenizerBase", length: int, rows: int | None = None
) -> dict[str, list[list[int]]]:
    """Token ids of the texts of each split, without special tokens, cut to `length`.

    Args:
        path: Table of `gta compressor corpus`.
        tokenizer: The language model's.
        length: Tokens.
        rows: How many words the language model has embeddings of; None: as many as the tokenizer has.

    Raises:
        UserError: if there is no such file, or a text has a token that the language model does not have.
    """
    corpus = pd.read_csv(require_file(path, "table of texts"), sep="\t", keep_default_na=False)
    encoded = tokenizer(corpus["text"].tolist(), add_special_tokens=False)["input_ids"]
    largest = max((max(ids) for ids in encoded if ids), default=0)
    if rows is not None and largest >= rows:
        raise UserError(
            f"{path} has texts with the token {largest}, but the language model has embeddings of {rows} (0 to {rows - 1}): its"
            " tokenizer is another model's; download both again."
        )
    tokens = pd.Series([list(ids[:length]) for ids in encoded], index=corpus.index)
    return {split: [text for text in tokens[corpus["split"] == split] if text] for split in ("train", "valid", "test")}
