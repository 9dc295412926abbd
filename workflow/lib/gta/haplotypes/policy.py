"""What is done where records are not ordinary: which alleles are put into a haplotype, and which are skipped."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gta.errors import UserError
from gta.haplotypes.encoding import IUPAC_PAIRS
from gta.haplotypes.genotypes import Records
from gta.haplotypes.sequences import common_prefix
from gta.haplotypes.settings import HaplotypeSettings

#: Most ALT alleles of a record, ambiguity codes included: their number is one byte.
MOST_ALLELES = 255
_SEQUENCE = re.compile(rb"[ACGTN]+")
_UNKNOWN = ord("N")
_BASES = frozenset((b"A", b"C", b"G", b"T"))
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
        usable: (N,) bool, has the record a wanted FILTER and an ALT allele that may be applied?
        not_snv: (N,) bool, has it one that is skipped because only single bases are wanted?
        symbolic: (N,) bool, has it one that is skipped because it is not a sequence?
        overlapping: (N,) int64, on how many haplotypes it is skipped because an earlier record covers it.
        missing: (K, P) bool, is an entry of a usable record's call missing? Of the K odd records.
        unphased: (K, P) bool, is the call an unphased heterozygote of usable alleles? Of the K odd records.
    """

    alts: list[tuple[bytes, ...]]
    alleles: np.ndarray
    usable: np.ndarray
    not_snv: np.ndarray
    symbolic: np.ndarray
    overlapping: np.ndarray
    missing: np.ndarray
    unphased: np.ndarray


def resolve(records: Records, settings: HaplotypeSettings, people: int) -> Resolved:
    """Apply the policy to the calls of consecutive records.

    Args:
        records: The records. None before them may reach into them.
        settings: The stage's settings. Unphased heterozygotes that are an error stay as listed here: see `check_phase`.
        people: Number of people, P.
    """
    count = len(records.refs)
    alleles = records.calls.copy()
    alleles[~records.kept] = 0
    usable, not_snv, symbolic = (np.zeros(count, dtype=bool) for _ in range(3))
    only_snv = settings.variants == "snv"
    for number, (ref, listed, kept) in enumerate(zip(records.refs, records.alts, records.kept.tolist(), strict=True)):
        if not kept:
            continue
        if len(ref) == len(listed) == 1 and listed[0] in _BASES:
            usable[number] = True
            continue
        left_out = []
        for allele, alt in enumerate(listed, start=1):
            if alt not in _BASES and not _SEQUENCE.fullmatch(alt):
                symbolic[number] = True
            elif only_snv and not len(ref) == len(alt) == 1:
                not_snv[number] = True
            else:
                usable[number] = True
                continue
            left_out.append(allele)
        if left_out:
            alleles[number][np.isin(alleles[number], left_out)] = 0

    odd = alleles[records.odd]
    unphased = records.unphased & (odd[:, :, 0] != odd[:, :, 1]) & ~records.missing.any(axis=2)
    alts = records.alts
    if settings.unphased == "iupac" and unphased.any():
        alts = with_codes(records.refs, alts, alleles, records.odd, unphased)
    alleles = alleles.reshape(count, 2 * people)
    return Resolved(
        alts=alts,
        alleles=alleles,
        usable=usable,
        not_snv=not_snv,
        symbolic=symbolic,
        overlapping=skip_overlaps(records, alts, alleles),
        missing=records.missing.any(axis=2) & usable[records.odd, None],
        unphased=unphased,
    )


def with_codes(
    refs: list[bytes], alts: list[tuple[bytes, ...]], alleles: np.ndarray, odd: np.ndarray, unphased: np.ndarray
) -> list[tuple[bytes, ...]]:
    """Give both haplotypes the ambiguity codes of unphased heterozygotes whose two alleles are equally long, base by base.

    What has no code stays as listed: alleles of two lengths, unknown bases, and what a byte has no number left for.

    Args:
        refs: REF of each record.
        alts: ALT alleles of each record.
        alleles: (N, P, 2) uint8, changed in place.
        odd: (K,) int64, numbers of some records.
        unphased: (K, P) bool, their heterozygotes.

    Returns:
        The ALT alleles with the codes that were needed.
    """
    extended = list(alts)
    some = unphased.any(axis=1)
    for number, heterozygotes in zip(odd[some].tolist(), unphased[some], strict=True):
        texts = [refs[number], *alts[number]]
        for person in np.flatnonzero(heterozygotes).tolist():
            code = ambiguous(*(texts[allele] for allele in alleles[number, person]))
            if code is None or len(extended[number]) == MOST_ALLELES:
                continue
            if code not in extended[number]:
                extended[number] = (*extended[number], code)
            alleles[number, person] = 1 + extended[number].index(code)
    return extended


