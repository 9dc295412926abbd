"""Dosages of the variants around each gene, as the baselines on genotypes read them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from gta.baselines.predictions import require_people
from gta.cohort.blocks import UNMEASURED
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.haplotypes import PanelSet, dosages


@dataclass(frozen=True)
class GeneGenotypes:
    """The usable variants of one gene's window: frequent among the training people, and not the same in all of them.

    Attributes:
        number: The gene's row in the cohort.
        contig: Its contig.
        positions: (V,) 0-based.
        refs: V reference alleles.
        alts: V alternative alleles.
        dosage: (people, V) float64, copies of the alternative allele, 0 to 2.
    """

    number: int
    contig: str
    positions: np.ndarray
    refs: list[str]
    alts: list[str]
    dosage: np.ndarray


def require_genotypes(cohort: Cohort) -> None:
    """Refuse a reference study, in which there is nothing to fit on genotypes.

    Raises:
        UserError: if the cohort has no genotypes.
    """
    if cohort.reference_study:
        raise UserError(
            "This cohort was made without genotypes (all its individuals are of the split train), so that there is nothing to"
            " fit: make a cohort with genotypes, or leave this baseline out."
        )


def gene_genotypes(cohort: Cohort, panels: Sequence[PanelSet], min_maf: float) -> Iterator[GeneGenotypes]:
    """The usable variants of every gene with expression, in the order of the cohort.

    Args:
        cohort: The cohort.
        panels: Haplotype panels of all contigs.
        min_maf: Smallest minor allele frequency among the training people.

    Raises:
        UserError: if the panels are of other people or lack a gene.
    """
    for panel_set in panels:
        require_people(cohort, panel_set.people, f"The haplotypes of {panel_set.contig}")
    home = {gene: panel_set for panel_set in panels for gene in panel_set.genes}
    training = cohort.people_numbers("train")
    unmeasured = set(cohort.gene_numbers(UNMEASURED).tolist())
    for number, gene in enumerate(cohort.gene_names):
        if number in unmeasured:
            continue
        if gene not in home:
            raise UserError(f"No haplotypes are given of gene {gene}: give those of all contigs, made for this cohort.")
        found = dosages(home[gene].panel(gene), min_maf, training)
        # A variant may be frequent and yet the same in everybody: all heterozygous, or any frequency if min_maf is 0.
        varying = np.flatnonzero(found.counts[training].std(axis=0) > 0).tolist()
        yield GeneGenotypes(
            number,
            home[gene].contig,
            found.positions[varying],
            [found.refs[variant].decode() for variant in varying],
            [found.alts[variant].decode() for variant in varying],
            found.counts[:, varying].astype(np.float64),
        )
