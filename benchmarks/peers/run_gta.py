"""Ours: all haplotypes of all windows as byte arrays, from the VCF to memory. Prints one JSON object.

Arguments: genotypes, reference, windows (TSV), file for a sample or `-`.
"""

import dataclasses
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
        # GenVarLoader walks from the left edge of a window, so the same is kept for the comparison with it.
        rows = np.stack([2 * chosen, 2 * chosen + 1], axis=1)
        for window in read_windows(Path(table))[::10]:
            left = reader.read(dataclasses.replace(window, tss=window.start)).sequences(slice(0, 2 * len(reader.people)))
            kept[f"left_{window.name}"] = left[rows]
        np.savez(sample, people=np.array(reader.people)[chosen], **kept)
    print(json.dumps({"bytes": total}))


if __name__ == "__main__":
    main()
