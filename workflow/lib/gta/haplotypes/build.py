"""Building the haplotype panels of one contig's windows."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from gta.cohort.tables import read_genes, read_people, read_table
from gta.errors import UserError
from gta.haplotypes.genotypes import Genotypes, NoGenotypes
from gta.haplotypes.panels import Panel, PanelSet
from gta.haplotypes.reference import Reference, open_reference
from gta.haplotypes.sequences import distinct_rows, touching
from gta.haplotypes.settings import HaplotypeSettings
from gta.haplotypes.stretches import Source, account_of, first_reach, read_stretch
from gta.inputs.tables import read_names

#: Longest piece of a contig whose records are in memory at once, bp. Records that windows of two pieces share are stored twice.
LONGEST = 2_000_000


def build(
    inputs: Path, cohort: Path, contig: str, settings: HaplotypeSettings, tile_length: int | None = None
) -> tuple[PanelSet, pd.DataFrame]:
    """The panels of a cohort's windows on one contig, and the account of what became of the records.

    Without genotypes there are no records: each panel holds the reference haplotype, which all individuals have.

    Args:
        inputs: Folder written by `gta inputs`.
        cohort: Folder written by `gta cohort`.
        contig: Name of the contig in the reference.
        settings: The stage's settings.
        tile_length: Length of the tiles whose distinct sequences are counted, bp; none are if None.

    Returns:
        The panels and a table with one row per window (columns: docs/haplotypes.md).

    Raises:
        UserError: if the files do not fit each other, or for the first record that cannot be put into sequence.
    """
    contigs = read_table(inputs / "contigs.tsv", ("contig", "genotypes_name")).set_index("contig")["genotypes_name"]
    if contig not in contigs.index:
        raise UserError(f"{inputs / 'contigs.tsv'} has no contig {contig!r}; its first ones are {', '.join(contigs.index[:3])}.")
    names, genotypes_name = read_names(inputs), str(contigs[contig])
    if not genotypes_name and "genotypes" in names:
        raise UserError(f"The genotypes have no contig that belongs to {contig!r}: leave it out of cohort.contigs.")
    genes = read_genes(cohort)
    genes = genes[genes["contig"] == contig].sort_values("window_start", kind="stable")
    if genes.empty:
        raise UserError(f"{cohort / 'genes.tsv'} has no gene on contig {contig!r}: leave it out of cohort.contigs.")
    people = read_people(cohort)["person"].tolist()
    genotypes: Genotypes = NoGenotypes(people)
    if "genotypes" in names:
        genotypes = Genotypes(inputs / names["genotypes"], people, settings.filters)
        genotypes.require_contig(genotypes_name)
    source = Source(genotypes, open_reference(inputs), contig, genotypes_name, settings)
    windows = genes[["window_start", "window_end", "tss"]].to_numpy(dtype=np.int64)
    panels, account = build_panels(source, genes["gene"].tolist(), windows)
    if tile_length is not None:
        counts = [_distinct_tiles(panels.panel(gene), source.reference, tile_length) for gene in panels.genes]
        account["distinct_per_tile_mean"], account["distinct_per_tile_max"] = zip(*counts, strict=True)
    return panels, account


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
    for members in _stretches(windows, first_reach(source.settings)):
        stretch = read_stretch(source, windows[members])
        records, resolved = stretch.records, stretch.resolved
        kept = np.flatnonzero(resolved.alleles.any(axis=1))
        furthest = np.maximum.accumulate(records.ends[kept])
        for gene, window, reach in zip(genes[members], windows[members], stretch.reaches, strict=True):
            reaches.append(reach)
            spans.append(len(refs) + np.array(touching(records.positions[kept], furthest, *reach)))
            row, one_copy = account_of(source, stretch, gene, window)
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


def _distinct_tiles(panel: Panel, reference: Reference, tile_length: int) -> tuple[float, int]:
    """Mean and greatest number of different sequences that people carry in a tile."""
    _, index = panel.tiles(reference, tile_length)
    carried = np.sort(index[np.unique(panel.carriers[panel.carriers >= 0])], axis=0)
    distinct = 1 + (carried[1:] != carried[:-1]).sum(axis=0)
    return round(float(distinct.mean()), 2), int(distinct.max())


def _distinct_haplotypes(panel: Panel) -> int:
    """How many different haplotypes people carry inside the window."""
    ends = panel.positions + np.fromiter(map(len, panel.refs), dtype=np.int64, count=len(panel.refs))
    inside = slice(*touching(panel.positions, np.maximum.accumulate(ends), panel.start, panel.end))
    carried = np.unique(panel.carriers[panel.carriers >= 0])
    return len(distinct_rows(panel.alleles[carried, inside])[0])


def _stretches(windows: np.ndarray, reach: int) -> Iterator[slice]:
    """The windows in groups that lie less than twice the reach apart and are not longer than LONGEST, as slices."""
    first, furthest = 0, windows[0, 1]
    for number in range(1, len(windows)):
        start, end = windows[number, :2].tolist()
        if start - reach >= furthest + reach or end - windows[first, 0] > LONGEST:
            yield slice(first, number)
            first = number
        furthest = max(furthest, end)
    yield slice(first, len(windows))