def ambiguous(one: bytes, other: bytes) -> bytes | None:
    """The codes that stand for either of two equally long sequences; None if their lengths or unknown bases differ."""
    if len(one) != len(other):
        return None
    codes = b""
    for pair in map(bytes, zip(one, other, strict=True)):
        code = pair[:1] if pair[0] == pair[1] else _CODES.get(frozenset(pair))
        if code is None:
            return None
        codes += code
    return codes


def skip_overlaps(records: Records, alts: list[tuple[bytes, ...]], alleles: np.ndarray) -> np.ndarray:
    """Let the first of overlapping records win on each haplotype, and set the later ones back to the reference.

    The rule is that of `bcftools consensus` 1.24. A record that begins within the REF of the last applied one is skipped. One
    that begins at the last base of that REF is skipped too, unless it is an insertion or deletion written behind that base
    (`is_behind`), and the last applied one was no insertion.

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
        together = np.count_nonzero(alleles[carried[low:high]], axis=0) > 1
        if not together.any():
            continue
        frozen = np.full(alleles.shape[1], -1)
        lengthened = np.zeros(alleles.shape[1], dtype=bool)
        for number in carried[low:high].tolist():
            ref, texts = records.refs[number], alts[number]
            position = records.positions[number]
            behind = np.array([False, *(is_behind(ref, alt) for alt in texts)])
            longer = np.array([False, *(len(alt) > len(ref) for alt in texts)])
            mine = alleles[number]
            clash = (mine > 0) & ((position < frozen) | ((position == frozen) & (~behind[mine] | lengthened)))
            skipped[number] = clash.sum()
            mine[clash] = 0
            applied = mine > 0
            frozen[applied] = position + len(ref) - 1
            lengthened[applied] = longer[mine[applied]]
    return skipped


def is_behind(ref: bytes, alt: bytes) -> bool:
    """Does an allele only insert or delete bases behind its first base?

    So it is if REF and ALT begin alike, and after the bases that they begin with in common the rest of one ends with the rest
    of the other: what htslib's `bcf_get_variant_types` calls an indel.
    """
    common = common_prefix(ref, alt)
    rest, other = ref[common:], alt[common:]
    return common > 0 and len(ref) != len(alt) and (rest.endswith(other) or other.endswith(rest))


def check_phase(
    records: Records, unphased: np.ndarray, wanted: np.ndarray, name: Callable[[int], str], people: list[str]
) -> None:
    """Make sure that no wanted record has an unphased heterozygote.

    Args:
        records: The records.
        unphased: (K, P) bool, the heterozygotes among `records.odd`.
        wanted: (N,) bool, which records to check.
        name: Names a record by its number, for messages.
        people: Names of the P people.

    Raises:
        UserError: naming the record and the person.
    """
    found = np.argwhere(unphased & wanted[records.odd, None])
    if len(found):
        number, person = found[0].tolist()
        raise UserError(
            f"{name(int(records.odd[number]))} has an unphased heterozygote ({people[person]}): phase the genotypes, or "
            "choose --unphased as_listed or iupac."
        )


def check_refs(
    records: Records, usable: np.ndarray, wanted: np.ndarray, bases: np.ndarray, offset: int, name: Callable[[int], str]
) -> None:
    """Make sure that REF of every wanted record is what the reference holds there.

    Args:
        records: The records.
        usable: (N,) bool, has the record an ALT allele that may be applied? REF of another one may be N, as is usual beside
            symbolic alleles.
        wanted: (N,) bool, which of them to check.
        bases: Reference bases, uint8, that cover all records.
        offset: Position of the first of them, bp, 0-based.
        name: Names a record by its number, for messages.

    Raises:
        UserError: naming the record and both sequences.
    """
    reference = bases.tobytes()
    # Nearly every REF is one base: these are compared at once.
    starts, single = records.positions - offset, records.ends - records.positions == 1
    firsts = np.frombuffer(b"".join([ref[:1] for ref in records.refs]), dtype=np.uint8)
    doubtful = wanted & ~(single & (firsts == bases[starts]))
    for number in np.flatnonzero(doubtful).tolist():
        ref, start = records.refs[number], int(starts[number])
        held = reference[start : start + len(ref)]
        if held != ref and not all(
            one == other or one in _AMBIGUOUS.get(other, b"") or (one == _UNKNOWN and not usable[number])
            for one, other in zip(ref, held, strict=True)
        ):
            raise UserError(
                f"{name(number)} has REF {ref.decode()}, but the reference has {held.decode()} there: genotypes and reference "
                "are not of the same assembly; use the reference that the genotypes were called on."
            )
