"""Prompts: a gene's human-written annotation as text."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gta.errors import UserError
from gta.language.settings import LanguageSettings, required_model
from gta.language.template import QUESTION, columns_used, compile_template

# Texts are made without the language model, whose libraries take longer to import than that.
if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Prompt:
    """One gene's prompt.

    Attributes:
        gene: Name of the gene.
        text: The gene's own text, without examples.
        tokens: Its token ids as the language model reads them, special tokens and examples included.
        cut: How many tokens were left out because the text was too long.
        examples: In-context examples in front of the text, the most similar last.
    """

    gene: str
    text: str
    tokens: list[int]
    cut: int
    examples: tuple[str, ...] = ()


def make_prompts(
    annotation: pd.DataFrame,
    genes: Iterable[str],
    settings: LanguageSettings,
    mode: str = "full",
    examples: Mapping[str, Sequence[str]] | None = None,
) -> list[Prompt]:
    """The prompts of genes: annotation, question and template put together, in the tokens of the language model.

    Args:
        annotation: Table with a row for every gene.
        genes: The genes wanted.
        settings: Template, question, language model, and how long a prompt may be.
        mode: What a prompt is made of, as in `texts_of`.
        examples: Gene to in-context examples, the most similar first.

    Raises:
        UserError: if the template has an error, or no language model is named.
    """
    from gta.language.models import is_encoder, load_tokenizer

    folder = required_model(settings)
    tokenizer = load_tokenizer(folder)
    texts = texts_of(mode, settings.template, with_question(annotation, settings.task, settings.cell_type), genes)
    return tokenize(texts, tokenizer, settings.max_prompt_tokens, settings.truncation, examples, encoder=is_encoder(folder))


def complete(annotation: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """The annotation with a row for every gene: one without annotation has the symbol and biotype of the GTF and no text.

    Args:
        annotation: Table with a column `gene`.
        genes: `cohort/genes.tsv`.
    """
    bare = genes.loc[~genes["gene"].isin(annotation["gene"]), ["gene", "symbol", "biotype"]]
    return pd.concat([annotation, bare], ignore_index=True).fillna("")


def empty_columns(template: str, annotation: pd.DataFrame, genes: Iterable[str]) -> list[str]:
    """The columns that a template uses and that say nothing of any gene.

    Args:
        template: Jinja template over the columns of the annotation.
        annotation: Table with a row for every gene; without the columns of the question.
        genes: The genes wanted.
    """
    of_genes = annotation[annotation["gene"].isin(list(genes))]
    used = [name for name in columns_used(template) if name in of_genes]
    return [name for name in used if (of_genes[name].fillna("").str.strip() == "").all()]


def with_question(annotation: pd.DataFrame, task: str, cell_type: str) -> pd.DataFrame:
    """The annotation with the columns `task` and `cell_type`, the same for all genes, unless the user's table has its own."""
    constants = {name: text for name, text in zip(QUESTION, (task, cell_type), strict=True) if name not in annotation}
    return annotation.assign(**constants)


def render(template: str, annotation: pd.DataFrame, genes: Iterable[str]) -> dict[str, str]:
    """The text of each gene.

    Args:
        template: Jinja template over the columns of the annotation; empty cells are empty strings.
        annotation: Table with a row for every gene.
        genes: The genes wanted.

    Raises:
        UserError: if the template has an error.
    """
    texts = _rendered(template, annotation, genes)
    if not any(texts.values()):
        raise UserError(
            "language.template: every prompt is empty; use the columns of the annotation, which are "
            f"{', '.join(map(str, annotation.columns))}."
        )
    return texts


def _rendered(template: str, annotation: pd.DataFrame, genes: Iterable[str]) -> dict[str, str]:
    compiled = compile_template(template, list(map(str, annotation.columns)))
    try:
        rows = {row["gene"]: row for row in annotation.fillna("").astype(str).to_dict("records")}
        return {gene: " ".join(compiled.render(rows[gene]).split()) for gene in genes}
    except Exception as error:  # a template can fail in any way that Python can
        raise UserError(f"language.template: {error}; mend the template.") from error


def texts_without_question(template: str, annotation: pd.DataFrame, genes: Iterable[str]) -> dict[str, str]:
    """Return the text of each gene with `task` and `cell_type` empty.

    Args:
        template: Jinja template over the columns of the annotation.
        annotation: Table with a row for each gene.
        genes: Names of the genes.

    Raises:
        UserError: if the template has an error.
    """
    return _rendered(template, annotation.assign(**dict.fromkeys(QUESTION, "")), genes)


def texts_of(mode: str, template: str, annotation: pd.DataFrame, genes: Iterable[str]) -> dict[str, str]:
    """The text of each gene in one of the modes.

    Args:
        mode: full or plain: the template; symbol: the gene's symbol alone; blank: the template with every column empty but those
            of the question, the same text for all genes; none: no text.
        template: Jinja template over the columns of the annotation.
        annotation: Table with a row for every gene.
        genes: The genes wanted.

    Raises:
        UserError: if the template has an error.
    """
    if mode in ("full", "plain"):
        return render(template, annotation, genes)
    genes = list(genes)
    if mode == "symbol":
        return render("{{ symbol }}", annotation, genes)
    if mode == "none":
        return dict.fromkeys(genes, "")
    empty = annotation.assign(**dict.fromkeys(annotation.columns.difference(["gene", *QUESTION]), ""))
    return _rendered(template, empty, genes)


