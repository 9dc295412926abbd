"""A number with its interval and its null, as a row of `summary.tsv`."""

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
        draws: (bootstraps,), the same of each resample of the genes.
        null: (permutations,), the same of each permutation.
        n_constant: How many of the correlations behind it were undefined and count as 0; the largest number over the seeds.
    """

    value: float
    draws: Floats
    null: Floats
    n_constant: int

    def row(self, metric: str, settings: EvaluationSettings) -> dict[str, float | int]:
        """The columns `n_constant value ci_low ci_high null_mean null_high p_value` of the summary."""
        less = metric.endswith(LESS_IS_BETTER)
        low, high = interval(self.draws, settings.confidence)
        quantile = 1.0 - settings.confidence if less else settings.confidence
        return {
            "n_constant": self.n_constant,
            "value": self.value,
            "ci_low": low,
            "ci_high": high,
            "null_mean": float(self.null.mean()),
            "null_high": float(np.quantile(self.null, quantile)),
            "p_value": one_sided_p(self.value, self.null, less),
        }
