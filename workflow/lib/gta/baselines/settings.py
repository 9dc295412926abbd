"""Settings of the baselines."""

from dataclasses import dataclass

from gta.errors import UserError
from gta.settings import setting

#: Baselines that read the gene's text, and predict mean expression only, in the order of tables and figures.
TEXT_BASELINES = ("features_and_prompt", "prompt_ridge", "tfidf_ridge", "text_length")

#: Ends the name of a late fusion: a stack of the trained model of that name and `prompt_ridge`.
AND_PROMPT = "_and_prompt"


@dataclass(frozen=True)
class ElasticNetSettings:
    """Elastic net on the genotypes around each gene (PrediXcan)."""

    min_maf: float = setting(
        0.05, "Smallest minor allele frequency, among the training people, of a variant to be used.", minimum=0, maximum=0.5
    )
    l1_ratio: float = setting(
        0.5, "Share of the penalty that is lasso rather than ridge; 0.5 as in PrediXcan.", minimum=0.01, maximum=1
    )
    folds: int = setting(5, "Folds of the nested cross-validation among training people; it chooses the penalty.", minimum=3)
    penalties: int = setting(
        30, "How many strengths of the penalty are tried, from the weakest to the first empty model.", minimum=2
    )


@dataclass(frozen=True)
class TopEqtlSettings:
    """The strongest single variant of each gene."""

    min_maf: float = setting(
        0.05, "Smallest minor allele frequency, among the training people, of a variant to be used.", minimum=0, maximum=0.5
    )


@dataclass(frozen=True)
class RidgeSettings:
    """Ridge regression on the same features that GTA reads."""

    promoter: int = setting(2000, "Tiles whose centre lies within this many bp of the TSS are pooled as promoter.", minimum=1)
    proximal: int = setting(
        10000,
        "Tiles beyond the promoter but within this many bp of the TSS are pooled as proximal, the rest as distal.",
        minimum=1,
    )


def check(settings: RidgeSettings) -> None:
    """See that the zones around the TSS follow each other.

    Raises:
        UserError: if the promoter reaches further than the proximal zone.
    """
    if settings.promoter > settings.proximal:
        raise UserError(f"promoter: {settings.promoter} is more than proximal ({settings.proximal}); lower it.")
