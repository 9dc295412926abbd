"""Published expression matrices in the form that the stage `inputs` reads: BED, RPKM, one column per person."""

import gzip
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gta.errors import UserError
from gta.files import atomic_path
from gta.inputs.compression import open_text

WHAT = "expression matrix"
#: contig, start, end, gene, values of one gene
Row = tuple[str, int, int, str, npt.NDArray[np.float64]]
_GENE_ID = re.compile(r'gene_id "?([^";]+)')


def _table(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every line, the header's first."""
    with open_text(path, WHAT) as handle:
        header = handle.readline().rstrip("\r\n").split("\t")
        if len(header) < 5:
            raise UserError(f"The {WHAT} {path} has {len(header)} columns, not four and one per person: download it again.")
        yield 1, header
        for number, line in enumerate(handle, start=2):
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) != len(header):
                where = f"The {WHAT} {path}, line {number},"
                raise UserError(f"{where} has {len(fields)} columns where the header has {len(header)}: download it again.")
            yield number, fields


def _numbers(path: Path, number: int, fields: Sequence[str]) -> npt.NDArray[np.float64]:
    try:
        return np.array(fields, dtype=np.float64)
    except ValueError as error:
        raise UserError(f"The {WHAT} {path}, line {number}: {error}; download it again.") from error


def read_geuvadis(path: Path) -> tuple[list[str], Iterator[Row]]:
    """People, and the rows, of GD660.GeneQuantRPKM: `TargetID Gene_Symbol Chr Coord`, then one column per library.

    A person's value is the mean over the person's libraries. `Coord` is the TSS, from 1.
    """
    table = _table(path)
    _, header = next(table)
    owners = [column.split(".")[0] for column in header[4:]]
    people = sorted(set(owners))
    of_person = [np.flatnonzero([owner == person for owner in owners]) for person in people]

    def rows() -> Iterator[Row]:
        for number, fields in table:
            values = _numbers(path, number, fields[4:])
            means = np.array([values[columns].mean() for columns in of_person])
            yield fields[2], int(fields[3]) - 1, int(fields[3]), fields[0], means

    return people, rows()


def read_pseudocounts(path: Path, lengths: Mapping[str, float]) -> tuple[list[str], Iterator[Row]]:
    """People, and the rows, of a BED of pseudocounts: `#chr start end gene`, then one column per person.

    Counts scaled by length (tximport's lengthScaledTPM) are divided by the gene's length in kb, which the cohort's `unit: rpkm`
    turns into TPM.

    Args:
        path: The BED.
        lengths: Gene -> length of its exons, bp; genes without one are left out.
    """
    table = _table(path)
    _, header = next(table)

    def rows() -> Iterator[Row]:
        for number, fields in table:
            if fields[3] in lengths:
                values = _numbers(path, number, fields[4:]) / (lengths[fields[3]] / 1000)
                yield fields[0], int(fields[1]), int(fields[2]), fields[3], values

    return header[4:], rows()


def exon_lengths(gtf: Path) -> dict[str, float]:
    """Gene -> number of bases in any of its exons, of a GTF."""
    exons: dict[str, list[tuple[int, int]]] = {}
    with open_text(gtf, "gene annotation") as handle:
        for line in handle:
            fields = line.split("\t")
            found = _GENE_ID.search(fields[8]) if len(fields) > 8 and fields[2] == "exon" else None
            if found:
                exons.setdefault(found[1], []).append((int(fields[3]) - 1, int(fields[4])))
    return {gene: float(_covered(intervals)) for gene, intervals in exons.items()}


def _covered(intervals: list[tuple[int, int]]) -> int:
    """Bases in the union of half-open intervals."""
    covered, reached = 0, 0
    for start, end in sorted(intervals):
        covered += max(0, end - max(start, reached))
        reached = max(reached, end)
    return covered


def write_bed(people: Sequence[str], rows: Iterator[Row], wanted: Callable[[str], bool], out: Path) -> None:
    """Write the BED, gzip, the same bytes for the same rows; values with ten digits.

    Args:
        people: The columns.
        rows: The genes; length and strand, which nothing reads, are left open (`.`).
        wanted: Whether a person is in the study.
        out: The file.
    """
    kept = [number for number, person in enumerate(people) if wanted(person)]
    with (
        atomic_path(out) as path,
        path.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as sink,
    ):
        sink.write("\t".join(["#chr", "start", "end", "gene", "length", "strand", *(people[n] for n in kept)]) + "\n")
        for contig, start, end, gene, values in rows:
            sink.write("\t".join([contig, str(start), str(end), gene, ".", ".", *(f"{values[n]:.10g}" for n in kept)]) + "\n")
