"""Transcription-factor sites in promoters and distal elements, planted into the reference, many of them over common SNVs."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gta.errors import UserError
from gta.simulate.genotypes import INDEL_FOOTPRINT, ContigGenotypes
from gta.simulate.layout import Gene
from gta.simulate.motifs import Motif, effect_at
from gta.simulate.reference import BASES
from gta.simulate.settings import MINIMUM_DISTAL_DISTANCE, N_RUN, PROMOTER_HALF_WIDTH, SimulateSettings

#: Promoter sites lie within this part of the gene, in bp in gene direction, both ends included.
PROMOTER = (-400, 100)
#: Share of the genes that get causal variants on purpose.
CAUSAL_SHARE = 0.7
#: A causal variant is common: its ALT frequency in the cohort lies between these.
COMMON = (0.1, 0.9)
_MOST_PROMOTER_SITES, _MOST_ELEMENTS, _MOST_SITES_OF_ELEMENT, _MOST_CAUSAL = 4, 3, 2, 3
#: The sites of an element start within this many bp of its centre.
_ELEMENT_HALF_WIDTH = 75
#: A distal element may move this many bp to lie over the nearest common SNV (a few hundred bp as a rule).
_SEARCH = 10_000
#: A planted site is at least this much bound where no variant weakens it.
_WEAKEST_SITE = 0.6
#: Columns with at least this information (bits) are those where a variant breaks or makes a site.
_INFORMATIVE = 1.0
_TRIES = 500


@dataclass(frozen=True)
class Site:
    """A planted site, 0-based half-open on the reference.

    Attributes:
        gene: Name of the only gene that it acts on.
        strand: Strand of the reference on which the motif reads.
        distance: Signed distance in bp, in gene direction, from the TSS to the site's base at (start + end) // 2.
        effect: Change of ln expression when fully bound, distance decay and modulation by the text class included.
        kind: promoter or distal.
    """

    gene: str
    contig: str
    start: int
    end: int
    strand: str
    motif: Motif
    effect: float
    distance: int
    kind: str


@dataclass
class Ground:
    """One contig into which sites are planted.

    Attributes:
        sequence: (length,) uint8 upper-case ASCII; planting changes it.
        genotypes: The contig's variants.
        tss: (genes,) positions of all its TSSs.
        taken: (length,) bool: no site may be planted here (N, indels, other sites).
        alternatives: Index of a variant -> ASCII code of the ALT base that planting needs.
    """

    sequence: NDArray[np.uint8]
    genotypes: ContigGenotypes
    tss: NDArray[np.int64]
    taken: NDArray[np.bool_]
    alternatives: dict[int, int]


@dataclass(frozen=True)
class _Slot:
    """A site still to be planted: which motif, and roughly where (`centre` is used of distal slots alone)."""

    kind: str
    motif: Motif
    centre: int
    distance: int


def make_ground(sequence: NDArray[np.uint8], genotypes: ContigGenotypes, genes: list[Gene]) -> Ground:
    """The contig with its N and indels marked as taken."""
    taken = np.zeros(len(sequence), dtype=bool)
    taken[:N_RUN] = True
    for position in genotypes.positions[genotypes.is_indel].tolist():
        taken[position : position + INDEL_FOOTPRINT] = True
    return Ground(sequence, genotypes, np.array([gene.tss for gene in genes]), taken, {})


def choose_causal_genes(settings: SimulateSettings, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(genes,) bool: exactly the causal share of the genes, at random."""
    chosen = np.zeros(settings.genes, dtype=bool)
    chosen[rng.permutation(settings.genes)[: round(CAUSAL_SHARE * settings.genes)]] = True
    return chosen


