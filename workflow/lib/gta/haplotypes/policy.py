"""What is done where records are not ordinary: which alleles are put into a haplotype, and which are skipped."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gta.errors import UserError
from gta.haplotypes.counts import IUPAC_PAIRS
from gta.haplotypes.genotypes import ABSENT, MISSING, Records
from gta.haplotypes.settings import HaplotypeSettings

_SEQUENCE = re.compile(rb"[ACGTN]+")
_CODES = {frozenset(bases): code for code, bases in IUPAC_PAIRS.items()}
#: The reference may hold an ambiguity code where VCF, which has none, names one of its bases (VCF 4.3, section 1.6.1).
_AMBIGUOUS = {
    **{code[0]: bases for code, bases in IUPAC_PAIRS.items()},
    **dict(zip(b"BDHV", (b"CGT", b"AGT", b"ACT", b"ACG"), strict=True)),
}


@dataclass(frozen=True)
class Resolved:
    """Calls after policy. N records, P people.

    Attributes:
        alts: ALT alleles of each record, then the ambiguity codes made for unphased heterozygotes.
        alleles: (N, 2 P) uint8, allele on the first and second haplotype of each person in turn; 0 wherever the reference stays.
        usable: (N,) bool, has the record an ALT allele that may be applied?
        not_snv: (N,) bool, has it one that is skipped because only single bases are wanted?
        symbolic: (N,) bool, has it one that is skipped because it is not a sequence?
        overlapping: (N,) int64, on how many haplotypes it is skipped because an earlier record covers it.
        missing: (N, P) bool, is an entry of a usable record's call missing?
        unphased: (N, P) bool, is the call an unphased heterozygote of usable alleles?
    """

    alts: list[tuple[bytes, ...]]
    alleles: np.ndarray
    usable: np.ndarray
    not_snv: np.ndarray
    symbolic: np.ndarray
    overlapping: np.ndarray
    missing: np.ndarray
    unphased: np.ndarray


def resolve(records: Records, settings: HaplotypeSettings, name: Callable[[int], str], people: list[str]) -> Resolved:
    """Apply the policy to the calls of consecutive records.

    Args:
        records: The records. None before them may reach into them.
        settings: The stage's settings.
        name: Names a record by its number, for messages.
        people: Names of the P people.

    Raises:
        UserError: for an unphased heterozygote, where settings ask for that.
    """
    count = len(records.refs)
    use = np.zeros((count, 1 + max(map(len, records.alts), default=0)), dtype=bool)
    not_snv, symbolic = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    for number, (ref, listed) in enumerate(zip(records.refs, records.alts, strict=True)):
        for allele, alt in enumerate(listed, start=1):
            if not _SEQUENCE.fullmatch(alt):
                symbolic[number] = True
            elif settings.variants == "snv" and not len(ref) == len(alt) == 1:
                not_snv[number] = True
            else:
                use[number, allele] = True
    usable = np.asarray(use.any(axis=1))

    alleles = np.maximum(records.calls, 0).astype(np.uint8)
    alleles *= use[np.arange(count)[:, None, None], alleles]
    unphased = ~records.phased & (records.calls[:, :, 1] != ABSENT) & (alleles[:, :, 0] != alleles[:, :, 1])
    alts = records.alts
    if settings.unphased == "error" and unphased.any():
        number, person = np.argwhere(unphased)[0].tolist()
        raise UserError(
            f"{name(number)} has an unphased heterozygote ({people[person]}): phase the genotypes, or choose "
            "--unphased as_listed or iupac."
        )
    if settings.unphased == "iupac":
        alts = with_codes(records.refs, alts, alleles, unphased)
    alleles = alleles.reshape(count, 2 * len(people))  # numpy cannot work out a -1 where there is no record
    overlapping = skip_overlaps(records, alts, alleles)
    return Resolved(
        alts=alts,
        alleles=alleles,
        usable=usable,
        not_snv=not_snv,
        symbolic=symbolic,
        overlapping=overlapping,
        missing=((records.calls[:, :, 0] == MISSING) | (records.calls[:, :, 1] == MISSING)) & usable[:, None],
        unphased=unphased,
    )


def with_codes(
    refs: list[bytes], alts: list[tuple[bytes, ...]], alleles: np.ndarray, unphased: np.ndarray
) -> list[tuple[bytes, ...]]:
    """Give both haplotypes the ambiguity code at unphased heterozygotes of two single bases.

    Args:
        refs: REF of each record.
        alts: ALT alleles of each record.
        alleles: (N, P, 2) uint8, changed in place.
        unphased: (N, P) bool, the heterozygotes.

    Returns:
        The ALT alleles with the codes that were needed.
    """
    extended = list(alts)
    for number in np.flatnonzero(unphased.any(axis=1)).tolist():
        texts = [refs[number], *alts[number]]
        for person in np.flatnonzero(unphased[number]).tolist():
            code = _CODES.get(frozenset(b"".join(texts[allele] for allele in alleles[number, person])))
            if code is None or any(len(texts[allele]) != 1 for allele in alleles[number, person]):
                continue
            if code not in extended[number]:
                extended[number] = (*extended[number], code)
            alleles[number, person] = 1 + extended[number].index(code)
    return extended


def skip_overlaps(records: Records, alts: list[tuple[bytes, ...]], alleles: np.ndarray) -> np.ndarray:
    """Let the first of overlapping records win on each haplotype, and set the later ones back to the reference.

    The rule is that of `bcftools consensus` 1.24. A record that begins within the REF of the last applied one is skipped. One
    that begins at the last base of that REF is skipped too, unless it is an insertion or deletion written behind that base
    (REF and ALT begin alike), and the last applied one was no insertion.

    Args:
        records: The records.
        alts: Their ALT alleles.
        alleles: (N, 2 P) uint8, alleles on each haplotype, changed in place.

    Returns:
        (N,) int64, on how many haplotypes each record was skipped.
    """
    skipped = np.zeros(len(alleles), dtype=np.int64)
    carried = np.flatnonzero(alleles.any(axis=1))
    if not len(carried):
        return skipped
    positions, last = records.positions[carried], records.ends[carried] - 1
    begins = np.flatnonzero(positions[1:] > np.maximum.accumulate(last)[:-1]) + 1
    for low, high in pairwise([0, *begins.tolist(), len(carried)]):
        if high - low == 1:
            continue
        frozen = np.full(alleles.shape[1], -1)
        lengthened = np.zeros(alleles.shape[1], dtype=bool)
        for number in carried[low:high].tolist():
            ref, texts = records.refs[number], alts[number]
            position = records.positions[number]
            behind = np.array([False, *(len(alt) != len(ref) and alt[:1] == ref[:1] for alt in texts)])
            longer = np.array([False, *(len(alt) > len(ref) for alt in texts)])
            mine = alleles[number]
            clash = (mine > 0) & ((position < frozen) | ((position == frozen) & (~behind[mine] | lengthened)))
            skipped[number] = clash.sum()
            mine[clash] = 0
            applied = mine > 0
            frozen[applied] = position + len(ref) - 1
            lengthened[applied] = longer[mine[applied]]
    return skipped


def check_refs(records: Records, usable: np.ndarray, bases: np.ndarray, offset: int, name: Callable[[int], str]) -> None:
    """Make sure that REF of every usable record is what the reference holds there.

    Args:
        records: The records.
        usable: (N,) bool, which of them to check.
        bases: Reference bases, uint8, that cover all records.
        offset: Position of the first of them, bp, 0-based.
        name: Names a record by its number, for messages.

    Raises:
        UserError: naming the record and both sequences.
    """
    reference = bases.tobytes()
    for number in np.flatnonzero(usable).tolist():
        ref, start = records.refs[number], int(records.positions[number]) - offset
        held = reference[start : start + len(ref)]
        if held != ref and not all(
            one == other or one in _AMBIGUOUS.get(other, b"") for one, other in zip(ref, held, strict=True)
        ):
            raise UserError(
                f"{name(number)} has REF {ref.decode()}, but the reference has {held.decode()} there: genotypes and reference "
                "are not of the same assembly; use the reference that the genotypes were called on."
            )
