"""Reading the calls of the cohort from indexed VCF or BCF."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import compress, islice
from pathlib import Path

import numpy as np
import pysam

from gta.errors import UserError
from gta.files import require_file

#: An entry of GT that is `.`.
MISSING = -2
#: The second entry of a haploid call.
ABSENT = -1
#: Most ALT alleles that a record may have: an allele, with the ambiguity codes that may be added to it, is kept in one byte.
MOST_ALTS = 100
#: Records whose calls are parsed at once: enough for numpy, little enough for the processor's cache.
CHUNK = 128

_CALL = re.compile(r"[|/]?(\d+|\.)(?:([|/])(\d+|\.))?")
#: The cell `0|0` and the tab after it, as one number of four bytes.
_HOMOZYGOUS_REFERENCE = np.frombuffer(b"0|0\t", dtype="<u4")[0]
#: What is left of a byte of a cell when that of `0|0` and a tab is taken away by exclusive or.
_DOT, _SLASH = ord(".") ^ ord("0"), ord("/") ^ ord("|")
#: The bits of such a cell that are set only where something else than digits, `|` and a tab stands.
_MORE_THAN_DIGITS = np.uint32(0xFFF0FFF0)

#: Of one record's calls: (P, 2) bool, is the entry missing; (P,) bool, is there no second one; (P,) bool, are they not phased?
OddCalls = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Records:
    """Records of the genotypes, in their order in the file. N records, P people.

    Nearly all calls are diploid, phased and not missing. The K records that have another one are listed apart.

    Attributes:
        positions: (N,) int64, position of the first REF base, bp, 0-based, ascending.
        refs: REF of each record, upper case.
        alts: ALT alleles of each record, upper case; none where ALT is `.`.
        kept: (N,) bool, has the record a wanted FILTER? The calls of others count for nothing.
        calls: (N, P, 2) uint8, the alleles; 0 where an entry is missing or absent.
        odd: (K,) int64, numbers of the records with odd calls, ascending.
        missing: (K, P, 2) bool, entries that are `.`.
        absent: (K, P) bool, haploid calls, which have no second entry.
        unphased: (K, P) bool, calls whose two entries are not parted by `|`.
    """

    positions: np.ndarray
    refs: list[bytes]
    alts: list[tuple[bytes, ...]]
    kept: np.ndarray
    calls: np.ndarray
    odd: np.ndarray
    missing: np.ndarray
    absent: np.ndarray
    unphased: np.ndarray

    @cached_property
    def ends(self) -> np.ndarray:
        """(N,) int64, one past the last REF base of each record, bp."""
        return self.positions + np.fromiter(map(len, self.refs), dtype=np.int64, count=len(self.refs))

    @classmethod
    def joined(cls, parts: list["Records"], people: int) -> "Records":
        """Consecutive parts as one."""
        firsts = np.cumsum([0, *(len(part.refs) for part in parts)])
        return cls(
            positions=np.concatenate([np.zeros(0, dtype=np.int64), *(part.positions for part in parts)]),
            refs=[ref for part in parts for ref in part.refs],
            alts=[alts for part in parts for alts in part.alts],
            kept=np.concatenate([np.zeros(0, dtype=bool), *(part.kept for part in parts)]),
            calls=np.concatenate([np.zeros((0, people, 2), dtype=np.uint8), *(part.calls for part in parts)]),
            odd=np.concatenate(
                [np.zeros(0, dtype=np.int64), *(part.odd + first for part, first in zip(parts, firsts, strict=False))]
            ),
            missing=np.concatenate([np.zeros((0, people, 2), dtype=bool), *(part.missing for part in parts)]),
            absent=np.concatenate([np.zeros((0, people), dtype=bool), *(part.absent for part in parts)]),
            unphased=np.concatenate([np.zeros((0, people), dtype=bool), *(part.unphased for part in parts)]),
        )


class Genotypes:
    """Random access to the calls of some of the people of an indexed VCF (bgzipped) or BCF file.

    Lines come as text through the index, and calls are parsed here: a damaged file or a malformed call is an error, where
    cyvcf2 0.32 ends the contig early, fills in missing calls or crashes. BCF passes through htslib's text form.

    Attributes:
        path: The file's name in messages.
        people: The wanted people, in the order of the calls.
    """

    def __init__(
        self, path: Path | str, people: list[str] | None = None, filters: list[str] | None = None, shown: Path | None = None
    ):
        """Open the file.

        Args:
            path: The file; its index stands beside it.
            people: The wanted people; everybody, in the order of the file, if None.
            filters: Values of FILTER, one of which a record must have; any will do if there are none.
            shown: The file's name in messages, if it is opened through a link.

        Raises:
            UserError: if the file or its index cannot be opened, or a person is not in it.
        """
        require_file(path, "file of genotypes")
        self.path = shown or Path(path)
        self._filters = frozenset(filters or ())
        # htslib's remarks on headers would bury our own sentences.
        loudness = pysam.set_verbosity(0)
        try:
            if str(path).endswith(".bcf"):
                self._bcf = pysam.VariantFile(str(path))
                self._tabix = None
                samples = list(self._bcf.header.samples)
                self._header = str(self._bcf.header).splitlines()
            else:
                # pysam looks for a .tbi only.
                index = next((each for each in (f"{path}.tbi", f"{path}.csi") if Path(each).exists()), None)
                self._tabix = pysam.TabixFile(str(path), index=index, encoding="utf-8")
                self._header = list(self._tabix.header)
                samples = self._header[-1].split("\t")[9:]
        except (OSError, ValueError, IndexError) as error:
            raise UserError(
                f"The genotypes {self.path} cannot be opened through their index: compress them with bgzip and index them with "
                "`bcftools index`."
            ) from error
        finally:
            pysam.set_verbosity(loudness)
        self.people = samples if people is None else people
        number = {sample: place for place, sample in enumerate(samples)}
        for person in self.people:
            if person not in number:
                raise UserError(
                    f"The person {person} is not in the genotypes {self.path}, whose first ones are {', '.join(samples[:3])}: "
                    "leave them out, or give the file that has them."
                )
        self._samples = samples
        self._columns = np.array([number[person] for person in self.people], dtype=np.int64)
        self._all = self.people == samples
        # The contigs with records; the index of a BCF does not tell, and htslib gives none for the others.
        self._indexed = frozenset(self._tabix.contigs) if self._tabix is not None else None

    @cached_property
    def contigs(self) -> list[str]:
        """The contigs that the header or the index names."""
        named = [found[1] for line in self._header if (found := re.match(r"##contig=<.*?\bID=([^,>]+)", line))]
        listed = list(self._tabix.contigs) if self._tabix is not None else []
        return list(dict.fromkeys([*named, *listed]))

    def _lines(self, contig: str, start: int, end: int) -> Iterator[str]:
        """The lines of the records that the index says touch an interval; symbolic ones by their END."""
        if start >= end or (self._indexed is not None and contig not in self._indexed):
            return
        try:
            if self._tabix is not None:
                yield from self._tabix.fetch(contig, start, end)
            else:
                for record in self._bcf.fetch(contig, start, end):
                    yield str(record).rstrip("\n")
        except (OSError, ValueError) as error:
            raise UserError(
                f"The genotypes {self.path} cannot be read at {contig}:{start + 1}-{end}: the file is cut short or damaged, or "
                "its index belongs to another file; copy it again and index it."
            ) from error

    def has_records(self, contig: str) -> bool:
        """Is there any record on a contig?"""
        try:
            fetched = self._tabix.fetch(contig) if self._tabix is not None else self._bcf.fetch(contig)
            return next(fetched, None) is not None
        except (OSError, ValueError):
            return False

    def require_contig(self, contig: str) -> None:
        """Make sure that the file has records on a contig.

        Raises:
            UserError: if there is none, for every window there would silently be the reference.
        """
        if not self.has_records(contig):
            raise UserError(
                f"The genotypes {self.path} have no record on contig {contig!r}: leave this contig out of the cohort."
            )

    def first_reaching(self, contig: str, position: int) -> int:
        """Where the first record begins whose REF touches a base: at `position` if none begins before it.

        Args:
            contig: Name of the contig in this file.
            position: The base, bp, 0-based.
        """
        first = position
        for line in self._lines(contig, position, position + 1):
            _, start, _, ref, _ = line.split("\t", 4)
            if int(start) - 1 + len(ref) > position:
                first = min(first, int(start) - 1)
        return first

    def read(self, contig: str, start: int, end: int) -> Records:
        """All records whose REF touches an interval.

        Args:
            contig: Name of the contig in this file.
            start: First base, bp, 0-based, not negative.
            end: One past the last base.

        Raises:
            UserError: if the file is damaged or a record has no proper calls; it names the record.
        """
        parts: list[Records] = []
        if start >= end:
            return Records.joined(parts, len(self.people))
        lines = self._lines(contig, start, end)
        try:
            while chunk := [line.split("\t", 9) for line in islice(lines, CHUNK)]:
                parts.append(self._parse(contig, chunk, start))
        except (ValueError, IndexError) as error:
            raise UserError(
                f"The genotypes {self.path} have a record near {contig}:{start + 1}-{end} that is not in VCF: mend or drop it."
            ) from error
        return Records.joined(parts, len(self.people))

    def _parse(self, contig: str, lines: list[list[str]], start: int) -> Records:
        """Those of some records whose REF reaches beyond a base, from their first nine columns and the text of all calls."""
        positions = np.array([int(fields[1]) for fields in lines], dtype=np.int64) - 1
        if positions[0] < start:
            reaching = [position + len(fields[3]) > start for position, fields in zip(positions.tolist(), lines, strict=True)]
            lines, positions = list(compress(lines, reaching)), positions[reaching]
        for fields in lines:
            if len(fields) < 10 or (fields[8] != "GT" and "GT" not in fields[8].split(":")):
                raise UserError(f"{self._at(contig, fields)} has no genotypes (GT): leave such records out.")
        refs = "\n".join([fields[3] for fields in lines]).upper().encode().split(b"\n") if lines else []
        listed = "\n".join([fields[4] for fields in lines]).upper().encode().split(b"\n") if lines else []
        alts = [tuple(each.split(b",")) if each != b"." else () for each in listed]
        most = np.fromiter(map(len, alts), dtype=np.int64, count=len(alts))
        if (most > MOST_ALTS).any():
            number = int(np.flatnonzero(most > MOST_ALTS)[0])
            raise UserError(
                f"{self._at(contig, lines[number])} has {most[number]} ALT alleles, more than the {MOST_ALTS} that can be kept: "
                "leave it out."
            )
        calls, odd = self._calls(contig, lines)
        for number in np.flatnonzero(calls.max(axis=(1, 2), initial=0) > most).tolist():
            raise UserError(
                f"{self._at(contig, lines[number])} has a call of allele {calls[number].max()} but only {most[number]} ALT "
                "alleles: mend or drop it."
            )
        numbers, people = sorted(odd), len(self.people)
        kept = [not self._filters or not self._filters.isdisjoint(fields[6].split(";")) for fields in lines]
        return Records(
            positions=positions,
            refs=refs,
            alts=alts,
            kept=np.array(kept, dtype=bool),
            calls=calls,
            odd=np.array(numbers, dtype=np.int64),
            missing=np.array([odd[number][0] for number in numbers], dtype=bool).reshape(-1, people, 2),
            absent=np.array([odd[number][1] for number in numbers], dtype=bool).reshape(-1, people),
            unphased=np.array([odd[number][2] for number in numbers], dtype=bool).reshape(-1, people),
        )

    def _calls(self, contig: str, lines: list[list[str]]) -> tuple[np.ndarray, dict[int, OddCalls]]:
        """The calls of records: (N, P, 2) uint8, and what is odd about those of some."""
        people, samples = len(self.people), len(self._samples)
        calls = np.zeros((len(lines), people, 2), dtype=np.uint8)
        numbers, text = self._cells(lines)
        plain = np.zeros(len(lines), dtype=bool)
        odd: dict[int, OddCalls] = {}
        if numbers:
            # Four bytes per person, `0|1` and a tab, taken as one number: what differs from `0|0` and a tab is left.
            cells = np.frombuffer(text, dtype="<u4").reshape(len(numbers), samples) ^ _HOMOZYGOUS_REFERENCE
            strange = cells & _MORE_THAN_DIGITS
            entries = ((cells & 0x0F) | ((cells >> 8) & 0x0F00)).astype("<u2")
            pairs = (entries if self._all else entries.take(self._columns, axis=1)).view(np.uint8).reshape(-1, people, 2)
            good = np.ones(len(numbers), dtype=bool)
            if strange.any():
                if not self._all:
                    cells = cells.take(self._columns, axis=1)
                good, pairs, odd_rows = _strange(cells, pairs)
                odd = {numbers[row]: marks for row, marks in odd_rows.items()}
                # A malformed call is an error in whomever it is.
                good &= _is_regular(strange).all(axis=1)
            good &= pairs.reshape(len(pairs), -1).max(axis=1, initial=0) <= 9
            calls[numbers] = pairs
            plain[numbers] = good
        for number in np.flatnonzero(~plain).tolist():
            calls[number], marks = self._parse_each(contig, lines[number])
            odd.pop(number, None)
            if any(mark.any() for mark in marks):
                odd[number] = marks
        return calls, odd

    def _cells(self, lines: list[list[str]]) -> tuple[list[int], bytes]:
        """Numbers of the records whose calls may all be of the form `0|1`, and the text of those calls, a tab after each."""
        people = len(self._samples)
        width = 4 * people - 1
        numbers, texts = [], []
        for number, fields in enumerate(lines):
            if fields[8] == "GT":
                if len(fields[9]) == width:
                    numbers.append(number)
                    texts.append(fields[9])
            elif fields[8].startswith("GT:") and fields[9].count("\t") == people - 1:
                numbers.append(number)
                cells = fields[9].split("\t")
                texts.append("\t".join([cell[:3].ljust(3) if cell[3:4] in ("", ":") else "?" * 3 for cell in cells]))
        return numbers, ("\t".join(texts) + "\t").encode("latin-1", "replace")

    def _parse_each(self, contig: str, fields: list[str]) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The calls of one record of any form: (P, 2) uint8, and what is odd about them: missing, absent, unphased."""
        cells, place = fields[9].split("\t"), fields[8].split(":").index("GT")
        if len(cells) != len(self._samples):
            raise UserError(
                f"{self._at(contig, fields)} has {len(cells)} calls for {len(self._samples)} people: mend or drop it."
            )
        parsed = []
        for person, column in zip(self.people, self._columns.tolist(), strict=True):
            values = cells[column].split(":")
            text = values[place] if place < len(values) else ""
            call = parse_call(text)
            if call is None:
                raise UserError(
                    f"{self._at(contig, fields)} has the call {text!r} for {person}, which is neither haploid nor diploid with "
                    f"alleles up to {MOST_ALTS}: mend or drop it."
                )
            parsed.append(call)
        table = np.array(parsed, dtype=np.int16).reshape(-1, 3)
        entries, absent = table[:, :2], table[:, 1] == ABSENT
        return np.maximum(entries, 0).astype(np.uint8), (entries == MISSING, absent, ~table[:, 2].astype(bool) & ~absent)

    def _at(self, contig: str, fields: list[str]) -> str:
        return f"The record {contig}:{fields[1]} of {self.path}"


