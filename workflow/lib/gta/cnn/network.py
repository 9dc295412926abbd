"""The network, and the folder that a trained one is kept in."""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from gta.cnn.settings import STRIDE
from gta.errors import UserError
from gta.files import require_file
from gta.networks.load import first_line, load_state, read_safetensors

#: Files of the folder.
CONFIG, WEIGHTS, LEFT_OUT = "config.json", "model.safetensors", "left_out.json"
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
        dropout: Dropout before the layers of the head.
        seed: Seed of the head.
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
    seed: int
    target_mean: float
    target_sd: float

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return (self.upstream + self.downstream) // self.tile_length


class PromoterNetwork(nn.Module):
    """Three convolutions with batch normalisation and max-pooling, and the features of tiles from the last one.

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
        self.tile_normalisation = nn.BatchNorm2d(config.tile_channels)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return the features of tiles, (B, T, tile_channels), of one-hot sequences (B, 4, L) in the gene's direction."""
        hidden = sequences[:, :, None].contiguous(memory_format=torch.channels_last)
        for convolution, normalisation, pool in zip(self.convolutions, self.normalisations, self.pools, strict=True):
            hidden = functional.max_pool2d(functional.gelu(normalisation(convolution(hidden))), (1, pool))
        return self.tile_normalisation(self.tile(hidden)).squeeze(2).transpose(1, 2)


class SharedHead(nn.Module):
    """What turns the features of all tiles into mean expression: two dense layers with random weights that are never trained.

    All networks learn to be read by the same head. So a feature means the same in each of them: features of different networks
    can be averaged, and those of a gene can come from a network that did not learn from it.
    """

    def __init__(self, config: CnnConfig):
        """Draw the weights from the configuration's seed."""
        super().__init__()
        generator = torch.Generator().manual_seed(config.seed)
        inputs, hidden = config.tiles * config.tile_channels, 2 * config.channels
        self.register_buffer("dense", torch.randn(inputs, hidden, generator=generator) * inputs**-0.5)
        self.register_buffer("bias", torch.randn(hidden, generator=generator))
        self.register_buffer("head", torch.randn(hidden, generator=generator) * (2 / hidden) ** 0.5)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the prediction, (B,), in standard deviations of the training genes, from features (B, T, tile_channels)."""
        hidden = functional.gelu(self.dropout(features.flatten(1)) @ self.dense + self.bias)
        predicted: torch.Tensor = self.dropout(hidden) @ self.head
        return predicted


class PromoterNetworks(nn.Module):
    """The networks of the extractor, each trained without one part of the training genes, and the head that reads them."""

    def __init__(self, config: CnnConfig):
        """Build the networks with fresh weights."""
        super().__init__()
        self.config = config
        self.networks = nn.ModuleList(PromoterNetwork(config) for _ in range(config.networks))
        self.head = SharedHead(config)

    def forward(self, sequences: torch.Tensor) -> torch.Tensor:
        """Return the features of tiles by each network, (B, networks, T, tile_channels) float32.

        Args:
            sequences: (B, 4, L) one-hot, in the gene's direction.
        """
        return torch.stack([network(sequences).float() for network in self.networks], dim=1)

    def predict(self, features: torch.Tensor) -> torch.Tensor:
        """Return mean expression, (B,) natural log, from features (B, T, tile_channels)."""
        predicted: torch.Tensor = self.head(features) * self.config.target_sd + self.config.target_mean
        return predicted

    def save(self, folder: Path, left_out: dict[str, int]) -> None:
        """Write configuration, weights, and which network was trained without which gene into a folder that exists."""
        (folder / CONFIG).write_text(json.dumps({"model_type": "gta-cnn", **asdict(self.config)}, indent=2) + "\n")
        (folder / LEFT_OUT).write_text(json.dumps(left_out, indent=0) + "\n")
        save_file({name: tensor.contiguous() for name, tensor in self.state_dict().items()}, folder / WEIGHTS)

    @classmethod
    def load(cls, folder: Path) -> tuple["PromoterNetworks", dict[str, int]]:
        """Read a folder that `gta cnn` wrote.

        Returns:
            The networks, in evaluation mode with every weight frozen; and the number of the network that was trained without each
            training gene.

        Raises:
            UserError: if the folder holds no such networks, or lacks weights.
        """
        path = require_file(folder / CONFIG, "configuration of the networks (gta cnn writes it)")
        try:
            given = json.loads(path.read_text())
            networks = cls(CnnConfig(**{field.name: given[field.name] for field in fields(CnnConfig)}))
            left_out = json.loads(require_file(folder / LEFT_OUT, "list of the training genes of the networks").read_text())
        except (ValueError, KeyError, TypeError, RuntimeError) as error:
            raise UserError(
                f"features.weights: {folder} holds no networks of gta cnn ({first_line(error)}): train them again."
            ) from error
        where, what, advice = f"features.weights: {folder}", "set of networks of gta cnn", "train them again"
        weights = read_safetensors(require_file(folder / WEIGHTS, "weights of the networks"), where, what, advice)
        load_state(networks, weights, where, what, advice)
        return networks.eval().requires_grad_(False), {str(gene): int(network) for gene, network in left_out.items()}
