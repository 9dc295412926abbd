"""Haplotype panels: the variants of each window, its distinct haplotypes, and who carries which."""

import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from gta.errors import UserError
from gta.files import atomic_path, require_file
from gta.haplotypes.reference import Reference
from gta.haplotypes.sequences import EditTable, build_sequences, distinct_rows, longest_deletions

#: The widest context, in bp, that can be asked for on either side of a tile: a panel knows the variants that far outside
#: of its window.
MAX_MARGIN = 256


@dataclass(frozen=True)
class Panel:
    """The haplotypes of one window.

    H distinct haplotypes, R records, P people, L bp. Coordinates are 0-based half-open, the plus strand of the reference.

    Attributes:
        gene: Name of the gene.
        contig: Name of the contig in the reference.
        start: First base of the window; may be negative.
        end: One past its last base; L = end - start.
        tss: Position of the TSS base, start + L // 2.
        reach: Interval of the reference within which records are listed: the window, MAX_MARGIN on either side, and as much
            more as the longest sum of deletions makes a sequence of fixed length reach out.
        people: Names of the P people, in the order of `carriers`.
        positions: (R,) int64, position of the first REF base of each record, ascending.
        refs: REF of each record, upper case.
        alts: ALT alleles of each record as in the genotypes, then the ambiguity codes made for unphased heterozygotes.
        alleles: (H, R) uint8, the allele that each distinct haplotype has of each record: 0 is the reference, a is
            `alts[record][a - 1]`. Row 0 is the reference, even if nobody carries it. Alleles that policy skips are 0 already.
        carriers: (P, 2) int32, the rows of each person's two haplotypes; -1 for the second one of a haploid person.
    """

    gene: str
    contig: str
    start: int
    end: int
    tss: int
    reach: tuple[int, int]
    people: list[str]
    positions: np.ndarray
    refs: list[bytes]
    alts: list[tuple[bytes, ...]]
    alleles: np.ndarray
    carriers: np.ndarray

    @cached_property
    def edits(self) -> EditTable:
        """What each allele does to the reference."""
        return EditTable.of(self.positions, self.refs, self.alts)

    def sequence(self, row: int, reference: Reference) -> np.ndarray:
        """The window's sequence on one haplotype.

        With insertions and deletions it is walked outwards from the TSS, so that it keeps its length and the TSS base its index
        L // 2.

        Args:
            row: Row of `alleles`.
            reference: The reference that the panel was made with.

        Returns:
            (L,) uint8, upper-case ASCII, plus strand.
        """
        bases = reference.fetch(self.contig, *self.reach)
        left = self.tss - self.start
        every = slice(0, len(self.positions))
        return build_sequences(
            bases, self.reach[0], self.edits, every, self.alleles[row : row + 1], self.tss, left, self.end - self.tss
        )[0]

    def tiles(self, reference: Reference, tile_length: int, margin: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """The distinct tile sequences of all haplotypes, and which of them each haplotype has.

        Tile k of T bp stands at the reference interval [start + k T, start + (k + 1) T). With insertions and deletions each
        tile is walked from its left edge: to the right T + margin bases, to the left `margin` bases. No haplotype's full
        sequence is built: each tile is spliced once for each distinct pattern of the alleles that touch it.

        Args:
            reference: The reference that the panel was made with.
            tile_length: T, bp; divides L.
            margin: Context on either side of each tile, bp; at most MAX_MARGIN.

        Returns:
            sequences (S, T + 2 * margin) uint8, upper-case ASCII, plus strand, no two of them equal, in order of first
            appearance by tile and then by haplotype; and index (H, L // T) int32, the row of `sequences` of each haplotype
            and tile.

        Raises:
            UserError: if the tile length does not divide the window's or the margin is too wide.
        """
        length = self.end - self.start
        if tile_length < 1 or length % tile_length:
            raise UserError(f"A tile length of {tile_length} bp does not divide the window of {length} bp; choose a divisor.")
        if not 0 <= margin <= MAX_MARGIN:
            raise UserError(f"A margin of {margin} bp around tiles is not between 0 and {MAX_MARGIN} bp.")
        bases = reference.fetch(self.contig, *self.reach)
        lefts = self.start + np.arange(length // tile_length) * tile_length
        starts, ends = lefts - margin, lefts + tile_length + margin
        longest = longest_deletions(self.edits, self.alleles, starts, ends)
        columns = np.stack(self.edits.touching(starts - longest, ends + longest), axis=1)
        rows: dict[bytes, int] = {}
        index = np.empty((len(self.alleles), len(lefts)), dtype=np.int32)
        for tile, (left, (low, high)) in enumerate(zip(lefts.tolist(), columns.tolist(), strict=True)):
            first, inverse = distinct_rows(self.alleles[:, low:high])
            block = build_sequences(
                bases,
                self.reach[0],
                self.edits,
                slice(low, high),
                self.alleles[first, low:high],
                left,
                margin,
                tile_length + margin,
            )
            numbers = [rows.setdefault(sequence.tobytes(), len(rows)) for sequence in block]
            index[:, tile] = np.array(numbers, dtype=np.int32)[inverse]
        sequences = np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), tile_length + 2 * margin)
        return sequences, index