def signed_distance(gene: Gene, start: int, end: int) -> int:
    """Distance (bp, in gene direction) from the TSS base to the middle base, (start + end) // 2, of a site."""
    return gene.direction * ((start + end) // 2 - gene.tss)


def _promoter_interval(gene: Gene) -> tuple[int, int]:
    first, last = (gene.tss + gene.direction * offset for offset in PROMOTER)
    return min(first, last), max(first, last) + 1


def _fits(ground: Ground, gene: Gene, kind: str, start: int, end: int, settings: SimulateSettings) -> bool:
    """Whether a site may be planted at [start, end)."""
    if start < 0 or end > len(ground.sequence) or ground.taken[start:end].any():
        return False
    if kind == "promoter":
        low, high = _promoter_interval(gene)
        return low <= start and end <= high
    distance = abs(signed_distance(gene, start, end))
    away_from_promoters = bool((np.abs(ground.tss - start) > PROMOTER_HALF_WIDTH).all())
    return away_from_promoters and MINIMUM_DISTAL_DISTANCE <= distance <= settings.max_distal_distance


def _draw_site(motif: Motif, column: int | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """(L,) bases 0..3 of a well-bound instance of the motif; the consensus at `column`, where one is given.

    Bases are drawn from the squared (so sharpened) matrix until the site is bound well enough.
    """
    sharp = motif.probabilities**2
    edges = np.cumsum(sharp / sharp.sum(axis=0), axis=0)
    for _ in range(_TRIES):
        codes = np.minimum((rng.random(motif.length) > edges).sum(axis=0), 3)
        if column is not None:
            codes[column] = motif.consensus[column]
        if motif.occupancy(motif.score(codes)) >= _WEAKEST_SITE:
            return codes
    return motif.consensus


def _plant(ground: Ground, gene: Gene, kind: str, motif: Motif, start: int, forward: bool, codes: NDArray[np.int64]) -> Site:
    """Write the bases (read along the motif) into the sequence and take the place."""
    end = start + motif.length
    ground.sequence[start:end] = BASES[codes if forward else 3 - codes[::-1]]
    ground.taken[start:end] = True
    distance = signed_distance(gene, start, end)
    strand = "+" if forward else "-"
    return Site(gene.name, gene.contig, start, end, strand, motif, effect_at(motif, distance), distance, kind)


def _plant_anywhere(ground: Ground, gene: Gene, slot: _Slot, settings: SimulateSettings, rng: np.random.Generator) -> Site:
    """Plant a slot at random within the promoter, or near the centre of its element.

    Raises:
        UserError: if there is no room.
    """
    if slot.kind == "promoter":
        low, high = _promoter_interval(gene)
    else:
        low, high = slot.centre - _ELEMENT_HALF_WIDTH, slot.centre + _ELEMENT_HALF_WIDTH
    for attempt in range(_TRIES):
        # A crowded element grows, a promoter does not.
        slack = attempt if slot.kind == "distal" else 0
        start = int(rng.integers(low - slack, high + slack - slot.motif.length + 1))
        if _fits(ground, gene, slot.kind, start, start + slot.motif.length, settings):
            forward = bool(rng.random() < 0.5)
            return _plant(ground, gene, slot.kind, slot.motif, start, forward, _draw_site(slot.motif, None, rng))
    raise UserError(
        f"There is no room for a {slot.kind} site of gene {gene.name}: lower indel_share, or raise mean_spacing or "
        "max_distal_distance."
    )


def _plant_over_variant(
    ground: Ground, gene: Gene, slot: _Slot, settings: SimulateSettings, rng: np.random.Generator
) -> Site | None:
    """Plant a slot so that a common SNV breaks or makes the site; None if no common SNV lies where it could be."""
    genotypes, motif = ground.genotypes, slot.motif
    if slot.kind == "promoter":
        low, high = _promoter_interval(gene)
    else:
        low, high = slot.centre - _SEARCH, slot.centre + _SEARCH
    first, last = np.searchsorted(genotypes.positions, [low, high])
    common = (genotypes.frequency[first:last] >= COMMON[0]) & (genotypes.frequency[first:last] <= COMMON[1])
    candidates = np.flatnonzero(common & ~genotypes.is_indel[first:last]) + first
    if slot.kind == "promoter":
        candidates = rng.permutation(candidates)
    else:
        candidates = candidates[np.argsort(np.abs(genotypes.positions[candidates] - slot.centre), kind="stable")]
    informative = np.flatnonzero(motif.information >= _INFORMATIVE)
    for variant in candidates.tolist():
        position = int(genotypes.positions[variant])
        for column in rng.permutation(informative).tolist():
            forward = bool(rng.random() < 0.5)
            start = position - (column if forward else motif.length - 1 - column)
            if not _fits(ground, gene, slot.kind, start, start + motif.length, settings):
                continue
            good, bad = int(motif.consensus[column]), int(motif.log_odds[:, column].argmin())
            breaks = bool(rng.random() < 0.5)
            codes = _draw_site(motif, column, rng).copy()
            codes[column] = good if breaks else bad
            alternative = bad if breaks else good
            site = _plant(ground, gene, slot.kind, motif, start, forward, codes)
            ground.alternatives[variant] = int(BASES[alternative if forward else 3 - alternative])
            return site
    return None


def _element_centre(ground: Ground, gene: Gene, settings: SimulateSettings, rng: np.random.Generator) -> int:
    """A position at a log-uniform distance from the TSS, on either side, clear of every promoter.

    Raises:
        UserError: if promoters leave no room.
    """
    closest = MINIMUM_DISTAL_DISTANCE + _ELEMENT_HALF_WIDTH
    farthest = settings.max_distal_distance - _ELEMENT_HALF_WIDTH
    for _ in range(_TRIES):
        distance = np.exp(rng.uniform(np.log(closest), np.log(farthest)))
        centre = gene.tss + int(distance if rng.random() < 0.5 else -distance)
        if (np.abs(ground.tss - centre) > PROMOTER_HALF_WIDTH + 2 * _ELEMENT_HALF_WIDTH).all():
            return centre
    raise UserError(f"There is no room for a distal element of gene {gene.name}: raise mean_spacing.")


def _plan(
    ground: Ground, gene: Gene, motifs: list[Motif], settings: SimulateSettings, rng: np.random.Generator
) -> tuple[list[_Slot], list[_Slot]]:
    """(promoter slots and the first slot of each distal element; the further slots of the elements)."""

    def any_motif() -> Motif:
        return motifs[int(rng.integers(len(motifs)))]

    first = [_Slot("promoter", any_motif(), gene.tss, 0) for _ in range(int(rng.integers(1, _MOST_PROMOTER_SITES + 1)))]
    further = []
    for _ in range(int(rng.integers(1, _MOST_ELEMENTS + 1))):
        centre = _element_centre(ground, gene, settings, rng)
        slots = [
            _Slot("distal", any_motif(), centre, centre - gene.tss)
            for _ in range(int(rng.integers(1, _MOST_SITES_OF_ELEMENT + 1)))
        ]
        first.append(slots[0])
        further += slots[1:]
    return first, further


def plant_sites(
    ground: Ground,
    gene: Gene,
    causal: bool,
    motifs: list[Motif],
    settings: SimulateSettings,
    rng: np.random.Generator,
) -> Iterator[Site]:
    """Plant all sites of one gene; the ground's sequence, taken places and alternatives change.

    A causal gene gets 1 to 3 sites over common SNVs, the sites with the strongest effects first.

    Raises:
        UserError: if a site finds no room.
    """
    first, further = _plan(ground, gene, motifs, settings, rng)
    first.sort(key=lambda slot: -abs(effect_at(slot.motif, slot.distance)))
    over_variants = int(rng.integers(1, _MOST_CAUSAL + 1)) if causal else 0
    elsewhere = []
    for slot in first:
        site = _plant_over_variant(ground, gene, slot, settings, rng) if over_variants else None
        if site is None:
            elsewhere.append(slot)
        else:
            over_variants -= 1
            if slot.kind == "distal":
                # The element's further sites follow the one that moved.
                moved = (site.start + site.end) // 2
                further = [_Slot(s.kind, s.motif, moved, s.distance) if s.centre == slot.centre else s for s in further]
            yield site
    for slot in elsewhere + further:
        yield _plant_anywhere(ground, gene, slot, settings, rng)
