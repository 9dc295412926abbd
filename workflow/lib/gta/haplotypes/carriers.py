"""Who carries which haplotypes."""

import numpy as np


def pairs(carriers: np.ndarray) -> np.ndarray:
    """Two haplotypes of each person, that of a haploid person twice, so that the mean of both is the mean of those there are.

    Args:
        carriers: (P, 2) int, numbers of haplotypes; -1 where there is no second one.

    Returns:
        (P, 2) of the same type.
    """
    return np.where(carriers < 0, carriers[:, :1], carriers)
