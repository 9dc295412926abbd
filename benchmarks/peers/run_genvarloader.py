"""GenVarLoader: all haplotypes of all windows as byte arrays. Runs in an environment of its own; prints one JSON object.

Arguments: genotypes, reference, windows (TSV), folder for its dataset, and a file for a sample of the sequences.
"""

import json
import resource
import sys
import time
from pathlib import Path

import genvarloader as gvl
import numpy as np
import polars as pl


def clock() -> tuple[float, float]:
    """Seconds on the wall and of all cores, children included."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter(), own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def main() -> None:
    """Write the dataset, then read every window for everybody."""
    vcf, fasta, table, folder, sample = map(Path, sys.argv[1:6])
    begin = clock()
    windows = pl.read_csv(table, separator="\t")
    bed = windows.select(chrom="contig", chromStart="start", chromEnd="end")
    length = int(windows["end"][0] - windows["start"][0])
    gvl.write(folder, bed, variants=str(vcf), overwrite=True)
    written = clock()
    dataset = gvl.Dataset.open(folder, reference=str(fasta), rc_neg=False).with_seqs("haplotypes").with_len(length)
    opened = clock()
    total, kept = 0, {}
    chosen = np.argsort(dataset.samples)[::50]
    for number in range(len(windows)):
        sequences = np.asarray(dataset[number])
        total += sequences.nbytes
        if number % 10 == 0:
            kept[f"w{number}"] = sequences.view("u1").reshape(len(dataset.samples), 2, length)[chosen]
    read = clock()
    np.savez(sample, people=np.array(dataset.samples)[chosen], **kept)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(
        json.dumps(
            {
                "version": gvl.__version__,
                "bytes": total,
                "setup_s": opened[0] - begin[0],
                "setup_cpu_s": opened[1] - begin[1],
                "write_cpu_s": written[1] - begin[1],
                "read_s": read[0] - opened[0],
                "read_cpu_s": read[1] - opened[1],
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "disk_mb": size / 1e6,
            }
        )
    )


if __name__ == "__main__":
    main()
