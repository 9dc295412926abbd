"""Where the genes lie: contigs, TSSs, strands, gene bodies and exons."""

from dataclasses import dataclass

import numpy as np

from gta.simulate.names import contig_names, gene_names, genes_per_contig
from gta.simulate.settings import SimulateSettings, minimum_spacing

#: A gene body is at most this share of the smallest TSS spacing, so that the bodies of two facing genes do not meet.
_BODY_SHARE = 0.4
_SHORTEST_BODY = 2_000
_MAX_EXONS = 8


@dataclass(frozen=True)
class Gene:
    """One gene. Coordinates in bp, 0-based half-open; `exons` are sorted by position; the TSS base is the first of the body."""

    name: str
    contig: str
    tss: int
    strand: str
    start: int
    end: int
    exons: tuple[tuple[int, int], ...]

    @property
    def direction(self) -> int:
        """1 if the gene is read along the reference, -1 against it."""
        return 1 if self.strand == "+" else -1


@dataclass(frozen=True)
class Layout:
    """The contigs' lengths (bp) by name, in the order of the reference, and the genes by contig and TSS."""

    lengths: dict[str, int]
    genes: list[Gene]

    def of_contig(self, contig: str) -> list[Gene]:
        """The genes of one contig, by TSS."""
        return [gene for gene in self.genes if gene.contig == contig]


def _exons(start: int, end: int, rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    """Cut a body (at least 2,000 bp) into 1 to 8 exons with introns between them; the outer ends are exonic."""
    n = int(rng.integers(1, _MAX_EXONS + 1))
    inner = np.sort(rng.choice((end - start) // 100 - 2, size=2 * (n - 1), replace=False) + 1) * 100 + start
    edges = [start, *(int(x) for x in inner), end]
    return tuple((edges[2 * i], edges[2 * i + 1]) for i in range(n))


def lay_out(settings: SimulateSettings, rng: np.random.Generator) -> Layout:
    """Place the genes.

    TSS spacings are uniform between the smallest spacing and its mirror image about the mean. Body lengths are log-uniform.
    """
    closest = minimum_spacing(settings)
    names = iter(gene_names(settings))
    lengths: dict[str, int] = {}
    genes: list[Gene] = []
    for contig, n in zip(contig_names(settings), genes_per_contig(settings), strict=True):
        spacings = rng.integers(closest, 2 * settings.mean_spacing - closest + 1, size=n - 1)
        tss_positions = settings.margin + np.concatenate([[0], np.cumsum(spacings)]).astype(int)
        lengths[contig] = int(tss_positions[-1]) + settings.margin + 1
        for tss in tss_positions.tolist():
            forward = bool(rng.random() < 0.5)
            body = int(np.exp(rng.uniform(np.log(_SHORTEST_BODY), np.log(_BODY_SHARE * closest))))
            start, end = (tss, tss + body) if forward else (tss + 1 - body, tss + 1)
            genes.append(Gene(next(names), contig, tss, "+" if forward else "-", start, end, _exons(start, end, rng)))
    return Layout(lengths, genes)
