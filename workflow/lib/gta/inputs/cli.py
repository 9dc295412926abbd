"""`gta inputs`."""

import argparse
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Checks the user's files, matches the names of contigs, genes and people between them, and writes one folder that all
later stages read. Nothing is written beside the user's files, and the large ones are linked, not copied.

Without --genotypes the folder is that of a reference study: individuals are the columns of the expression matrix, and every gene
has the reference haplotype only."""

EPILOG = """\
writes into the folder:
  reference.fa[.gz], genotypes.vcf.gz or .bcf   links (or bgzip copies of what was not bgzip), with their indexes
  genes.tsv         genes and TSS, 0-based, with the reference's names of contigs and the matrix's names of genes
  expression.parquet  the matrix as given (TPM or RPKM)
  annotation.tsv, people.tsv, contigs.tsv, checksums.tsv, inputs.json

example:
  gta inputs --reference hg19.fa.gz --genotypes geuvadis.vcf.gz --genes gencode.v12.gtf.gz \\
      --expression rpkm.bed.gz --annotation genes.tsv --populations panel.tsv --out results/inputs

docs/inputs.md says how each file must look and what is checked.
"""


def add_parser(stages: Any) -> None:
    """Add the sub-command."""
    parser = stages.add_parser(
        "inputs",
        help="check the user's files and bring them into one form",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--reference", type=Path, required=True, metavar="FASTA", help="reference genome: plain, bgzip or gzip")
    parser.add_argument(
        "--genotypes",
        type=Path,
        metavar="VCF",
        help="phased genotypes of everybody: VCF (bgzip, gzip, plain) or BCF [none: a reference study]",
    )
    parser.add_argument("--genes", type=Path, required=True, metavar="GTF", help="gene annotation of GENCODE or Ensembl")
    parser.add_argument(
        "--expression",
        type=Path,
        required=True,
        metavar="BED",
        help="matrix: #chr start end gene length strand (or the first four), then one column per person, TPM or RPKM",
    )
    parser.add_argument(
        "--annotation", type=Path, required=True, metavar="TSV", help="genes in words: gene_id (or gene) and any text columns"
    )
    parser.add_argument("--populations", type=Path, metavar="TSV", help="person population (or sample pop), with a header [none]")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Do the work."""
    from gta.inputs.run import InputFiles, prepare_inputs

    files = {name: getattr(arguments, name) for name in InputFiles.__dataclass_fields__}
    prepare_inputs(InputFiles(**files), arguments.out)
