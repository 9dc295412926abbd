"""Known eQTLs: how a table is read, how alleles are turned to those of the reference, and what is compared in sign."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pysam
import pytest
import torch

from gta.aligner.predict import Trained
from gta.attribution.eqtls import COLUMNS, known_effects, known_signs, place, read_eqtls, read_planted
from gta.attribution.mutagenesis import Sequences, list_mutations, mutate
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.build import make_work
from gta.features.motif import MotifExtractor, load_motifs
from gta.features.passes import Passes
from gta.features.store import FeatureStore
from gta.haplotypes import PanelSet, Reference
from toy_cohort import make_cohort, make_language_model, make_store, make_training

LENGTH, TILE = 2048, 1024


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Cohort, Sequences, Trained]:
    """The toy cohort's first gene on random sequence with one variant, and an untrained aligner that reads it."""
    letters = np.random.default_rng(3).choice(list("ACGT"), size=4000)
    letters[1500:1503] = list("GAT")
    path = tmp_path_factory.mktemp("reference") / "r.fa"
    path.write_text(">chr1\n" + "".join(letters) + "\n")
    pysam.faidx(str(path))
    cohort = make_cohort(make_store())
    tss = 1024 + 600
    own = {"gene": "ENSG1.2", "contig": "chr1", "strand": "-", "tss": tss, "window_start": 600, "window_end": 600 + LENGTH}
    cohort.genes.loc[0, list(own)] = pd.Series(own)
    panels = PanelSet(
        contig="chr1",
        genes=["ENSG1.2"],
        people=cohort.people_names,
        windows=np.array([[600, 600 + LENGTH, tss]]),
        reaches=np.array([[344, 856 + LENGTH]]),
        spans=np.array([[0, 1]]),
        haploid=np.zeros((1, 40), dtype=bool),
        positions=np.array([1500]),
        refs=[b"G"],
        alts=[(b"T",)],
        haplotypes=np.random.default_rng(5).integers(0, 2, size=(80, 1)).astype(np.uint8),
    )
    extractor = MotifExtractor(load_motifs("JASPAR2024", "lymphoblastoid")[:8])
    sequences = Sequences({"chr1": panels}, Reference(path), extractor, TILE, torch.device("cpu"))
    work = make_work(extractor, panels, cohort.genes.iloc[:1], sequences.reference, TILE)
    (built,) = work.read([cohort.genes.iloc[0]], Passes(extractor.batch, sequences.device))
    generator = np.random.default_rng(4)
    by_gene = {
        name: replace(
            entry,
            rows=generator.normal(size=(len(entry.rows), built.rows.shape[1])).astype(np.float32),
            index=entry.index[:, : LENGTH // TILE],
            tile_distance=built.tile_distance,
        )
        for name, entry in make_store().by_gene.items()
    }
    names = [(str(i), "", "") for i in range(built.rows.shape[1])]
    store = FeatureStore(cohort.people_names, names, TILE, "motif", by_gene)
    training = make_training(make_cohort(make_store()), store, make_language_model())
    training.aligner.eval()
    return cohort, sequences, Trained(training.aligner, training.setup.data, training.setup.reader)


def write(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n")
    return path


def test_the_best_variant_of_each_gene_is_read(tmp_path: Path) -> None:
    rows = (
        "gene_id\tvariant\tslope\tp_value",
        "B\t2:7:at:A\t1\t0.5",
        "A\tchr1_10_A_G_b38\t0.5\t1e-3",
        "A\tchr1_20_C_T\t-0.5\t1e-9",
    )
    found = read_eqtls(write(tmp_path / "e.tsv", *rows))
    assert found.to_numpy().tolist() == [["A", "chr1", 19, "C", "T", -0.5], ["B", "2", 6, "AT", "A", 1.0]]
    plain = read_eqtls(write(tmp_path / "f.tsv", "gene\tvariant\tslope", "A\t1_10_A_G\t2", "A\t1_20_C_T\t3"))
    assert plain["known_slope"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("gene\tslope", "A\t1"), "has no column 'variant'"),
        (
            ("gene\tvariant\tslope", "A\t1_10_A_G\t1", "B\trs123\t1"),
            r"line 3, has the variant 'rs123': write contig_position_REF_ALT",
        ),
        (("gene\tvariant\tslope", "A\t1_10_A_G\tup"), r"line 2: slope is 'up', not a number"),
    ],
)
def test_mistakes_in_the_table(rows: tuple[str, ...], message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        read_eqtls(write(tmp_path / "e.tsv", *rows))


def test_the_planted_variant_with_most_variance_counts(tmp_path: Path) -> None:
    head = "gene\tcontig\tpos\tref\talt\teffect_per_allele\tallele_frequency"
    # Variances 2 f (1 - f) e^2: 0.5 * 0.16 = 0.08 beats 0.18 * 0.36 = 0.065.
    found = read_planted(write(tmp_path / "t.tsv", head, "A\ts\t5\tA\tC\t0.6\t0.1", "A\ts\t9\tG\tC\t-0.4\t0.5"))
    assert found.to_numpy().tolist() == [["A", "s", 9, "G", "C", -0.4]]


def known(*rows: tuple[str, str, int, str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["gene", "contig", "position", "ref", "alt", "known_slope"])


def test_alleles_and_names_are_those_of_the_reference(study) -> None:
    cohort, sequences, _ = study
    # The reference has GAT at 1500: as given; exchanged; a deletion; an insertion; the same read from the other allele; of
    # another gene; outside of the window.
    table = known(
        *(("ENSG1", "1", 1500, "G", "T", 0.5), ("ENSG1", "1", 1500, "T", "G", 0.5), ("ENSG1", "1", 1500, "GAT", "G", 0.5)),
        *(
            ("ENSG1", "1", 1500, "G", "GAT", 0.5),
            ("ENSG1", "1", 1500, "GCC", "G", 0.5),
            ("NOPE", "1", 1500, "G", "T", 0.5),
            ("ENSG1", "1", 3000, "G", "T", 0.5),
        ),
    )
    parts = [place(table.iloc[[row]], cohort, sequences, Path("e.tsv")) for row in (0, 1, 2, 3, 4, 6)]
    placed = pd.concat(parts)[["gene", "contig", "ref", "alt", "known_slope"]].to_numpy().tolist()
    names = ["ENSG1.2", "chr1"]
    snvs, indels = [[*names, "G", "T", 0.5], [*names, "G", "T", -0.5]], [[*names, "GAT", "G", 0.5], [*names, "G", "GAT", 0.5]]
    assert placed == [*snvs, *indels, [*names, "G", "GCC", -0.5]]
    with pytest.raises(UserError, match="1 variants with neither allele in the reference: it is of another genome build"):
        place(known(("ENSG1", "1", 1500, "C", "A", 1.0)), cohort, sequences, Path("e.tsv"))
    with pytest.raises(UserError, match="none of the cohort's genes"):
        place(table.iloc[[5]], cohort, sequences, Path("e.tsv"))


def test_effects_are_those_of_mutagenesis_and_signs_are_counted(study) -> None:
    cohort, sequences, trained = study
    placed = known(("ENSG1.2", "chr1", 1500, "G", "T", -1.0), ("ENSG1.2", "chr1", 1501, "A", "C", 1.0))
    found = known_effects([trained], cohort, placed, sequences)
    assert tuple(found.columns) == COLUMNS
    table = mutate([trained], cohort, 0, sequences, 0)
    assert (
        len(list_mutations(cohort.genes.iloc[0], sequences.panel(cohort.genes.iloc[0]), sequences.reference, 0))
        == len(table)
        == 1
    )
    for column in ("effect_mean", "effect_deviation", "slope", "p_value", "distance"):
        assert found[column].iloc[0] == pytest.approx(table[column].iloc[0], rel=1e-5), column
    assert abs(found["effect_deviation"].iloc[0]) > 1e-5
    # Nobody of the cohort has the second variant: it has an effect but no slope.
    assert found["effect_deviation"].iloc[1] != 0 and np.isnan(found["slope"].iloc[1])
    assert found["split"].tolist() == ["train", "train"]
    table = found.assign(effect_deviation=[-0.1, -0.2], slope=[-0.5, np.nan], split=["test", "train"])
    assert [row[:6] for row in known_signs(table, "published slopes")] == [
        ("predicted", "published slopes", 1.0, 2, 1, 0.5),
        ("predicted, unseen genes", "published slopes", 1.0, 1, 1, 1.0),
        ("test people", "published slopes", 1.0, 1, 1, 1.0),
    ]
