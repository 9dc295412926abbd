"""NCBI Gene and its Gene Ontology terms as the table of gene annotation that the prompts are made of."""

from collections.abc import Iterator
from pathlib import Path

from gta.download.manifest import ANNOTATION_COLUMNS
from gta.errors import UserError
from gta.files import atomic_path
from gta.inputs.compression import open_text

HUMAN = "9606"
#: NCBI's empty value.
EMPTY = "-"
_CATEGORIES = {"Process": "go_bp", "Function": "go_mf"}


def _rows(path: Path, what: str, needed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The rows of a table of NCBI, whose header begins with #."""
    with open_text(path, what) as handle:
        header = handle.readline().lstrip("#").rstrip("\r\n").split("\t")
        missing = [name for name in needed if name not in header]
        if missing:
            raise UserError(f"The {what} {path} has no column {missing[0]}: download it again.")
        for line in handle:
            yield dict(zip(header, line.rstrip("\r\n").split("\t"), strict=False))


def go_terms(gene2go: Path) -> dict[str, dict[str, set[str]]]:
    """NCBI's gene number -> column -> names of the terms, of human genes; negated ones (NOT) left out."""
    terms: dict[str, dict[str, set[str]]] = {}
    for row in _rows(gene2go, "table of GO terms", ("tax_id", "GeneID", "Qualifier", "GO_term", "Category")):
        column = _CATEGORIES.get(row["Category"])
        if row["tax_id"] == HUMAN and column is not None and not row["Qualifier"].startswith("NOT"):
            terms.setdefault(row["GeneID"], {}).setdefault(column, set()).add(row["GO_term"])
    return terms


def write_annotation(gene_info: Path, gene2go: Path, out: Path) -> None:
    """Write `gene_id symbol biotype description synonyms go_bp go_mf`, a row per Ensembl gene, sorted by it.

    Several NCBI genes of one Ensembl gene: the first one counts. GO terms are sorted by name and joined by `; `.

    Args:
        gene_info: `Homo_sapiens.gene_info.gz` of NCBI Gene.
        gene2go: `gene2go.gz` of NCBI Gene.
        out: The table.

    Raises:
        UserError: if a table has not its columns, or no gene has an Ensembl id.
    """
    terms = go_terms(gene2go)
    rows: dict[str, list[str]] = {}
    needed = ("GeneID", "Symbol", "Synonyms", "dbXrefs", "description", "type_of_gene")
    for row in _rows(gene_info, "table of genes", needed):
        for reference in row["dbXrefs"].split("|"):
            if reference.startswith("Ensembl:ENSG"):
                gene = reference.removeprefix("Ensembl:")
                words = [row[key].replace(EMPTY, "") if row[key] == EMPTY else row[key] for key in needed]
                _, symbol, synonyms, _, description, biotype = words
                of_gene = terms.get(row["GeneID"], {})
                go = ["; ".join(sorted(of_gene.get(column, ()))) for column in ("go_bp", "go_mf")]
                biotype = biotype.replace("protein-coding", "protein_coding")
                rows.setdefault(gene, [gene, symbol, biotype, description, synonyms, *go])
    if not rows:
        raise UserError(f"No gene of {gene_info} has an Ensembl id: check that it is gene_info of human genes.")
    with atomic_path(out) as path:
        path.write_text(
            "\n".join("\t".join(row) for row in [list(ANNOTATION_COLUMNS), *(rows[gene] for gene in sorted(rows))]) + "\n"
        )
