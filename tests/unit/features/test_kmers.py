"""Counts of k-mers against a plain loop, on both strands and beside unknown bases."""

from collections import Counter

import numpy as np
import pytest
import torch

from gta.errors import UserError
from gta.features.extractor import WindowExtractor, make_extractor
from gta.features.kmers import KmerExtractor
from gta.features.settings import FeatureSettings


@pytest.mark.parametrize("k", [1, 2, 5])
def test_counts_are_those_of_a_plain_loop(k: int) -> None:
    extractor = KmerExtractor(k, tile_length=16, window_length=64)
    assert isinstance(extractor, WindowExtractor)
    assert extractor.upstream + extractor.downstream == extractor.tile_edges[-1] == 63
    assert (extractor.tile_edges == [0, 15, 31, 47, 63]).all() and extractor.upstream in extractor.tile_edges
    names = [name for name, _, _ in extractor.feature_names]
    assert len(set(names)) == len(names) == 4**k
    generator = np.random.default_rng(k)
    letters = generator.choice(list("ACGTN"), size=(3, 63), p=[0.24, 0.24, 0.24, 0.24, 0.04])
    features, tracks = extractor.read(torch.from_numpy(letters.astype("S1").view(np.uint8).reshape(3, 63)))
    assert features.shape == (3, 4, 4**k) and tracks.shape == (3, 0) and features.dtype == torch.float32
    for row, sequence in zip(features, letters, strict=True):
        text = "".join(sequence)
        for tile, (start, end) in enumerate(zip(extractor.tile_edges[:-1], extractor.tile_edges[1:], strict=True)):
            begun = Counter(text[at : at + k] for at in range(start, end) if at + k <= len(text))
            np.testing.assert_allclose(row[tile].numpy() ** 2, [begun[name] for name in names], atol=1e-5)


def test_each_sequence_is_counted_by_itself() -> None:
    extractor = KmerExtractor(3, tile_length=32, window_length=64)
    sequences = torch.from_numpy(np.frombuffer(b"ACGT" * 63, dtype=np.uint8).copy().reshape(4, 63))
    alone = torch.cat([extractor.read(row[None])[0] for row in sequences])
    assert torch.equal(extractor.read(sequences)[0], alone)


def test_it_is_made_from_the_settings_and_refuses_tiles_that_do_not_fit() -> None:
    settings = FeatureSettings(extractor="kmers", tile_length=64, kmer_length=4)
    extractor = make_extractor(settings, 256, torch.device("cpu"))
    assert (extractor.name, extractor.weights, len(extractor.feature_names)) == ("kmers", "4-mers", 256)
    with pytest.raises(UserError, match="do not fill the halves of windows of 192 bp"):
        make_extractor(settings, 192, torch.device("cpu"))
