"""The linear branch of the aligner: every tile acts by itself, by the same rule in all genes and individuals."""

import math
from dataclasses import dataclass

import torch
from torch import nn

from gta.aligner.data import Batch

#: Exponents of the decay with distance that the branch may start from; it is trained. Contact decays with an exponent near 1
#: (Fulco et al. 2019), but measured and simulated effects of variants reach further.
DECAYS = (0.9, 0.3, 0.6, 1.2)
#: Thresholds that features may be rectified at, in standard deviations over tiles; minus infinity: they are taken as they are. A
#: match of a motif below what any tile of background reaches is no site, so its changes have no effect.
THRESHOLDS = (-math.inf, 0.0, 0.5, 1.0)


@dataclass(frozen=True)
class LinearEffects:
    """What the linear branch makes of B haplotypes.

    Attributes:
        deviation: (B,) deviation from the mean of the gene, natural log.
        score: (B,) the same rule applied to the whole haplotype: sum over tiles t of k(t) (w . r(features_t)).
        features: (B, F) the sums over tiles that the score is made of, before w: sum of k(t) r(features_t).
    """

    deviation: torch.Tensor
    score: torch.Tensor
    features: torch.Tensor


class AdditivePart(nn.Module):
    """A linear model of rectified features, parallel to the aligned tokens.

    deviation = sum over tiles t of k(t) (w_g . (r(features_t) - r(reference features_t)))
    w_g       = w + M' h_g, h_g the leading components of the hidden states of the gene's prompt
    r(x)      = max(x - threshold, 0), or x without a threshold
    k(t)      = (1 + |distance of t| / 1 kb) ** -decay

    So the text may change what a feature does: the same motif can act otherwise in another kind of gene. Whether it does is
    decided by cross-validation over training genes (`gta.aligner.solve`), which also gives the values that w and M start from;
    w is then trained, M is not.

    The same weights give a score of the gene itself, because one regulatory code makes the difference between two individuals
    and between two genes. Only differences between individuals train them: within a gene everything else is equal, and there are
    many more pairs of individuals than genes. How much the score counts for mean expression is the read-out's to find.

    A linear path parallel to a deep one: Cheng et al. 2016 (arXiv:1606.07792), and as a residual Das et al. 2023
    (arXiv:2304.08424). Power law of the distance: the activity-by-contact model, Fulco et al., Nat Genet 2019.
    """

    threshold: torch.Tensor
    centre: torch.Tensor
    basis: torch.Tensor
    modulation: torch.Tensor

    def __init__(self, features: int, states: int = 0, components: int = 0):
        """Build it with weights of 0, so that it starts as nothing.

        Args:
            features: Number of features per tile, F.
            states: Hidden states of a prompt, S; 0: none.
            components: Components of them that may change the weights, C; 0: none.
        """
        super().__init__()
        self.register_buffer("centre", torch.zeros(states if components else 0))
        self.register_buffer("basis", torch.zeros(states if components else 0, components))
        self.register_buffer("modulation", torch.zeros(components, features))
        self.register_buffer("threshold", torch.tensor(THRESHOLDS[0]))
        self.weight = nn.Parameter(torch.zeros(features))
        self.decay = nn.Parameter(torch.full((1,), DECAYS[0]))

    def forward(self, batch: Batch, difference_sd: torch.Tensor, states: torch.Tensor | None = None) -> LinearEffects:
        """Return the effects of B haplotypes of T tiles.

        Args:
            batch: The haplotypes.
            difference_sd: (F,) scale of `batch.difference`, which brings it to the units of `batch.features`.
            states: (B, S) hidden states of the prompts; needed if they may change the weights.
        """
        near = proximity(batch.position, self.decay)
        value, change = rectified(batch, difference_sd, float(self.threshold))
        sums = (near.detach()[:, None, :] @ value).squeeze(1)
        weight = self.weight.expand(len(sums), -1)
        if len(self.modulation) and states is not None:
            weight = weight + self.components(states) @ self.modulation
        deviation = ((near[:, None, :] @ change).squeeze(1) * weight).sum(dim=1)
        return LinearEffects(deviation, (sums * weight.detach()).sum(dim=1), sums)

    def components(self, states: torch.Tensor) -> torch.Tensor:
        """Return the leading components, (B, C) of variance 1 / C over the training genes, of hidden states (B, S)."""
        return (states - self.centre) @ self.basis


def rectified(batch: Batch, difference_sd: torch.Tensor, threshold: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rectified features and their difference from the reference haplotype's, each (B, T, F).

    Args:
        batch: The haplotypes.
        difference_sd: (F,) scale of `batch.difference`.
        threshold: In standard deviations of the features; minus infinity: they are not rectified.
    """
    change = batch.difference * difference_sd
    if math.isinf(threshold):
        return batch.features, change
    value = torch.relu(batch.features - threshold)
    return value, value - torch.relu(batch.features - change - threshold)


def proximity(position: torch.Tensor, decay: torch.Tensor | float) -> torch.Tensor:
    """Return k(t) for coded distances of any shape, `Batch.position`."""
    # `position` is a logarithm, so this is the power law.
    return torch.exp(-torch.as_tensor(decay).clamp_min(0) * position.abs())
