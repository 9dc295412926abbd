"""Phased genotypes of people of populations that split 2,000 generations ago (msprime)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gta.simulate.layout import Layout
from gta.simulate.names import person_populations
from gta.simulate.settings import N_RUN, SimulateSettings

#: Diploid sizes before and after the split, and rates per bp and generation. Close to human values; chosen so that about one
#: site per 150 bp segregates in 120 people, as in the 1000 Genomes, which a constant size of 10,000 would not give.
ANCESTRAL_SIZE = 20_000
POPULATION_SIZE = 10_000
SPLIT_GENERATIONS = 2_000
MUTATION_RATE = 1.4e-8
RECOMBINATION_RATE = 1e-8

#: Longest insertion or deletion, bp.
LONGEST_INDEL = 10
#: Positions kept free from an indel's anchor base on: the anchor and the longest deletion.
INDEL_FOOTPRINT = LONGEST_INDEL + 1


@dataclass(frozen=True)
class ContigGenotypes:
    """The variants of one contig, still without alleles.

    Attributes:
        positions: (V,) int64, strictly increasing, 0-based; of an indel, its anchor base.
        is_indel: (V,) bool.
        haplotypes: (V, 2 * people) uint8; 1 where the haplotype carries ALT; columns 2p and 2p + 1 belong to person p.
        frequency: (V,) float64, share of haplotypes with ALT; never 0 or 1.
    """

    positions: NDArray[np.int64]
    is_indel: NDArray[np.bool_]
    haplotypes: NDArray[np.uint8]
    frequency: NDArray[np.float64]


def _demography(settings: SimulateSettings) -> Any:
    import msprime

    demography = msprime.Demography()
    # msprime wants identifiers; the names that people chose need not be any.
    populations = [f"population{i}" for i in range(len(settings.population_names))]
    for population in populations:
        demography.add_population(name=population, initial_size=POPULATION_SIZE)
    demography.add_population(name="ancestor", initial_size=ANCESTRAL_SIZE)
    demography.add_population_split(time=SPLIT_GENERATIONS, derived=populations, ancestral="ancestor")
    return demography


def _without_overlaps(positions: NDArray[np.int64], is_indel: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(V,) bool: drop each variant that lies in the footprint of an indel kept before it."""
    keep = np.ones(len(positions), dtype=bool)
    free_from = -1
    for i, (position, indel) in enumerate(zip(positions.tolist(), is_indel.tolist(), strict=True)):
        if position < free_from:
            keep[i] = False
        elif indel:
            free_from = position + INDEL_FOOTPRINT
    return keep


def simulate_genotypes(
    settings: SimulateSettings, layout: Layout, rng: np.random.Generator
) -> Iterator[tuple[str, ContigGenotypes]]:
    """Simulate each contig by itself; gives (contig, genotypes) one after the other.

    The reference carries, at each site, the allele of a random haplotype, as a real reference does: REF need not be ancestral.
    """
    import msprime

    populations = person_populations(settings)
    counts = {f"population{i}": populations.count(name) for i, name in enumerate(settings.population_names)}
    demography = _demography(settings)
    for contig, length in layout.lengths.items():
        trees = msprime.sim_ancestry(
            counts,
            demography=demography,
            sequence_length=length,
            recombination_rate=RECOMBINATION_RATE,
            random_seed=int(rng.integers(1, 2**31)),
        )
        trees = msprime.sim_mutations(
            trees, rate=MUTATION_RATE, model=msprime.BinaryMutationModel(), random_seed=int(rng.integers(1, 2**31))
        )
        haplotypes = trees.genotype_matrix().astype(np.uint8)
        positions = trees.sites_position.astype(np.int64)
        frequency = haplotypes.mean(axis=1)

        flipped = rng.random(len(positions)) < frequency
        haplotypes[flipped] ^= 1
        frequency = haplotypes.mean(axis=1)

        inside = (positions >= N_RUN) & (positions < length - INDEL_FOOTPRINT)
        segregating = inside & (frequency > 0) & (frequency < 1)
        positions, haplotypes, frequency = positions[segregating], haplotypes[segregating], frequency[segregating]
        is_indel = rng.random(len(positions)) < settings.indel_share
        keep = _without_overlaps(positions, is_indel)
        yield contig, ContigGenotypes(positions[keep], is_indel[keep], haplotypes[keep], frequency[keep])
