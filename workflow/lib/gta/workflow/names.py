"""Light readers of the names in the user's files, so that a wrong name in the configuration is refused before any job starts.

They read just enough, with nothing but the standard library, and judge no further: the stage `inputs` checks the files.
"""

import gzip
import mmap
import re
import struct
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, cast

from gta.errors import UserError
from gta.inputs.compression import open_text
from gta.inputs.gtf import WHAT as GTF
from gta.inputs.gtf import attributes_of, read_lines
from gta.inputs.names import EXPRESSION, header_of_expression, leading_columns, match_contigs, match_genes
from gta.inputs.text_tables import POPULATION, annotation_columns, cells_of, clean, read_list, read_text_table
from gta.workflow.settings import DataSettings

#: Without an index, contigs are looked for in a reference of at most as many bytes, plain and compressed: seconds.
PLAIN_BYTES, COMPRESSED_BYTES = 5_000_000_000, 100_000_000
#: Records of genotypes whose phase is looked at.
RECORDS = 200

_CALL = re.compile(r"(\d+)([/|])(\d+)")


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if they are gzip's or bgzip's."""
    try:
        with Path(path).open("rb") as handle:
            packed = handle.read(2) == b"\x1f\x8b"
            handle.seek(0)
            yield cast(IO[bytes], gzip.GzipFile(fileobj=handle)) if packed else handle
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise UserError(f"The file {path} is cut short or damaged ({error}): copy or download it again.") from error


def _words(line: bytes) -> list[str]:
    return line.decode(errors="replace").rstrip("\r\n").split("\t")


def people_of_genotypes(path: str) -> list[str]:
    """The people named in the header of a VCF or BCF file, in its order; none if it has no such header."""
    with _opened(path) as handle:
        start = handle.read(9)
        # A BCF begins with five bytes of magic and four of the length of the text, which is the header of a VCF.
        line = handle.readline() if start.startswith(b"BCF\x02") else start + handle.readline()
        while line.startswith(b"##"):
            line = handle.readline()
    return _words(line)[9:] if line.startswith(b"#CHROM") else []


@dataclass(frozen=True)
class Phase:
    """Heterozygous calls of the first records of genotypes.

    Attributes:
        n_heterozygous: How many there are.
        n_unphased: How many of them are unphased.
        example: The first of these, such as `0/1 of HG00096 at 1:12345`.
    """

    n_heterozygous: int
    n_unphased: int
    example: str


def phase_of_first_records(path: str, people: Collection[str]) -> Phase:
    """Whether the first records of a VCF are phased; of a BCF, which is not text, nothing is said.

    Args:
        path: The genotypes.
        people: Whose calls are looked at.
    """
    places: list[tuple[int, str]] = []
    n_heterozygous = n_unphased = n_records = 0
    example = ""
    with _opened(path) as handle:
        if handle.read(3) == b"BCF":
            return Phase(0, 0, "")
        for line in handle:
            fields = _words(line)
            if len(fields) < 10 or line.startswith(b"#"):
                places = [(place, name) for place, name in enumerate(fields[9:], start=9) if name in people]
                continue
            keys = fields[8].split(":")
            for place, name in places if "GT" in keys else ():
                call = _CALL.match(":".join(fields[place].split(":")[keys.index("GT") :]) if place < len(fields) else "")
                if call is not None and call[1] != call[3]:
                    n_heterozygous += 1
                    if call[2] == "/":
                        n_unphased += 1
                        example = example or f"{call[0]} of {name} at {fields[0]}:{fields[1]}"
            n_records += 1
            if n_records == RECORDS:
                break
    return Phase(n_heterozygous, n_unphased, example)


def require_beginnings(data: DataSettings) -> None:
    """Refuse files of the user that do not begin as what they are given for.

    Raises:
        UserError: naming the key, the file and how it begins.
    """
    with _opened(str(data.reference)) as handle:
        start = handle.read(20)
    if not start.startswith(b">"):
        raise UserError(f"data.reference: {data.reference} is not FASTA (it begins {start!r}, not with '>'); check the path.")
    if data.genotypes is not None and not people_of_genotypes(data.genotypes):
        raise UserError(
            f"data.genotypes: {data.genotypes} is neither VCF nor BCF, or its header names no person; check the path, and give"
            " the file with one column per person."
        )
    with open_text(Path(str(data.expression)), EXPRESSION) as text:
        line = text.readline()
        while line.startswith("##") or (line and not line.strip()):
            line = text.readline()
    header_of_expression(line, f"The {EXPRESSION} {data.expression}")
    next(read_lines(Path(str(data.genes)), ("gene", "transcript", "exon")), None)


def _expression_lines(path: str) -> Iterator[list[str]]:
    """The header of an expression table, then its rows, of which only the first four cells are apart."""
    with open_text(Path(path), EXPRESSION) as handle:
        header = False
        for line in handle:
            if line.startswith("##") or not line.strip():
                continue
            yield line.rstrip("\r\n").split("\t", 4) if header else cells_of(line.rstrip("\r\n\t"))
            header = True


def people_of_expression(path: str) -> list[str]:
    """The people named in the header of an expression table, in its order."""
    columns = next(_expression_lines(path), [])
    return columns[leading_columns(columns) or len(columns) :]


def genes_of_expression(path: str) -> list[str]:
    """The genes of an expression table, in its order: the fourth column."""
    lines = _expression_lines(path)
    next(lines, None)
    return [clean(row[3]).strip('"') for row in lines if len(row) > 4]


def _gtf_lines(path: str) -> Iterator[tuple[str, str]]:
    """(contig, attributes) of the lines of a GTF that genes are made of: the lines `gene`, or all if it has none."""
    has_genes = False
    with open_text(Path(path), GTF) as handle:
        for line in handle:
            fields = line.split("\t", 8)
            if len(fields) == 9 and not line.startswith("#") and (fields[2] == "gene" or not has_genes):
                has_genes = has_genes or fields[2] == "gene"
                yield fields[0], fields[8]


def genes_of_gtf(path: str) -> list[str]:
    """The gene ids of a GTF, in its order."""
    genes: dict[str, None] = {}
    for _, attributes in _gtf_lines(path):
        gene = attributes_of(attributes, ("gene_id",)).get("gene_id")
        if gene:
            genes[gene] = None
    return list(genes)


def places_of_gtf(path: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The contig of each gene id of a GTF, the first where there are several, and the gene ids of each symbol."""
    contigs: dict[str, str] = {}
    by_symbol: dict[str, list[str]] = {}
    for contig, attributes in _gtf_lines(path):
        about = attributes_of(attributes, ("gene_id", "gene_name"))
        gene = about.get("gene_id", "")
        if gene and gene not in contigs:
            contigs[gene] = contig.strip()
            by_symbol.setdefault(about.get("gene_name", gene), []).append(gene)
    return contigs, by_symbol


