"""The `cnn` extractor: convolutional networks that `gta cnn` trained on the training genes of the study."""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from gta.cnn.network import PromoterNetworks
from gta.errors import UserError
from gta.features.extractor import FeatureName, default_batch
from gta.features.sequences import one_hot
from gta.features.settings import FeatureSettings
from gta.features.weights import find_weights, fingerprint


class CnnExtractor:
    """Features of tiles and, as the extractor's own prediction, what their head makes of them.

    Of a gene that networks were trained on, everything comes from the one that was trained without it; of other genes the
    features are the average over all networks. So nothing that is computed of a gene knows its expression.

    Attributes: see `GeneExtractor`.
    """

    name = "cnn"
    gene_direction = True

    def __init__(self, settings: FeatureSettings, device: torch.device):
        path = find_weights(settings)
        networks, self._left_out = PromoterNetworks.load(path)
        self._networks = networks.to(device)
        config = networks.config
        if settings.tile_length != config.tile_length:
            raise UserError(
                f"features.tile_length: the networks in {path} were trained with tiles of {config.tile_length} bp, not"
                f" {settings.tile_length}; give the same, or train them again."
            )
        self.weights = fingerprint(path)
        self.batch = default_batch(device, 64)
        self.upstream, self.downstream = config.upstream, config.downstream
        self.tile_edges = np.arange(config.tiles + 1) * config.tile_length
        self.feature_names: list[FeatureName] = [(f"channel_{channel}", "cnn", "max") for channel in range(config.tile_channels)]
        self.track_names = ["ln_expression"]
        self.head: dict[str, Any] = asdict(config)

    def read(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features of all networks, (B, T, networks * F), and no tracks, (B, 0).

        Args:
            sequences: (B, L) uint8, upper-case ASCII, in the gene's direction.
        """
        features = self._networks(one_hot(sequences))
        return features.transpose(1, 2).flatten(2), features.new_zeros(len(sequences), 0)

    @torch.no_grad()
    def of_gene(self, gene: str, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the features of a gene's sequences, (n, T, F), and the prediction from them, (n, 1), natural log.

        Args:
            gene: Name of the gene.
            features: (n, T, networks * F), as `read` gives them.
        """
        by_network = features.unflatten(2, (self._networks.config.networks, -1))
        without = self._left_out.get(gene)
        own = by_network.mean(dim=2) if without is None else by_network[:, :, without]
        head = self._networks.predict(own.to(next(self._networks.parameters()).device))
        return own, head[:, None].cpu()


def make(settings: FeatureSettings, window_length: int, device: torch.device) -> CnnExtractor:
    """Return the extractor of the settings."""
    return CnnExtractor(settings, device)
