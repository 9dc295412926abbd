"""Lines of a GTF, read without anything heavy."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from gta.errors import UserError
from gta.inputs.compression import open_text

WHAT = "gene annotation"

#: `key "value"` or `key value`. A value in quotation marks ends at that which the end, a semicolon, a remark or the next key
#: follows; semicolons, backslashes with a quotation mark, and single quotation marks may stand in it.
_ATTRIBUTE = re.compile(
    r"""[\s;]*(?:
        (?P<key>[^\s"';=\#][^\s"';=]*)\s+(?:
            "(?P<quoted>(?:[^"\\]|\\.|"(?!\s*(?:[;#]|$|[\w.]+\s+")))*)"
            |'(?P<single>[^';]*(?:;[^';]*)*)'(?=\s*(?:;|$|\#))
            |(?P<bare>[^;]*)
        )
        |(?P<remark>\#.*)
    )""",
    re.VERBOSE,
)
#: From here on an attribute cannot be read: up to the next semicolon.
_REST = re.compile(r"[^;]*;?")


@dataclass(frozen=True)
class Line:
    """A line of a GTF.

    Attributes:
        number: Its number in the file.
        contig: As named in the file.
        feature: gene, transcript, exon, ...
        start: bp, 0-based half-open.
        end: bp, 0-based half-open.
        strand: As given: `+`, `-` or something else.
        attributes: The ninth column, see `attributes_of`.
    """

    number: int
    contig: str
    feature: str
    start: int
    end: int
    strand: str
    attributes: str


def attributes_of(text: str, wanted: Collection[str]) -> dict[str, str]:
    """Some attributes of a line of a GTF.

    Args:
        text: The ninth column.
        wanted: Their names.

    Returns:
        The first value of each that is there, without quotation marks and backslashes before them.

    Example:
        >>> attributes_of('gene_id "G1"; gene_name "CYCD1;1"; level 2', ("gene_name", "level"))
        {'gene_name': 'CYCD1;1', 'level': '2'}
    """
    values: dict[str, str] = {}
    at = 0
    while at < len(text) and len(values) < len(wanted):
        found = _ATTRIBUTE.match(text, at)
        if found is None:
            at = max(_REST.match(text, at).end(), at + 1)  # type: ignore[union-attr]
            continue
        at = found.end()
        key, quoted, single, bare, remark = found.groups()
        if remark is not None:
            break
        if key not in wanted or key in values:
            continue
        value = quoted if quoted is not None else single if single is not None else bare
        values[key] = (value.replace('\\"', '"') if quoted is not None and "\\" in value else value).strip(' \t\r\n"')
    return values


def read_lines(path: Path, features: Collection[str]) -> Iterator[Line]:
    """The lines of some features.

    Args:
        path: GTF, plain or gzip.
        features: The features wanted.

    Raises:
        UserError: for a line with fewer than nine columns, or, of a feature wanted, without a start and an end.
    """
    with open_text(path, WHAT) as handle:
        for number, line in enumerate(handle, start=1):
            fields = line.split("\t", 8)
            if len(fields) < 9:
                if line.startswith("#") or not line.strip():
                    continue
                raise UserError(
                    f"The {WHAT} {path}, line {number}, has {len(fields)} columns instead of 9: a GTF, with tabs, is needed."
                )
            if fields[2] not in features or line.startswith("#"):
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
            yield Line(number, fields[0].strip(), fields[2], start, end, fields[6].strip(), fields[8])
