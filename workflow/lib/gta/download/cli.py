"""`gta download`."""

import argparse
from pathlib import Path
from typing import Any

_FETCH = """\
Fetches one file of the manifest over HTTP. A connection that ends is taken up where it ended, a server that is busy is asked
again, and size and checksum are compared with the published ones before the file counts. Of a download that failed a part stays
beside the target (`.NAME.part`), from which the next call goes on.

reads
  --manifest     resources/manifest.yaml: URL, size and checksum of every file of a study
"""

_CHECKSUMS = """\
Writes down what was fetched: file, bytes, sha256. Entered into the manifest, they make the next download refuse anything else.
"""

_PEOPLE = """\
Writes person and population of everybody who is in the sample panel and in the expression matrix.

reads
  --panel        panel of the 1000 Genomes Project: with SampleID and Population, or without a header: person, population
  --expression   the published matrix; its columns from the fifth on begin with the person's name
"""

_GENOTYPES = """\
Writes the genotypes of one contig as BCF: GT alone, the people of the study alone. Plain gzip and an incomplete header will do.

reads
  --vcf          published VCF of one contig, gzip or bgzip
  --people       people.tsv of `gta download people`
"""

_JOIN = """\
Joins the BCF files of all contigs and indexes the result.

reads
  --parts        BCF files of `gta download genotypes`, in the order of their contigs
writes
  --out          the BCF
  --index        its index (CSI)
"""

_EXPRESSION = """\
Writes a published matrix as BED: #chr start end gene length strand, then a column per person, RPKM.

reads
  --matrix       geuvadis: GD660.GeneQuantRPKM.txt.gz, a person's libraries are averaged
                 pseudocounts: BED of MAGE, divided by the length of the gene's exons in kb
  --genes        GTF, for the lengths of genes (pseudocounts only)
  --people       people.tsv of `gta download people`
"""

_ANNOTATION = """\
Writes what NCBI Gene and the Gene Ontology say of every human gene with an Ensembl id, in words.

reads
  --gene-info    Homo_sapiens.gene_info.gz
  --gene2go      gene2go.gz
"""


def _fetch(arguments: argparse.Namespace) -> None:
    from gta.download.fetch import fetch
    from gta.download.manifest import read_study

    fetch(read_study(arguments.manifest, arguments.study).named(arguments.name), arguments.out)


def _checksums(arguments: argparse.Namespace) -> None:
    from gta.files import atomic_path, checksum_rows, require_file

    rows = [("file", "bytes", "sha256"), *checksum_rows(require_file(file, "downloaded file") for file in arguments.files)]
    with atomic_path(arguments.out) as temporary:
        temporary.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows), encoding="utf-8")


def _people(arguments: argparse.Namespace) -> None:
    from gta.download.people import write_people

    write_people(arguments.panel, arguments.expression, arguments.out)


def _genotypes(arguments: argparse.Namespace) -> None:
    from gta.download.genotypes import convert_genotypes
    from gta.download.people import read_panel

    convert_genotypes(arguments.vcf, list(read_panel(arguments.people)), arguments.out)


def _join(arguments: argparse.Namespace) -> None:
    from gta.download.genotypes import join_genotypes

    join_genotypes(arguments.parts, arguments.out, arguments.index)


def _expression(arguments: argparse.Namespace) -> None:
    from gta.download.expression import exon_lengths, read_geuvadis, read_pseudocounts, write_bed
    from gta.download.people import read_panel

    wanted = read_panel(arguments.people)
    if arguments.form == "geuvadis":
        people, rows = read_geuvadis(arguments.matrix)
    else:
        people, rows = read_pseudocounts(arguments.matrix, exon_lengths(arguments.genes))
    write_bed(people, rows, wanted.__contains__, arguments.out)


def _annotation(arguments: argparse.Namespace) -> None:
    from gta.download.annotation import write_annotation

    write_annotation(arguments.gene_info, arguments.gene2go, arguments.out)


def add_parser(stages: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `download` with its actions."""
    stage = stages.add_parser("download", help="fetch public data and bring them into the form of the inputs")
    actions = stage.add_subparsers(dest="action", metavar="ACTION", required=True)
    file: dict[str, Any] = {"type": Path, "required": True, "metavar": "FILE"}

    def action(name: str, help: str, description: str, example: str, run: Any) -> argparse.ArgumentParser:
        parser = actions.add_parser(
            name,
            help=help,
            description=description,
            epilog=f"example\n  gta download {name} {example}\n",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("--out", **file, help="what to write")
        parser.set_defaults(run=run)
        return parser

    parser = action(
        "fetch",
        "fetch one file, resumed, retried and verified",
        _FETCH,
        "--manifest resources/manifest.yaml --study geuvadis --name gencode.v12.annotation.gtf.gz --out gencode.v12.gtf.gz",
        _fetch,
    )
    parser.add_argument("--manifest", **file, help="the manifest")
    parser.add_argument("--study", required=True, metavar="NAME", help="study of the manifest")
    parser.add_argument("--name", required=True, metavar="NAME", help="name of the file: the last part of its URL")

    example = "--files hs37d5.fa.gz gencode.v12.annotation.gtf.gz --out checksums.tsv"
    parser = action("checksums", "sizes and checksums of files", _CHECKSUMS, example, _checksums)
    parser.add_argument("--files", nargs="+", **file, help="what was fetched")

    parser = action(
        "people", "who is in the study", _PEOPLE, "--panel p1.panel --expression GD660.txt.gz --out people.tsv", _people
    )
    parser.add_argument("--panel", **file, help="sample panel")
    parser.add_argument("--expression", **file, help="published expression matrix")

    parser = action(
        "genotypes", "one contig as BCF", _GENOTYPES, "--vcf chr22.vcf.gz --people people.tsv --out 22.bcf", _genotypes
    )
    parser.add_argument("--vcf", **file, help="published genotypes")
    parser.add_argument("--people", **file, help="who is wanted")

    parser = action("join", "all contigs in one BCF", _JOIN, "--parts 21.bcf 22.bcf --out all.bcf --index all.bcf.csi", _join)
    parser.add_argument("--parts", nargs="+", **file, help="BCF of each contig")
    parser.add_argument("--index", **file, help="index to write")

    example = "--matrix GD660.txt.gz --form geuvadis --genes gencode.gtf.gz --people people.tsv --out expression.bed.gz"
    parser = action("expression", "expression as BED", _EXPRESSION, example, _expression)
    parser.add_argument("--matrix", **file, help="published matrix")
    parser.add_argument("--form", required=True, choices=("geuvadis", "pseudocounts"), help="how it is read")
    parser.add_argument("--genes", **file, help="gene annotation")
    parser.add_argument("--people", **file, help="who is wanted")

    example = "--gene-info Homo_sapiens.gene_info.gz --gene2go gene2go.gz --out annotation.tsv"
    parser = action("annotation", "genes in words", _ANNOTATION, example, _annotation)
    parser.add_argument("--gene-info", **file, help="NCBI's table of genes")
    parser.add_argument("--gene2go", **file, help="NCBI's table of GO terms")
