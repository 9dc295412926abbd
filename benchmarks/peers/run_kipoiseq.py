"""kipoiseq: sequences of some people in some windows, one after the other (it knows no phase). Runs in an environment of its own.

Arguments: genotypes, reference, windows (TSV), number of sequences.
"""

import csv
import json
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")

from kipoiseq.dataclasses import Interval  # noqa: E402
from kipoiseq.extractors import MultiSampleVCF, VariantSeqExtractor  # noqa: E402


def main() -> None:
    """Make the sequences."""
    vcf, fasta, table, count = sys.argv[1:5]
    with open(table) as handle:  # noqa: PTH123
        windows = list(csv.DictReader(handle, delimiter="\t"))
    variants, extractor = MultiSampleVCF(vcf), VariantSeqExtractor(fasta_file=fasta)
    for number in range(int(count)):
        window = windows[number * 7 % len(windows)]
        interval = Interval(window["contig"], int(window["start"]), int(window["end"]))
        person = variants.samples[number * 13 % len(variants.samples)]
        extractor.extract(interval, list(variants.fetch_variants(interval, sample_id=person)), anchor=int(window["tss"]))
    print(json.dumps({"version": version("kipoiseq")}))


if __name__ == "__main__":
    main()
