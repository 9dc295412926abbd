"""REF and ALT of every variant, once the reference is final."""

import numpy as np
from numpy.typing import NDArray

from gta.simulate.elements import Ground
from gta.simulate.genotypes import LONGEST_INDEL
from gta.simulate.motifs import CODES
from gta.simulate.reference import BASES

#: Two of three SNVs are transitions, as in human genomes.
_TRANSITION_SHARE = 2 / 3
#: Indels of length k have a share in proportion to k to this power.
_LENGTH_POWER = -1.5


def _snv_alternatives(reference: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(n,) ASCII codes of a base that differs from each of the (n,) reference bases."""
    # With A, C, G, T as 0..3, flipping bit 1 is the transition, flipping bit 0 or both bits are the transversions.
    transition = rng.random(len(reference)) < _TRANSITION_SHARE
    change = np.where(transition, 2, np.where(rng.random(len(reference)) < 0.5, 1, 3))
    return BASES[CODES[reference] ^ change]


def _indel(sequence: NDArray[np.uint8], position: int, lengths: NDArray[np.int64], rng: np.random.Generator) -> tuple[str, str]:
    """REF and ALT of an indel anchored at `position`; already left-aligned, as `bcftools norm` would leave it.

    An indel could be moved to the left only if its last base were that of the anchor, so such ones are not made.
    """
    anchor = int(sequence[position])
    if rng.random() < 0.5:
        for length in lengths.tolist():
            if sequence[position + length] != anchor:
                return sequence[position : position + length + 1].tobytes().decode(), chr(anchor)
    inserted = BASES[rng.integers(4, size=int(lengths[0]))]
    inserted[-1] = BASES[(CODES[anchor] + rng.integers(1, 4)) % 4]
    return chr(anchor), chr(anchor) + inserted.tobytes().decode()


def choose_alleles(ground: Ground, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """(REF, ALT) of each variant of a contig, upper case; ALT never equals REF.

    SNVs that planting uses get the allele it needs; others a random one.
    """
    genotypes, sequence = ground.genotypes, ground.sequence
    reference = sequence[genotypes.positions]
    alternative = _snv_alternatives(reference, rng)
    for variant, base in ground.alternatives.items():
        alternative[variant] = base
    refs, alts = list(reference.tobytes().decode()), list(alternative.tobytes().decode())

    weights = np.arange(1, LONGEST_INDEL + 1) ** _LENGTH_POWER
    for variant in np.flatnonzero(genotypes.is_indel).tolist():
        lengths = rng.choice(LONGEST_INDEL, size=LONGEST_INDEL, replace=False, p=weights / weights.sum()) + 1
        refs[variant], alts[variant] = _indel(sequence, int(genotypes.positions[variant]), lengths, rng)
    return refs, alts
