"""A number with its intervals and its null, as a row of `summary.tsv`."""

from dataclasses import dataclass

import numpy as np

from gta.evaluation.correlation import Floats
from gta.evaluation.resampling import interval, one_sided_p
from gta.evaluation.settings import EvaluationSettings

#: Metrics of which a smaller value is the better one: their null_high is the lower quantile.
LESS_IS_BETTER = ("share_negative",)


@dataclass(frozen=True)
class Estimate:
    """A metric of a model: its value, its bootstrap draws, its values on permuted data.

    Attributes:
        value: The metric, meaned over seeds.
        over_genes: (bootstraps,), the same of each resample of the genes.
        over_people: (bootstraps,), the same of each resample of the people.
        null: (permutations,), the same of each permutation.
        n_constant: How many of the correlations behind it were undefined and count as 0; the largest number over the seeds.
    """

    value: float
    over_genes: Floats
    over_people: Floats
    null: Floats
    n_constant: int

    def row(self, metric: str, settings: EvaluationSettings) -> dict[str, float | int]:
        """The columns of the summary from `n_constant` on."""
        less = metric.endswith(LESS_IS_BETTER)
        low, high = interval(self.over_genes, settings.confidence)
        people_low, people_high = interval(self.over_people, settings.confidence)
        quantile = 1.0 - settings.confidence if less else settings.confidence
        return {
            "n_constant": self.n_constant,
            "value": self.value,
            "ci_low": low,
            "ci_high": high,
            "people_ci_low": people_low,
            "people_ci_high": people_high,
            "null_mean": float(self.null.mean()),
            "null_high": float(np.quantile(self.null, quantile)),
            "p_value": one_sided_p(self.value, self.null, less),
        }


def over_seeds(estimates: list[dict[str, Estimate]]) -> dict[str, Estimate]:
    """The estimates of several seeds as one: averaged, draw by draw; of the numbers of undefined correlations, the largest."""
    merged = {}
    for metric in estimates[0]:
        parts = [estimate[metric] for estimate in estimates]
        merged[metric] = Estimate(
            float(np.mean([part.value for part in parts])),
            np.mean([part.over_genes for part in parts], axis=0),
            np.mean([part.over_people for part in parts], axis=0),
            np.mean([part.null for part in parts], axis=0),
            max(part.n_constant for part in parts),
        )
    return merged
