"""The `kmers` extractor: how often each word of k bases begins in each tile, in the gene's direction. Nothing is trained."""

import numpy as np
import torch

from gta.errors import UserError
from gta.features.extractor import FeatureName
from gta.features.settings import FeatureSettings

#: Sequences that are counted at once.
AT_ONCE = 256
BASES = "ACGT"


class KmerExtractor:
    """Square roots of counts, whose variance hardly depends on how frequent a k-mer is.

    The window is read whole and in the gene's direction: on one strand a k-mer is not what it is on the other. A k-mer counts in
    the tile in which it begins; one with an unknown base does not count.

    Attributes: see `WindowExtractor`.
    """

    name = "kmers"
    gene_direction = True

    def __init__(self, kmer_length: int, tile_length: int, window_length: int):
        if window_length % (2 * tile_length):
            raise UserError(
                f"features.tile_length: tiles of {tile_length} bp do not fill the halves of windows of {window_length} bp"
                " (cohort.window_length); choose a length that divides the half."
            )
        self._k = kmer_length
        self.weights = f"{kmer_length}-mers"
        self.batch = AT_ONCE
        # On the minus strand the window holds one base fewer before the TSS: the first tile is a base shorter.
        self.upstream, self.downstream = window_length // 2 - 1, window_length // 2
        self.tile_edges = np.maximum(np.arange(0, window_length + 1, tile_length) - 1, 0)
        words = [""]
        for _ in range(kmer_length):
            words = [word + base for word in words for base in BASES]
        self.feature_names: list[FeatureName] = [(word, "kmers", "sum") for word in words]
        self.track_names: list[str] = []
        self._code = torch.full((256,), -(4**kmer_length), dtype=torch.int64)
        self._code[[ord(base) for base in BASES]] = torch.arange(4)

    def read(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return square roots of counts, (B, T, 4^k) float32, and no tracks, (B, 0).

        Args:
            sequences: (B, L) uint8, upper-case ASCII, in the gene's direction.
        """
        codes = self._code.to(sequences.device)[sequences.long()]
        starts = codes.shape[1] - self._k + 1
        # The number of a k-mer in base 4; below 0 if one of its bases is unknown.
        kmers = sum(codes[:, place : place + starts] * 4 ** (self._k - 1 - place) for place in range(self._k))
        assert isinstance(kmers, torch.Tensor)
        edges = torch.as_tensor(self.tile_edges[1:-1], device=sequences.device)
        tile = torch.bucketize(torch.arange(starts, device=sequences.device), edges, right=True)
        tiles, size = len(self.tile_edges) - 1, 4**self._k
        counts = torch.zeros(len(sequences), tiles * size, device=sequences.device)
        counts.scatter_add_(1, tile * size + kmers.clamp(min=0), (kmers >= 0).float())
        return counts.sqrt().unflatten(1, (tiles, size)), counts.new_zeros(len(sequences), 0)


def make(settings: FeatureSettings, window_length: int, device: torch.device) -> KmerExtractor:
    """Return the extractor of the settings."""
    return KmerExtractor(settings.kmer_length, settings.tile_length, window_length)
