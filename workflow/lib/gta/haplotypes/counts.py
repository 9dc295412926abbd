"""Allele dosages of a window's variants, for models on genotypes."""

from dataclasses import dataclass

import numpy as np

from gta.haplotypes.carriers import pairs
from gta.haplotypes.encoding import IUPAC_PAIRS
from gta.haplotypes.panels import Panel


@dataclass(frozen=True)
class Dosages:
    """Dosages of V variants (one per record and ALT allele) in P people.

    Attributes:
        positions: (V,) int64, position of the first REF base, bp, 0-based.
        refs: REF of each variant.
        alts: The ALT allele of each variant.
        counts: (P, V) float32: number of ALT alleles, 0 to 2; a haploid person's single allele counts twice.
    """

    positions: np.ndarray
    refs: list[bytes]
    alts: list[bytes]
    counts: np.ndarray


def dosages(panel: Panel, min_maf: float = 0.0, among: np.ndarray | None = None) -> Dosages:
    """Dosages of the variants whose REF touches the window, by record and then ALT allele.

    An ambiguity code counts half for each of its two bases.

    Args:
        panel: The window's haplotypes.
        min_maf: Smallest minor allele frequency.
        among: Numbers of the people over whom the frequency is taken (the training people); everybody if None.
    """
    second = pairs(panel.carriers)[:, 1]
    positions, refs, alts, columns = [], [], [], []
    for record, (position, ref, record_alts) in enumerate(zip(panel.positions.tolist(), panel.refs, panel.alts, strict=True)):
        if position >= panel.end or position + len(ref) <= panel.start:
            continue
        for allele, alt in enumerate(record_alts, start=1):
            if alt in IUPAC_PAIRS:
                continue
            carried = (panel.alleles[:, record] == allele).astype(np.float32)
            for code, bases in enumerate(record_alts, start=1):
                if bases in IUPAC_PAIRS and alt in (IUPAC_PAIRS[bases][:1], IUPAC_PAIRS[bases][1:]):
                    carried += np.float32(0.5) * (panel.alleles[:, record] == code)
            dosage = carried[panel.carriers[:, 0]] + carried[second]
            frequency = float((dosage if among is None else dosage[among]).mean()) / 2
            if min(frequency, 1 - frequency) >= min_maf:
                positions.append(position)
                refs.append(ref)
                alts.append(alt)
                columns.append(dosage)
    table = np.stack(columns, axis=1) if columns else np.zeros((len(panel.carriers), 0), dtype=np.float32)
    return Dosages(np.array(positions, dtype=np.int64), refs, alts, table)
