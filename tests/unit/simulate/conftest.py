"""A small simulated cohort, and an independent reading of it for the tests to compare with."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from gta.simulate.run import simulate
from gta.simulate.settings import SimulateSettings

SMALL = SimulateSettings(
    seed=5,
    people=60,
    contigs=2,
    genes=24,
    annotated_genes=60,
    mean_spacing=20_000,
    margin=25_000,
    max_distal_distance=12_000,
)


@pytest.fixture(scope="session")
def small() -> SimulateSettings:
    return SMALL


@dataclass(frozen=True)
class Record:
    """One VCF record: 0-based position, alleles, and the GT of every person as two integers."""

    contig: str
    position: int
    ref: str
    alt: str
    calls: list[tuple[int, int]]


@dataclass(frozen=True)
class Simulated:
    folder: Path
    sequences: dict[str, str]
    records: list[Record]
    by_position: dict[tuple[str, int], Record]
    elements: pd.DataFrame
    variants: pd.DataFrame
    genes: pd.DataFrame
    expression: pd.DataFrame

    def snvs_of(self, element: pd.Series) -> list[Record]:
        return [
            r
            for position in range(element.start, element.end)
            if (r := self.by_position.get((element.contig, position))) and len(r.ref) == len(r.alt) == 1
        ]


def read_simulated(folder: Path) -> Simulated:
    with pysam.FastaFile(str(folder / "reference.fa")) as fasta:
        sequences = {name: fasta.fetch(name) for name in fasta.references}
    with pysam.VariantFile(str(folder / "genotypes.vcf.gz")) as vcf:
        records = [Record(r.chrom, r.pos - 1, r.ref, *r.alts, [sample["GT"] for sample in r.samples.values()]) for r in vcf]
    tables = [pd.read_csv(folder / f"truth_{name}.tsv", sep="\t") for name in ("elements", "variants", "genes")]
    expression = pd.read_csv(folder / "expression.bed.gz", sep="\t")
    by_position = {(r.contig, r.position): r for r in records}
    return Simulated(folder, sequences, records, by_position, *tables, expression)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    folder = tmp_path_factory.mktemp("simulated")
    simulate(SMALL, folder)
    return read_simulated(folder)


@pytest.fixture(scope="session")
def modulated(tmp_path_factory: pytest.TempPathFactory) -> Simulated:
    """The same cohort with `text_modulates`."""
    folder = tmp_path_factory.mktemp("modulated")
    simulate(replace(SMALL, text_modulates=True), folder)
    return read_simulated(folder)


@pytest.fixture(scope="session")
def log_odds() -> dict[str, list[dict[str, float]]]:
    """Log-odds of the planted motifs from JASPAR's counts by docs/simulation.md: per matrix id, per column, of each base."""

    def of_column(counts: dict[str, float]) -> dict[str, float]:
        total = sum(counts.values())
        return {base: math.log((0.95 * n / total + 0.0125) / 0.25) for base, n in counts.items()}

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pyjaspar

        database = pyjaspar.jaspardb(release="JASPAR2024")
        matrices = {}
        for matrix_id in [
            "MA0080.7", "MA0154.5", "MA1419.2", "MA0105.4", "MA0506.3",
            "MA0507.3", "MA0139.2", "MA0510.3", "MA0138.3", "MA0463.3",
        ]:  # fmt: skip
            motif = database.fetch_motif_by_id(matrix_id)
            matrices[matrix_id] = [of_column({b: motif.counts[b][i] for b in "ACGT"}) for i in range(motif.length)]
        database.conn.close()
    return matrices


def reverse_complement(sequence: str) -> str:
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))


@pytest.fixture(scope="session")
def bound(cohort: Simulated, log_odds: dict) -> Callable[[pd.Series, dict[int, str]], float]:
    """Occupancy of a planted element, with these bases (by position) in place of the reference's."""

    def bound(element: pd.Series, alternatives: dict[int, str]) -> float:
        bases = list(cohort.sequences[element.contig][element.start : element.end].upper())
        for position, base in alternatives.items():
            bases[position - element.start] = base
        sequence = "".join(bases)
        if element.strand == "-":
            sequence = reverse_complement(sequence)
        columns = log_odds[element.matrix_id]
        score = sum(column[base] for column, base in zip(columns, sequence, strict=True))
        best = sum(max(column.values()) for column in columns)
        return 1 / (1 + math.exp(-(score - best + 3)))

    return bound


@pytest.fixture(scope="session")
def occupancies(cohort: Simulated, bound: Callable[[pd.Series, dict[int, str]], float]) -> np.ndarray:
    """(sites, people): mean occupancy of the two haplotypes, recomputed from VCF and FASTA."""
    total = np.zeros((len(cohort.elements), SMALL.people))
    for i, (_, element) in enumerate(cohort.elements.iterrows()):
        snvs = cohort.snvs_of(element)
        for person in range(SMALL.people):
            for haplotype in (0, 1):
                carried = {r.position: r.alt for r in snvs if r.calls[person][haplotype] == 1}
                total[i, person] += bound(element, carried) / 2
    return total


def genetic_values(simulated: Simulated, occupancies: np.ndarray) -> np.ndarray:
    """(genes, people): the sites' part of ln expression by the effects of truth_elements.tsv."""
    row = {gene: i for i, gene in enumerate(simulated.genes.gene)}
    total = np.zeros((len(row), occupancies.shape[1]))
    np.add.at(total, simulated.elements.gene.map(row), simulated.elements.effect.to_numpy()[:, None] * occupancies)
    return total


@pytest.fixture(scope="session")
def genetic(cohort: Simulated, occupancies: np.ndarray) -> np.ndarray:
    """(genes, people): the sites' part of ln expression, recomputed from VCF, FASTA and truth_elements.tsv."""
    return genetic_values(cohort, occupancies)


@pytest.fixture(scope="session")
def modulated_genetic(modulated: Simulated, occupancies: np.ndarray) -> np.ndarray:
    """As `genetic`, with the effects of the modulated cohort; its sites, reference and genotypes are those of `cohort`."""
    return genetic_values(modulated, occupancies)
