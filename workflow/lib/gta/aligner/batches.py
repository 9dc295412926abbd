"""Which people of which genes a training reads, step by step."""

import math

import numpy as np

from gta.aligner.settings import AlignerSettings
from gta.cohort.tables import Cohort

#: What a batch asks for: the number of a gene, and those of some people.
Request = tuple[int, np.ndarray]


def steps_per_epoch(cohort: Cohort, settings: AlignerSettings) -> int:
    """Batches in an epoch."""
    return math.ceil(len(cohort.gene_numbers("train")) * _pieces(cohort, settings)[1] / settings.genes_per_batch)


def epoch_batches(cohort: Cohort, settings: AlignerSettings, generator: np.random.Generator) -> list[list[Request]]:
    """The batches of one epoch: every training gene with people drawn at random, in random groups."""
    people = cohort.people_numbers("train")
    drawn, pieces = _pieces(cohort, settings)
    groups = []
    for gene in cohort.gene_numbers("train"):
        order = generator.permutation(people)[:drawn]
        groups += [(int(gene), np.sort(part)) for part in np.array_split(order, pieces)]
    order = generator.permutation(len(groups))
    size = settings.genes_per_batch
    return [[groups[i] for i in order[at : at + size]] for at in range(0, len(order), size)]


def _pieces(cohort: Cohort, settings: AlignerSettings) -> tuple[int, int]:
    """How many people are drawn for each gene and epoch, and in how many pieces they are read.

    In a reference study it is one, since all have the reference haplotype.
    """
    if cohort.reference_study:
        return 1, 1
    drawn = min(len(cohort.people_numbers("train")), settings.people_per_epoch)
    return drawn, max(1, drawn // settings.people_per_gene)