def tokenize(
    texts: dict[str, str],
    tokenizer: "PreTrainedTokenizerBase",
    limit: int,
    truncation: str = "end",
    examples: Mapping[str, Sequence[str]] | None = None,
    *,
    encoder: bool = False,
) -> list[Prompt]:
    """Token ids of each text; an empty text becomes the token that begins a text.

    The special tokens that the tokenizer puts behind a text are left out, unless an encoder is to read them: `eos` or another
    closing token would tell a causal model that what follows is another document.

    Examples that do not fit are dropped, the least similar first; only a text that is too long by itself is cut.

    Args:
        texts: Gene to text.
        tokenizer: The language model's.
        limit: Most tokens of a prompt.
        truncation: What of a longer text is left out: its `end`, or its `middle`, so that two thirds of the limit are its
            beginning and one third is its end.
        examples: Gene to in-context examples, the most similar first.
        encoder: Whether the language model reads in both directions; then texts that are cut keep their closing tokens.
    """
    tail = 0 if truncation == "end" else limit // 3
    closing = closing_tokens(tokenizer)
    prompts = []
    for gene, text in texts.items():
        lines = tuple(reversed(examples.get(gene, ()))) if examples else ()
        tokens = _token_ids(with_examples(lines, text), tokenizer, 0 if encoder else len(closing))
        while lines and len(tokens) > limit:
            lines = lines[1:]
            tokens = _token_ids(with_examples(lines, text), tokenizer, 0 if encoder else len(closing))
        cut = len(tokens) - limit
        if cut > 0:
            tokens = [*tokens[: limit - tail], *tokens[len(tokens) - tail :]]
            if encoder and closing:
                tokens[-len(closing) :] = closing
        prompts.append(Prompt(gene, text, tokens, max(0, cut), lines))
    return prompts


def with_examples(examples: Iterable[str], text: str) -> str:
    """Return a gene's own text after its examples, on one line."""
    return " ".join([*examples, *([text] if text else [])])


def closing_tokens(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """Return the special tokens that a tokenizer puts behind every text."""
    # Any text will do whose tokens are not special; an empty one would not tell what is in front of it and what behind.
    special, middle = set(tokenizer.all_special_ids), len(tokenizer) // 2
    words = (str(tokenizer.decode([number])) for number in range(middle, min(middle + 20, len(tokenizer))))
    closing: list[int] = []
    for text in ("gene", "a", *words):
        bare = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        tokens = list(tokenizer(text)["input_ids"])
        for first in range(len(tokens) - len(bare) + 1):
            if bare and tokens[first : first + len(bare)] == bare:
                closing = tokens[first + len(bare) :]
                break
        if bare and not special & set(bare):
            break
    return closing


def _token_ids(text: str, tokenizer: "PreTrainedTokenizerBase", closing: int) -> list[int]:
    """Return the token ids of a text, at least one, without the last `closing` ones."""
    tokens = list(tokenizer(text)["input_ids"])
    tokens = tokens[: len(tokens) - closing]
    if not tokens:
        first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
        tokens = [0 if first is None else int(first)]
    return tokens


def table(prompts: list[Prompt], examples: bool = False) -> pd.DataFrame:
    """The prompts as a table for people.

    Args:
        prompts: One prompt for each gene.
        examples: Add the columns `n_examples` and `with_examples`; `prompt` is the gene's own text in any case.
    """
    columns = pd.DataFrame(
        {
            "gene": [prompt.gene for prompt in prompts],
            "n_tokens": [len(prompt.tokens) for prompt in prompts],
            "n_cut": [prompt.cut for prompt in prompts],
            "prompt": [prompt.text for prompt in prompts],
        }
    )
    if examples:
        columns["n_examples"] = [len(prompt.examples) for prompt in prompts]
        columns["with_examples"] = [with_examples(prompt.examples, prompt.text) for prompt in prompts]
    return columns


def statistics(prompts: list[Prompt], annotation: pd.DataFrame, examples: bool = False) -> pd.DataFrame:
    """What the prompts are like: how long, how many alike, how many cut, and how many genes have anything in each column.

    Args:
        prompts: One prompt for each gene.
        annotation: The annotation, with a row for every gene.
        examples: Add the number of in-context examples.

    Returns:
        `what value`.
    """
    lengths = np.array([len(prompt.tokens) for prompt in prompts])
    genes = annotation[annotation["gene"].isin([prompt.gene for prompt in prompts])]
    rows: list[tuple[str, float]] = [
        ("genes", len(prompts)),
        ("distinct prompts", len({tuple(prompt.tokens) for prompt in prompts})),
        ("tokens: least", lengths.min()),
        ("tokens: median", np.median(lengths)),
        ("tokens: mean", lengths.mean()),
        ("tokens: most", lengths.max()),
        ("prompts cut short", sum(prompt.cut > 0 for prompt in prompts)),
        ("tokens left out", sum(prompt.cut for prompt in prompts)),
    ]
    if examples:
        counts = np.array([len(prompt.examples) for prompt in prompts])
        rows += [("examples: least", counts.min()), ("examples: mean", counts.mean()), ("examples: most", counts.max())]
    rows += [(f"genes with {column}", int((genes[column] != "").sum())) for column in genes.columns if column != "gene"]
    return pd.DataFrame(rows, columns=["what", "value"])
