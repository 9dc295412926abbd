"""The user's tables of known elements and eQTLs, read without anything heavy: a dry run checks them as attribution does."""

import re
from dataclasses import dataclass
from pathlib import Path

from gta.errors import UserError
from gta.inputs.compression import open_text
from gta.inputs.text_tables import cells_of, clean, number_of, plain_name, read_text_table, whole_number_of

ELEMENTS = "file of known elements"
EQTLS = "table of known eQTLs"

#: Other names of columns, in the form of `gta.inputs.text_tables.plain_name`.
GENE = ("gene", "gene_id")
CONTIG = ("contig", "chr", "chrom", "chromosome")
START = ("start", "chromstart", "chrom_start")
END = ("end", "chromend", "chrom_end")
VARIANT = ("variant", "variant_id")
P_VALUE = ("p_value", "pvalue", "p", "pval", "pval_nominal")

#: contig_position_REF_ALT, as GTEx and the eQTL Catalogue write it; a genome build may follow.
_VARIANT = re.compile(r"(?P<contig>[^_:]+)[_:](?P<position>\d+)[_:](?P<ref>[ACGTacgt]+)[_:](?P<alt>[ACGTacgt]+)(?:[_:]\w+)?")

#: (gene, contig, start, end), bp, 0-based half-open; no gene: "".
Element = tuple[str, str, int, int]


@dataclass(frozen=True)
class Eqtl:
    """A known eQTL.

    Attributes:
        gene: As given.
        contig: As given.
        position: bp, 0-based.
        ref: In capitals.
        alt: In capitals.
        slope: Per ALT allele.
        p_value: None where the table has none.
    """

    gene: str
    contig: str
    position: int
    ref: str
    alt: str
    slope: float
    p_value: float | None


def names_genes(path: Path) -> bool:
    """Whether a file of elements is a table of genes and their elements, by its name."""
    return re.search(r"\.tsv(\.b?gz)?$", path.name, re.IGNORECASE) is not None


def is_bigwig(path: Path) -> bool:
    """Whether a file of elements is a bigWig, by its name."""
    return path.suffix.lower() in (".bw", ".bigwig")


def read_element_rows(path: Path) -> list[Element]:
    """Known elements of a BED file, or of a table of genes and their elements.

    Raises:
        UserError: naming the line that is no element, or if there is none.
    """
    if names_genes(path):
        return _elements_of_genes(path)
    rows: list[Element] = []
    with open_text(path, ELEMENTS) as handle:
        for number, line in enumerate(handle, start=1):
            if not line.strip() or line.startswith(("#", "track", "browser")):
                continue
            fields = [clean(cell) for cell in cells_of(line)]
            if not rows and len(fields) > 2 and plain_name(fields[1]) in START and plain_name(fields[2]) in END:
                continue  # a header without #
            start, end = (whole_number_of(cell) for cell in (*fields[1:3], "", "")[:2])
            if len(fields) < 3 or start is None or end is None or start > end:
                raise UserError(
                    f"The {ELEMENTS} {path}, line {number}, is not BED ({line[:60].rstrip()!r}): contig, start and end, separated"
                    " by tabs, with 0 <= start <= end are needed."
                )
            rows.append(("", fields[0], start, end))
    if not rows:
        raise UserError(f"The {ELEMENTS} {path} names no element: check how it was made, or leave it out.")
    return rows


def _elements_of_genes(path: Path) -> list[Element]:
    """The rows of a table of genes and their elements."""
    try:
        table = read_text_table(path, ELEMENTS)
        places = [table.column(*aliases) for aliases in (GENE, CONTIG, START, END)]
    except UserError as error:
        raise UserError(
            f"{error} A file named .tsv must name genes and their elements; give elements of no gene in particular as .bed."
        ) from error
    rows: list[Element] = []
    for number, cells in table.rows:
        gene, contig, *borders = (cells[place] for place in places)
        start, end = map(whole_number_of, borders)
        if not gene or not contig or start is None or end is None or start > end:
            raise UserError(
                f"{table.where}, line {number}, has gene {gene!r}, contig {contig!r}, start {borders[0]!r} and end"
                f" {borders[1]!r}: a gene, a contig and whole numbers with 0 <= start <= end are needed."
            )
        rows.append((gene, contig, start, end))
    return rows


def read_eqtl_rows(path: Path) -> list[Eqtl]:
    """Known eQTLs as the user gives them, in the order of the file.

    Args:
        path: TSV with the columns gene (or gene_id), variant (`chr1_12345_A_G`: position counted from 1, REF, ALT) and slope (per
            ALT allele); p_value is optional.

    Raises:
        UserError: naming the line of a variant or number that cannot be read.
    """
    table = read_text_table(path, EQTLS)
    gene, variant, slope = (table.find(*aliases) for aliases in (GENE, VARIANT, ("slope",)))
    if gene is None or variant is None or slope is None:
        absent = next(name for name, place in (("gene", gene), ("variant", variant), ("slope", slope)) if place is None)
        raise UserError(f"{table.where} has no column {absent!r}: give gene, variant (chr1_12345_A_G) and slope.")
    p_value = table.find(*P_VALUE)
    rows = []
    for number, cells in table.rows:
        found = _VARIANT.fullmatch(cells[variant])
        if found is None or not int(found["position"]):
            raise UserError(
                f"{table.where}, line {number}, has the variant {cells[variant]!r}: write contig_position_REF_ALT, such as"
                " chr1_12345_A_G."
            )
        numbers: dict[str, float | None] = {"slope": None, "p_value": None}
        for name, place in (("slope", slope), ("p_value", p_value)):
            if place is not None:
                try:
                    numbers[name] = number_of(cells[place])
                except ValueError as error:
                    reason = str(error).partition("; ")[2].replace("give every value", "correct it")
                    raise UserError(
                        f"{table.where}, line {number}: {name} is {cells[place]!r}, not a number; {reason}."
                    ) from None
        rows.append(
            Eqtl(
                cells[gene],
                found["contig"],
                int(found["position"]) - 1,
                found["ref"].upper(),
                found["alt"].upper(),
                float(numbers["slope"] or 0.0),
                numbers["p_value"],
            )
        )
    return rows
