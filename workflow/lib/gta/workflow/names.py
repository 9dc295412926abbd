"""Light readers of the names in the user's files, so that a wrong name in the configuration is refused before any job starts.

They read just enough, with nothing but the standard library, and judge no further: the stage `inputs` checks the files.
"""

import gzip
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from gta.errors import UserError
from gta.inputs.names import leading_columns
from gta.workflow.settings import DataSettings

_GENE_ID = re.compile(rb'gene_id "?([^";]+)')


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


def people_of_expression(path: str) -> list[str]:
    """The people named in the header of an expression table, in its order."""
    with _opened(path) as handle:
        line = handle.readline()
        while line.startswith(b"##"):
            line = handle.readline()
    columns = _words(line)
    return columns[leading_columns(columns) or len(columns) :]


def genes_of_expression(path: str) -> list[str]:
    """The genes of an expression table, in its order: the fourth column."""
    with _opened(path) as handle:
        rows = (line.split(b"\t", 4) for line in handle if not line.startswith(b"#"))
        return [row[3].decode(errors="replace") for row in rows if len(row) > 4]


def genes_of_gtf(path: str) -> list[str]:
    """The gene ids of a GTF, in its order."""
    genes: dict[bytes, None] = {}
    with _opened(path) as handle:
        for line in handle:
            found = _GENE_ID.search(line)
            if found:
                genes[found.group(1)] = None
    return [gene.decode(errors="replace") for gene in genes]


def columns_of_table(path: str) -> list[str]:
    """The names in the first line of a tab-separated table."""
    with _opened(path) as handle:
        return _words(handle.readline().removeprefix(b"\xef\xbb\xbf").lstrip(b"#"))


def columns_of_annotation(path: str) -> list[str]:
    """The columns of a user's gene annotation as the prompt's template knows them, those that are always there first."""
    given = [name for name in columns_of_table(path) if name and name.lower() not in ("gene_id", "gene")]
    return list(dict.fromkeys(["gene", "symbol", "biotype", "description", *given]))


def first_element(path: str) -> str | None:
    """The first line of a BED file that is neither comment nor header; None if it has none."""
    with _opened(path) as handle:
        for line in handle:
            if line.strip() and not line.startswith((b"#", b"track", b"browser")):
                return line.decode(errors="replace").rstrip("\r\n")
    return None


def people_of_data(data: DataSettings) -> list[str]:
    """Everybody in the genotypes, if there are any, or the expression table."""
    genotyped = [] if data.genotypes is None else people_of_genotypes(data.genotypes)
    people = genotyped + people_of_expression(str(data.expression))
    return list(dict.fromkeys(people))


def populations_of_data(data: DataSettings) -> list[str]:
    """The populations in the user's table, sorted; none without a table."""
    if data.populations is None:
        return []
    header = [name.lower() for name in columns_of_table(data.populations)]
    column = next((header.index(name) for name in ("population", "pop") if name in header), None)
    if column is None:
        return []
    with _opened(data.populations) as handle:
        rows = [_words(line) for line in handle][1:]
    return sorted({row[column] for row in rows if len(row) > column})


def genes_of_data(data: DataSettings) -> list[str]:
    """Every gene of the expression table or the GTF; the table's names come first."""
    return list(dict.fromkeys(genes_of_expression(str(data.expression)) + genes_of_gtf(str(data.genes))))


def contigs_of_data(data: DataSettings) -> list[str] | None:
    """The contigs of the reference from its index, in its order; None where there is no index yet."""
    index = Path(f"{data.reference}.fai")
    if not index.is_file():
        return None
    return [line.split("\t", 1)[0] for line in index.read_text().splitlines()]
