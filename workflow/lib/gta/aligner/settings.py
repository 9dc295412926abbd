"""Settings of the aligner."""

from dataclasses import dataclass

from gta.settings import setting


@dataclass(frozen=True)
class AlignerSettings:
    """The aligner and its training. A model of the configuration's `models` may override each of these."""

    language_model: bool = setting(
        True, "false: the aligned tokens go straight to the head, without prompt and language model (an ablation)."
    )
    prompt: str = setting(
        "full",
        "full: each gene's own prompt; shuffled: the prompt of another gene (an ablation).",
        choices=("full", "shuffled"),
    )
    heads: int = setting(4, "Heads of the attention from features to text prototypes; must divide the model's width.", minimum=1)
    dropout: float = setting(0.1, "Dropout on the projected features during training.", minimum=0, maximum=0.9)
    additive: bool = setting(
        True,
        "false: without the additive part, which predicts from each tile by itself, past the language model (an ablation).",
    )
    tokens_learn_means: bool = setting(
        False,
        "true: the loss on the mean of genes trains the aligned tokens, and not their read-out alone. With hundreds of training "
        "genes they learn the genes by heart; with many thousands it may help.",
    )
    select: str = setting(
        "people",
        "Which validation loss chooses the best epoch and stops the training: people (differences between validation people on "
        "training genes), genes (mean of the validation genes), or both. With few validation genes only people is reliable.",
        choices=("people", "genes", "both"),
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
    pair_weight: float = setting(
        1.0,
        "Weight of the loss on differences between people, beside 1 for the loss on the mean of each gene.",
        minimum=0,
    )
