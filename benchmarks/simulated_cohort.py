"""A simulated cohort of the size and density of the 1000 Genomes, for the benchmark of haplotypes.

One contig under the standard coalescent: a record every 90 bp, one in ten an insertion or a deletion, phased calls, a reference
in which a third is in lower case, and people whose names are not sorted.
"""

import argparse
from pathlib import Path

import msprime
import numpy as np
import pysam

LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)
CONTIG = "chr1"
POPULATION_SIZE = 10_000
RECOMBINATION_RATE = 1e-8
#: Mean distance between records, bp.
SPACING = 90
SHARE_OF_INDELS = 0.1


def simulate(folder: Path, people: int, length: int, seed: int) -> None:
    """Write `reference.fa` and `genotypes.vcf.gz`, both indexed.

    Args:
        folder: Where to write; made if need be.
        people: Number of diploid people.
        length: Length of the contig, bp.
        seed: Seed of everything.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    reference = LETTERS[rng.integers(0, 4, length)]
    write_reference(folder / "reference.fa", soft_masked(rng, reference))
    trees = msprime.sim_ancestry(
        people,
        sequence_length=length,
        population_size=POPULATION_SIZE,
        recombination_rate=RECOMBINATION_RATE,
        random_seed=seed,
    )
    harmonic = (1 / np.arange(1, 2 * people)).sum()
    rate = 1 / (SPACING * 4 * POPULATION_SIZE * harmonic)
    trees = msprime.sim_mutations(trees, rate=rate, model=msprime.BinaryMutationModel(), random_seed=seed + 1)
    names = [f"P{number:05d}" for number in rng.permutation(people)]
    path = folder / "genotypes.vcf.gz"
    with pysam.BGZFile(str(path), "wb", None) as out:
        out.write(header(length, names).encode())
        cells = np.empty((people, 4), dtype=np.uint8)
        cells[:, 1], cells[:, 3] = ord("|"), ord("\t")
        cells[-1, 3] = ord("\n")
        for variant in trees.variants(samples=trees.samples()):
            position = int(variant.site.position)
            if position < 1 or position > length - 100:
                continue
            ref, alt = alleles(rng, reference, position)
            cells[:, 0:3:2] = variant.genotypes.reshape(people, 2) + ord("0")
            out.write(f"{CONTIG}\t{position + 1}\t.\t{ref}\t{alt}\t.\tPASS\t.\tGT\t".encode() + cells.tobytes())
    pysam.tabix_index(str(path), preset="vcf", force=True)


def alleles(rng: np.random.Generator, reference: np.ndarray, position: int) -> tuple[str, str]:
    """REF and ALT of a record: an SNV, or (one in ten) an insertion or deletion with the base before it."""
    base = chr(reference[position])
    if rng.random() >= SHARE_OF_INDELS:
        return base, rng.choice([letter for letter in "ACGT" if letter != base])
    length = min(50, int(rng.geometric(0.3)))
    if rng.random() < 0.5:
        return reference[position : position + 1 + length].tobytes().decode(), base
    return base, base + LETTERS[rng.integers(0, 4, length)].tobytes().decode()


def soft_masked(rng: np.random.Generator, reference: np.ndarray) -> np.ndarray:
    """The reference with stretches of 300 bp in lower case, a third of all."""
    lower = np.repeat(rng.random(len(reference) // 300 + 1) < 1 / 3, 300)[: len(reference)]
    return np.where(lower, reference + 32, reference).astype(np.uint8)


def write_reference(path: Path, bases: np.ndarray) -> None:
    """Write an indexed FASTA of one contig."""
    text = bases.tobytes().decode()
    with path.open("w") as out:
        out.write(f">{CONTIG}\n")
        out.writelines(text[at : at + 60] + "\n" for at in range(0, len(text), 60))
    pysam.faidx(str(path))


def header(length: int, names: list[str]) -> str:
    """The header of the VCF."""
    return (
        "##fileformat=VCFv4.3\n"
        '##FILTER=<ID=PASS,Description="All filters passed">\n'
        f"##contig=<ID={CONTIG},length={length}>\n"
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\t" + "\t".join(names) + "\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--people", type=int, required=True)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    simulate(arguments.folder, arguments.people, arguments.length, arguments.seed)
