"""What the features stage saves and how fast it is: passes with and without de-duplication, motif scanning, reading.

Reads the real chr22 cohort (config/chr22.yaml) from --data; writes benchmarks/results/features.json and prints it. CPU seconds,
one thread, unless another unit is named. Needs `make setup`.

    make bench-features ARGS="--data FOLDER"
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import msprime
import numpy as np
import pandas as pd
import torch
from Bio.motifs.matrix import PositionSpecificScoringMatrix
from haplotypes import cohort as simulated_cohort

from gta.cohort.tables import read_genes
from gta.features.build import build_store
from gta.features.motif import Motif, MotifExtractor, load_motifs
from gta.features.passes import Passes
from gta.features.settings import FeatureSettings
from gta.features.store import FeatureStore
from gta.features.tiles import distinct
from gta.haplotypes import PanelSet, Reference, open_reference
from gta.haplotypes.build import build_panels
from gta.haplotypes.genotypes import Genotypes
from gta.haplotypes.settings import HaplotypeSettings
from gta.haplotypes.stretches import Source

REPOSITORY = Path(__file__).resolve().parents[1]
TILE_LENGTHS = (512, 1024, 2048, 4096, 8192, 16_384, 196_608)
#: Those of which features are made for the clock; shorter ones need more memory for the store.
SCANNED_TILE_LENGTHS = (1024, 2048, 4096, 8192)
PEOPLE = (100, 300, 1000, 3000, 10_000)


def prepare(data: Path, folder: Path) -> tuple[PanelSet, Reference, Path]:
    """Panels of the real cohort, made by the workflow's own first stages."""
    target = folder / "haplotypes" / "22.npz"
    words = ["snakemake", "--configfile", "config/chr22.yaml", "--config", f"data_dir={data}", f"results={folder}"]
    command = [sys.executable, "-m", *words, "--cores", "1", "--quiet", "all", "--", str(target)]
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return PanelSet.load(target), open_reference(folder / "inputs"), folder / "cohort"


def passes_by_tile_length(panels: PanelSet, reference: Reference) -> list[dict[str, float]]:
    """Distinct tiles and all tiles of the cohort, for each tile length; the last is the whole window."""
    table = []
    for length in TILE_LENGTHS:
        needed = without = 0
        for gene in panels.genes:
            panel = panels.panel(gene)
            sequences, index = panel.tiles(reference, length)
            needed += len(sequences)
            without += int((panel.carriers >= 0).sum()) * index.shape[1]
        table.append({"tile_length": length, "distinct": needed, "all": without, "ratio": round(without / needed, 1)})
    return table


