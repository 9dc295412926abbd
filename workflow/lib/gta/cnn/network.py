"""The network, and the folder that a trained one is kept in."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional

from gta.cnn.settings import STRIDE
from gta.errors import UserError
from gta.files import require_file

#: Files of the folder.
CONFIG, WEIGHTS = "config.json", "model.safetensors"
#: Widths of the kernels of the three convolutions, bp and then positions of the layer below.
KERNELS = (15, 7, 5)


@dataclass(frozen=True)
class CnnConfig:
    """What is needed to build the networks again.

    Attributes:
        upstream: Bases before the TSS base.
        downstream: Bases from the TSS base on.
        tile_length: Length of a tile, bp.
        networks: Number of networks.
        channels: Channels of each convolution.
        tile_channels: Features of a tile of each network.
        dropout: Dropout before the dense layers.
        target_mean: Mean over the training genes of mean expression, natural log.
        target_sd: Standard deviation of the same.
    """

    upstream: int
    downstream: int
    tile_length: int
    networks: int
    channels: int
    tile_channels: int
    dropout: float
    target_mean: float
    target_sd: float

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return (self.upstream + self.downstream) // self.tile_length


class PromoterNetwork(nn.Module):
    """Three convolutions with batch normalisation and max-pooling, then a layer over all tiles.

    The design follows Basset (Kelley et al., Genome Research 2016) at a size that 10,000 genes can train.
    """

    def __init__(self, config: CnnConfig):
        """Build a network with fresh weights."""
        super().__init__()
        channels = config.channels
        sizes = (4, channels, channels)
        # Two-dimensional with a height of 1: in this layout the CPU's bfloat16 kernels are several times faster.
        self.convolutions = nn.ModuleList(
            nn.Conv2d(size, channels, (1, width), padding=(0, width // 2)) for size, width in zip(sizes, KERNELS, strict=True)
        )
        self.normalisations = nn.ModuleList(nn.BatchNorm2d(channels) for _ in KERNELS)
        self.pools = (4, STRIDE // 4, config.tile_length // STRIDE)
        self.tile = nn.Conv2d(channels, config.tile_channels, 1)
        self.dropout = nn.Dropout(config.dropout)
        self.dense = nn.Linear(config.tiles * config.tile_channels, 2 * channels)
        self.head = nn.Linear(2 * channels, 1)

    def features(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return the features of tiles, (B, T, tile_channels), of one-hot sequences (B, 4, L)."""
        hidden = sequences[:, :, None].contiguous(memory_format=torch.channels_last)
        for convolution, normalisation, pool in zip(self.convolutions, self.normalisations, self.pools, strict=True):
            hidden = functional.max_pool2d(functional.gelu(normalisation(convolution(hidden))), (1, pool))
        return functional.gelu(self.tile(hidden)).squeeze(2).transpose(1, 2)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the prediction, (B,), in standard deviations of the training genes, from features (B, T, tile_channels)."""
        hidden = functional.gelu(self.dense(self.dropout(features.flatten(1))))
        predicted: torch.Tensor = self.head(self.dropout(hidden)).squeeze(1)
        return predicted


class PromoterNetworks(nn.Module):
    """The networks of the extractor, each trained without one part of the training genes."""

    def __init__(self, config: CnnConfig):
        """Build the networks with fresh weights."""
        super().__init__()
        self.config = config
        self.networks = nn.ModuleList(PromoterNetwork(config) for _ in range(config.networks))

    def forward(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read one-hot sequences (B, 4, L) in the gene's direction.

        Returns:
            The features of tiles, (B, T, networks * tile_channels), and the prediction of each network, (B, networks), natural
            log; both float32.
        """
        features = [network.features(sequences).float() for network in self.networks]  # type: ignore[operator]
        heads = [network(tiles) for network, tiles in zip(self.networks, features, strict=True)]
        predicted = torch.stack(heads, dim=1).float() * self.config.target_sd + self.config.target_mean
        return torch.cat(features, dim=2), predicted

    def save(self, folder: Path) -> None:
        """Write configuration and weights into a folder that exists."""
        (folder / CONFIG).write_text(json.dumps({"model_type": "gta-cnn", **asdict(self.config)}, indent=2) + "\n")
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> "PromoterNetworks":
        """Read a folder that `gta cnn` wrote, in evaluation mode with every weight frozen.

        Raises:
            UserError: if the folder holds no such networks, or lacks weights.
        """
        path = require_file(folder / CONFIG, "configuration of the networks (gta cnn writes it)")
        try:
            given = json.loads(path.read_text())
            networks = cls(CnnConfig(**{field.name: given[field.name] for field in fields(CnnConfig)}))
            networks.load_state_dict(load_file(require_file(folder / WEIGHTS, "weights of the networks")))
        except (ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"features.weights: {folder} holds no networks of gta cnn ({reason}): train them again.") from error
        return networks.eval().requires_grad_(False)
