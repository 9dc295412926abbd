"""Ours: the haplotype panels of all windows, as the workflow stores them. Prints one JSON object.

Arguments: genotypes, reference, windows (TSV), file to write.
"""

import json
import sys
from pathlib import Path

import numpy as np

from gta.haplotypes import Reference, read_windows
from gta.haplotypes.build import build_panels
from gta.haplotypes.genotypes import Genotypes
from gta.haplotypes.settings import HaplotypeSettings
from gta.haplotypes.stretches import Source


def main() -> None:
    """Build and save the panels; compare their size with that of the sequences as text."""
    vcf, fasta, table, out = map(Path, sys.argv[1:5])
    windows = read_windows(table)
    genotypes, reference = Genotypes(vcf), Reference(fasta)
    contig = windows[0].contig
    source = Source(genotypes, reference, contig, contig, HaplotypeSettings(variants="all"))
    intervals = np.array([[window.start, window.end, window.tss] for window in windows], dtype=np.int64)
    panels, _ = build_panels(source, [window.name for window in windows], intervals)
    panels.save(out)
    letters = sum(window.end - window.start for window in windows) * 2 * len(panels.people)
    print(json.dumps({"bytes": out.stat().st_size, "fasta_bytes": letters}))


if __name__ == "__main__":
    main()
