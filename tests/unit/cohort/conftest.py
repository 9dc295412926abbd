"""A small `inputs/` folder with a known layout."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest

from gta.inputs.tables import write_table

N_PEOPLE, N_GENES = 40, 60
CONTIG_LENGTH = 400_000


class Inputs:
    """40 people in two populations (and one of them without expression), 60 genes on two contigs, 10 kb apart."""

    def __init__(self, folder: Path):
        self.folder = folder
        generator = np.random.default_rng(7)
        bases = generator.choice(np.frombuffer(b"ACGT", dtype=np.uint8), CONTIG_LENGTH)
        bases[:1000] = ord("N")
        sequence = bases.tobytes().decode()
        path = folder / "reference.fa"
        path.write_text("".join(f">{name}\n{sequence}\n" for name in ("c1", "c2")))
        pysam.faidx(str(path))
        (folder / "inputs.json").write_text(json.dumps({"reference": "reference.fa", "genotypes": "genotypes.vcf.gz"}))

        self.people = [f"P{number:02}" for number in range(N_PEOPLE)] + ["only_genotypes"]
        populations = ["GBR"] * 30 + ["YRI"] * 10 + ["GBR"]
        write_table(pd.DataFrame({"person": self.people, "population": populations}), folder / "people.tsv")
        write_table(
            pd.DataFrame(
                {
                    "contig": ["c1", "c2"],
                    "length": CONTIG_LENGTH,
                    "genotypes_name": ["1", "2"],
                    "genes_name": ["c1", "c2"],
                    "expression_name": "",
                }
            ),
            folder / "contigs.tsv",
        )
        self.genes = [f"G{number:02}" for number in range(N_GENES)]
        half = N_GENES // 2
        tss = np.tile(40_000 + 10_000 * np.arange(half), 2)
        genes = pd.DataFrame(
            {
                "gene": self.genes,
                "symbol": [f"S{number}" for number in range(N_GENES)],
                "biotype": ["protein_coding", "lincRNA"] * half,
                "contig": np.repeat(["c1", "c2"], half),
                "start": tss,
                "end": tss + 500,
                "strand": "+",
                "tss": tss,
            }
        )
        extra = genes.iloc[[0, 0, 0]].assign(
            gene=["no_values", "elsewhere", "at_the_edge"], contig=["c1", "c3", "c2"], tss=[50_500, 500, 399_990]
        )
        write_table(pd.concat([genes, extra]), folder / "genes.tsv")

        self.rows = [*self.genes, "elsewhere", "at_the_edge", "not_in_gtf"]
        self.columns = [*self.people[:N_PEOPLE][::-1], "only_expression"]
        factor = generator.normal(size=len(self.columns))
        loading = generator.normal(size=(len(self.rows), 1))
        self.matrix = np.exp(loading * factor + generator.normal(size=(len(self.rows), len(self.columns))))
        self.save()

    def save(self) -> None:
        table = pd.DataFrame(self.matrix, columns=self.columns)
        table.insert(0, "gene", self.rows)
        table.to_parquet(self.folder / "expression.parquet", index=False)


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    folder = tmp_path / "inputs"
    folder.mkdir()
    return Inputs(folder)
