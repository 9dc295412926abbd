"""One thing, two names: contigs with and without `chr`, gene ids with and without a version."""

import difflib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gta.errors import UserError
from gta.inputs.text_tables import cells_of, plain_name

EXPRESSION = "expression matrix"

#: Names of the fourth column of a matrix that has individuals from the fifth on.
_GENE_COLUMNS = {"gene", "gene_id", "geneid", "gene_name", "phenotype", "phenotype_id", "pid", "id", "targetid"}
#: Names of the fifth and sixth column of the other form: a header that has only one of them is incomplete.
_NOT_INDIVIDUALS = {"length", "gid", "strand"}

_VERSIONED = re.compile(r"^(ENS[A-Z]*\d+)\.\d+(_PAR_Y)?$")


def canonical_contig(name: str) -> str:
    """A contig's name without `chr` and with `MT` for the mitochondrion: `chr22` -> `22`, `chrM` -> `MT`."""
    bare = re.sub(r"^chr", "", name, flags=re.IGNORECASE)
    return "MT" if bare in ("M", "MT") else bare


def match_contigs(names: Iterable[str], reference: Sequence[str]) -> dict[str, str]:
    """The reference's name of each contig: the same name, or else the only one that differs in `chr` or M/MT.

    Args:
        names: Contigs of a file.
        reference: Contigs of the reference.

    Returns:
        name -> name in the reference; names that match none, or that would be a second name of a matched one, are left out.
    """
    exact = set(reference)
    by_canonical: dict[str, list[str]] = defaultdict(list)
    for name in reference:
        by_canonical[canonical_contig(name)].append(name)
    ordered = list(dict.fromkeys(names))
    matched = {name: name for name in ordered if name in exact}
    taken = set(matched)
    for name in ordered:
        candidates = by_canonical[canonical_contig(name)]
        if name not in matched and len(candidates) == 1 and candidates[0] not in taken:
            matched[name] = candidates[0]
            taken.add(candidates[0])
    return matched


def bare_gene_id(name: str) -> str:
    """An Ensembl id without its version: `ENSG00000182378.14_PAR_Y` -> `ENSG00000182378_PAR_Y`.

    Other names stay as they are, because a number after a dot is part of many of them (`RP11-34P13.7`).
    """
    return _VERSIONED.sub(lambda found: found.group(1) + (found.group(2) or ""), name)


@dataclass(frozen=True)
class GeneMatch:
    """Which names of one file are which of another.

    Attributes:
        names: name -> name in the other file, for every name that has one.
        n_exact: How many are the same, letter by letter.
        n_unversioned: How many are the same without the version suffix.
    """

    names: dict[str, str]
    n_exact: int
    n_unversioned: int


def match_genes(names: Iterable[str], targets: Iterable[str]) -> GeneMatch:
    """Match gene ids exactly, or else without version suffix where that leaves no doubt.

    Args:
        names: Gene ids to be matched, each once.
        targets: Gene ids of the other file, each once.
    """
    names, targets = list(names), set(targets)
    matched = {name: name for name in names if name in targets}
    n_exact = len(matched)
    left = [name for name in names if name not in matched]
    n_same_bare = Counter(map(bare_gene_id, left))
    by_bare: dict[str, list[str]] = defaultdict(list)
    for target in targets - set(matched):
        by_bare[bare_gene_id(target)].append(target)
    for name in left:
        bare = bare_gene_id(name)
        if n_same_bare[bare] == 1 and len(by_bare[bare]) == 1:
            matched[name] = by_bare[bare][0]
    return GeneMatch(matched, n_exact, len(matched) - n_exact)


def leading_columns(header: Sequence[str]) -> int:
    """Return the number of columns in front of the individuals in the header of an expression matrix.

    Args:
        header: Names of all columns.

    Returns:
        6 for `#chr start end gene length strand`, 4 for `#chr start end gene` as FastQTL and tensorQTL write it, 0 for neither.

    Example:
        >>> leading_columns(["#chr", "start", "end", "gene", "GM12878"])
        4
    """
    names = [plain_name(name) for name in header[:6]]
    if names[1:3] not in (["start", "end"], ["chromstart", "chromend"], ["chrom_start", "chrom_end"]):
        return 0
    if names[5:] == ["strand"]:
        return 6
    return 4 if names[3:4] and names[3] in _GENE_COLUMNS and not _NOT_INDIVIDUALS & set(names[4:]) else 0


def header_of_expression(header: str, where: str) -> tuple[int, list[str]]:
    """The number of columns before the people, and the people, of the header of an expression matrix; tabs at its end are none.

    Args:
        header: The line.
        where: The beginning of the error's text: "The expression matrix x".

    Raises:
        UserError: if it is no such header, or the people have no clean names.
    """
    fields = cells_of(header.rstrip("\r\n\t"))
    number = leading_columns(fields)
    if not number:
        raise UserError(
            f"{where} does not begin with the header `#chr start end gene length strand person ...`, separated by tabs (it begins"
            f" {header[:60].rstrip()!r}): write it, with all six columns before the people, or with the first four of them alone."
        )
    people = fields[number:]
    if not people:
        raise UserError(f"{where} has no people: six columns, then one column per person, are needed.")
    require_clean_names(people, where)
    if "gene" in people:
        raise UserError(f"{where} has a person called 'gene', as the workflow calls the genes: rename that person.")
    return number, people


def require_clean_names(people: Sequence[str], where: str) -> None:
    """Refuse names of people that are empty, have blanks around them, or occur twice.

    Args:
        people: The names.
        where: The beginning of the error's text: "The genotype file x".

    Raises:
        UserError: naming the first of them.
    """
    for person, n in Counter(people).items():
        if not person.strip():
            raise UserError(f"{where} has a person without a name in its header: name every column.")
        if person != person.strip():
            raise UserError(f"{where} names the person {person!r} with a blank at its beginning or end: remove it.")
        if n > 1:
            raise UserError(f"{where} names the person {person!r} more than once: remove or rename one column.")


def nearest(name: str, known: Iterable[str]) -> str:
    """Half a sentence that helps with an unknown name: `did you mean 'x'?`, or what names there are."""
    listed = list(known)
    near = difflib.get_close_matches(name, listed, n=1)
    return f"did you mean {near[0]!r}?" if near else f"the names there are {examples(listed)}"


def examples(names: Iterable[str], n: int = 3) -> str:
    """The first few names, for an error's text: `'chr1', 'chr2', 'chr3' ...`."""
    listed = list(names)
    return ", ".join(map(repr, listed[:n])) + (" ..." if len(listed) > n else "")