class NoGenotypes(Genotypes):
    """What stands in place of genotypes in a reference study: no record on any contig, so that everybody has the reference."""

    def __init__(self, people: list[str]):
        """Take the names of the individuals."""
        self.path = Path("none")
        self.people = people

    def read(self, contig: str, start: int, end: int) -> Records:
        """Return no record."""
        return Records.joined([], len(self.people))


def _is_regular(strange: np.ndarray) -> np.ndarray:
    """Which cells are calls of one digit or `.` each, by the bits in them that are not of digits."""
    first, mark, second = strange & 0xF0, (strange >> 8) & 0xFF, (strange >> 16) & 0xF0
    regular = (strange >> 24 == 0) & ((mark == 0) | (mark == _SLASH))
    return regular & ((first == 0) | (first == _DOT & 0xF0)) & ((second == 0) | (second == _DOT & 0xF0))


def _strange(cells: np.ndarray, pairs: np.ndarray) -> tuple[np.ndarray, np.ndarray, dict[int, OddCalls]]:
    """What records say in which a call is missing or unphased, or malformed.

    Args:
        cells: (N, P) uint32, calls less `0|0` and a tab.
        pairs: (N, P, 2) uint8, their entries.

    Returns:
        (N,) bool, are all calls of the record of one digit or `.` each; the entries, 0 where they are missing; and what is odd
        about the calls of each record that has such.
    """
    first, mark, second = cells & 0xFF, (cells >> 8) & 0xFF, (cells >> 16) & 0xFF
    missing = np.stack([first == _DOT, second == _DOT], axis=2)
    # The low bits of a dot are those of a digit that is none.
    good = ((pairs <= 9) | missing).all(axis=(1, 2))
    pairs = np.where(missing, np.uint8(0), pairs)
    unphased = mark != 0
    odd = {
        row: (missing[row], np.zeros(len(cells[row]), dtype=bool), unphased[row])
        for row in np.flatnonzero(missing.any(axis=(1, 2)) | unphased.any(axis=1)).tolist()
    }
    return good, pairs, odd


@lru_cache(maxsize=4096)
def parse_call(text: str) -> tuple[int, int, bool] | None:
    """First entry, second entry and phase of a GT value; None if it is not one of one or two entries up to MOST_ALTS."""
    match = _CALL.fullmatch(text)
    if match is None:
        return None
    first, separator, second = match.groups()
    entries = [ABSENT if entry is None else MISSING if entry == "." else int(entry) for entry in (first, second)]
    return None if max(entries) > MOST_ALTS else (entries[0], entries[1], separator == "|")
