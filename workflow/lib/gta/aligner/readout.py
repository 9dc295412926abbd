"""The read-out of a gene's mean expression: linear in everything that was made of its sequence and of its text."""

import torch
from torch import nn

from gta.regression import BlockRidge


class MeanReadout(nn.Module):
    """A linear read-out of blocks of inputs, each of which is standardised.

    Its weights are solved in closed form by a ridge regression with a penalty for each block (`gta.aligner.solve`), since a few
    hundred genes are too few to find them by gradient descent; with `trained` they go on from there by gradient descent.

    Attributes:
        blocks: Columns of each block, by name, in order.
    """

    centre: torch.Tensor
    inverse_scale: torch.Tensor

    def __init__(self, blocks: dict[str, int], mean: float, trained: bool):
        """Build a read-out that predicts `mean` (natural log) for every gene.

        Args:
            blocks: Columns of each block, by name.
            mean: What is predicted before it is solved.
            trained: Whether gradient descent changes the weights, too.
        """
        super().__init__()
        self.blocks = blocks
        columns = sum(blocks.values())
        self.register_buffer("centre", torch.zeros(columns))
        self.register_buffer("inverse_scale", torch.ones(columns))
        self.weight = nn.Parameter(torch.zeros(columns), requires_grad=trained)
        self.bias = nn.Parameter(torch.full((1,), mean), requires_grad=trained)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mean expression, (B,) natural log, for inputs (B, columns)."""
        return ((inputs - self.centre) * self.inverse_scale) @ self.weight + self.bias

    @torch.no_grad()
    def take(self, solution: BlockRidge) -> None:
        """Take the weights of a regression on the same columns."""
        for tensor, values in (
            (self.centre, solution.centre),
            (self.inverse_scale, 1 / solution.scale),
            (self.weight, solution.weight),
            (self.bias, solution.bias),
        ):
            tensor.copy_(torch.as_tensor(values))
