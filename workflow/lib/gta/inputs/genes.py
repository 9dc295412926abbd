"""Genes and their TSS from a GTF."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gta.errors import UserError
from gta.inputs.compression import open_text, require_last_line_whole

WHAT = "gene annotation"
COLUMNS = ["gene", "symbol", "biotype", "contig", "start", "end", "strand", "tss"]

_ATTRIBUTE = re.compile(r'(?:^|;)\s*(\w+) "?([^";]*)"?')


@dataclass
class _Span:
    """A gene as far as it has been read; start and end are 0-based half-open."""

    contig: str
    start: int
    end: int
    strand: str
    symbol: str
    biotype: str


def read_genes(path: Path, log: Callable[[str], None]) -> pd.DataFrame:
    """The genes of a GTF.

    From its `gene` lines; if it has none (StringTie, UCSC), from the span of each gene's transcripts and exons. A gene id
    that stands at two places (as on X and Y in the pseudoautosomal regions of some annotations) is kept at the first.

    Args:
        path: GTF of GENCODE or Ensembl, plain or gzip.
        log: Takes a line of progress.

    Returns:
        `gene symbol biotype contig start end strand tss`; start and end 0-based half-open, tss the 0-based position of the
        first transcribed base: start for +, end - 1 for -. Contigs as named in the file.

    Raises:
        UserError: for a broken line (with its number), GFF3, or a file without genes.
    """
    require_last_line_whole(path, WHAT)
    spans, n_repeated = _spans(path, {"gene"})
    if not spans:
        log("genes: no gene lines in the GTF; genes are the spans of their transcripts and exons")
        spans, n_repeated = _spans(path, {"transcript", "mRNA", "exon"})
    if not spans:
        raise UserError(f"The {WHAT} {path} has no lines of genes, transcripts or exons: check that it is a GTF.")
    if n_repeated:
        log(f"genes: {n_repeated} lines repeat a gene id at another place and are left out (the first place is kept)")
    stranded = {gene: span for gene, span in spans.items() if span.strand in ("+", "-")}
    if not stranded:
        gene, span = next(iter(spans.items()))
        raise UserError(
            f"The {WHAT} {path} says of none of its {len(spans)} genes on which strand it is (e.g. {gene!r} has {span.strand!r}"
            " in column 7), so that no TSS is known: give an annotation with + or - there."
        )
    if len(stranded) < len(spans):
        log(f"genes: {len(spans) - len(stranded)} genes without a strand are left out: they have no TSS")
    rows = [
        (
            *(gene, span.symbol or gene, span.biotype, span.contig, span.start, span.end, span.strand),
            span.start if span.strand == "+" else span.end - 1,
        )
        for gene, span in stranded.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _spans(path: Path, features: set[str]) -> tuple[dict[str, _Span], int]:
    """The span of the chosen lines of each gene id, and how many lines were left out because they lie elsewhere."""
    spans: dict[str, _Span] = {}
    n_repeated = 0
    whole_genes = features == {"gene"}
    for number, contig, start, end, strand, attributes in _lines(path, features):
        gene = attributes.get("gene_id", "")
        if not gene:
            raise UserError(
                f'The {WHAT} {path}, line {number}, has no gene_id "...": a GTF is needed (`gffread -T` makes one of a GFF3).'
            )
        known = spans.get(gene)
        if known is None:
            biotype = attributes.get("gene_type", attributes.get("gene_biotype", ""))
            spans[gene] = _Span(contig, start, end, strand, attributes.get("gene_name", ""), biotype)
        elif whole_genes or (known.contig, known.strand) != (contig, strand):
            n_repeated += 1
        else:
            known.start, known.end = min(known.start, start), max(known.end, end)
    return spans, n_repeated


def _lines(path: Path, features: set[str]) -> Iterator[tuple[int, str, int, int, str, dict[str, str]]]:
    """(line number, contig, start, end, strand, attributes) of the lines of some features; start 0-based."""
    with open_text(path, WHAT) as handle:
        for number, line in enumerate(handle, start=1):
            if line.startswith("#") or not line.strip():
                continue
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) < 9:
                raise UserError(
                    f"The {WHAT} {path}, line {number}, has {len(fields)} columns instead of 9: a GTF, with tabs, is needed."
                )
            if fields[2] not in features:
                continue
            try:
                start, end = int(fields[3]) - 1, int(fields[4])
            except ValueError:
                start, end = 0, 0
            if not 0 <= start < end:
                raise UserError(
                    f"The {WHAT} {path}, line {number}, has start {fields[3]!r} and end {fields[4]!r}: whole numbers with"
                    " 1 <= start <= end are needed."
                )
            yield number, fields[0], start, end, fields[6], dict(_ATTRIBUTE.findall(fields[8]))
