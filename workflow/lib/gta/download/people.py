"""The people of a study: those of a sample panel who have expression."""

from pathlib import Path

from gta.errors import UserError
from gta.files import atomic_path
from gta.inputs.compression import open_text


def people_of_expression(path: Path) -> list[str]:
    """The people of a published expression matrix, sorted.

    Geuvadis names libraries (`HG00096.1.M_111124_6`): the person stands before the first dot.
    """
    with open_text(path, "expression matrix") as handle:
        columns = handle.readline().rstrip("\r\n").split("\t")[4:]
    return sorted({column.split(".")[0] for column in columns})


def read_panel(path: Path) -> dict[str, str]:
    """Person -> population, of a panel of the 1000 Genomes Project: with SampleID and Population, or without a header.

    Raises:
        UserError: if it has neither form.
    """
    with open_text(path, "sample panel") as handle:
        rows = [line.split() for line in handle if line.strip()]
    if not rows or len(rows[0]) < 2:
        raise UserError(f"The sample panel {path} has no two columns: download it again.")
    header = rows[0]
    if "SampleID" in header and "Population" in header:
        person, population = header.index("SampleID"), header.index("Population")
        return {row[person]: row[population] for row in rows[1:]}
    return {row[0]: row[1] for row in rows}


def write_people(panel: Path, expression: Path, out: Path) -> None:
    """Write `person population` of everybody who is in the panel and in the expression matrix, sorted by person.

    Geuvadis: the panel is that of phase 1 of the 1000 Genomes Project, so that the people whose genotypes were imputed from an
    array, and who are not in it, are left out.

    Raises:
        UserError: if nobody is in both.
    """
    populations = read_panel(panel)
    people = [person for person in people_of_expression(expression) if person in populations]
    if not people:
        raise UserError(f"Nobody is in both {panel} and {expression}: check that they belong to one study.")
    with atomic_path(out) as path:
        path.write_text("person\tpopulation\n" + "".join(f"{person}\t{populations[person]}\n" for person in people))
