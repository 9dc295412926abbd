"""In-context examples: training genes with similar text, and their mean expression, in front of a gene's prompt."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.language.prompts import complete, texts_without_question
from gta.language.settings import LanguageSettings

#: Genes whose similarities to all training genes are in memory at once: 80 MB with 20,000 training genes.
BLOCK = 512

#: Decimals of a cosine that are compared, so that rounding errors do not decide between equal texts.
DECIMALS = 9

#: Punctuation removed around the words of an example, which has its own.
_PUNCTUATION = " .:;,-"


@dataclass(frozen=True)
class Examples:
    """In-context examples of some genes.

    Attributes:
        lines: Gene to the sentences of its examples, the most similar first.
        genes: Gene to the training genes that they are about, in the same order.
    """

    lines: dict[str, list[str]]
    genes: dict[str, list[str]]


def training_means(cohort: Cohort) -> pd.Series:
    """Return the mean expression of each training gene over the training individuals.

    Args:
        cohort: The study's cohort.

    Returns:
        Gene to mean expression, float64, natural-log units.

    Raises:
        UserError: if the cohort has no training genes or no training individuals.
    """
    genes, individuals = cohort.gene_numbers("train"), cohort.people_numbers("train")
    if not (len(genes) and len(individuals)):
        raise UserError("language.examples: this cohort has no training genes or no training individuals: make the cohort again.")
    means = cohort.expression[genes][:, individuals].mean(axis=1)
    return pd.Series(means, index=[cohort.gene_names[number] for number in genes])


def make_examples(annotation: pd.DataFrame, genes: Sequence[str], cohort: Cohort, settings: LanguageSettings) -> Examples:
    """Return the in-context examples of each gene, the most similar first.

    Texts are compared and quoted without the question, which is the same for all genes.

    Args:
        annotation: Table with a row for each of `genes`; training genes without a row are completed from the cohort.
        genes: Genes whose prompts get examples, of this cohort or not.
        cohort: The study's cohort, which the examples and their expression come from.
        settings: Template, number of examples, and words per example.

    Raises:
        UserError: if the template has an error, or no text of a training gene has a word.
    """
    means = training_means(cohort)
    annotation = complete(annotation, cohort.genes)
    texts = texts_without_question(settings.template, annotation, dict.fromkeys([*means.index, *genes]))
    symbols = dict(zip(annotation["gene"], annotation["symbol"], strict=True))
    quotes = {gene: quote(symbols[gene] or gene, texts[gene], settings.example_words) for gene in means.index}
    similar = most_similar({gene: texts[gene] for gene in means.index}, {gene: texts[gene] for gene in genes}, settings.examples)
    lines = {
        gene: [f"{quotes[name]} - {_level(means[name], terciles)} ({_one_decimal(means[name])})." for name in names]
        for (gene, names), terciles in zip(similar.items(), _terciles(means, similar), strict=True)
    }
    return Examples(lines, similar)


def most_similar(training: dict[str, str], texts: dict[str, str], k: int) -> dict[str, list[str]]:
    """Return the k training genes with the most similar text for each gene: cosine of TF-IDF vectors.

    Vocabulary and document frequencies are those of the training genes. Equal similarities are ordered by name.

    Args:
        training: Training gene to text.
        texts: Gene to text.
        k: Number of training genes; a gene is never similar to itself.

    Returns:
        Gene to training genes, the most similar first.

    Raises:
        UserError: if no text of a training gene has a word.
    """
    names = np.array(sorted(training))
    number = {name: column for column, name in enumerate(names.tolist())}
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    try:
        columns = vectorizer.fit_transform([training[name] for name in names]).T.tocsc()
    except ValueError as error:
        raise UserError(f"language.examples: texts of training genes have no words ({error}): check language.template.") from None
    genes = list(texts)
    similar = {}
    for first in range(0, len(genes), BLOCK):
        block = genes[first : first + BLOCK]
        similarity = (vectorizer.transform([texts[gene] for gene in block]) @ columns).toarray().round(DECIMALS)
        for gene, row in zip(block, similarity, strict=True):
            order = np.argsort(-row, kind="stable")  # stable: equal similarities keep the order of names
            similar[gene] = names[order[order != number.get(gene, -1)][:k]].tolist()
    return similar


def quote(symbol: str, text: str, words: int) -> str:
    """Return a gene's symbol and the first words of its text, without repeating the symbol.

    Args:
        symbol: The gene's symbol.
        text: Its text without the question.
        words: Maximum number of words of the text.

    Example:
        >>> quote("COMT", "COMT: catechol-O-methyltransferase. protein coding gene.", 2)
        'COMT: catechol-O-methyltransferase. protein'
    """
    rest = text.removeprefix(symbol)
    if rest != text and (not rest or rest[0] in _PUNCTUATION):
        text = rest
    text = " ".join(text.strip(_PUNCTUATION).split()[:words]).rstrip(_PUNCTUATION)
    return f"{symbol}: {text}" if text else symbol


def _terciles(means: pd.Series, genes: Iterable[str]) -> Iterator[np.ndarray]:
    """Yield the two terciles of the training genes for each gene; its own expression is left out, should it be one of them."""
    values = means.to_numpy()
    number = {gene: row for row, gene in enumerate(means.index)}
    shares = (1 / 3, 2 / 3)
    common = np.quantile(values, shares)
    for gene in genes:
        yield np.quantile(np.delete(values, number[gene]), shares) if gene in number and len(values) > 1 else common


def _level(mean: float, terciles: np.ndarray) -> str:
    return "high" if mean > terciles[1] else "medium" if mean > terciles[0] else "low"


def _one_decimal(value: float) -> str:
    return f"{round(value, 1) + 0.0:.1f}"  # + 0.0: no negative zero
