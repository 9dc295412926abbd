"""Haplotypes: the personal sequences of every gene's window, kept as variants and never as text.

Reads the genotypes and the reference of `inputs/`, the windows and people of `cohort/`, and writes one `PanelSet` per
contig: the variants of each window, its distinct haplotypes as rows of allele indices, and which two of them each person
carries. Sequences are rebuilt from a panel and a `Reference` when they are needed. Without a cohort, `HaplotypeReader` makes
sequences of any windows straight from a VCF or BCF and a FASTA.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gta.haplotypes.counts import Dosages, dosages
    from gta.haplotypes.encoding import one_hot_bytes
    from gta.haplotypes.panels import MAX_MARGIN, Panel, PanelSet
    from gta.haplotypes.reader import Batch, HaplotypeDataset, HaplotypeReader
    from gta.haplotypes.reference import Reference, open_reference
    from gta.haplotypes.windows import Window, read_windows

__all__ = [
    "MAX_MARGIN",
    "Batch",
    "Dosages",
    "HaplotypeDataset",
    "HaplotypeReader",
    "Panel",
    "PanelSet",
    "Reference",
    "Window",
    "dosages",
    "one_hot_bytes",
    "open_reference",
    "read_windows",
]

_HOMES = {
    "Batch": "reader",
    "Dosages": "counts",
    "dosages": "counts",
    "HaplotypeDataset": "reader",
    "HaplotypeReader": "reader",
    "MAX_MARGIN": "panels",
    "Panel": "panels",
    "PanelSet": "panels",
    "Reference": "reference",
    "Window": "windows",
    "one_hot_bytes": "encoding",
    "open_reference": "reference",
    "read_windows": "windows",
}


def __getattr__(name: str) -> Any:
    # The command line imports this package to show its help; numpy and pysam are loaded only once they are used.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
