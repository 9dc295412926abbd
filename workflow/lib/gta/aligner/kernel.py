"""Similarity between genes: a Gaussian kernel as columns of a linear read-out, by the method of Nyström."""

import numpy as np
import torch
from torch import nn

from gta.regression import standardisation

#: The kernel of two genes is exp(-d / (BANDWIDTH m)): d is their squared distance, m its median between landmarks.
BANDWIDTH = 0.5
#: Directions of the landmarks whose variance is a smaller share of the first one's are left out: they are rounding errors.
SMALLEST_VARIANCE = 1e-7


class GaussianKernel(nn.Module):
    """Turns inputs of genes into columns whose products are a Gaussian kernel of the inputs.

    A ridge regression on these columns is one with that kernel (Williams and Seeger, NIPS 2000): what is predicted of a gene
    follows from how alike it is to landmarks, which are training genes. Inputs are standardised.
    """

    centre: torch.Tensor
    inverse_scale: torch.Tensor
    landmarks: torch.Tensor
    distance: torch.Tensor
    whitening: torch.Tensor

    def __init__(self, columns: int, landmarks: int):
        """Make room.

        Args:
            columns: Columns of the inputs, N.
            landmarks: Number of landmarks, m.
        """
        super().__init__()
        self.register_buffer("centre", torch.zeros(columns))
        self.register_buffer("inverse_scale", torch.ones(columns))
        self.register_buffer("landmarks", torch.zeros(landmarks, columns))
        self.register_buffer("distance", torch.ones(()))
        self.register_buffer("whitening", torch.zeros(landmarks, landmarks))

    def take(self, inputs: np.ndarray) -> None:
        """Take scale, landmarks and bandwidth from the training genes.

        Args:
            inputs: (n, N) float32, n >= m; landmarks are evenly spaced rows.
        """
        centre, scale = standardisation(inputs)
        self.centre.copy_(torch.from_numpy(centre))
        self.inverse_scale.copy_(torch.from_numpy(1 / scale))
        rows = np.linspace(0, len(inputs) - 1, len(self.landmarks)).astype(int)
        chosen = (torch.from_numpy(inputs[rows]).to(self.centre.device) - self.centre) * self.inverse_scale
        self.landmarks.copy_(chosen)
        distances = self._distances(chosen)
        between = distances[~torch.eye(len(rows), dtype=torch.bool, device=distances.device)]
        self.distance.copy_(BANDWIDTH * between.median().clamp(min=1e-6) if len(between) else torch.ones(()))
        values, vectors = torch.linalg.eigh(torch.exp(-distances / self.distance).double())
        kept = values > SMALLEST_VARIANCE * values[-1]
        self.whitening.copy_(vectors * torch.where(kept, values.clamp(min=1e-300).rsqrt(), 0.0))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the columns, (B, m) float32, of inputs (B, N)."""
        kernel = torch.exp(-self._distances((inputs - self.centre) * self.inverse_scale) / self.distance)
        return kernel @ self.whitening

    def _distances(self, standard: torch.Tensor) -> torch.Tensor:
        """Squared distances of standardised inputs, (B, N), from the landmarks, (B, m)."""
        squares = standard.pow(2).sum(dim=1)[:, None] + self.landmarks.pow(2).sum(dim=1)
        return (squares - 2 * standard @ self.landmarks.T).clamp(min=0)
