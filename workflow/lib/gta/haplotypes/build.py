"""Building the haplotype panels of one contig's windows."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from gta.cohort.tables import read_genes, read_people, read_table
from gta.errors import UserError
from gta.haplotypes.genotypes import ABSENT, Genotypes, Records
from gta.haplotypes.panels import MAX_MARGIN, Panel, PanelSet
from gta.haplotypes.policy import Resolved, check_refs, resolve
from gta.haplotypes.reference import Reference, input_names, open_reference
from gta.haplotypes.sequences import EditTable, distinct_rows, longest_deletions
from gta.haplotypes.settings import HaplotypeSettings

#: How far outside of a window records are read at first if sequences with deletions may reach out; more is read where needed.
FIRST_REACH = 2048


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
        reaches: (W, 2) int64, the interval within which the panel of each of its windows lists records.
    """

    records: Records
    resolved: Resolved
    reaches: np.ndarray


def build(inputs: Path, cohort: Path, contig: str, settings: HaplotypeSettings) -> tuple[PanelSet, pd.DataFrame]:
    """The panels of a cohort's windows on one contig, and the account of what became of the records.

    Args:
        inputs: Folder written by `gta inputs`.
        cohort: Folder written by `gta cohort`.
        contig: Name of the contig in the reference.
        settings: The stage's settings.

    Returns:
        The panels and a table with one row per window (columns: docs/haplotypes.md).

    Raises:
        UserError: if the files do not fit each other, or for the first record that cannot be put into sequence.
    """
    contigs = read_table(inputs / "contigs.tsv", ("contig", "genotypes_name")).set_index("contig")["genotypes_name"]
    if contig not in contigs.index:
        raise UserError(f"{inputs / 'contigs.tsv'} has no contig {contig!r}; its first ones are {', '.join(contigs.index[:3])}.")
    genotypes_name = str(contigs[contig])
    if not genotypes_name:
        raise UserError(f"The genotypes have no contig that belongs to {contig!r}: leave it out of cohort.contigs.")
    genes = read_genes(cohort)
    genes = genes[genes["contig"] == contig].sort_values("window_start", kind="stable")
    if genes.empty:
        raise UserError(f"{cohort / 'genes.tsv'} has no gene on contig {contig!r}: leave it out of cohort.contigs.")
    people = read_people(cohort)["person"].tolist()
    genotypes = Genotypes(inputs / input_names(inputs)["genotypes"], people)
    genotypes.require_contig(genotypes_name)
    source = Source(genotypes, open_reference(inputs), contig, genotypes_name, settings)
    windows = genes[["window_start", "window_end", "tss"]].to_numpy(dtype=np.int64)
    return build_panels(source, genes["gene"].tolist(), windows)


def build_panels(source: Source, genes: list[str], windows: np.ndarray) -> tuple[PanelSet, pd.DataFrame]:
    """The panels of windows, and the account.

    Args:
        source: Where they come from.
        genes: Names of the G genes.
        windows: (G, 3) int64: start, end and TSS of each window, bp, 0-based half-open, ascending by start.
    """
    people = source.genotypes.people
    reaches, spans, haploid, account = [], [], [], []
    positions = [np.zeros(0, dtype=np.int64)]
    haplotypes = [np.zeros((0, 2 * len(people)), dtype=np.uint8)]
    refs: list[bytes] = []
    alts: list[tuple[bytes, ...]] = []
    for members in _stretches(windows, _first_reach(source.settings)):
        stretch = read_stretch(source, windows[members])
        records, resolved = stretch.records, stretch.resolved
        kept = np.flatnonzero(resolved.alleles.any(axis=1))
        for gene, window, reach in zip(genes[members], windows[members], stretch.reaches, strict=True):
            reaches.append(reach)
            spans.append(len(refs) + np.array(_touching(records.positions[kept], records.ends[kept], *reach)))
            row, one_copy = _account(source, stretch, gene, window)
            account.append(row)
            haploid.append(one_copy)
        positions.append(records.positions[kept])
        haplotypes.append(resolved.alleles[kept])
        refs += [records.refs[record] for record in kept]
        alts += [resolved.alts[record] for record in kept]
        print(f"{source.contig}: {len(account)} of {len(genes)} windows", file=sys.stderr)
    panels = PanelSet(
        contig=source.contig,
        genes=genes,
        people=people,
        windows=windows,
        reaches=np.array(reaches, dtype=np.int64),
        spans=np.array(spans, dtype=np.int64),
        haploid=np.array(haploid, dtype=bool),
        positions=np.concatenate(positions),
        refs=refs,
        alts=alts,
        haplotypes=np.ascontiguousarray(np.concatenate(haplotypes).T),
    )
    table = pd.DataFrame(account)
    table["distinct_haplotypes"] = [_distinct_haplotypes(panels.panel(gene)) for gene in genes]
    return panels, table


