"""Haplotypes: the personal sequences of every gene's window, kept as variants and never as text.

Reads the genotypes and the reference of `inputs/`, the windows and people of `cohort/`, and writes one `PanelSet` per
contig: the variants of each window, its distinct haplotypes as rows of allele indices, and which two of them each person
carries. Sequences are rebuilt from a panel and a `Reference` when they are needed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gta.haplotypes.counts import Dosages, dosages
    from gta.haplotypes.panels import MAX_MARGIN, Panel, PanelSet
    from gta.haplotypes.reference import Reference, open_reference

__all__ = ["MAX_MARGIN", "Dosages", "Panel", "PanelSet", "Reference", "dosages", "open_reference"]

_HOMES = {
    "Dosages": "counts",
    "dosages": "counts",
    "MAX_MARGIN": "panels",
    "Panel": "panels",
    "PanelSet": "panels",
    "Reference": "reference",
    "open_reference": "reference",
}


def __getattr__(name: str) -> Any:
    # The command line imports this package to show its help; numpy and pysam are loaded only once they are used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
