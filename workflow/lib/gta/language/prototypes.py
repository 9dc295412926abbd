"""Text prototypes: a few vectors that stand for the language model's vocabulary."""

from pathlib import Path

import torch
from sklearn.cluster import KMeans
from transformers import PreTrainedModel

from gta.errors import UserError
from gta.language.models import word_embeddings
from gta.tensors import load_arrays, save_arrays


def kmeans_prototypes(model: PreTrainedModel, number: int, seed: int) -> torch.Tensor:
    """K-means centres of the model's word embeddings.

    Args:
        model: The language model; its input embeddings are (V, D).
        number: Prototypes wanted, K.
        seed: Seed of the k-means++ start.

    Returns:
        (K, D) float32. Time-LLM (arXiv:2310.01728) learns a linear map over the vocabulary instead; centres need no training
        and lie where words lie.

    Raises:
        UserError: if there are more prototypes than words.
    """
    words = word_embeddings(model).numpy()
    if number > len(words):
        raise UserError(f"language.prototypes: {number} is more than the {len(words)} words of the vocabulary; ask for fewer.")
    centres = KMeans(n_clusters=number, n_init=1, random_state=seed).fit(words).cluster_centers_
    return torch.from_numpy(centres).float()


def save_prototypes(prototypes: torch.Tensor, model: str, path: Path) -> None:
    """Write prototypes (K, D), with the fingerprint of their language model."""
    save_arrays(path, {"prototypes": prototypes.numpy()}, {"model": model})


def load_prototypes(path: Path) -> torch.Tensor:
    """Read prototypes, (K, D) float32.

    Raises:
        UserError: if the file is absent, truncated or holds something else.
    """
    arrays, _ = load_arrays(path, "file of prototypes")
    return torch.from_numpy(arrays["prototypes"])
