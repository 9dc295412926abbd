"""Text about genes from public files, added to the user's table: NCBI's gene_info and gene summaries, and GO annotations."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gta.errors import UserError
from gta.inputs.compression import open_text
from gta.language.settings import check_sources

#: Column of the annotation that each aspect of GO goes to.
ASPECTS = {"P": "go_bp", "F": "go_mf", "C": "go_cc"}
#: Terms of one aspect that are taken of a gene at the most, those with most annotations first.
TERMS = 5


@dataclass(frozen=True)
class Sources:
    """Files with text about genes; each is optional.

    Attributes:
        gene_info: NCBI's gene_info: full names, synonyms, and the ids that lead to the summaries.
        gene_summaries: NCBI's gene_summary (RefSeq): a paragraph for each GeneID; needs gene_info.
        go_annotations: GO annotations, GAF 2.
        go_terms: The ontology, OBO, which names the terms of the annotations; needed by them.
    """

    gene_info: Path | None = None
    gene_summaries: Path | None = None
    go_annotations: Path | None = None
    go_terms: Path | None = None


def annotate(annotation: pd.DataFrame, genes: pd.DataFrame, sources: Sources) -> pd.DataFrame:
    """The annotation with what the sources say, where the user's table says nothing itself.

    A gene is found in gene_info by its Ensembl id (without version) or else by its symbol, in the GO annotations by its symbol.

    Args:
        annotation: The user's table: `gene symbol biotype description` and further columns, all text.
        genes: Genes of the GTF, `gene symbol biotype`; those that the table lacks get a row.
        sources: The files.

    Returns:
        The table; the columns that the sources can fill are in it, even where none is filled.

    Raises:
        UserError: if a file is broken, or lacks another one that it needs.
    """
    check_sources([key for key, path in vars(sources).items() if path is not None])
    bare = genes.loc[~genes["gene"].isin(annotation["gene"]), ["gene", "symbol", "biotype"]]
    table = pd.concat([annotation, bare], ignore_index=True).fillna("")
    filled: list[tuple[str, dict[str, str]]] = []  # (column, text by row's gene)
    symbols = dict(zip(table["gene"], table["symbol"], strict=True))
    if sources.gene_info is not None:
        info = read_gene_info(sources.gene_info)
        found = {gene: info.find(gene, symbol) for gene, symbol in symbols.items()}
        known = {gene: row for gene, row in found.items() if row is not None}
        filled.append(("description", {gene: row.name for gene, row in known.items()}))
        filled.append(("synonyms", {gene: row.synonyms for gene, row in known.items()}))
        if sources.gene_summaries is not None:
            summaries = read_gene_summaries(sources.gene_summaries, {row.gene_id for row in known.values()})
            filled.append(("summary", {gene: summaries.get(row.gene_id, "") for gene, row in known.items()}))
    if sources.go_annotations is not None and sources.go_terms is not None:
        names = read_go_terms(sources.go_terms)
        terms = read_go_annotations(sources.go_annotations, set(symbols.values()))
        for aspect, column in ASPECTS.items():
            texts = {gene: _listed(terms.get((symbol, aspect), {}), names) for gene, symbol in symbols.items()}
            filled.append((column, texts))
    for column, texts in filled:
        given = table[column] if column in table else pd.Series("", index=table.index)
        table[column] = given.mask(given == "", table["gene"].map(texts).fillna(""))
    return table


def _listed(counts: dict[str, int], names: dict[str, str]) -> str:
    """The names of the most often annotated terms, equals in order of their id; terms without a name are left out."""
    order = sorted((term for term in counts if term in names), key=lambda term: (-counts[term], term))
    return "; ".join(names[term] for term in order[:TERMS])


@dataclass(frozen=True)
class GeneInfoRow:
    """A gene of gene_info: its GeneID, full name and synonyms (`A, B`)."""

    gene_id: str
    name: str
    synonyms: str


@dataclass(frozen=True)
class GeneInfo:
    """The genes of gene_info by Ensembl id without version, and by symbol."""

    by_ensembl: dict[str, GeneInfoRow]
    by_symbol: dict[str, GeneInfoRow]

    def find(self, gene: str, symbol: str) -> GeneInfoRow | None:
        """The row of a gene, or None."""
        return self.by_ensembl.get(gene.split(".")[0]) or self.by_symbol.get(symbol)


def read_gene_info(path: Path) -> GeneInfo:
    """NCBI's gene_info: `#tax_id GeneID Symbol ... Synonyms dbXrefs ... description ...`, `-` where there is nothing.

    An Ensembl id or symbol that stands in several rows belongs to the first.

    Raises:
        UserError: without these columns, for a short line, or where there is no gene.
    """
    by_ensembl: dict[str, GeneInfoRow] = {}
    by_symbol: dict[str, GeneInfoRow] = {}
    wanted = ("GeneID", "Symbol", "Synonyms", "dbXrefs", "description", "Full_name_from_nomenclature_authority")
    for cells in _table(path, "gene_info", wanted):
        number, symbol, synonyms, references, description, full = ("" if cell == "-" else cell for cell in cells)
        row = GeneInfoRow(number, full or description, synonyms.replace("|", ", "))
        by_symbol.setdefault(symbol, row)
        for reference in references.split("|"):
            if reference.startswith("Ensembl:"):
                by_ensembl.setdefault(reference.removeprefix("Ensembl:").split(".")[0], row)
    return GeneInfo(by_ensembl, by_symbol)


def read_gene_summaries(path: Path, wanted: set[str]) -> dict[str, str]:
    """NCBI's gene_summary, `#tax_id GeneID Source Summary`: the summary of each wanted GeneID.

    The remark in brackets about who provided it, which ends many summaries, is left out.

    Raises:
        UserError: without these columns, for a short line, or where there is no summary.
    """
    provider = re.compile(r"\s*\[(provided|supplied) by [^\]]*\]\.?\s*$")
    rows = _table(path, "gene_summaries", ("GeneID", "Summary"))
    return {number: provider.sub("", summary) for number, summary in rows if number in wanted}


def read_go_annotations(path: Path, symbols: set[str]) -> dict[tuple[str, str], dict[str, int]]:
    """GO annotations, GAF 2 (http://geneontology.org/docs/go-annotation-file-gaf-format-2.2).

    Args:
        path: GAF, plain or gzip.
        symbols: Genes wanted.

    Returns:
        (symbol, aspect P, F or C) to GO id to number of annotations. Negated ones (NOT) and those without data (ND) do not count.

    Raises:
        UserError: for a line that is too short, or where there is no annotation.
    """
    counts: dict[tuple[str, str], dict[str, int]] = {}
    n_lines = 0
    for number, line in _lines(path, "go_annotations"):
        if line.startswith("!"):
            continue
        cells = line.split("\t")
        n_lines += 1
        if len(cells) < 9 or not cells[4].startswith("GO:") or cells[8] not in ASPECTS:
            raise UserError(f"data.go_annotations: {path}, line {number}, is no annotation of GAF 2; download the file again.")
        if cells[2] in symbols and "NOT" not in cells[3].split("|") and cells[6] != "ND":
            terms = counts.setdefault((cells[2], cells[8]), {})
            terms[cells[4]] = terms.get(cells[4], 0) + 1
    if not n_lines:
        raise UserError(f"data.go_annotations: {path} holds no annotation; download the file again.")
    return counts


def read_go_terms(path: Path) -> dict[str, str]:
    """GO id to name of all terms of an ontology in OBO format that are in use; alternative ids lead to the same name.

    Raises:
        UserError: if the file names no term.
    """
    names: dict[str, str] = {}
    ids: list[str] = []
    name, obsolete, in_term = "", False, False
    for _, line in (*_lines(path, "go_terms"), (0, "[End]")):
        if line.startswith("["):
            if in_term and name and not obsolete:
                names |= dict.fromkeys(ids, name)
            ids, name, obsolete, in_term = [], "", False, line == "[Term]"
        key, _, value = line.partition(": ")
        if key in ("id", "alt_id"):
            ids.append(value)
        elif key == "name":
            name = value
        elif key == "is_obsolete":
            obsolete = value == "true"
    if not names:
        raise UserError(f"data.go_terms: {path} names no term; give the ontology in OBO format, go-basic.obo.")
    return names


def _table(path: Path, key: str, wanted: tuple[str, ...]) -> Iterator[list[str]]:
    """The wanted columns of a tab-separated file whose header begins with `#`.

    Raises:
        UserError: without one of them, for a line of another length, or without any row.
    """
    lines = _lines(path, key)
    header = next(lines, (0, ""))[1].lstrip("#").split("\t")
    for name in wanted:
        if name not in header:
            raise UserError(f"data.{key}: {path} has no column {name!r}; download the file of NCBI again.")
    places = [header.index(name) for name in wanted]
    n_rows = 0
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) != len(header):
            raise UserError(
                f"data.{key}: {path}, line {number}, has {len(cells)} columns where the header has {len(header)}; download"
                " the file again."
            )
        n_rows += 1
        yield [cells[place] for place in places]
    if not n_rows:
        raise UserError(f"data.{key}: {path} has no rows; download the file of NCBI again.")


def _lines(path: Path, key: str) -> Iterator[tuple[int, str]]:
    """(number, line) of the lines of a text file that are not empty."""
    with open_text(path, f"file of data.{key},") as handle:
        for number, line in enumerate(handle, start=1):
            if line.strip():
                yield number, line.rstrip("\r\n")
