"""The feature store: what is written is read back, and de-duplication changes nothing."""

import numpy as np
import pandas as pd
import pysam
import pytest
import torch

from gta.errors import UserError
from gta.features.build import build_store
from gta.features.motif import MotifExtractor, load_motifs
from gta.features.settings import FeatureSettings
from gta.features.store import FeatureStore
from gta.features.tiles import tile_distances
from gta.haplotypes import Panel, PanelSet, Reference, open_reference

LENGTH, TILE = 1024, 256


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> tuple[PanelSet, Reference, pd.DataFrame]:
    """Two windows of a small contig, five people, ten SNVs; built by the haplotypes stage's own command."""
    from gta.haplotypes.build import build
    from gta.haplotypes.settings import HaplotypeSettings

    folder = tmp_path_factory.mktemp("cohort")
    inputs, cohort = folder / "inputs", folder / "cohort"
    inputs.mkdir()
    cohort.mkdir()
    generator = np.random.default_rng(7)
    bases = generator.choice(list("ACGT"), size=4000)
    (inputs / "reference.fa").write_text(">c1\n" + "".join(bases) + "\n")
    pysam.faidx(str(inputs / "reference.fa"))
    people = [f"P{i}" for i in range(5)]
    lines = ["##fileformat=VCFv4.2", "##contig=<ID=c1,length=4000>", '##FORMAT=<ID=GT,Number=1,Type=String,Description="GT">']
    lines.append("\t".join(["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *people]))
    for position in sorted(generator.choice(np.arange(600, 2400), size=20, replace=False)):
        alt = "ACGT".replace(bases[position], "")[0]
        calls = [f"{a}|{b}" for a, b in generator.integers(0, 2, size=(5, 2))]
        lines.append("\t".join(["c1", str(position + 1), ".", bases[position], alt, ".", "PASS", ".", "GT", *calls]))
    (inputs / "genotypes.vcf").write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(inputs / "genotypes.vcf"), str(inputs / "genotypes.vcf.gz"), force=True)
    pysam.tabix_index(str(inputs / "genotypes.vcf.gz"), preset="vcf", force=True)
    (inputs / "inputs.json").write_text('{"reference": "reference.fa", "genotypes": "genotypes.vcf.gz"}')
    (inputs / "contigs.tsv").write_text("contig\tlength\tgenotypes_name\tgenes_name\texpression_name\nc1\t4000\tc1\tc1\tc1\n")
    genes = pd.DataFrame(
        {
            "gene": ["G1", "G2"],
            "symbol": ["ONE", "TWO"],
            "biotype": "protein_coding",
            "contig": "c1",
            "strand": ["+", "-"],
            "tss": [1100, 1900],
            "window_start": [1100 - LENGTH // 2, 1900 - LENGTH // 2],
            "window_end": [1100 + LENGTH // 2, 1900 + LENGTH // 2],
            "block": 0,
            "split": "train",
        }
    )
    genes.to_csv(cohort / "genes.tsv", sep="\t", index=False)
    pd.DataFrame({"person": people, "population": "x", "split": "train"}).to_csv(cohort / "people.tsv", sep="\t", index=False)
    panels, _ = build(inputs, cohort, "c1", HaplotypeSettings())
    return panels, open_reference(inputs), genes


def brute_force(panel: Panel, reference: Reference, row: int, extractor: MotifExtractor) -> np.ndarray:
    """Features of one haplotype, scanned tile by tile from its whole sequence, with its alleles in the margins."""
    sequence = panel.sequence(row, reference)
    margin = extractor.margin
    whole = reference.fetch(panel.contig, panel.start - margin, panel.end + margin).copy()
    for position, alts, allele in zip(panel.positions, panel.alts, panel.alleles[row], strict=True):
        at = position - (panel.start - margin)
        if allele and 0 <= at < len(whole):
            whole[at] = alts[allele - 1][0]
    assert np.array_equal(whole[margin:-margin], sequence)
    tiles = np.stack([whole[at : at + TILE + 2 * margin] for at in range(0, LENGTH, TILE)])
    return extractor.combine(extractor.scan(torch.tensor(tiles))[:, None], TILE).numpy()


def test_deduplication_changes_nothing(made, tmp_path) -> None:
    panels, reference, genes = made
    store, account = build_store(panels, genes, reference, FeatureSettings(tile_length=TILE))
    extractor = MotifExtractor(load_motifs("JASPAR2024", "lymphoblastoid"))
    for gene in ("G1", "G2"):
        panel, stored = panels.panel(gene), store.gene(gene)
        assert len(panel.alleles) > 3
        assert np.array_equal(stored.carriers, panel.carriers)
        for row in range(len(panel.alleles)):
            # Scanned in blocks and as one piece, sums differ in the last bits of float32 only.
            np.testing.assert_allclose(stored.haplotype(row), brute_force(panel, reference, row, extractor), atol=2e-5)
    assert (account["n_distinct_tiles"] < account["tiles_without_deduplication"]).all()
    assert (account["scanned_kb"] < account["scanned_kb_without_deduplication"]).all()


def test_equal_tiles_share_a_row_and_different_ones_do_not(made) -> None:
    panels, reference, genes = made
    store, _ = build_store(panels, genes, reference, FeatureSettings(tile_length=TILE))
    panel, stored = panels.panel("G1"), store.gene("G1")
    margin = MotifExtractor(load_motifs("JASPAR2024", "lymphoblastoid")).margin
    for tile in range(LENGTH // TILE):
        left = panel.start + tile * TILE
        near = (panel.positions >= left - margin) & (panel.positions < left + TILE + margin)
        patterns = {tuple(alleles) for alleles in panel.alleles[:, near].tolist()}
        assert len(set(stored.index[:, tile].tolist())) == len(patterns)


def test_saving_and_reading_back(made, tmp_path) -> None:
    panels, reference, genes = made
    store, _ = build_store(panels, genes, reference, FeatureSettings(tile_length=TILE))
    store.save(tmp_path / "c1.safetensors")
    back = FeatureStore.load_all([tmp_path / "c1.safetensors"])
    assert back.genes == ["G1", "G2"] and back.people == store.people and back.feature_names == store.feature_names
    for gene in back.genes:
        for name in ("rows", "index", "carriers", "tile_distance"):
            assert np.array_equal(getattr(back.gene(gene), name), getattr(store.gene(gene), name))
    store.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "c1.safetensors").read_bytes()


def test_distances_run_in_the_gene_direction() -> None:
    # Window [1000, 1400), TSS base 1200, tiles of 100 bp: centres at 1049.5, 1149.5, 1249.5, 1349.5.
    assert tile_distances(1000, 1200, "+", 4, 100).tolist() == [-150.5, -50.5, 49.5, 149.5]
    assert tile_distances(1000, 1200, "-", 4, 100).tolist() == [150.5, 50.5, -49.5, -149.5]


def test_a_tile_length_that_does_not_divide_the_window_is_refused(made) -> None:
    panels, reference, genes = made
    with pytest.raises(UserError, match="does not divide the window of 1024 bp"):
        build_store(panels, genes, reference, FeatureSettings(tile_length=300))


def test_damaged_and_mixed_stores_are_refused(made, tmp_path) -> None:
    panels, reference, genes = made
    store, _ = build_store(panels, genes, reference, FeatureSettings(tile_length=TILE))
    store.save(tmp_path / "a.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:1000])
    with pytest.raises(UserError, match="no complete feature store"):
        FeatureStore.load(tmp_path / "cut.safetensors")
    other, _ = build_store(panels, genes, reference, FeatureSettings(tile_length=2 * TILE))
    other.save(tmp_path / "b.safetensors")
    with pytest.raises(UserError, match="differ in people, features or tile length"):
        FeatureStore.load_all([tmp_path / "a.safetensors", tmp_path / "b.safetensors"])
    with pytest.raises(UserError, match="no gene NOPE"):
        store.gene("NOPE")
