"""How well texts were regenerated: each text and each metric, with the controls that show whether memory was used."""

import pandas as pd
import sacrebleu
import torch
from rouge_score.rouge_scorer import RougeScorer
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from gta.compressor.encoder import AttentionOnlyCompressor
from gta.compressor.memory import Compress
from gta.compressor.regeneration import begin_embedding, regenerate
from gta.compressor.train import compress_texts, losses_of_texts


def text_metrics(written: str, wanted: str) -> dict[str, float]:
    """Metrics of one regenerated text, all 0..1.

    ROUGE: F-measure of unigrams, bigrams and the longest common subsequence (rouge-score, no stemming). BLEU: sacrebleu, of the
    sentence. `word_f1`: F-measure of words split at white space, as in question answering. `exact`: 1 if the texts are equal.
    `prefix_match`: length of the common beginning in characters, divided by the length of the wanted text; the AOC paper calls
    this exact match.
    """
    rouge = RougeScorer(["rouge1", "rouge2", "rougeL"]).score(wanted, written)
    common = 0
    for left, right in zip(written, wanted, strict=False):
        if left != right:
            break
        common += 1
    return {name: float(score.fmeasure) for name, score in rouge.items()} | {
        "bleu": sacrebleu.sentence_bleu(written, [wanted]).score / 100,
        "word_f1": word_f1(written.split(), wanted.split()),
        "exact": float(written == wanted),
        "prefix_match": common / len(wanted) if wanted else float(not written),
    }


def word_f1(written: list[str], wanted: list[str]) -> float:
    """F-measure of two lists of words as multisets; 1 if both are empty."""
    if not written or not wanted:
        return float(written == wanted)
    shared = sum(min(written.count(word), wanted.count(word)) for word in set(written))
    return 2 * shared / (len(written) + len(wanted))


@torch.no_grad()
def score_texts(
    language_model: PreTrainedModel,
    compress: Compress,
    begin: torch.Tensor,
    texts: list[list[int]],
    tokenizer: PreTrainedTokenizerBase,
    batch: int,
) -> pd.DataFrame:
    """Regenerate texts and score each.

    Args:
        language_model: The frozen language model.
        compress: A trained compressor, or a baseline.
        begin: (D,) embedding that asks for the text.
        texts: Token ids without special tokens.
        tokenizer: Makes words of them.
        batch: Texts at once.

    Returns:
        One row per text: `tokens`, `loss` (nats per token), `accuracy`, the loss under two controls, `loss_other_memory` (the
        memory of another text) and `loss_no_memory`, TEXT_METRICS, and `wanted`, `written`.
    """
    rows = []
    for at in range(0, len(texts), batch):
        part = texts[at : at + batch]
        memory = compress_texts(language_model, compress, part)
        total, right, number = losses_of_texts(language_model, memory, begin, part)
        other, _, _ = losses_of_texts(language_model, memory.rolled(), begin, part)
        without, _, _ = losses_of_texts(language_model, None, begin, part)
        limit = max(map(len, part)) + 8
        written = tokenizer.batch_decode(regenerate(language_model, memory, begin, len(part), limit), skip_special_tokens=True)
        wanted = tokenizer.batch_decode(part, skip_special_tokens=True)
        for i, tokens in enumerate(part):
            n = float(number[i])
            rows.append(
                {
                    "tokens": len(tokens),
                    "loss": float(total[i]) / n,
                    "accuracy": float(right[i]) / n,
                    # A batch of one has no other text.
                    "loss_other_memory": float(other[i]) / n if len(part) > 1 else float("nan"),
                    "loss_no_memory": float(without[i]) / n,
                    **text_metrics(written[i], wanted[i]),
                    "wanted": wanted[i],
                    "written": written[i],
                }
            )
    return pd.DataFrame(rows)


@torch.no_grad()
def interpolate(
    language_model: PreTrainedModel,
    compressor: AttentionOnlyCompressor,
    first: list[int],
    second: list[int],
    tokenizer: PreTrainedTokenizerBase,
    points: int = 5,
) -> pd.DataFrame:
    """What the language model writes along the straight line between the memories of two texts.

    Returns:
        `share written`: share of the second text's memory, 0..1.
    """
    begin = begin_embedding(language_model, compressor)
    memory = compress_texts(language_model, compressor, [first, second])
    shares = [point / (points - 1) for point in range(points)]
    limit = max(len(first), len(second)) + 8
    lines = [regenerate(language_model, memory.towards(memory.rolled(), share), begin, 2, limit)[0] for share in shares]
    return pd.DataFrame({"share": shares, "written": tokenizer.batch_decode(lines, skip_special_tokens=True)})