@dataclass(frozen=True)
class PanelSet:
    """The panels of all windows of one contig, sharing one table of records.

    G windows, N records, P people.

    Attributes:
        contig: Name of the contig in the reference.
        genes: Names of the G genes, in the order of the cohort.
        people: Names of the P people, in the order of the cohort.
        windows: (G, 3) int64: start, end and TSS of each window.
        reaches: (G, 2) int64: the interval within which a window's panel lists records.
        spans: (G, 2) int64: first and one past the last record of each panel.
        haploid: (G, P) bool: has the person only one haplotype there?
        positions: (N,) int64, position of the first REF base of each record that somebody carries.
        refs: REF of each record.
        alts: ALT alleles of each record.
        haplotypes: (2 P, N) uint8: allele of each record on the first and second haplotype of each person in turn, after policy.
    """

    contig: str
    genes: list[str]
    people: list[str]
    windows: np.ndarray
    reaches: np.ndarray
    spans: np.ndarray
    haploid: np.ndarray
    positions: np.ndarray
    refs: list[bytes]
    alts: list[tuple[bytes, ...]]
    haplotypes: np.ndarray

    @cached_property
    def _number(self) -> dict[str, int]:
        return {gene: number for number, gene in enumerate(self.genes)}

    def panel(self, gene: str) -> Panel:
        """The panel of one gene's window.

        Args:
            gene: Name of the gene.

        Raises:
            UserError: if the set has no such gene.
        """
        if gene not in self._number:
            raise UserError(
                f"The haplotypes of contig {self.contig} have no window of gene {gene!r}: they belong to another cohort."
            )
        number = self._number[gene]
        low, high = self.spans[number].tolist()
        start, end, tss = self.windows[number].tolist()
        reach_start, reach_end = self.reaches[number].tolist()
        carried = self.haplotypes[:, low:high]
        # The reference comes first, so that its row is 0.
        first, inverse = distinct_rows(np.vstack([np.zeros((1, high - low), dtype=np.uint8), carried]))
        carriers = inverse[1:].reshape(-1, 2).astype(np.int32)
        carriers[self.haploid[number], 1] = -1
        alleles = np.zeros((len(first), high - low), dtype=np.uint8)
        alleles[1:] = carried[first[1:] - 1]
        return Panel(
            gene=gene,
            contig=self.contig,
            start=start,
            end=end,
            tss=tss,
            reach=(reach_start, reach_end),
            people=self.people,
            positions=self.positions[low:high],
            refs=self.refs[low:high],
            alts=self.alts[low:high],
            alleles=alleles,
            carriers=carriers,
        )

    def save(self, path: Path | str) -> None:
        """Write the set as compressed `.npz`: one bit per haplotype and record, and the few alleles beyond the first apart."""
        records = "\n".join(b",".join((ref, *alts)).decode("ascii") for ref, alts in zip(self.refs, self.alts, strict=True))
        further = np.argwhere(self.haplotypes > 1)
        with atomic_path(path) as temporary, temporary.open("wb") as handle:
            np.savez_compressed(
                handle,
                contig=np.array(self.contig),
                genes=np.array(self.genes, dtype=np.str_),
                people=np.array(self.people, dtype=np.str_),
                windows=self.windows,
                reaches=self.reaches,
                spans=self.spans,
                haploid=np.packbits(self.haploid, axis=1),
                positions=self.positions,
                records=np.frombuffer(records.encode("ascii"), dtype=np.uint8),
                carried=np.packbits(self.haplotypes > 0, axis=0),
                further=further.astype(np.int32),
                further_alleles=self.haplotypes[tuple(further.T)],
            )

    @classmethod
    def load(cls, path: Path | str) -> "PanelSet":
        """Read a set.

        Raises:
            UserError: if the file is missing, cut short or something else.
        """
        require_file(path, "file of haplotypes")
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            people, positions = arrays["people"].tolist(), arrays["positions"]
            haplotypes = np.unpackbits(arrays["carried"], axis=0, count=2 * len(people))
            haplotypes[tuple(arrays["further"].T)] = arrays["further_alleles"]
            lines = arrays["records"].tobytes().split(b"\n") if len(positions) else []
            alleles = [tuple(line.split(b",")) for line in lines]
            return cls(
                contig=str(arrays["contig"]),
                genes=arrays["genes"].tolist(),
                people=people,
                windows=arrays["windows"],
                reaches=arrays["reaches"],
                spans=arrays["spans"],
                haploid=np.unpackbits(arrays["haploid"], axis=1, count=len(people)).astype(bool),
                positions=positions,
                refs=[record[0] for record in alleles],
                alts=[record[1:] for record in alleles],
                haplotypes=haplotypes,
            )
        except (ValueError, KeyError, OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path} is not a whole file of haplotype panels; write it again with `gta haplotypes build`."
            ) from error
