"""Sequences as numbers, on whatever device they are."""

import torch

from gta.haplotypes.encoding import COMPLEMENT, SHARES

_SHARES, _COMPLEMENT = torch.from_numpy(SHARES), torch.from_numpy(COMPLEMENT)


def one_hot(sequences: torch.Tensor) -> torch.Tensor:
    """One-hot of ASCII sequences, made where they are: a byte travels to the device, not sixteen.

    The codes of two bases, which stand for unphased heterozygotes, become half of each; every other letter but A, C, G, T
    becomes zeros.

    Args:
        sequences: (..., L) uint8, upper case.

    Returns:
        (..., 4, L) float32, channels A C G T.
    """
    return _SHARES.to(sequences.device)[sequences.int()].transpose(-1, -2)


def reverse_complement(sequences: torch.Tensor) -> torch.Tensor:
    """The opposite strand of ASCII sequences, (B, L) uint8."""
    return _COMPLEMENT.to(sequences.device)[sequences.int()].flip(1)
