"""The `cnn` extractor: convolutional networks that `gta cnn` trained on the training genes of the study."""

import numpy as np
import torch

from gta.cnn.network import PromoterNetworks
from gta.errors import UserError
from gta.features.extractor import FeatureName, default_batch
from gta.features.sequences import one_hot
from gta.features.settings import FeatureSettings
from gta.features.weights import find_weights, fingerprint


class CnnExtractor:
    """Features of tiles from all networks, and their average prediction of mean expression as the extractor's own.

    Attributes: see `WindowExtractor`.
    """

    name = "cnn"
    gene_direction = True

    def __init__(self, settings: FeatureSettings, device: torch.device):
        path = find_weights(settings)
        self._networks = PromoterNetworks.load(path).to(device)
        config = self._networks.config
        if settings.tile_length != config.tile_length:
            raise UserError(
                f"features.tile_length: the networks in {path} were trained with tiles of {config.tile_length} bp, not"
                f" {settings.tile_length}; give the same, or train them again."
            )
        self.weights = fingerprint(path)
        self.batch = default_batch(device, 64)
        self.upstream, self.downstream = config.upstream, config.downstream
        self.tile_edges = np.arange(config.tiles + 1) * config.tile_length
        self.feature_names: list[FeatureName] = [
            (f"network_{network}.channel_{channel}", "cnn", "max")
            for network in range(config.networks)
            for channel in range(config.tile_channels)
        ]
        self.track_names = ["ln_expression"]

    def read(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return features (B, T, F) and prediction (B, 1), natural log, of sequences in the gene's direction."""
        features, predicted = self._networks(one_hot(sequences))
        return features, predicted.mean(dim=1, keepdim=True)


def make(settings: FeatureSettings, window_length: int, device: torch.device) -> CnnExtractor:
    """Return the extractor of the settings."""
    return CnnExtractor(settings, device)
