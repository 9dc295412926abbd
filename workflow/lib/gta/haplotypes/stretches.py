"""Reading the records around windows, and the account of what becomes of them."""

from dataclasses import dataclass

import numpy as np

from gta.haplotypes.genotypes import Genotypes, Records
from gta.haplotypes.panels import MAX_MARGIN
from gta.haplotypes.policy import Resolved, check_phase, check_refs, resolve
from gta.haplotypes.reference import Reference
from gta.haplotypes.sequences import Carried, EditTable, longest_deletions
from gta.haplotypes.settings import HaplotypeSettings

#: How far outside of a window records are read at first if sequences with deletions may reach out; more is read where needed.
FIRST_REACH = 1024


@dataclass(frozen=True)
class Source:
    """Where the panels of a contig come from.

    Attributes:
        genotypes: Reader of the calls.
        reference: Reader of the reference.
        contig: Name of the contig in the reference.
        genotypes_name: Its name in the genotypes.
        settings: The stage's settings.
    """

    genotypes: Genotypes
    reference: Reference
    contig: str
    genotypes_name: str
    settings: HaplotypeSettings


@dataclass(frozen=True)
class Stretch:
    """A stretch of the contig in which windows overlap or nearly do, read at once.

    Attributes:
        records: All records that touch it.
        resolved: Their calls after policy.
        edits: What their alleles do.
        reaches: (W, 2) int64, the interval within which the panel of each of its windows lists records.
    """

    records: Records
    resolved: Resolved
    edits: EditTable
    reaches: np.ndarray


def read_stretch(source: Source, windows: np.ndarray, margin: int = MAX_MARGIN) -> Stretch:
    """Read and resolve all records that can change the sequences of some neighbouring windows.

    Which of two overlapping records wins depends on what lies before them, so the stretch begins where no record reaches in.

    Args:
        source: Where records come from.
        windows: (W, 3) int64: start, end and TSS of each window.
        margin: How far outside of the windows sequence may be asked for, bp; at most MAX_MARGIN. Records that lie farther away,
            and decide nothing nearer, are not checked.

    Raises:
        UserError: for a REF that differs from the reference, or an unphased heterozygote where settings ask for that.
    """
    length = source.reference.lengths[source.contig]

    def name(number: int) -> str:
        return f"The record {source.genotypes_name}:{records.positions[number] + 1} of {source.genotypes.path}"

    reach = first_reach(source.settings)
    start, end = windows[:, 0].min() - reach, windows[:, 1].max() + reach
    while True:
        start, end = min(max(0, int(start)), length), max(min(length, int(end)), 0)
        records = source.genotypes.read(source.genotypes_name, start, end)
        if len(records.refs) and (first := int(records.positions[0])) < start:
            # A record reaches in: what lies beside it before the start counts too.
            while first < start:
                start, first = first, source.genotypes.first_reaching(source.genotypes_name, first)
            records = source.genotypes.read(source.genotypes_name, start, end)
        resolved = resolve(records, source.settings, len(source.genotypes.people))
        reaches = windows[:, :2] + np.array([-MAX_MARGIN, MAX_MARGIN])
        edits = EditTable.of(records.positions, records.refs, resolved.alts)
        if source.settings.variants == "all":
            longest = longest_deletions(edits, resolved.alleles.T, reaches[:, 0], reaches[:, 1])
            reaches += longest[:, None] * np.array([-1, 1])
        needed_start, needed_end = max(0, reaches[:, 0].min()), min(length, reaches[:, 1].max())
        if start <= needed_start and needed_end <= end:
            break
        start, end = min(start, needed_start), max(end, needed_end)
    if len(records.refs):
        beyond = MAX_MARGIN - margin
        wanted = records.kept & deciding(records, reaches[:, 0].min() + beyond, reaches[:, 1].max() - beyond)
        offset = int(records.positions[0])
        bases = source.reference.fetch(source.contig, offset, records.ends.max())
        check_refs(records, resolved.usable, wanted, bases, offset, name)
        if source.settings.unphased == "error":
            check_phase(records, resolved.unphased, wanted, name, source.genotypes.people)
    return Stretch(records, resolved, edits, reaches)


def deciding(records: Records, start: int, end: int) -> np.ndarray:
    """Which records touch [start, end), or decide by overlaps which of these apply: (N,) bool."""
    for number in np.flatnonzero(records.positions < start)[::-1].tolist():
        if records.ends[number] > start:
            start = int(records.positions[number])
    return (records.ends > start) & (records.positions < end)


def first_reach(settings: HaplotypeSettings) -> int:
    """How far outside of windows records are read at first, bp."""
    return FIRST_REACH if settings.variants == "all" else MAX_MARGIN


def account_of(source: Source, stretch: Stretch, gene: str, window: np.ndarray) -> tuple[dict[str, object], np.ndarray]:
    """What became of the records that touch a window, and who has only one haplotype there ((P,) bool)."""
    start, end = int(window[0]), int(window[1])
    records, resolved = stretch.records, stretch.resolved
    low, high = stretch.edits.touching(start, end)
    inside = low + np.flatnonzero(records.ends[low:high] > start)
    odd = np.isin(records.odd, inside[records.kept[inside]])
    missing, absent = records.missing[odd], records.absent[odd]
    haploid = (absent & ~missing[:, :, 0]).any(axis=0)
    diploid = (~absent & ~missing.all(axis=2)).any(axis=0)
    diploid |= records.kept[inside].sum() > odd.sum()
    applied = resolved.alleles[inside].any(axis=1)
    length = source.reference.lengths[source.contig]
    row: dict[str, object] = {
        "gene": gene,
        "contig": source.contig,
        "window_start": start,
        "window_end": end,
        "records_seen": len(inside),
        "records_applied": int(applied.sum()),
        "records_not_carried": int((resolved.usable[inside] & ~applied & (resolved.overlapping[inside] == 0)).sum()),
        "skipped_filter": int((~records.kept[inside]).sum()),
        "skipped_not_snv": int(resolved.not_snv[inside].sum()),
        "skipped_symbolic": int(resolved.symbolic[inside].sum()),
        "skipped_overlap": int((resolved.overlapping[inside] > 0).sum()),
        "haplotypes_with_overlap_skipped": int(resolved.overlapping[inside].sum()),
        "people_missing": int(resolved.missing[odd].any(axis=0).sum()),
        "people_unphased": int(resolved.unphased[odd].any(axis=0).sum()),
        "people_haploid": int((haploid & ~diploid).sum()),
        "people_haploid_in_part": int((haploid & diploid).sum()),
        "padded_bases": max(0, min(end, 0) - start) + max(0, end - max(start, length)),
        "padded_sequences": _padded_sequences(stretch, window, length, haploid & ~diploid),
    }
    return row, haploid & ~diploid


def _padded_sequences(stretch: Stretch, window: np.ndarray, length: int, haploid: np.ndarray) -> int:
    """How many haplotypes have N at an end of the window: beyond the contig's ends, or where deletions draw these in."""
    start, end, tss = window.tolist()
    reach_start, reach_end = stretch.reaches.min(), stretch.reaches.max()
    if reach_start >= 0 and reach_end <= length:
        return 0
    carried = Carried.of(stretch.edits, slice(0, len(stretch.records.refs)), np.ascontiguousarray(stretch.resolved.alleles.T))
    before, whole = tss + carried.shifts_at(tss), length + carried.shifts_at(length)
    padded = (before < tss - start) | (whole - before < end - tss)
    padded[1::2] &= ~haploid
    return int(padded.sum())
