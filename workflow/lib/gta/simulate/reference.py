"""A reference sequence with the composition of a human genome: isochores, few CpGs, CpG islands at TSSs, repeats."""

import numpy as np
from numpy.typing import NDArray

from gta.simulate.layout import Gene
from gta.simulate.settings import N_RUN

MEAN_GC = 0.41
#: Standard deviation of GC among isochores (pieces of 100 kb) and among pieces of 5 kb within them.
_ISOCHORE_SD, _LOCAL_SD = 0.04, 0.03
_ISOCHORE, _LOCAL = 100_000, 5_000
#: Share of the CpGs that have decayed to TpG or CpA outside islands. Decay also lowers the expected number
#: (C x G / length), so that a quarter of the expected ones are left.
_CPG_DECAY = 0.79
_ISLAND_GC = 0.65
#: An island reaches this many bp to either side of a TSS.
ISLAND_HALF_WIDTH = 500
#: Share of the sequence in repeats, and mean lengths (bp) of the two kinds of repeats (like Alus and L1 pieces).
MASKED_SHARE = 0.45
_REPEAT_MEANS, _REPEAT_SHARES = np.array([300.0, 1_000.0]), np.array([0.6, 0.4])

BASES = np.frombuffer(b"ACGT", dtype=np.uint8)


def _regional_gc(length: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(length,) share of G and C expected at each base before CpGs decay."""
    isochores = rng.normal(0, _ISOCHORE_SD, size=length // _ISOCHORE + 2)
    # Linear between the middles of isochores, a step function within them.
    smooth = np.interp(np.arange(length) / _ISOCHORE, np.arange(len(isochores)), isochores)
    local = np.repeat(rng.normal(0, _LOCAL_SD, size=length // _LOCAL + 1), _LOCAL)[:length]
    # A decayed CpG loses one G or C: with a share g of G and C, (g/2)^2 x decay per base.
    lost = (MEAN_GC / 2) ** 2 * _CPG_DECAY
    return np.clip(MEAN_GC + lost * 1.1 + smooth + local, 0.32, 0.62)


def make_sequence(length: int, genes: list[Gene], rng: np.random.Generator) -> NDArray[np.uint8]:
    """(length,) uint8, upper-case ASCII bases of a contig without its run of N and without repeats marked.

    Bases are drawn independently by regional GC; then about 4 of 5 CpGs outside the islands decay to TpG or CpA, as methylated
    CpGs did.
    """
    gc = _regional_gc(length, rng)
    island = np.zeros(length, dtype=bool)
    for gene in genes:
        island[gene.tss - ISLAND_HALF_WIDTH : gene.tss + ISLAND_HALF_WIDTH] = True
    gc[island] = _ISLAND_GC
    strong = rng.random(length) < gc
    second = rng.random(length) < 0.5
    # A, C, G, T as 0, 1, 2, 3.
    codes = np.where(strong, np.where(second, 2, 1), np.where(second, 3, 0)).astype(np.uint8)
    cpg = np.flatnonzero((codes[:-1] == 1) & (codes[1:] == 2) & ~island[:-1])
    cpg = cpg[rng.random(len(cpg)) < _CPG_DECAY]
    forward = rng.random(len(cpg)) < 0.5
    codes[cpg[forward]] = 3
    codes[cpg[~forward] + 1] = 0
    return BASES[codes]


def repeat_mask(length: int, genes: list[Gene], rng: np.random.Generator) -> NDArray[np.bool_]:
    """(length,) bool: True in blocks that stand for repeats, about 45 % of the contig, none of it in the islands."""
    island_share = len(genes) * 2 * ISLAND_HALF_WIDTH / length
    share = MASKED_SHARE / (1 - island_share)
    gap_mean = float(_REPEAT_MEANS @ _REPEAT_SHARES) * (1 - share) / share
    n = int(2 * length / (gap_mean + float(_REPEAT_MEANS @ _REPEAT_SHARES))) + 100
    kinds = rng.choice(len(_REPEAT_MEANS), size=n, p=_REPEAT_SHARES)
    blocks = np.stack([rng.exponential(gap_mean, size=n), rng.exponential(_REPEAT_MEANS[kinds])], axis=1)
    edges = np.minimum(np.cumsum(blocks.ravel()).astype(np.int64), length)
    mask = np.zeros(length, dtype=bool)
    for start, end in zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True):
        mask[start:end] = True
    for gene in genes:
        mask[gene.tss - ISLAND_HALF_WIDTH : gene.tss + ISLAND_HALF_WIDTH] = False
    return mask


def to_fasta_bases(sequence: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(length,) uint8 ASCII as written to the FASTA file: repeats in lower case, a run of N at the start."""
    written = np.where(mask, sequence | 0x20, sequence).astype(np.uint8)
    written[:N_RUN] = ord("N")
    return written
