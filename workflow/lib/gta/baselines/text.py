"""Baselines that read a gene's text and nothing else: they predict mean expression, one number per gene."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gta.baselines.folded_ridge import CrossValidated, cross_validated_ridge, require_enough_genes
from gta.cohort.folds import contiguous_folds
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.inputs.tables import read_table
from gta.tensors import ArrayFile

#: Poolings of the hidden states over a prompt's tokens, in the order of `gta.language.cache.PromptCache.states`.
POOLINGS = ("mean", "last")

#: Columns of the annotation that every gene has, whatever is known of it.
_NAMES = ("gene", "symbol", "biotype")


def read_prompts(path: Path, genes: Sequence[str]) -> list[str]:
    """Read the prompt of each gene from `prompts.tsv`, uncut.

    Raises:
        UserError: if the table is broken or lacks a gene.
    """
    table = read_table(path, ("gene", "prompt"))
    texts = dict(zip(table["gene"], table["prompt"], strict=True))
    return [texts[gene] for gene in _require_genes(genes, texts, path)]


class PromptStates:
    """Pooled hidden states of prompts in a file that is mapped into memory: what is not asked for is not read.

    Attributes:
        shape: (genes, layers + 1, 2, D).
    """

    def __init__(self, states: ArrayFile, rows: np.ndarray):
        """Take the states of the genes with these (genes,) rows of the file."""
        self._file, self._rows = states, rows
        self.shape = (len(rows), *states.shape("states")[1:])

    def layer(self, layer: int) -> np.ndarray:
        """The states of one layer, (genes, 2, D) float32; the second axis as `POOLINGS`."""
        return self._file.columns("states", layer)[self._rows].astype(np.float32)


def read_states(path: Path, genes: Sequence[str]) -> PromptStates:
    """Read the pooled hidden states of each gene's prompt from a prompt cache.

    Args:
        path: `prompt_cache.safetensors`.
        genes: Names of the genes.

    Returns:
        The states; layer 0 is the token embeddings.

    Raises:
        UserError: if the file is no prompt cache, or lacks a gene.
    """
    file = ArrayFile(path, "prompt cache", ("rows", "states"))
    rows = dict(zip(file.about["genes"], file.whole("rows").tolist(), strict=True))
    return PromptStates(file, np.array([rows[gene] for gene in _require_genes(genes, rows, path)]))


def _require_genes(genes: Sequence[str], present: Collection[str], path: Path) -> Sequence[str]:
    absent = [gene for gene in genes if gene not in present]
    if absent:
        raise UserError(f"{path} has no prompt of the gene {absent[0]}: make the prompts of this cohort again.")
    return genes


def training_levels(cohort: Cohort) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return the numbers of the training genes, their mean expression over the training individuals, and their folds."""
    training = cohort.gene_numbers("train")
    require_enough_genes(len(training))
    levels = cohort.expression[training][:, cohort.people_numbers("train")].mean(axis=1)
    return training, levels, contiguous_folds(cohort.genes, training)


def tfidf_ridge(texts: Sequence[str], cohort: Cohort) -> CrossValidated:
    """Predict mean expression from the words of the prompts, without a language model.

    Words and pairs of adjacent words, weighted by TF-IDF with sublinear counts; vocabulary and document frequencies are those of
    the training genes. Up to `COMPONENTS` training genes the ridge regression is exact; of more genes it reads the leading
    components of a truncated singular value decomposition, which keeps the matrix sparse: a dense one of 20,000 genes would need
    30 GB.

    Args:
        texts: Prompt of each gene of the cohort.
        cohort: The cohort.

    Returns:
        Predictions of all genes.

    Raises:
        UserError: if no prompt of a training gene has a word, or there are too few training genes.
    """
    training, levels, folds = training_levels(cohort)
    vectorizer = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2))
    try:
        vectorizer.fit([texts[number] for number in training])
    except ValueError as error:
        raise UserError(f"The prompts of the training genes have no words ({error}): check language.template.") from None
    features = vectorizer.transform(texts)
    return cross_validated_ridge([({}, features)], levels, training, folds)


def prompt_ridge(states: PromptStates | np.ndarray, cohort: Cohort) -> CrossValidated:
    """Predict mean expression from the language model's hidden states of the prompt.

    Args:
        states: (genes, layers + 1, 2, D) of all genes of the cohort, read layer by layer where they are in a file.
        cohort: The cohort.

    Returns:
        Predictions of all genes; the candidates are the layers and poolings.

    Raises:
        UserError: if there are too few training genes.
    """
    training, levels, folds = training_levels(cohort)

    def candidates() -> Iterator[tuple[dict[str, object], np.ndarray]]:
        for layer in range(states.shape[1]):
            pooled = states.layer(layer) if isinstance(states, PromptStates) else states[:, layer]
            for number, pooling in enumerate(POOLINGS):
                features = pooled[:, number].astype(np.float64)
                yield {"layer": layer, "pooling": pooling}, StandardScaler().fit(features[training]).transform(features)

    return cross_validated_ridge(candidates(), levels, training, folds)


def text_length(texts: Sequence[str], annotation: pd.DataFrame, cohort: Cohort) -> np.ndarray:
    """Predict mean expression from how much is known of a gene, whatever it is.

    Args:
        texts: Prompt of each gene of the cohort.
        annotation: Annotation table; a gene that is not in it counts as one of which nothing is known.
        cohort: The cohort.

    Returns:
        (genes,) predictions, natural log: linear regression on `length_features`.

    Raises:
        UserError: if there are too few training genes.
    """
    training, levels, _ = training_levels(cohort)
    features = length_features(texts, annotation, cohort.gene_names)
    model = make_pipeline(StandardScaler(), LinearRegression()).fit(features[training], levels)
    return np.asarray(model.predict(features))


def length_features(texts: Sequence[str], annotation: pd.DataFrame, genes: Sequence[str]) -> np.ndarray:
    """Count what is known of each gene.

    Returns:
        (genes, 3) float64: log1p of the words of the prompt; terms in the columns `go_*`, which are separated by `;`; columns of
        the annotation with anything in them, names and biotype left out.
    """
    table = annotation.drop_duplicates("gene").set_index("gene").reindex(list(genes)).fillna("")
    terms = np.zeros(len(genes))
    for name in table.columns[table.columns.str.startswith("go_")]:
        terms += [sum(bool(term.strip()) for term in cell.split(";")) for cell in table[name]]
    columns = (table.drop(columns=[name for name in _NAMES if name in table]) != "").sum(axis=1)
    return np.column_stack([np.log1p([len(text.split()) for text in texts]), terms, columns.to_numpy()]).astype(np.float64)