def growth_with_people(tile_length: int) -> list[dict[str, float]]:
    """Distinct tiles of a simulated window of 196,608 bp, for more and more people of one population.

    Coalescent with recombination: 10,000 diploid ancestors, mutation rate 1.25e-8, recombination rate 1e-8 per bp.
    """
    ancestry = msprime.sim_ancestry(
        max(PEOPLE), population_size=10_000, sequence_length=196_608, recombination_rate=1e-8, random_seed=1
    )
    mutated = msprime.sim_mutations(ancestry, rate=1.25e-8, random_seed=1)
    haplotypes = (mutated.genotype_matrix() > 0).T.astype(np.uint8)
    tile_of = (mutated.sites_position // tile_length).astype(int)
    table = []
    for people in PEOPLE:
        needed = 0
        for tile in range(196_608 // tile_length):
            own = haplotypes[: 2 * people, tile_of == tile]
            needed += len(distinct(own)[0]) if own.shape[1] else 1
        without = 2 * people * (196_608 // tile_length)
        table.append(
            {"people": people, "distinct": needed, "per_person": round(needed / people, 3), "ratio": round(without / needed, 1)}
        )
    return table


def motif_speed(reference: Reference, length: int) -> dict[str, float]:
    """Scanning real sequence with all matrices on both strands: this project's extractor beside Biopython's scanner."""
    motifs = load_motifs("JASPAR2024", "lymphoblastoid")
    extractor = MotifExtractor(motifs)
    margin = extractor.margin
    sequence = reference.fetch("22", 20_000_000 - margin, 20_000_000 + length + margin)  # no N
    blocks = np.stack([sequence[at : at + 128 + 2 * margin] for at in range(0, length, 128)])
    passes = Passes(extractor.batch, torch.device("cpu"))
    passes.run(lambda batch: (extractor.scan(batch),), blocks[:256])
    start = time.process_time()
    (scanned,) = passes.run(lambda batch: (extractor.scan(batch),), blocks)
    ours = time.process_time() - start
    text = sequence.tobytes().decode()
    start = time.process_time()
    worst = max(scanner_difference(motif, text, margin, scanned[:, 0, number].numpy()) for number, motif in enumerate(motifs))
    scanner = time.process_time() - start
    return {
        "matrices": len(motifs),
        "bases": length,
        "seconds": round(ours, 3),
        "scanner_seconds": round(scanner, 3),
        "megabases_per_second": round(length / ours / 1e6, 3),
        "greatest_difference_nats": float(worst),
    }


def scanner_difference(motif: Motif, text: str, margin: int, best: np.ndarray) -> float:
    """Biopython's scores of both strands, and the greatest difference of their maximum per block from ours."""
    matrix = PositionSpecificScoringMatrix("ACGT", {base: motif.log_odds[i].tolist() for i, base in enumerate("ACGT")})
    forward, reverse = np.asarray(matrix.calculate(text)), np.asarray(matrix.reverse_complement().calculate(text))
    first = margin - motif.log_odds.shape[1] // 2
    scores = np.maximum(forward, reverse)[first : first + 128 * len(best)].reshape(len(best), 128).max(axis=1)
    return float(np.abs(scores - best).max())


def dense_cohort() -> tuple[PanelSet, Reference]:
    """Panels of ten windows of 196,608 bp in the simulated cohort of the haplotypes benchmark: 445 people, all variants."""
    people, length, windows = 445, 4_000_000, 10
    folder = simulated_cohort(people, length)
    reference = Reference(folder / "reference.fa")
    source = Source(Genotypes(folder / "genotypes.vcf.gz"), reference, "chr1", "chr1", HaplotypeSettings(variants="all"))
    middles = np.linspace(200_000, length - 200_000, windows).astype(np.int64)
    intervals = np.stack([middles - 98_304, middles + 98_304, middles], axis=1)
    panels, _ = build_panels(source, [f"w{number}" for number in range(windows)], intervals)
    return panels, reference


def seconds_by_tile_length(panels: PanelSet, reference: Reference, genes: pd.DataFrame) -> list[dict[str, float]]:
    """CPU seconds for the motif features of all windows, for each tile length."""
    table = []
    for length in SCANNED_TILE_LENGTHS:
        start = time.process_time()
        build_store(panels, genes, reference, FeatureSettings(tile_length=length))
        table.append({"tile_length": length, "seconds": round(time.process_time() - start, 1)})
    return table


def wall_ratio(panels: PanelSet, reference: Reference, genes: pd.DataFrame, tile_length: int) -> dict[str, float]:
    """Motif features of the whole cohort, and the time that scanning every tile of everybody would take.

    The second is extrapolated from all tiles of ten haplotypes of one window.
    """
    start = time.process_time()
    store, _ = build_store(panels, genes, reference, FeatureSettings(tile_length=tile_length))
    ours = time.process_time() - start
    extractor = MotifExtractor(load_motifs("JASPAR2024", "lymphoblastoid"))
    panel = panels.panel(panels.genes[0])
    blocks, index = panel.tiles(reference, 128, extractor.margin)
    every = blocks[index[:10]].reshape(-1, blocks.shape[1])
    start = time.process_time()
    Passes(extractor.batch, torch.device("cpu")).run(lambda batch: (extractor.scan(batch),), every)
    per_haplotype = (time.process_time() - start) / len(index[:10])
    haplotypes = sum(int((panels.panel(gene).carriers >= 0).sum()) for gene in panels.genes)
    return {"seconds": round(ours, 1), "seconds_without": round(per_haplotype * haplotypes), **precision_and_reading(store)}


def precision_and_reading(store: FeatureStore) -> dict[str, float]:
    """Size of the store in either precision, error of the differences between people, and haplotypes read per second."""
    with tempfile.TemporaryDirectory() as folder:
        sizes = {}
        for precision in ("float16", "float32"):
            path = Path(folder) / f"{precision}.safetensors"
            store.save(path, precision)
            sizes[precision] = path.stat().st_size
        start = time.process_time()
        back = FeatureStore.load(Path(folder) / "float16.safetensors")
        loading = time.process_time() - start
    squared = squared_error = plain_error = 0.0
    for gene in store.genes:
        exact, read = store.gene(gene), back.gene(gene)
        differences = exact.rows[exact.index[1:]].astype(np.float64) - exact.haplotype(0)
        known = read.rows[read.index[1:]].astype(np.float64) - read.haplotype(0)
        plain = exact.rows.astype(np.float16).astype(np.float64)
        plain_known = plain[exact.index[1:]] - plain[exact.index[0]]
        squared += float((differences**2).sum())
        squared_error += float(((known - differences) ** 2).sum())
        plain_error += float(((plain_known - differences) ** 2).sum())
    generator = np.random.default_rng(1)
    draws = 20_000
    genes = generator.integers(0, len(back.genes), draws)
    people = generator.integers(0, len(back.people), (draws, 2))
    start = time.process_time()
    for number, (person, copy) in zip(genes.tolist(), people.tolist(), strict=True):
        entry = back.gene(back.genes[number])
        entry.haplotype(max(0, int(entry.carriers[person, copy % 2])))
    reading = time.process_time() - start
    return {
        "store_megabytes": round(sizes["float16"] / 1e6, 1),
        "store_megabytes_float32": round(sizes["float32"] / 1e6, 1),
        "relative_error_of_differences": float(np.sqrt(squared_error / squared)),
        "relative_error_if_plain_float16": float(np.sqrt(plain_error / squared)),
        "load_seconds": round(loading, 3),
        "haplotypes_read_per_second": round(draws / reading),
    }


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the real chr22 data")
    parser.add_argument("--tile-length", type=int, default=4096, help="tile length of the headline, bp [4096]")
    parser.add_argument("--bases", type=int, default=262_144, help="bases to scan for motifs, a multiple of 128 [262144]")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        panels, reference, cohort = prepare(arguments.data.resolve(), Path(folder) / "chr22")
        table = passes_by_tile_length(panels, reference)
        speed = motif_speed(reference, arguments.bases)
        genes = read_genes(cohort)
        wall = wall_ratio(panels, reference, genes, arguments.tile_length)
        seconds = seconds_by_tile_length(panels, reference, genes)
    dense = passes_by_tile_length(*dense_cohort())
    for name, rows in (("chr22", table), ("simulated, all variants", dense)):
        for row in rows:
            counts = f"{row['distinct']:>9,} of {row['all']:>11,} passes"
            print(f"{name:<24}{row['tile_length']:>8} bp: {counts}, {row['ratio']:>7.1f}x fewer")
    for row in seconds:
        print(f"motif features of chr22, {row['tile_length']:>6} bp: {row['seconds']} CPU s")
    growth = growth_with_people(arguments.tile_length)
    for row in growth:
        print(f"{row['people']:>8,} people: {row['distinct']:>7,} distinct tiles, {row['per_person']:.2f} per person")
    result = {
        "passes_saved_ratio": next(row["ratio"] for row in table if row["tile_length"] == arguments.tile_length),
        "wall_ratio": round(wall["seconds_without"] / wall["seconds"], 1),
        "motif_speedup_vs_scanner": round(speed["scanner_seconds"] / speed["seconds"], 2),
        "passes_by_tile_length": table,
        "passes_by_tile_length_simulated": dense,
        "seconds_by_tile_length": seconds,
        "growth_with_people": growth,
        "motif": speed,
        "chr22_motif": wall,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}",
    }
    out = REPOSITORY / "benchmarks" / "results" / "features.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
