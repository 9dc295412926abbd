"""Genes and their TSS from a GTF."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gta.errors import UserError
from gta.inputs.compression import require_last_line_whole
from gta.inputs.gtf import WHAT, Line, attributes_of, read_lines
from gta.inputs.names import match_contigs, match_genes

COLUMNS = ["gene", "symbol", "biotype", "contig", "start", "end", "strand", "tss"]

#: A gene's place in the expression matrix may lie this far (bp) from the gene in the GTF: annotations differ in their TSS.
#: Transcripts of one gene id that lie further apart are at two places.
PLACE_TOLERANCE = 5_000

#: Gene ids that are of one place by definition, however far apart their transcripts lie.
_OF_ONE_PLACE = re.compile(r"ENS[A-Z]*G\d+(\.\d+)?(_PAR_Y)?|M?STRG\.\d+|XLOC_\d+")
#: What UCSC adds to the name of a transcript that it has placed once more.
_COPY = re.compile(r"_dup\d+$")

_NAMES = ("gene_name", "gene", "gene_type", "gene_biotype")


@dataclass
class _Span:
    """A place of a gene as far as it has been read; start and end are 0-based half-open."""

    contig: str
    start: int
    end: int
    strand: str
    n_lines: int = 1
    is_copy: bool = False

    def is_near(self, contig: str, start: int, end: int, tolerance: int = 0) -> bool:
        """Whether an interval overlaps the place, or lies within some bp of it."""
        return self.contig == contig and start < self.end + tolerance and end > self.start - tolerance

    def stretch(self, start: int, end: int, n_lines: int = 1) -> None:
        """Take an interval in."""
        self.start, self.end, self.n_lines = min(self.start, start), max(self.end, end), self.n_lines + n_lines


@dataclass
class _Gene:
    """A gene id: its names and its places, in the order of the file."""

    symbol: str
    biotype: str
    places: list[_Span]


def read_genes(path: Path, log: Callable[[str], None], expression: pd.DataFrame | None = None) -> pd.DataFrame:
    """The genes of a GTF.

    From its `gene` lines; if it has none (StringTie, UCSC), from the span of each gene's transcripts and exons. Of a gene id
    that stands at several places (as on X and Y in the pseudoautosomal regions of some annotations, or a symbol that UCSC has
    placed several times), the place of the expression matrix is kept, or else the first.

    Args:
        path: GTF of GENCODE or Ensembl, plain or gzip.
        log: Takes a line of progress.
        expression: `gene contig start end` of the expression matrix, if it is known; 0-based half-open.

    Returns:
        `gene symbol biotype contig start end strand tss`; start and end 0-based half-open, tss the 0-based position of the
        first transcribed base: start for +, end - 1 for -. Contigs as named in the file.

    Raises:
        UserError: for a broken line (with its number), GFF3, or a file without genes.
    """
    require_last_line_whole(path, WHAT)
    genes = _of_gene_lines(path)
    if not genes:
        log("genes: no gene lines in the GTF; genes are the spans of their transcripts and exons")
        genes = _of_transcripts(path)
    if not genes:
        raise UserError(f"The {WHAT} {path} has no lines of genes, transcripts or exons: check that it is a GTF.")
    spans, n_repeated, n_as_measured = _one_place(genes, expression)
    if n_repeated:
        kept = f"of {n_as_measured} genes that of the expression matrix is kept, else the first" if n_as_measured else ""
        log(f"genes: {n_repeated} lines repeat a gene id at another place and are left out ({kept or 'the first place is kept'})")
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
            *(gene, genes[gene].symbol or gene, genes[gene].biotype, span.contig, span.start, span.end, span.strand),
            span.start if span.strand == "+" else span.end - 1,
        )
        for gene, span in stranded.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _gene_of(genes: dict[str, _Gene], line: Line, gene: str, path: Path) -> _Gene:
    """The gene of a line, begun at its first one."""
    if not gene:
        raise UserError(
            f'The {WHAT} {path}, line {line.number}, has no gene_id "...": a GTF is needed (`gffread -T` makes one of a GFF3).'
        )
    if gene not in genes:
        found = attributes_of(line.attributes, _NAMES)
        symbol, biotype = found.get("gene_name", found.get("gene", "")), found.get("gene_type", found.get("gene_biotype", ""))
        genes[gene] = _Gene(symbol, biotype, [])
    return genes[gene]


def _of_gene_lines(path: Path) -> dict[str, _Gene]:
    """The genes of the lines `gene`, each a place."""
    genes: dict[str, _Gene] = {}
    for line in read_lines(path, {"gene"}):
        gene = attributes_of(line.attributes, ("gene_id",)).get("gene_id", "")
        _gene_of(genes, line, gene, path).places.append(_Span(line.contig, line.start, line.end, line.strand))
    return genes


def _of_transcripts(path: Path) -> dict[str, _Gene]:
    """The genes of the lines of transcripts and exons: transcripts that overlap, or nearly so, are of one place."""
    genes: dict[str, _Gene] = {}
    #: (gene, transcript, contig, strand) -> its span, and whether it has a line of its own.
    transcripts: dict[tuple[str, str, str, str], tuple[_Span, bool]] = {}
    for line in read_lines(path, {"transcript", "mRNA", "exon"}):
        named = attributes_of(line.attributes, ("gene_id", "transcript_id"))
        name, transcript = named.get("gene_id", ""), named.get("transcript_id", "")
        gene = _gene_of(genes, line, name, path)
        key = (name, transcript, line.contig, line.strand)
        span, has_line = transcripts.get(key, (None, False))
        is_whole = line.feature != "exon"
        if span is None or (transcript and is_whole and has_line and not span.is_near(line.contig, line.start, line.end)):
            span = _Span(line.contig, line.start, line.end, line.strand, is_copy=_COPY.search(transcript) is not None)
            gene.places.append(span)
        else:
            span.stretch(line.start, line.end)
        transcripts[key] = (span, has_line or is_whole)
    for name, gene in genes.items():
        gene.places = _joined(gene.places, whole=_OF_ONE_PLACE.fullmatch(name) is not None)
    return genes


def _joined(transcripts: Sequence[_Span], whole: bool) -> list[_Span]:
    """The places of a gene's transcripts, in the order of the file; `whole`: all on one strand of a contig are of one place."""
    order = {id(span): number for number, span in enumerate(transcripts)}
    places: list[tuple[int, _Span]] = []
    for span in sorted(transcripts, key=lambda each: (each.contig, each.strand, each.start)):
        last = places[-1][1] if places else None
        number = order[id(span)]
        if last is not None and (last.contig, last.strand) == (span.contig, span.strand):
            tolerance = 0 if span.is_copy or last.is_copy else PLACE_TOLERANCE
            if whole or last.is_near(span.contig, span.start, span.end, tolerance):
                last.stretch(span.start, span.end, span.n_lines)
                places[-1] = (min(number, places[-1][0]), last)
                continue
        places.append((number, span))
    return [span for _, span in sorted(places, key=lambda each: each[0])]


