"""The feature store: what is written is read back, and de-duplication changes nothing."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from gta.errors import UserError
from gta.features.build import build_store, parts_folder, remove_parts
from gta.features.motif import MotifExtractor, load_motifs
from gta.features.settings import FeatureSettings
from gta.features.store import FeatureStore, GeneFeatures
from gta.features.tiles import tile_distances
from gta.haplotypes import Panel, Reference

LENGTH, TILE = 1024, 256


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


def test_who_carries_what_and_where_tiles_stand_is_known_without_reading_a_window(made, tmp_path, monkeypatch) -> None:
    panels, reference, genes = made
    store, _ = build_store(panels, genes, reference, FeatureSettings(tile_length=TILE))
    store.save(tmp_path / "c1.safetensors")
    back = FeatureStore.load_all([tmp_path / "c1.safetensors"])
    monkeypatch.setattr("gta.tensors.ArrayFile.part", lambda *arguments: pytest.fail("a window was read"))
    for gene in back.genes:
        carriers, distance = back.layout(gene)
        assert np.array_equal(carriers, store.gene(gene).carriers)
        assert np.array_equal(distance, store.gene(gene).tile_distance)
    with pytest.raises(UserError, match="no gene NOPE"):
        back.layout("NOPE")


def test_half_precision_keeps_the_reference_and_the_differences(made, tmp_path) -> None:
    panels, reference, genes = made
    store, _ = build_store(panels, genes, reference, FeatureSettings(tile_length=TILE))
    store.save(tmp_path / "half.safetensors", "float16")
    store.save(tmp_path / "full.safetensors", "float32")
    back = FeatureStore.load(tmp_path / "half.safetensors")
    for gene in store.genes:
        exact, read = store.gene(gene), back.gene(gene)
        assert np.array_equal(read.haplotype(0), exact.haplotype(0))
        differences = (exact.rows[exact.index] - exact.haplotype(0)).astype(float)
        known = (read.rows[read.index] - read.haplotype(0)).astype(float)
        assert (np.abs(differences) > 0).any()
        # Half of a unit in the last place of float16, and of float32 where reference and difference are added.
        tolerance = 2.0**-11 * np.abs(differences) + 2.0**-22 * np.abs(exact.rows).max()
        assert (np.abs(known - differences) <= tolerance).all()
        assert (known[differences == 0] == 0).all()
    assert (tmp_path / "half.safetensors").stat().st_size < 0.75 * (tmp_path / "full.safetensors").stat().st_size


def test_differences_of_any_size_fit_into_half_precision(tmp_path) -> None:
    # Beside 1e6, a difference of 1e5 does not fit into float16 and one of 1e-9 vanishes in it, but for the scale.
    rows = np.array([[1e6, 0.0], [1.1e6, 1e-9], [1e6, -3e-9]], dtype=np.float32)
    index, carriers = np.array([[0], [1], [2]], dtype=np.int32), np.array([[1, 2]], dtype=np.int32)
    entry = GeneFeatures("G", rows, index, carriers, np.zeros(1, dtype=np.float32))
    FeatureStore(["P"], [("a", "a", ""), ("b", "b", "")], 100, "x", {"G": entry}).save(tmp_path / "x.safetensors", "float16")
    np.testing.assert_allclose(FeatureStore.load(tmp_path / "x.safetensors").gene("G").rows, rows, rtol=5e-4)


def test_a_run_goes_on_from_its_finished_chunks(made, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("gta.features.build.CHUNK", 1)
    panels, reference, genes = made
    settings = FeatureSettings(tile_length=TILE)
    undisturbed, account = build_store(panels, genes, reference, settings)
    parts = tmp_path / "parts"
    build_store(panels, genes, reference, settings, parts=parts)
    assert sorted(path.name for path in parts.iterdir()) == [
        "00000.json",
        "00000.safetensors",
        "00001.json",
        "00001.safetensors",
    ]
    # As if killed in the second window; the first is marked, to see that it is not read again.
    (parts / "00001.safetensors").unlink()
    first = FeatureStore.load(parts / "00000.safetensors")
    marked = dataclasses.replace(first.gene("G1"), rows=np.full_like(first.gene("G1").rows, 42))
    dataclasses.replace(first, by_gene={"G1": marked}).save(parts / "00000.safetensors")
    resumed, again = build_store(panels, genes, reference, settings, parts=parts)
    assert (resumed.gene("G1").rows == 42).all()
    assert np.array_equal(resumed.gene("G2").rows, undisturbed.gene("G2").rows)
    pd.testing.assert_frame_equal(again, account)


def test_chunks_of_other_settings_or_haplotypes_are_not_taken(made, tmp_path) -> None:
    _, _, genes = made
    haplotypes, out = tmp_path / "c1.npz", tmp_path / "c1.safetensors"
    haplotypes.write_bytes(b"one")
    folders = [parts_folder(out, FeatureSettings(), haplotypes, genes, tmp_path)]
    folders.append(parts_folder(out, FeatureSettings(tile_length=TILE), haplotypes, genes, tmp_path))
    folders.append(parts_folder(out, FeatureSettings(), haplotypes, genes.iloc[:1], tmp_path))
    haplotypes.write_bytes(b"two")
    folders.append(parts_folder(out, FeatureSettings(), haplotypes, genes, tmp_path))
    assert len(set(folders)) == 4
    for folder in folders:
        folder.mkdir()
    remove_parts(out)
    assert [path.name for path in tmp_path.iterdir()] == ["c1.npz"]


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
