"""A small genome in which a motif in front of the TSS decides mean expression."""

from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from gta.cnn.settings import CnnSettings
from gta.cohort.tables import Cohort
from gta.haplotypes import Reference

MOTIF = "TTGACGCAATCG"
SPACING = 1000


@pytest.fixture(scope="session")
def promoters(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cohort, Reference]:
    """240 genes on two contigs and both strands; those with the motif 40 bp before the TSS are expressed more."""
    folder = tmp_path_factory.mktemp("promoters")
    generator = np.random.default_rng(5)
    rows, lines, expression = [], [], []
    for contig in ("c1", "c2"):
        sequence = generator.choice(list("ACGT"), 121 * SPACING)
        for number in range(120):
            tss = (number + 1) * SPACING
            strand, high = generator.choice(["+", "-"]), bool(generator.integers(2))
            if high:
                motif = np.array(list(MOTIF))
                if strand == "-":
                    motif = np.array([{"A": "T", "C": "G", "G": "C", "T": "A"}[base] for base in MOTIF[::-1]])
                start = tss - 40 if strand == "+" else tss + 41 - len(MOTIF)
                sequence[start : start + len(MOTIF)] = motif
            split = "train" if number < 80 else "valid" if number < 90 else "test"
            name = f"{contig}.g{number}"
            rows.append((name, name, contig, strand, tss, tss - 128, tss + 128, number // 10, split))
            expression.append(2.0 * high + 0.3 * generator.standard_normal(4))
        lines.append(f">{contig}\n{''.join(sequence)}\n")
    path = folder / "reference.fa"
    path.write_text("".join(lines))
    pysam.faidx(str(path))
    columns = ["gene", "symbol", "contig", "strand", "tss", "window_start", "window_end", "block", "split"]
    individuals = pd.DataFrame({"person": list("abcd"), "population": "p", "split": ["train", "train", "train", "test"]})
    return Cohort(individuals, pd.DataFrame(rows, columns=columns), np.array(expression)), Reference(path)


@pytest.fixture(scope="session")
def small() -> CnnSettings:
    """Settings with which the motif is found within seconds."""
    return CnnSettings(
        upstream=96,
        downstream=32,
        networks=2,
        channels=16,
        tile_channels=4,
        dropout=0.1,
        masked_bases=0.0,
        shift=2,
        epochs=25,
        batch=16,
        learning_rate=5e-3,
        precision="float32",
        device="cpu",
    )


@pytest.fixture(scope="session")
def tile_length() -> int:
    """Length of a tile, bp."""
    return 32


@pytest.fixture
def reference_path(promoters: tuple[Cohort, Reference]) -> Path:
    """The FASTA file."""
    return promoters[1].path
