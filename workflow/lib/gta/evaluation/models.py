"""What is compared with expression: one model's predictions of all its seeds, and the sets of genes of each regime."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gta.evaluation.correlation import Floats
from gta.evaluation.tables import PREDICTION_DECIMALS, Prediction

ACROSS_GENES = "across_genes"
SEEN_GENES = "seen_genes_unseen_people"
UNSEEN_GENES = "unseen_genes_unseen_people"

#: The regimes and the split of the genes that each looks at; people are always those of the split `test`.
REGIMES = {ACROSS_GENES: "test", SEEN_GENES: "train", UNSEEN_GENES: "test"}

#: As `ACROSS_GENES`, without genes that have a homologue in training where they are held out; in studies with folds alone.
WITHOUT_HOMOLOGUES = "across_genes_without_homologues"

#: The regimes in which people are ordered, gene by gene.
ACROSS_PEOPLE = (SEEN_GENES, UNSEEN_GENES)

#: The one number per regime that stands in the headline and in the titles of figures.
HEADLINE_METRICS = {ACROSS_GENES: "spearman", SEEN_GENES: "mean_spearman", UNSEEN_GENES: "mean_spearman"}

#: Put before the name of a metric, it means: of one prediction, the mean over the seeds' predictions.
ENSEMBLE = "ensemble_"


@dataclass(frozen=True)
class Model:
    """A model's predictions for the held-out people.

    Attributes:
        name: Name of the model.
        seeds: Its seeds as text (one empty text for a model without).
        predicted: (seeds, genes of the cohort, test people), float64; NaN for the genes it says nothing of.
        mean_only: Whether it predicts mean expression only, so that it has no part in the regimes across individuals.
    """

    name: str
    seeds: tuple[str, ...]
    predicted: Floats
    mean_only: bool = False

    @classmethod
    def of(cls, predictions: Sequence[Prediction]) -> "Model":
        """The model of some predictions that differ in the seed only. A gene counts if all seeds speak of it."""
        predicted = np.stack([prediction.predicted for prediction in predictions])
        predicted[:, np.isnan(predicted).any(axis=(0, 2))] = np.nan
        seeds = tuple(prediction.seed for prediction in predictions)
        return cls(predictions[0].model, seeds, predicted, predictions[0].mean_only)

    def genes_among(self, genes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of some genes (indices in the cohort) that the model speaks of."""
        return genes[~np.isnan(self.predicted[0, genes, 0])]

    def genes_in(self, regime: str, genes: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of a regime's genes (indices in the cohort) that the model predicts: none across individuals if `mean_only`."""
        return genes[:0] if self.mean_only and regime in ACROSS_PEOPLE else self.genes_among(genes)

    @property
    def ensemble(self) -> Floats:
        """(1, genes, people): the mean of the seeds' predictions, rounded as predictions are."""
        return np.round(self.predicted.mean(axis=0, keepdims=True), PREDICTION_DECIMALS)

    def variants(self) -> list[tuple[str, Floats]]:
        """What is summarised, as (prefix of the metric, predictions): each seed by itself, and the ensemble if it differs."""
        each = ("", self.predicted)
        return [each] if len(self.seeds) == 1 else [each, (ENSEMBLE, self.ensemble)]
