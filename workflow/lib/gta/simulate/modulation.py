"""Text that decides the direction in which transcription factors act: a sign for each (text class, factor)."""

import numpy as np

from gta.simulate.motifs import FACTORS
from gta.simulate.vocabulary import CLASSES

#: Random trades between two classes; a few per pair of classes forget the start.
_TRADES = 500


def draw_multipliers(modulates: bool, rng: np.random.Generator) -> dict[tuple[str, str], float]:
    """Return the multiplier of a site's effect for each (name of the text class, name of the factor).

    Every factor is flipped (-1) in exactly half of the classes, so its effect is zero on average over classes; every class flips
    exactly half of the factors.

    Args:
        modulates: Whether text modulates at all; if not, every multiplier is 1 and nothing is drawn.
        rng: Random numbers.

    Returns:
        Multipliers, 1.0 or -1.0, by class and then by factor.
    """
    flipped = np.zeros((len(CLASSES), len(FACTORS)), dtype=bool)
    if modulates:
        # Start balanced; trading columns in which two rows differ keeps the sums of all rows and columns.
        flipped = np.add.outer(np.arange(len(CLASSES)), np.arange(len(FACTORS))) % 2 == 1
        for _ in range(_TRADES):
            first, second = rng.choice(len(CLASSES), size=2, replace=False)
            differ = np.flatnonzero(flipped[first] != flipped[second])
            flipped[first, differ] = rng.permutation(flipped[first, differ])
            flipped[second, differ] = ~flipped[first, differ]
    return {
        (text_class.name, factor): -1.0 if flipped[i, j] else 1.0
        for i, text_class in enumerate(CLASSES)
        for j, (factor, _, _) in enumerate(FACTORS)
    }