def places_of_table(path: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """The same, of the table of genes that `gta inputs` writes."""
    table = read_text_table(Path(path), "table of genes")
    gene, symbol, contig = (table.column(name) for name in ("gene", "symbol", "contig"))
    by_symbol: dict[str, list[str]] = {}
    for _, cells in table.rows:
        by_symbol.setdefault(cells[symbol], []).append(cells[gene])
    return {cells[gene]: cells[contig] for _, cells in table.rows}, by_symbol


def columns_of_annotation(path: str) -> list[str]:
    """The columns of a user's gene annotation as the prompt's template knows them, those that are always there first.

    Raises:
        UserError: if the table is broken, or no column names the genes.
    """
    what = "gene annotation table"
    table = read_text_table(Path(path), what)
    given = annotation_columns(table.header, table.where).values()
    return list(dict.fromkeys(["gene", "symbol", "biotype", "description", *given]))


def people_of_data(data: DataSettings) -> list[str]:
    """Everybody in the genotypes, if there are any, or the expression table."""
    genotyped = [] if data.genotypes is None else people_of_genotypes(data.genotypes)
    people = genotyped + people_of_expression(str(data.expression))
    return list(dict.fromkeys(people))


def populations_of_data(data: DataSettings) -> list[str]:
    """The populations in the user's table, sorted; none without a table."""
    if data.populations is None:
        return []
    table = read_text_table(Path(data.populations), "table of populations")
    column = table.find(*POPULATION)
    return [] if column is None else sorted({row[column] for _, row in table.rows})


def genes_of_data(data: DataSettings) -> list[str]:
    """Every gene of the expression table or the GTF; the table's names come first."""
    return list(dict.fromkeys(genes_of_expression(str(data.expression)) + genes_of_gtf(str(data.genes))))


def contigs_of_data(data: DataSettings) -> list[str] | None:
    """The contigs of the reference in its order: from its index, or from itself.

    Returns:
        None for a large reference without index: reading all of it would take minutes.
    """
    reference = Path(str(data.reference))
    index = Path(f"{reference}.fai")
    about = reference.stat()
    if not index.is_file():
        return _contigs_of_reference(reference, about.st_size, about.st_mtime_ns)
    by_index = [line.split("\t", 1)[0] for line in index.read_text(encoding="utf-8", errors="replace").splitlines() if line]
    if index.stat().st_mtime >= about.st_mtime:
        return by_index
    # An index that is older than the reference may be that of another one.
    return _contigs_of_reference(reference, about.st_size, about.st_mtime_ns) or by_index


@lru_cache(maxsize=1)
def _contigs_of_reference(reference: Path, size: int, changed: int) -> list[str] | None:
    """The contigs of a FASTA of a size in bytes, which was changed at a time in ns; None if it is too large to be read."""
    del changed  # it is there for the cache
    with reference.open("rb") as handle:
        packed = handle.read(2) == b"\x1f\x8b"
        if size > (COMPRESSED_BYTES if packed else PLAIN_BYTES):
            return None
        if not packed:
            with mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as text:
                return list(_contigs_of_fasta(text))
    with _opened(str(reference)) as lines:
        return [_contig_of(line[1:]) for line in lines if line.startswith(b">")]


def _contigs_of_fasta(text: mmap.mmap) -> Iterator[str]:
    """The names of the sequences of a plain FASTA."""
    at = 0 if text[:1] == b">" else text.find(b"\n>") + 1
    while at or text[:1] == b">":
        end = text.find(b"\n", at)
        yield _contig_of(text[at + 1 : end if end >= 0 else len(text)])
        at = text.find(b"\n>", at) + 1
        if not at:
            return


def _contig_of(line: bytes) -> str:
    """The name in a line of FASTA, without its >."""
    return (line.decode(errors="replace").split(maxsplit=1) or [""])[0]


def contigs_of_listed(
    wanted: str, by_gene: dict[str, str], by_symbol: dict[str, list[str]], contigs: list[str]
) -> list[str] | None:
    """The contigs, out of some, of the genes of a list; None if one of the genes is not known.

    Args:
        wanted: File with one gene id or symbol per line.
        by_gene: Contig of each gene id.
        by_symbol: Gene ids of each symbol.
        contigs: Contigs as the reference names them, in the order wanted.
    """
    names = read_list(Path(wanted), "list of genes")
    by_id = match_genes(names, by_gene).names
    found = [by_id.get(name) or (by_symbol.get(name) or [""])[0] for name in names]
    renamed = match_contigs(dict.fromkeys(by_gene.values()), contigs)
    if not all(gene in by_gene for gene in found):
        return None
    theirs = {renamed.get(by_gene[gene]) for gene in found}
    return [contig for contig in contigs if contig in theirs]
