"""Prompts: a gene's human-written annotation as text."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from transformers import PreTrainedTokenizerBase

from gta.errors import UserError
from gta.language.template import compile_template


@dataclass(frozen=True)
class Prompt:
    """One gene's prompt.

    Attributes:
        gene: Name of the gene.
        text: The text.
        tokens: Its token ids as the language model reads them, special tokens included.
        truncated: Whether the end was cut off.
    """

    gene: str
    text: str
    tokens: list[int]
    truncated: bool


def complete(annotation: pd.DataFrame, genes: pd.DataFrame) -> pd.DataFrame:
    """The annotation with a row for every gene: one without annotation has the symbol and biotype of the GTF and no text.

    Args:
        annotation: Table with a column `gene`.
        genes: `cohort/genes.tsv`.
    """
    bare = genes.loc[~genes["gene"].isin(annotation["gene"]), ["gene", "symbol", "biotype"]]
    return pd.concat([annotation, bare], ignore_index=True).fillna("")


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


def texts_of(mode: str, template: str, annotation: pd.DataFrame, genes: Iterable[str]) -> dict[str, str]:
    """The text of each gene in one of the modes.

    Args:
        mode: full: the template; symbol: the gene's symbol alone; blank: the template with every column empty, the same text for
            all genes; none: no text.
        template: Jinja template over the columns of the annotation.
        annotation: Table with a row for every gene.
        genes: The genes wanted.

    Raises:
        UserError: if the template has an error.
    """
    if mode == "full":
        return render(template, annotation, genes)
    genes = list(genes)
    if mode == "symbol":
        return render("{{ symbol }}", annotation, genes)
    if mode == "none":
        return dict.fromkeys(genes, "")
    empty = annotation.assign(**dict.fromkeys(annotation.columns.drop("gene"), ""))
    return _rendered(template, empty, genes)


def tokenize(texts: dict[str, str], tokenizer: PreTrainedTokenizerBase, limit: int) -> list[Prompt]:
    """Token ids of each text, cut to `limit` tokens; an empty text becomes the token that begins a text."""
    prompts = []
    for gene, text in texts.items():
        tokens = list(tokenizer(text)["input_ids"])
        if tokens and tokens[-1] == tokenizer.eos_token_id:
            tokens.pop()  # an end-of-text token would tell the model that what follows is another document
        if not tokens:
            first = tokenizer.bos_token_id if tokenizer.bos_token_id is not None else tokenizer.eos_token_id
            tokens = [0 if first is None else int(first)]
        prompts.append(Prompt(gene, text, tokens[:limit], len(tokens) > limit))
    return prompts


def table(prompts: list[Prompt]) -> pd.DataFrame:
    """The prompts as a table for people."""
    return pd.DataFrame(
        {
            "gene": [prompt.gene for prompt in prompts],
            "n_tokens": [len(prompt.tokens) for prompt in prompts],
            "truncated": [prompt.truncated for prompt in prompts],
            "prompt": [prompt.text for prompt in prompts],
        }
    )
