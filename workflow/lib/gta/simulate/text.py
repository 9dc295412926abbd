"""Annotation text that carries some information: its class moves the level of a gene."""

from dataclasses import dataclass

import numpy as np

from gta.simulate.vocabulary import CLASSES, REMARKS, TextClass

#: Share of the genes whose text is that of another class.
WRONG_TEXT_SHARE = 0.15
#: Length of a description, words.
FEWEST_WORDS, MOST_WORDS = 15, 40
#: The largest numbers of terms in the columns go_bp and go_mf.
_MOST_PROCESSES, _MOST_FUNCTIONS = 3, 2

_FRAMES = (
    "This gene encodes {kind} that {action} {context}.",
    "The encoded protein is {kind} found in {place}, where it {action}.",
    "The product of this gene, {kind}, {action} {context} and acts together with {partner}.",
    "This gene specifies {kind}; the protein {action} and is located in {place}.",
)
_FOLLOW_UPS = (
    "It interacts with {partner} in {place}.",
    "It also {action} {context}.",
    "Loss of the gene disturbs {process}.",
    "It contributes to {process} together with {partner}.",
)


@dataclass(frozen=True)
class GeneText:
    """The text of one gene, and the class that counts for its expression (not always the class of the text)."""

    text_class: TextClass
    description: str
    go_bp: str
    go_mf: str


def _pick(phrases: tuple[str, ...], rng: np.random.Generator) -> str:
    return phrases[int(rng.integers(len(phrases)))]


def _terms(phrases: tuple[str, ...], most: int, rng: np.random.Generator) -> str:
    """One to `most` different terms, separated by `; ` as in annotation tables."""
    chosen = rng.permutation(len(phrases))[: int(rng.integers(1, most + 1))]
    return "; ".join(phrases[i] for i in chosen)


def _sentence(frame: str, words: TextClass, rng: np.random.Generator) -> str:
    return frame.format(
        kind=_pick(words.kinds, rng),
        action=_pick(words.actions, rng),
        place=_pick(words.places, rng),
        context=_pick(words.contexts, rng),
        partner=_pick(words.partners, rng),
        process=_pick(words.processes, rng),
    )


def _description(words: TextClass, rng: np.random.Generator) -> str:
    """One to three sentences, 15 to 40 words: the second and third ones are left out where they would be too many."""
    text = _sentence(_pick(_FRAMES, rng), words, rng)
    follow_up = _sentence(_pick(_FOLLOW_UPS, rng), words, rng)
    remark = _pick(REMARKS, rng)
    for addition, wanted in ((follow_up, rng.random() < 0.7), (remark, rng.random() < 0.5)):
        longer = f"{text} {addition}"
        if len(text.split()) < FEWEST_WORDS or (wanted and len(longer.split()) <= MOST_WORDS):
            text = longer
    return text


def _balanced_classes(n: int, rng: np.random.Generator) -> list[TextClass]:
    """n classes in random order, each as often as the others (by one more, where it must be)."""
    return [CLASSES[int(i) % len(CLASSES)] for i in rng.permutation(n)]


def write_texts(genes: int, annotated_genes: int, rng: np.random.Generator) -> list[GeneText]:
    """Texts of all annotated genes; the first `genes` ones are those with expression.

    Classes are balanced among the genes with expression and among the others. 15 % of all genes get the text of another class.
    """
    classes = _balanced_classes(genes, rng) + _balanced_classes(annotated_genes - genes, rng)
    texts = []
    for own in classes:
        words = own
        if rng.random() < WRONG_TEXT_SHARE:
            words = _others(own)[int(rng.integers(len(CLASSES) - 1))]
        processes = _terms(words.processes, _MOST_PROCESSES, rng)
        functions = _terms(words.functions, _MOST_FUNCTIONS, rng)
        texts.append(GeneText(own, _description(words, rng), processes, functions))
    return texts


def _others(own: TextClass) -> list[TextClass]:
    return [text_class for text_class in CLASSES if text_class is not own]
