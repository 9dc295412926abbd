"""Settings of the aligner."""

from dataclasses import dataclass, replace

from gta.compressor.settings import ENCODER_NAME, UNTRAINED
from gta.errors import UserError
from gta.settings import setting


@dataclass(frozen=True)
class AlignerSettings:
    """The aligner and its training. A model of the configuration's `models` may override each of these."""

    language_model: str = setting(
        "pretrained",
        "What reads prompt and aligned tokens: pretrained (the model of the section `language`), minilm (an encoder) or smollm2"
        " (see docs/language.md); or as an ablation random (the architecture of the first with random weights, its own prompts"
        " and prototypes), attention (one trained layer of attention in its place) or none (aligned tokens go straight to the"
        " head).",
        choices=("pretrained", "minilm", "smollm2", "random", "attention", "none"),
    )
    prompt: str = setting(
        "full",
        "full: each gene's own prompt; or as an ablation shuffled (that of another gene), symbol (the gene's symbol alone), blank"
        " (the template with every field of the gene empty) or none (nothing but the token that begins a text).",
        choices=("full", "shuffled", "symbol", "blank", "none"),
    )
    compressor: str = setting(
        "none",
        "What shortens each prompt to memory tokens: none; truncate or mean_pool (without training); or an encoder of the section"
        " `compressor` such as aoc, which is first trained to regenerate prompts.",
    )
    memory_tokens: int = setting(4, "Only with a compressor: memory tokens of each prompt.", minimum=1)
    tune_compressor: bool = setting(
        False,
        "true: the compressor of prompts is trained further, together with the aligner; with as many weights as the attention of "
        "the language model has, few genes are soon known by heart.",
    )
    context: str = setting(
        "none",
        "What shortens distal sequence: none; or an encoder such as aoc, which reads the aligned tokens away from the TSS piece "
        "by piece, hands memory tokens to the language model, and is trained with the aligner.",
    )
    context_near: int = setting(
        32, "Only with `context`: aligned tokens around the TSS, an even number, that the language model reads itself.", minimum=2
    )
    context_chunk: int = setting(32, "Only with `context`: aligned tokens of a piece.", minimum=2)
    context_memory_tokens: int = setting(2, "Only with `context`: memory tokens of a piece.", minimum=1)
    random_features: bool = setting(
        False,
        "true: every distinct tile has random numbers in place of its features (an ablation: which tile it is can be learnt, "
        "what it is like cannot).",
    )
    alignment: str = setting(
        "kmeans",
        "What features are aligned with: kmeans (centres of the vocabulary's embeddings), linear (as many vectors, a trained map "
        "over the whole vocabulary as in Time-LLM; memory grows with the vocabulary) or none (an ablation: a linear map of the "
        "features).",
        choices=("kmeans", "linear", "none"),
    )
    aligned_tokens: int | None = setting(
        None,
        "The most tokens that the language model reads of a window: tiles are pooled, one each next to the TSS and ever more "
        "away from it. Empty: a token for every tile. 0: none, only without genotypes: mean expression is then read from features"
        " and prompt alone, which spares most of the time (differences between individuals are read at aligned tokens).",
        minimum=0,
    )
    heads: int = setting(4, "Heads of the attention from features to text prototypes; must divide the model's width.", minimum=1)
    dropout: float = setting(0.1, "Dropout on the projected features during training.", minimum=0, maximum=0.9)
    additive: bool = setting(
        True,
        "false: without the linear branch, which predicts from each tile by itself, past the language model (an ablation).",
    )
    modulation: int = setting(
        8,
        "Leading components of the hidden states of the prompt that may change the weights of the linear branch, so that a"
        " feature may act otherwise in another kind of gene; cross-validation over training genes decides whether. 0: none.",
        minimum=0,
    )
    prompt_tokens: bool = setting(
        False,
        "true: mean expression is also read from which tokens the prompt has (their tf-idf), past the language model: of"
        " thousands of genes that tells what few tokens of a name or a summary say. false: from the language model alone.",
    )
    tile_features: bool = setting(
        False,
        "true: mean expression is also read from the features of each tile by itself, and not from their sums over the window"
        " alone: of thousands of genes that tells where a feature lies.",
    )
    kernel: str = setting(
        "linear",
        "How mean expression depends on the features of tiles (with `tile_features`) and on the hidden states of the prompt:"
        " linear; or gaussian, by how alike genes are to training genes, which pays with thousands of genes.",
        choices=("linear", "gaussian"),
    )
    landmarks: int = setting(
        2048,
        "Only with `kernel: gaussian`: training genes that others are compared with; more are finer, and cost time and memory.",
        minimum=8,
    )
    tokens_learn_means: bool = setting(
        False,
        "How mean expression is read. false: by a ridge regression in closed form on hidden states of prompt and aligned tokens"
        " and on the linear branch, none of which learns from the mean expression of genes. true: that is where training starts"
        " from; the loss on mean expression then trains read-out and aligned tokens, which overfits quickly when genes are few.",
    )
    select: str = setting(
        "people",
        "What chooses the best epoch and stops the training. A validation loss: people (differences between validation people on "
        "training genes), genes (mean of the validation genes) or both; or the validation Spearman correlation: spearman_people "
        "or spearman_genes. With few validation genes only people and spearman_people are reliable. Without genotypes: genes or "
        "spearman_genes; left out: genes.",
        choices=("people", "genes", "both", "spearman_people", "spearman_genes"),
    )
    epochs: int = setting(12, "Passes over the training genes at the most.", minimum=1)
    people_per_epoch: int = setting(
        128,
        "In each epoch every training gene is read with so many training people, drawn anew; all of them if they are fewer.",
        minimum=2,
    )
    patience: int = setting(4, "Stop after so many epochs without a better validation loss.", minimum=1)
    genes_per_batch: int = setting(8, "Genes in a batch.", minimum=1)
    people_per_gene: int = setting(8, "People of each gene in a batch, all pairs of whom are compared.", minimum=2)
    learning_rate: float = setting(
        2e-3, "Peak learning rate of AdamW; warm-up over a tenth of the steps, then a cosine.", minimum=0
    )
    weight_decay: float = setting(0.01, "Weight decay of AdamW.", minimum=0)
    max_gradient_norm: float = setting(1.0, "Gradients of a greater norm are scaled down to it.", minimum=1e-6)
    accumulation: int = setting(
        1, "Parts in which a batch is read, one after the other: the same result with less memory.", minimum=1
    )
    processes: int = setting(
        1,
        "Processes of one machine that share each batch, one GPU or CPU core each; but for dropout they learn as one does.",
        minimum=1,
    )
    device: str = setting("auto", "auto: a GPU if there is one; cpu; or cuda.", choices=("auto", "cpu", "cuda"))
    precision: str = setting(
        "float32",
        "float32, or bfloat16 for matrix products and the language model: half the memory and faster on a GPU, but coarse beside "
        "the small differences between people.",
        choices=("float32", "bfloat16"),
    )
    checkpoint_minutes: float = setting(
        5.0, "The state of the training is kept this often, in minutes; a training that was killed loses no more.", minimum=0
    )
    tensorboard: bool = setting(False, "true: also write TensorBoard event files, into a folder beside the results.")
    people_loss: str = setting(
        "pairs",
        "How people are learnt: pairs (differences between two people) or single (each person's deviation from the gene's mean, "
        "which failed in every published attempt; for comparison).",
        choices=("pairs", "single"),
    )
    pair_weight: float = setting(
        1.0,
        "Weight of the loss on people, beside 1 for the loss on the mean of each gene.",
        minimum=0,
    )


