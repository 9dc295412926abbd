"""Text prototypes: a few vectors that stand for the language model's vocabulary."""

from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from gta.errors import UserError
from gta.language.models import fingerprint, word_embeddings
from gta.tensors import load_arrays, save_arrays


@dataclass(frozen=True)
class Prototypes:
    """Text prototypes of a language model.

    Attributes:
        vectors: (K, D) float32.
        model: Fingerprint of the language model.
    """

    vectors: torch.Tensor
    model: str


def kmeans_prototypes(model: PreTrainedModel, number: int, seed: int) -> Prototypes:
    """K-means centres of the model's word embeddings.

    Args:
        model: The language model; its input embeddings are (V, D).
        number: Prototypes wanted, K.
        seed: Seed of the k-means++ start.

    Returns:
        K prototypes. Time-LLM (arXiv:2310.01728) learns a linear map over the vocabulary instead; centres need no training and
        lie where words lie.

    Raises:
        UserError: if there are more prototypes than words.
    """
    # Imported where it is needed: every training reads prototypes, one job makes them.
    from sklearn.cluster import KMeans

    words = word_embeddings(model).numpy()
    if number > len(words):
        raise UserError(f"language.prototypes: {number} is more than the {len(words)} words of the vocabulary; ask for fewer.")
    centres = KMeans(n_clusters=number, n_init=1, random_state=seed).fit(words).cluster_centers_
    return Prototypes(torch.from_numpy(centres).float(), fingerprint(model))


def save_prototypes(prototypes: Prototypes, path: Path) -> None:
    """Write prototypes."""
    save_arrays(path, {"prototypes": prototypes.vectors.numpy()}, {"model": prototypes.model})


def load_prototypes(path: Path) -> Prototypes:
    """Read prototypes.

    Raises:
        UserError: if the file is absent, truncated or holds something else.
    """
    arrays, about = load_arrays(path, "file of prototypes", ("prototypes",))
    return Prototypes(torch.from_numpy(arrays["prototypes"]), about["model"])
