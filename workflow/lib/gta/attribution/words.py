"""Prototype attention: which words the tiles of a window align with."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from transformers import AutoTokenizer, PreTrainedModel

from gta.aligner.predict import Trained
from gta.attribution.tiles import haplotypes_of, reference_order
from gta.language.models import word_embeddings

#: Columns of the table of words.
WORDS = ("gene", "seed", "start", "end", "rank", "prototype", "attention", "tokens")


def nearest_tokens(prototypes: torch.Tensor, model: PreTrainedModel, folder: Path, number: int) -> list[str]:
    """The vocabulary tokens nearest to each prototype, by the cosine of the angle to their embeddings.

    Args:
        prototypes: (K, D) text prototypes.
        model: The language model.
        folder: Its folder, with the tokenizer.
        number: Tokens to name.

    Returns:
        For each prototype its tokens, nearest first, separated by a space; white space within a token is shown as `_`.
    """
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    words = functional.normalize(word_embeddings(model).float(), dim=1)
    nearest = (functional.normalize(prototypes.float(), dim=1) @ words.T).topk(min(number, len(words)), dim=1).indices
    return [" ".join(_shown(str(tokenizer.decode([token]))) for token in tokens) for tokens in nearest.tolist()]


def _shown(token: str) -> str:
    shown = "".join("_" if letter.isspace() else letter for letter in token if letter.isspace() or letter.isprintable())
    return shown or "?"


@torch.no_grad()
def prototype_attention(trained: Trained, gene: int, over: str, limit: int) -> np.ndarray:
    """How much each tile of a window attends to each text prototype.

    Args:
        trained: The trained aligner.
        gene: Number of the gene.
        over: `reference` or `personal`: the haplotypes to average over.
        limit: Haplotypes at the most.

    Returns:
        (T, K) float64, tiles in the gene's direction, mean over heads and haplotypes; each row sums to 1. Tiles that are pooled
        have the row of their token.
    """
    numbers, weights = haplotypes_of(trained.data, gene, over, limit)
    attention = trained.aligner.attention
    asked: list[tuple[torch.Tensor, ...]] = []
    hook = attention.register_forward_pre_hook(lambda _, inputs: asked.append(inputs))
    try:
        trained.aligner.align(trained.data.batch([(gene, numbers)]))
    finally:
        hook.remove()
    ((queries, keys, values),) = asked
    _, shares = attention(queries, keys, values, need_weights=True)
    # The tokens of all haplotypes ask in one sequence: (1, haplotypes * N, K).
    averaged = np.tensordot(weights, shares.double().numpy().reshape(len(weights), -1, shares.shape[2]), axes=1)
    edges = trained.aligner.config.token_edges
    return np.repeat(averaged, np.diff(edges), axis=0) if edges else averaged


def table_of_words(
    trained: list[Trained], gene: int, tiles: pd.DataFrame, tokens: list[list[str]], over: str, limit: int, top: int
) -> pd.DataFrame:
    """The prototypes that each tile of a gene's window attends to most.

    Args:
        trained: The trained aligner of each seed.
        gene: Number of the gene.
        tiles: The gene's rows of the table of tiles, in reference order.
        tokens: The nearest tokens of each prototype, for each seed.
        over: The haplotypes to average over.
        limit: Haplotypes at the most.
        top: Prototypes per tile.

    Returns:
        `gene seed start end rank prototype attention tokens`: by seed, because each training chooses words of its own.
        Attention is a share; without any preference it would be 1 / K. No rows if the aligner has no prototypes, or no tokens.
    """
    config = trained[0].aligner.config
    if config.alignment == "none" or not config.with_tokens:
        return pd.DataFrame(columns=WORDS)
    parts = []
    for seed, (one, words) in enumerate(zip(trained, tokens, strict=True), start=1):
        shares = prototype_attention(one, gene, over, limit)[reference_order(tiles["distance"].to_numpy())]
        best = np.argsort(-shares, axis=1, kind="stable")[:, :top]
        places = np.repeat(np.arange(len(shares)), best.shape[1])
        parts.append(
            pd.DataFrame(
                {
                    "gene": one.data.genes[gene],
                    "seed": seed,
                    "start": tiles["start"].to_numpy()[places],
                    "end": tiles["end"].to_numpy()[places],
                    "rank": np.tile(np.arange(1, best.shape[1] + 1), len(shares)),
                    "prototype": best.ravel(),
                    "attention": shares[places, best.ravel()],
                    "tokens": [words[prototype] for prototype in best.ravel().tolist()],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
