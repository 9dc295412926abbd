"""Sequences as numbers, on whatever device they are."""

import torch

#: Share of A, C, G, T in each letter: half of each for the codes of two bases, nothing for every other letter.
LETTERS = {
    "A": "A",
    "C": "C",
    "G": "G",
    "T": "T",
    "R": "AG",
    "Y": "CT",
    "S": "CG",
    "W": "AT",
    "K": "GT",
    "M": "AC",
}
#: The same by ASCII code, (256, 4) float32.
BASES = torch.zeros(256, 4)
for _letter, _bases in LETTERS.items():
    for _base in _bases:
        BASES[ord(_letter), "ACGT".index(_base)] = 1 / len(_bases)
#: The letter of the opposite strand by ASCII code, (256,) uint8.
COMPLEMENT = torch.arange(256, dtype=torch.uint8)
for _letter, _other in zip("ACGTRYSWKM", "TGCAYRSWMK", strict=True):
    COMPLEMENT[ord(_letter)] = ord(_other)


def one_hot(sequences: torch.Tensor) -> torch.Tensor:
    """One-hot of ASCII sequences, made where they are: a byte travels to the device, not sixteen.

    The codes of two bases, which stand for unphased heterozygotes, become half of each; every other letter but A, C, G, T
    becomes zeros.

    Args:
        sequences: (B, L) uint8, upper case.

    Returns:
        (B, 4, L) float32, channels A C G T.
    """
    return BASES.to(sequences.device)[sequences.long()].transpose(1, 2)


def reverse_complement(sequences: torch.Tensor) -> torch.Tensor:
    """The opposite strand of ASCII sequences, (B, L) uint8."""
    return COMPLEMENT.to(sequences.device)[sequences.long()].flip(1)
