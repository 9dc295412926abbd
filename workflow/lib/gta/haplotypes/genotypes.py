"""Reading the calls of the cohort from indexed VCF or BCF."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pysam

from gta.errors import UserError
from gta.files import require_file

#: An entry of GT that is `.`: its character less `0`, so that the fast path need not replace it.
MISSING = ord(".") - ord("0")
#: The second entry of a haploid call.
ABSENT = -1
#: Most ALT alleles that a record may have: an allele, with the ambiguity codes that may be added to it, is kept in one byte.
MOST_ALTS = 100
#: Records whose calls are parsed at once: enough for numpy, little enough for the processor's cache.
CHUNK = 256

_CALL = re.compile(r"[|/]?(\d+|\.)(?:([|/])(\d+|\.))?")


@dataclass(frozen=True)
class Records:
    """Records of the genotypes, in their order in the file. N records, P people.

    Attributes:
        positions: (N,) int64, position of the first REF base, bp, 0-based, ascending.
        refs: REF of each record, upper case.
        alts: ALT alleles of each record, upper case; none where ALT is `.`.
        calls: (N, P, 2) int8, the entries of GT: an allele, MISSING, or ABSENT.
        phased: (N, P) bool, are the two entries parted by `|`?
    """

    positions: np.ndarray
    refs: list[bytes]
    alts: list[tuple[bytes, ...]]
    calls: np.ndarray
    phased: np.ndarray

    @property
    def ends(self) -> np.ndarray:
        """(N,) int64, one past the last REF base of each record, bp."""
        return self.positions + np.fromiter(map(len, self.refs), dtype=np.int64, count=len(self.refs))


class Genotypes:
    """Random access to the calls of some of the people of an indexed VCF (bgzipped) or BCF file.

    Lines come as text through the index, and calls are parsed here: a damaged file or a malformed call is an error, where
    cyvcf2 0.32 ends the contig early, fills in missing calls or crashes. BCF passes through htslib's text form.

    Attributes:
        path: The file.
        people: The wanted people, in the order of the calls.
    """

    def __init__(self, path: Path | str, people: list[str]):
        """Open the file.

        Raises:
            UserError: if the file or its index cannot be opened, or a person is not in it.
        """
        self.path = require_file(path, "file of genotypes")
        self.people = people
        # htslib's remarks on headers would bury our own sentences.
        loudness = pysam.set_verbosity(0)
        try:
            if self.path.suffix == ".bcf":
                self._bcf = pysam.VariantFile(str(path))
                self._tabix = None
                samples = list(self._bcf.header.samples)
            else:
                self._tabix = pysam.TabixFile(str(path), encoding="utf-8")
                samples = self._tabix.header[-1].split("\t")[9:]
        except (OSError, ValueError, IndexError) as error:
            raise UserError(
                f"The genotypes {path} cannot be opened through their index: compress them with bgzip and index them with "
                "`bcftools index`."
            ) from error
        finally:
            pysam.set_verbosity(loudness)
        number = {sample: place for place, sample in enumerate(samples)}
        for person in people:
            if person not in number:
                raise UserError(f"The person {person} is not in the genotypes {path}: the cohort was made with another file.")
        self._samples = samples
        self._columns = np.array([number[person] for person in people], dtype=np.int64)

    def _lines(self, contig: str, start: int, end: int) -> Iterator[str]:
        """The lines of the records that the index says touch an interval; symbolic ones by their END."""
        try:
            if self._tabix is not None:
                yield from self._tabix.fetch(contig, start, end)
            else:
                yield from map(str, self._bcf.fetch(contig, start, end))
        except (OSError, ValueError) as error:
            raise UserError(
                f"The genotypes {self.path} cannot be read at {contig}:{start + 1}-{end}: the file is cut short or damaged, or "
                "its index belongs to another file; copy it again and index it."
            ) from error

    def require_contig(self, contig: str) -> None:
        """Make sure that the file has records on a contig.

        Raises:
            UserError: if there is none, for every window there would silently be the reference.
        """
        try:
            fetched = self._tabix.fetch(contig) if self._tabix is not None else self._bcf.fetch(contig)
            empty = next(fetched, None) is None
        except (OSError, ValueError):
            empty = True
        if empty:
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
        lines = (line.rstrip("\n").split("\t", 9) for line in self._lines(contig, start, end))
        touching = (fields for fields in lines if int(fields[1]) - 1 + len(fields[3]) > start)
        parts = []
        while chunk := list(islice(touching, CHUNK)):
            parts.append(self._parse(contig, chunk))
        people = len(self.people)
        return Records(
            positions=np.concatenate([np.zeros(0, dtype=np.int64), *(part.positions for part in parts)]),
            refs=[ref for part in parts for ref in part.refs],
            alts=[alts for part in parts for alts in part.alts],
            calls=np.concatenate([np.zeros((0, people, 2), dtype=np.int8), *(part.calls for part in parts)]),
            phased=np.concatenate([np.zeros((0, people), dtype=bool), *(part.phased for part in parts)]),
        )

    def _parse(self, contig: str, lines: list[list[str]]) -> Records:
        """Some records, from their first nine columns and the text of all calls."""
        for fields in lines:
            if len(fields) < 10 or "GT" not in fields[8].split(":"):
                raise UserError(f"{self._at(contig, fields)} has no genotypes (GT): leave such records out.")
        calls = np.empty((len(lines), len(self.people), 2), dtype=np.int8)
        phased = np.empty((len(lines), len(self.people)), dtype=bool)
        width = 4 * len(self._samples)
        # Nearly every record has nothing but calls of one digit each: `0|1` and a tab for every person.
        plain = np.array([fields[8] == "GT" and len(fields[9]) == width - 1 for fields in lines])
        if plain.any():
            text = "".join([fields[9] + "\t" for fields, is_plain in zip(lines, plain, strict=True) if is_plain])
            cells = np.frombuffer(text.encode("latin-1", "replace"), dtype=np.uint8).reshape(-1, len(self._samples), 4)
            entries, parted = cells[:, :, 0:3:2] - np.uint8(ord("0")), cells[:, :, 1] == ord("|")
            good = (entries <= 9) | (entries == np.uint8(MISSING % 256))
            good &= (parted | (cells[:, :, 1] == ord("/")))[:, :, None] & (cells[:, :, 3:] == ord("\t"))
            calls[plain], phased[plain] = entries.view(np.int8)[:, self._columns], parted[:, self._columns]
            plain[plain] = good.reshape(len(good), -1).all(axis=1)
        for number in np.flatnonzero(~plain).tolist():
            calls[number], phased[number] = self._parse_each(contig, lines[number])
        alts = [tuple(fields[4].upper().encode().split(b",")) if fields[4] != "." else () for fields in lines]
        most = np.fromiter(map(len, alts), dtype=np.int64, count=len(alts))
        for number in np.flatnonzero((calls.reshape(len(lines), -1).max(axis=1, initial=0) > most) | (most > MOST_ALTS)).tolist():
            at = self._at(contig, lines[number])
            if most[number] > MOST_ALTS:
                raise UserError(f"{at} has {most[number]} ALT alleles, more than the {MOST_ALTS} that can be kept: leave it out.")
            raise UserError(
                f"{at} has a call of allele {calls[number].max()} but only {most[number]} ALT alleles: mend or drop it."
            )
        return Records(
            positions=np.array([int(fields[1]) - 1 for fields in lines], dtype=np.int64),
            refs=[fields[3].upper().encode() for fields in lines],
            alts=alts,
            calls=calls,
            phased=phased,
        )

    def _parse_each(self, contig: str, fields: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The calls of one record of any form: (P, 2) int8 and (P,) bool."""
        cells, place = fields[9].split("\t"), fields[8].split(":").index("GT")
        if len(cells) != len(self._samples):
            raise UserError(
                f"{self._at(contig, fields)} has {len(cells)} calls for {len(self._samples)} people: mend or drop it."
            )
        parsed = []
        for person, column in zip(self.people, self._columns.tolist(), strict=True):
            text = cells[column].split(":")[place]
            call = parse_call(text)
            if call is None:
                raise UserError(
                    f"{self._at(contig, fields)} has the call {text!r} for {person}, which is neither haploid nor diploid with "
                    f"alleles up to {MOST_ALTS}: mend or drop it."
                )
            parsed.append(call)
        table = np.array(parsed, dtype=np.int8)
        return table[:, :2], table[:, 2].astype(bool)

    def _at(self, contig: str, fields: list[str]) -> str:
        return f"The record {contig}:{fields[1]} of {self.path}"


@lru_cache(maxsize=4096)
def parse_call(text: str) -> tuple[int, int, bool] | None:
    """First entry, second entry and phase of a GT value; None if it is not one of one or two entries up to MOST_ALTS."""
    match = _CALL.fullmatch(text)
    if match is None:
        return None
    first, separator, second = match.groups()
    entries = [ABSENT if entry is None else MISSING if entry == "." else int(entry) for entry in (first, second)]
    return None if max(entries) > MOST_ALTS else (entries[0], entries[1], separator == "|")
