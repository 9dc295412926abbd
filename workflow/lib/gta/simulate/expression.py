"""From sites and haplotypes to expression, by the stated rule."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gta.simulate.elements import Ground, Site
from gta.simulate.motifs import CODES

#: ln TPM of a gene of a class without an offset and without bound sites.
INTERCEPT = 1.0
#: Standard deviation of what neither text nor sites explain of a gene's level.
RESIDUAL_SD = 0.8
#: Heritability of genes with causal variants: low + (high - low) * Beta(a, b), median 0.5.
_HERITABILITY_RANGE, _HERITABILITY_BETA = (0.1, 0.8), (2.4, 1.85)
#: Genes without causal variants: noise variance, log-normal about this median.
_NOISE_MEDIAN, _NOISE_LOG_SD = 0.04, 0.5
_FACTORS = 2


@dataclass(frozen=True)
class CausalVariant:
    """One SNV that changes the occupancy of a planted site.

    Attributes:
        site: The site, `variant` the index among the contig's variants.
        position: 0-based.
        effect_per_allele: Change of ln expression of a person per ALT allele: half the effect of swapping the base in the
            reference, since a person is the mean of two haplotypes.
    """

    site: Site
    variant: int
    position: int
    ref: str
    alt: str
    effect_per_allele: float
    frequency: float


@dataclass(frozen=True)
class Expression:
    """Expression of all genes and what it is made of; arrays in the order of the genes, ln units.

    Attributes:
        values: (genes, people) float64, ln TPM.
        levels: (genes,) intercept + text class + residual.
        genetic_variance: (genes,) variance over people of the sites' part.
        noise_variance: (genes,) variance of the distribution that noise was drawn from.
        covariate_variance: (genes,) variance over people of the hidden factors' part.
    """

    values: NDArray[np.float64]
    levels: NDArray[np.float64]
    genetic_variance: NDArray[np.float64]
    noise_variance: NDArray[np.float64]
    covariate_variance: NDArray[np.float64]

    @property
    def heritability(self) -> NDArray[np.float64]:
        """(genes,) genetic variance / (genetic + noise variance)."""
        return self.genetic_variance / (self.genetic_variance + self.noise_variance)


def _along_motif(site: Site, bases: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Bases of the site on the reference strand (ASCII) as 0..3 along the motif."""
    codes = CODES[bases]
    return codes if site.strand == "+" else 3 - codes[::-1]


def read_site(ground: Ground, site: Site, refs: list[str], alts: list[str]) -> tuple[NDArray[np.float64], list[CausalVariant]]:
    """Contribution of a site to each person's ln expression, and the variants that change it.

    Args:
        ground: The site's contig, planted to the end.
        site: The site.
        refs: REF of each variant of the contig.
        alts: ALT of each variant of the contig.

    Returns:
        (people,) float64, site effect x mean occupancy of the two haplotypes; and the SNVs with a non-zero effect.
    """
    genotypes, motif = ground.genotypes, site.motif
    reference_score = motif.score(_along_motif(site, ground.sequence[site.start : site.end]))
    first, last = np.searchsorted(genotypes.positions, [site.start, site.end])
    scores = np.full(genotypes.haplotypes.shape[1], reference_score)
    causal = []
    for variant in range(int(first), int(last)):
        position = int(genotypes.positions[variant])
        swapped = ground.sequence[site.start : site.end].copy()
        swapped[position - site.start] = ord(alts[variant])
        swapped_score = motif.score(_along_motif(site, swapped))
        # Columns of a matrix add up, so the variants of one haplotype do.
        scores += genotypes.haplotypes[variant] * (swapped_score - reference_score)
        change = float(site.effect * (motif.occupancy(swapped_score) - motif.occupancy(reference_score)))
        if change != 0:
            frequency = float(genotypes.frequency[variant])
            causal.append(CausalVariant(site, variant, position, refs[variant], alts[variant], change / 2, frequency))
    return site.effect * motif.occupancy(scores).reshape(-1, 2).mean(axis=1), causal


def make_expression(
    genetic: NDArray[np.float64], offsets: NDArray[np.float64], causal: NDArray[np.bool_], rng: np.random.Generator
) -> Expression:
    """Add levels, hidden factors and noise to the sites' part.

    Args:
        genetic: (genes, people) sum of the sites' contributions, ln units.
        offsets: (genes,) what each gene's text class adds to ln expression.
        causal: (genes,) whether variants were planted on purpose; only these genes' noise is set by their genetic variance.
        rng: Random numbers.
    """
    n_genes, n_people = genetic.shape
    levels = INTERCEPT + offsets + rng.normal(0, RESIDUAL_SD, size=n_genes)
    genetic_variance = genetic.var(axis=1)
    low, high = _HERITABILITY_RANGE
    heritability = low + (high - low) * rng.beta(*_HERITABILITY_BETA, size=n_genes)
    independent = _NOISE_MEDIAN * np.exp(rng.normal(0, _NOISE_LOG_SD, size=n_genes))
    by_heritability = causal & (genetic_variance > 0)
    noise_variance = np.where(by_heritability, genetic_variance * (1 - heritability) / heritability, independent)
    factors = rng.normal(size=(_FACTORS, n_people))
    loadings = rng.normal(size=(n_genes, _FACTORS)) * np.sqrt(noise_variance / _FACTORS)[:, None]
    covariates = loadings @ factors
    noise = rng.normal(size=genetic.shape) * np.sqrt(noise_variance)[:, None]
    return Expression(
        values=levels[:, None] + genetic + covariates + noise,
        levels=levels,
        genetic_variance=genetic_variance,
        noise_variance=noise_variance,
        covariate_variance=covariates.var(axis=1),
    )