#: What chooses the best epoch in a reference study, where individuals cannot, for each value of `select`.
BY_GENES = {"people": "genes", "both": "genes", "spearman_people": "spearman_genes"}


def for_reference_study(settings: AlignerSettings) -> AlignerSettings:
    """Return settings in which nothing is chosen by individuals, for a study without genotypes."""
    return replace(settings, select=BY_GENES.get(settings.select, settings.select))


def check(settings: AlignerSettings) -> None:
    """What is compressed is read by the language model that it is compressed for.

    Raises:
        UserError: naming the key.
    """
    if settings.aligned_tokens == 1:
        raise UserError("aligned_tokens: a window has a token on either side of the TSS: give 0, or 2 and more.")
    if settings.aligned_tokens == 0 and (settings.tokens_learn_means or settings.context != "none"):
        raise UserError(
            "aligned_tokens: 0 leaves no tokens that learn or are compressed: leave tokens_learn_means and context out."
        )
    if settings.kernel == "gaussian" and settings.tokens_learn_means:
        raise UserError("kernel: a gaussian kernel is solved in closed form: choose linear, or leave tokens_learn_means out.")
    if settings.compressor not in ("none", *UNTRAINED) and not ENCODER_NAME.fullmatch(settings.compressor):
        raise UserError(f"compressor: {settings.compressor!r} is neither none, truncate, mean_pool nor an encoder such as aoc.")
    if settings.compressor != "none" and (settings.language_model != "pretrained" or settings.prompt not in ("full", "shuffled")):
        raise UserError(
            "compressor: only full prompts (`prompt` full or shuffled) of the pretrained language model"
            " (`language_model: pretrained`) are compressed; change one of the three."
        )
    if settings.tune_compressor and (settings.compressor in ("none", *UNTRAINED) or _hands_over_embeddings(settings.compressor)):
        raise UserError(
            "tune_compressor: only a compressor of prompts that was trained, and hands over keys and values, is trained further;"
            " choose one such as `compressor: aoc`, or leave the key out."
        )
    if settings.context == "none":
        return
    if settings.context_near % 2:
        raise UserError(f"context_near: {settings.context_near} cannot be halved by the TSS; choose an even number.")
    if not ENCODER_NAME.fullmatch(settings.context) or _hands_over_embeddings(settings.context):
        raise UserError(
            f"context: {settings.context!r} is neither none nor an encoder that hands over keys and values, such as aoc."
        )
    if settings.language_model not in ("pretrained", "random"):
        raise UserError(
            f"context: memory is read by a causal language model, not by `language_model: {settings.language_model}`; choose"
            " pretrained or random, or leave the key out."
        )


def chosen_by_genes(settings: AlignerSettings) -> bool:
    """Return whether the mean expression of validation genes chooses the best epoch, so that its prediction is optimistic."""
    return settings.select in ("genes", "both", "spearman_genes")


def _hands_over_embeddings(encoder: str) -> bool:
    found = ENCODER_NAME.fullmatch(encoder)
    return found is not None and (found["encoder"] == "icae" or found["embeds"] is not None)
