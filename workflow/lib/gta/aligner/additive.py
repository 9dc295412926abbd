"""The additive part of the aligner: every tile acts by itself, by the same rule in all genes and people."""

import torch
from torch import nn

from gta.aligner.data import Batch

#: Exponent of the fall with distance to start from; it is learnt. Contact falls with an exponent near 1 (Fulco et al. 2019), but
#: the planted and the measured effects of variants reach further.
FIRST_DECAY = 0.5
#: Share of the gene's own features in its mean to start from; it is learnt.
FIRST_SHARE = 0.3


class AdditivePart(nn.Module):
    """A linear model of the features beside the deep one, for the deviation of a person and for the mean of the gene.

    deviation = sum over tiles t of k(t) (w . difference_t)
    mean      = share * sum over tiles t of k(t) (w . features_t / difference_sd)
    k(t)      = (1 + |distance of t| / 1 kb) ** -decay

    The same weights w serve both, because one regulatory code makes the difference between two people and between two genes.
    Only differences between people train them: within a gene everything else is equal, and there are many more pairs of people
    than genes, whose means a large model would learn by heart. The mean of the genes trains `share` alone.

    A linear path beside a deep one: Cheng et al. 2016 (arXiv:1606.07792), and as a residual Das et al. 2023 (arXiv:2304.08424).
    Power law of the distance: the activity-by-contact model, Fulco et al., Nat Genet 2019.
    """

    def __init__(self, features: int):
        """Build it with weights of 0, so that it starts as nothing.

        Args:
            features: Number of features per tile, F.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(features))
        self.decay = nn.Parameter(torch.full((1,), FIRST_DECAY))
        self.share = nn.Parameter(torch.full((1,), FIRST_SHARE))

    def forward(self, batch: Batch, difference_sd: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the tiles add to the mean of the gene and to the deviation from it.

        Args:
            batch: B haplotypes of T tiles.
            difference_sd: (F,) scale of `batch.difference`, which brings `batch.features` to the same units.

        Returns:
            Mean and deviation, each (B,), natural log.
        """
        # `position` is a logarithm, so this is the power law.
        near = torch.exp(-self.decay.clamp_min(0) * batch.position.abs())
        deviation = (near * (batch.difference @ self.weight)).sum(dim=1)
        level = (near.detach() * (batch.features @ (self.weight.detach() / difference_sd))).sum(dim=1)
        return self.share * level, deviation