def _one_place(genes: dict[str, _Gene], expression: pd.DataFrame | None) -> tuple[dict[str, _Span], int, int]:
    """The place of each gene, how many lines are of others, and of how many genes another than the first is kept."""
    several = [gene for gene, about in genes.items() if len(about.places) > 1]
    chosen = {gene: about.places[0] for gene, about in genes.items()}
    n_lines = sum(place.n_lines for gene in several for place in genes[gene].places)
    n_as_measured = 0
    if expression is not None and several:
        named = match_genes(several, expression["gene"]).names
        measured = expression[expression["gene"].isin(named.values())].set_index("gene")
        for gene, name in named.items():
            found = _measured_at(genes[gene].places, *measured.loc[name, ["contig", "start", "end"]])
            if found is not None:
                n_as_measured += found is not chosen[gene]
                chosen[gene] = found
    return chosen, n_lines - sum(chosen[gene].n_lines for gene in several), n_as_measured


def _measured_at(places: Iterable[_Span], contig: str, start: int, end: int) -> _Span | None:
    """The place that the expression matrix gives, joined where its interval spans several on a strand; None if there is none."""
    on_contig = [place for place in places if match_contigs([contig], [place.contig])]
    for tolerance in (0, PLACE_TOLERANCE):
        near = [place for place in on_contig if place.is_near(place.contig, start, end, tolerance)]
        if near:
            joined = _Span(near[0].contig, near[0].start, near[0].end, near[0].strand, near[0].n_lines)
            others = [place for place in near[1:] if (place.contig, place.strand) == (joined.contig, joined.strand)]
            for place in others:
                joined.stretch(place.start, place.end, place.n_lines)
            return joined if others else near[0]
    return None
