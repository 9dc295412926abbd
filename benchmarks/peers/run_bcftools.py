"""`bcftools consensus` (of the pysam wheel, in this process, which saves it starting one): some sequences one after the other.

Arguments: genotypes (VCF or BCF), reference, windows (TSV), scratch folder, number of sequences.
"""

import csv
import json
import sys
from pathlib import Path

import pysam
import pysam.bcftools
import pysam.samtools


def main() -> None:
    """Cut every window out of the reference and put one person's haplotype in."""
    variants, fasta, table, scratch = map(Path, sys.argv[1:5])
    count = int(sys.argv[5])
    with table.open() as handle:
        windows = list(csv.DictReader(handle, delimiter="\t"))
    with pysam.VariantFile(str(variants)) as opened:
        people = list(opened.header.samples)
    region, out = scratch / "region.fa", scratch / "consensus.fa"
    for number in range(count):
        window = windows[number * 7 % len(windows)]
        place = f"{window['contig']}:{int(window['start']) + 1}-{window['end']}"
        pysam.samtools.faidx("-o", str(region), str(fasta), place, catch_stdout=False)
        person = people[number * 13 % len(people)]
        options = ["-f", str(region), "-s", person, "-H", str(1 + number % 2), "-o", str(out), str(variants)]
        pysam.bcftools.consensus(*options, catch_stdout=False)
        if out.stat().st_size < region.stat().st_size // 2:
            raise SystemExit(f"bcftools wrote no sequence for {person} at {place}")
    print(json.dumps({"version": pysam.version.__bcftools_version__}))


if __name__ == "__main__":
    main()
