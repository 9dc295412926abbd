"""Ours: all haplotypes of all windows as byte arrays, from the VCF to memory. Prints one JSON object.

Arguments: genotypes, reference, windows (TSV), file for a sample or `-`.
"""

import json
import sys
from pathlib import Path

import numpy as np

from gta.haplotypes import HaplotypeReader, read_windows
from gta.haplotypes.settings import HaplotypeSettings


def main() -> None:
    """Make every sequence of every window, into the same memory."""
    vcf, fasta, table, sample = sys.argv[1:5]
    reader = HaplotypeReader(vcf, fasta, settings=HaplotypeSettings(variants="all"))
    total, kept = 0, {}
    chosen = np.argsort(reader.people)[::50]
    for number, batch in enumerate(reader.batches(read_windows(Path(table)), reuse=True)):
        total += batch.sequences.nbytes
        if sample != "-" and number % 10 == 0:
            kept[batch.window.name] = batch.sequences[chosen].copy()
    if sample != "-":
        np.savez(sample, people=np.array(reader.people)[chosen], **kept)
    print(json.dumps({"bytes": total}))


if __name__ == "__main__":
    main()
