"""Extractors that read whole windows: what they are given, where their tiles stand, and that de-duplication changes nothing."""

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from gta.errors import UserError
from gta.features.binned import BinnedExtractor
from gta.features.build import build_store
from gta.features.extractor import accelerate
from gta.features.passes import Passes
from gta.features.sequences import one_hot, reverse_complement
from gta.features.settings import FeatureSettings
from gta.features.windows import WindowWork
from gta.features.xpresso import XpressoExtractor

CPU = torch.device("cpu")


class Counter:
    """A plain extractor: counts of A, C, G, T in tiles of 100, 50 and 250 bp; track: the base at the TSS."""

    name = "counter"
    weights = ""
    upstream = 150
    downstream = 250
    tile_edges = np.array([0, 100, 150, 400])
    batch = 3

    def __init__(self, gene_direction: bool):
        self.gene_direction = gene_direction
        self.feature_names = [(base, "count", "sum") for base in "ACGT"]
        self.track_names = ["tss_is_a"]

    def read(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        bases = one_hot(sequences)
        features = torch.stack([part.sum(dim=2) for part in bases.split([100, 50, 250], dim=2)], dim=1)
        return features, bases[:, :1, 150]


def work_of(made, gene_direction: bool) -> WindowWork:
    panels, reference, _ = made
    return WindowWork(Counter(gene_direction), panels, reference, 1024)


def count(sequence: np.ndarray) -> list[int]:
    return [int((sequence == ord(base)).sum()) for base in "ACGT"]


@pytest.mark.parametrize("indels", [False, True])
@pytest.mark.parametrize("gene_direction", [False, True])
def test_each_haplotype_gets_the_features_of_its_own_sequence(make_panels, gene_direction: bool, indels: bool) -> None:
    made = make_panels(indels)
    panels, reference, genes = made
    built = work_of(made, gene_direction).read([genes.iloc[0], genes.iloc[1]], Passes(3, CPU))
    for gene, window in zip(("G1", "G2"), built, strict=True):
        panel = panels.panel(gene)
        assert len(panel.alleles) > 4
        for haplotype in range(len(panel.alleles)):
            whole = panel.sequence(haplotype, reference)
            # Index of the TSS base: 512. On the minus strand, in the gene's direction, what lies upstream lies right.
            tss, minus = 512, gene == "G2" and gene_direction
            edges = [tss - 249, tss + 1, tss + 51, tss + 151] if minus else [tss - 150, tss - 50, tss, tss + 250]
            tiles = [count(whole[left:right]) for left, right in pairwise(edges)]
            if minus:
                tiles = [tile[::-1] for tile in tiles]  # A<->T, C<->G
            assert window.rows[window.index[haplotype]].tolist() == tiles
            assert window.tracks is not None
            assert window.tracks[haplotype, 0] == (whole[tss] == ord("T" if minus else "A"))


def test_tiles_stand_where_they_were_read(made, monkeypatch) -> None:
    panels, reference, genes = made
    for gene_direction in (False, True):
        monkeypatch.setattr("gta.features.build.make_extractor", lambda *_, way=gene_direction: Counter(way))
        store, account = build_store(panels, genes, reference, FeatureSettings())
        # G1 on the plus strand, TSS 1100: the input begins at 950.
        assert store.tile_bounds("G1", 1100, "+").tolist() == [[950, 1050], [1050, 1100], [1100, 1350]]
        assert store.gene("G1").tile_distance.tolist() == [-100.5, -25.5, 124.5]
        if gene_direction:
            # G2 on the minus strand, TSS 1900: the last base read is that at 1900 - 249.
            assert store.tile_bounds("G2", 1900, "-").tolist() == [[1651, 1901], [1901, 1951], [1951, 2051]]
            assert store.gene("G2").tile_distance.tolist() == [124.5, -25.5, -100.5]
        assert store.tile_lengths == [100, 50, 250] and store.tile_length == 50
        assert (account["scanned_kb"] < account["scanned_kb_without_deduplication"]).all()


def test_alike_haplotypes_are_read_once(made) -> None:
    panels, reference, genes = made
    work, passes = work_of(made, True), Passes(3, CPU)
    work.read([genes.iloc[0]], passes)
    panel = panels.panel("G1")
    sequences = {panel.sequence(row, reference)[512 - 150 : 512 + 250].tobytes() for row in range(len(panel.alleles))}
    assert passes.done == len(sequences) < len(panel.alleles)
    assert work.count(genes.iloc[0])[0] == len(sequences)


def test_tiles_that_are_equal_are_stored_once(made) -> None:
    _, _, genes = made
    (window,) = work_of(made, True).read([genes.iloc[0]], Passes(3, CPU))
    for tile in range(3):
        rows = window.rows[np.unique(window.index[:, tile])]
        assert len(np.unique(rows, axis=0)) == len(rows)


def test_a_window_that_is_too_short_is_refused(made, monkeypatch) -> None:
    panels, reference, _ = made
    monkeypatch.setattr(Counter, "upstream", 513)
    with pytest.raises(UserError, match="at least 1028 bp"):
        WindowWork(Counter(True), panels, reference, 1024)


def test_real_haplotypes_have_the_very_bytes_of_a_run_without_deduplication(chr22, real_data: Path) -> None:
    panels, reference, genes = chr22
    settings = FeatureSettings(extractor="xpresso", weights=str(real_data / "models" / "xpresso.GM12878.h5"))
    store, _ = build_store(panels, genes, reference, settings)
    extractor = XpressoExtractor(Path(str(settings.weights)), CPU)
    for gene in genes.itertuples():
        panel, stored = panels.panel(str(gene.gene)), store.gene(str(gene.gene))
        minus = gene.strand == "-"
        for haplotype in range(len(panel.alleles)):
            start = 7168 - (3499 if minus else 7000)
            sequence = torch.tensor(panel.sequence(haplotype, reference)[None, start : start + 10_500])
            if minus:
                sequence = reverse_complement(sequence)
            with torch.inference_mode():
                features, track = extractor.read(sequence)
            expected = features[0].flip(0) if minus else features[0]
            assert stored.haplotype(haplotype).tobytes() == expected.numpy().tobytes()
            assert store.tracks[str(gene.gene)][haplotype, 0] == track.item()
    assert len(np.unique(store.gene("G1").rows, axis=0)) > 35


@pytest.mark.skipif(shutil.which("g++") is None, reason="PyTorch needs a C++ compiler to compile networks")
def test_networks_are_compiled_and_computed_in_lower_precision() -> None:
    torch.manual_seed(3)
    layer = torch.nn.Conv1d(4, 8, 5, padding=2).requires_grad_(False)

    def network(sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = layer(sequences).unflatten(2, (16, 4)).amax(dim=3).transpose(1, 2)
        return features, features[:, :, :1].exp()

    sequences = np.frombuffer(b"ACGTTGCA" * 8 * 3, dtype=np.uint8).reshape(3, 64)
    found = {}
    for form in ({}, {"precision": "bfloat16"}, {"compile": True}):
        extractor = BinnedExtractor(
            "toy", "", network, window_length=64, bins=16, bin_length=4, width=8, track_names=["t"], tiles=16,
            strand_average=False, batch=3,
        )  # fmt: skip
        accelerate(extractor, FeatureSettings(extractor="enformer", **form), CPU)
        found[next(iter(form), "")] = Passes(3, CPU).run(extractor.read, sequences)
    for number in (0, 1):
        plain = found[""][number]
        assert found["precision"][number].dtype == torch.float32
        assert 0 < (found["precision"][number] - plain).abs().max() < 0.05
        torch.testing.assert_close(found["compile"][number], plain, rtol=1e-5, atol=1e-6)
