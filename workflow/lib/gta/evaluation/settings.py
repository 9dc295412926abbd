"""Settings of the evaluation stage."""

from dataclasses import dataclass

from gta.settings import setting


@dataclass(frozen=True)
class EvaluationSettings:
    """How predictions are compared with expression: resampling, level of the intervals, smallest samples."""

    bootstraps: int = setting(
        1000,
        "Number of bootstrap resamples, of the genes and of the people, behind every interval; 200 are enough for a look.",
        minimum=20,
        maximum=1_000_000,
    )
    permutations: int = setting(
        1000,
        "Number of permutations behind every null; the smallest p-value that can be seen is 1 / (permutations + 1).",
        minimum=20,
        maximum=1_000_000,
    )
    confidence: float = setting(
        0.95,
        "Level of the bootstrap intervals, and the one-sided quantile of the null that is reported as null_high.",
        minimum=0.5,
        maximum=0.999,
    )
    min_people: int = setting(
        5,
        "Fewest held-out (test) people for a correlation across people; with fewer the evaluation stops with an error.",
        minimum=3,
    )
    min_genes: int = setting(
        5,
        "Fewest genes for a summary over genes; a regime in which a model has fewer is listed without values.",
        minimum=3,
    )