def _distinct_haplotypes(panel: Panel) -> int:
    """How many different haplotypes people carry inside the window."""
    ends = panel.positions + np.fromiter(map(len, panel.refs), dtype=np.int64, count=len(panel.refs))
    inside = slice(*_touching(panel.positions, ends, panel.start, panel.end))
    carried = np.unique(panel.carriers[panel.carriers >= 0])
    return len(distinct_rows(panel.alleles[carried, inside])[0])


def read_stretch(source: Source, windows: np.ndarray) -> Stretch:
    """Read and resolve all records that can change the sequences of some neighbouring windows.

    Which of two overlapping records wins depends on what lies before them, so the stretch begins where no record reaches in.

    Args:
        source: Where records come from.
        windows: (W, 3) int64: start, end and TSS of each window.
    """
    length = source.reference.lengths[source.contig]

    def name(number: int) -> str:
        return f"The record {source.genotypes_name}:{records.positions[number] + 1} of {source.genotypes.path}"

    reach = _first_reach(source.settings)
    start, end = windows[:, 0].min() - reach, windows[:, 1].max() + reach
    while True:
        start, end = max(0, int(start)), min(length, int(end))
        while (first := source.genotypes.first_reaching(source.genotypes_name, start)) < start:
            start = first
        records = source.genotypes.read(source.genotypes_name, start, end)
        resolved = resolve(records, source.settings, name, source.genotypes.people)
        reaches = windows[:, :2] + np.array([-MAX_MARGIN, MAX_MARGIN])
        if source.settings.variants == "all":
            edits = EditTable.of(records.positions, records.refs, resolved.alts)
            longest = longest_deletions(edits, resolved.alleles.T, reaches[:, 0], reaches[:, 1])
            reaches += longest[:, None] * np.array([-1, 1])
        needed_start, needed_end = max(0, reaches[:, 0].min()), min(length, reaches[:, 1].max())
        if start <= needed_start and needed_end <= end:
            break
        start, end = min(start, needed_start), max(end, needed_end)
    if len(records.refs):
        offset = int(records.positions[0])
        check_refs(records, resolved.usable, source.reference.fetch(source.contig, offset, records.ends.max()), offset, name)
    return Stretch(records, resolved, reaches)


def _first_reach(settings: HaplotypeSettings) -> int:
    return FIRST_REACH if settings.variants == "all" else MAX_MARGIN


def _stretches(windows: np.ndarray, reach: int) -> Iterator[slice]:
    """The windows in groups that lie less than twice the reach apart, as slices."""
    furthest = np.maximum.accumulate(windows[:, 1])
    begins = np.flatnonzero(windows[1:, 0] - reach >= furthest[:-1] + reach) + 1
    edges = [0, *begins.tolist(), len(windows)]
    return (slice(low, high) for low, high in pairwise(edges))


def _touching(positions: np.ndarray, ends: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """First and one past the last record such that all that touch [start, end) lie between."""
    return int(np.searchsorted(np.maximum.accumulate(ends), start, side="right")), int(
        np.searchsorted(positions, end, side="left")
    )


def _account(source: Source, stretch: Stretch, gene: str, window: np.ndarray) -> tuple[dict[str, object], np.ndarray]:
    """What became of the records that touch a window, and who has only one haplotype there ((P,) bool)."""
    start, end = int(window[0]), int(window[1])
    records, resolved = stretch.records, stretch.resolved
    low, high = _touching(records.positions, records.ends, start, end)
    inside = low + np.flatnonzero(records.ends[low:high] > start)
    first, second = records.calls[inside, :, 0], records.calls[inside, :, 1]
    haploid = ((second == ABSENT) & (first >= 0)).any(axis=0)
    diploid = ((second >= 0) | ((second != ABSENT) & (first >= 0))).any(axis=0)
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
        "skipped_not_snv": int(resolved.not_snv[inside].sum()),
        "skipped_symbolic": int(resolved.symbolic[inside].sum()),
        "skipped_overlap": int((resolved.overlapping[inside] > 0).sum()),
        "haplotypes_with_overlap_skipped": int(resolved.overlapping[inside].sum()),
        "people_missing": int(resolved.missing[inside].any(axis=0).sum()),
        "people_unphased": int(resolved.unphased[inside].any(axis=0).sum()),
        "people_haploid": int((haploid & ~diploid).sum()),
        "people_haploid_in_part": int((haploid & diploid).sum()),
        "padded_bases": max(0, min(end, 0) - start) + max(0, end - max(start, length)),
    }
    return row, haploid & ~diploid
