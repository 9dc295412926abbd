"""What networks that give features of equal bins have in common."""

from collections.abc import Callable

import torch

from gta.features.extractor import FeatureName
from gta.features.pooling import bin_edges, pool_bins
from gta.features.sequences import one_hot, reverse_complement

#: Bins around the TSS whose mean is a track's prediction, as in the use of Enformer for expression (Avsec et al., Nat Methods
#: 2021): the one in which the TSS base lies and its two neighbours.
CENTRAL_BINS = 3


class BinnedExtractor:
    """Features of the bins of a network around the TSS, pooled to tiles, and its tracks at the TSS.

    Attributes: see `WindowExtractor`.
    """

    gene_direction = False

    def __init__(
        self,
        name: str,
        weights: str,
        network: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
        *,
        window_length: int,
        bins: int,
        bin_length: int,
        width: int,
        track_names: list[str],
        tiles: int,
        strand_average: bool,
        batch: int,
    ):
        """Wrap a network.

        Args:
            name: Name of the extractor.
            weights: Fingerprint of the weights.
            network: From one-hot (B, 4, L) to features (B, bins, F) and tracks (B, bins, K).
            window_length: L, bp; the network reads all of it.
            bins: Bins that it gives, in the middle of the window.
            bin_length: Length of a bin, bp.
            width: F.
            track_names: Names of the K tracks.
            tiles: Tiles to pool the bins to.
            strand_average: Average over both strands?
            batch: Sequences to read at once.
        """
        self.name = name
        self.weights = weights
        self.upstream = window_length // 2
        self.downstream = window_length - self.upstream
        self.feature_names: list[FeatureName] = [(f"channel_{number}", name, "mean") for number in range(width)]
        self.track_names = track_names
        self.batch = batch
        self._network = network
        self._strand_average = strand_average
        self._edges = bin_edges(bins, tiles)
        self.tile_edges = (window_length - bins * bin_length) // 2 + self._edges * bin_length

    def read(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, T, F) and tracks (B, K), natural log of 1 + signal, of sequences (B, L) on the plus strand."""
        features, tracks = self._network(one_hot(sequences))
        if self._strand_average:
            opposite, opposite_tracks = self._network(one_hot(reverse_complement(sequences)))
            features, tracks = (features + opposite.flip(1)) / 2, (tracks + opposite_tracks.flip(1)) / 2
        middle = tracks.shape[1] // 2 - CENTRAL_BINS // 2
        signal = tracks[:, middle : middle + CENTRAL_BINS].mean(dim=1)
        return pool_bins(features, self._edges), torch.log1p(signal)
