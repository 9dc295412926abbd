"""The `xpresso` extractor: a published network that predicts expression from the promoter (Agarwal & Shendure, Cell Rep 2020)."""

import json
import math
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from gta.errors import UserError
from gta.features.extractor import FeatureName, default_batch
from gta.features.sequences import one_hot
from gta.features.settings import FeatureSettings
from gta.features.weights import find_weights, fingerprint

#: Bases that the published networks read before the TSS base and from it on.
UPSTREAM, DOWNSTREAM = 7000, 3500
#: Layers of the published networks, in the order in which data flow.
LAYERS = ("conv1d_1", "conv1d_2", "dense_1", "dense_2", "dense_3")


class Xpresso(nn.Module):
    """The network in PyTorch, with the sizes and weights of a Keras file.

    Two convolutions with ReLU, each followed by max-pooling, then dense layers over all positions and the features of mRNA
    half-life. These are set to 0, their mean over genes, for they say nothing of regulatory sequence.
    """

    def __init__(self, kernels: list[np.ndarray], biases: list[np.ndarray], pools: list[int], half_life: int):
        """Build the network.

        Args:
            kernels: Of each layer: (width, channels in, channels out) of a convolution, (in, out) of a dense layer.
            biases: (channels out,) of each layer.
            pools: Width and stride of the pooling after each convolution.
            half_life: Number of half-life features, which are the last inputs of the first dense layer.
        """
        super().__init__()
        self.pools = pools
        self._half_life = half_life
        layers: list[nn.Module] = []
        for kernel, bias in zip(kernels, biases, strict=True):
            # Keras orders a kernel (width, in, out) and a dense weight (in, out); PyTorch the other way round.
            weight = torch.from_numpy(np.ascontiguousarray(kernel.T)).float()
            layer: nn.Module
            if kernel.ndim == 3:
                layer = nn.Conv1d(kernel.shape[1], kernel.shape[2], kernel.shape[0])
            else:
                layer = nn.Linear(kernel.shape[0], kernel.shape[1])
            layer.load_state_dict({"weight": weight, "bias": torch.from_numpy(np.asarray(bias)).float()})
            layers.append(layer)
        self.channels = int(kernels[len(pools) - 1].shape[2])
        self.convolutions = nn.ModuleList(layers[: len(pools)])
        self.dense = nn.ModuleList(layers[len(pools) :])

    def features(self, sequences: torch.Tensor) -> torch.Tensor:
        """What the dense layers read, (B, T, channels), from one-hot sequences (B, 4, L)."""
        hidden = sequences
        for layer, pool in zip(self.convolutions, self.pools, strict=True):
            convolution = cast(nn.Conv1d, layer)
            # Keras' "same": of an odd number of padded positions the last stands at the end.
            around = convolution.kernel_size[0] - 1
            padded = functional.pad(hidden, (around // 2, around - around // 2))
            # ReLU after the pooling instead of before is the same and touches fewer numbers.
            hidden = functional.relu(functional.max_pool1d(convolution(padded), pool))
        return hidden.transpose(1, 2)

    def head(self, features: torch.Tensor) -> torch.Tensor:
        """The prediction, (B,), log10 of expression, from (B, T, channels)."""
        hidden = functional.pad(features.flatten(1), (0, self._half_life))
        for layer in self.dense[:-1]:
            hidden = functional.relu(layer(hidden))
        last: torch.Tensor = self.dense[-1](hidden)
        return last.squeeze(1)


def read_keras(path: Path) -> Xpresso:
    """The network of a Keras `.h5` file.

    Raises:
        UserError: if the file is something else, or its layers are not those of the published networks.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            layers = {entry["config"]["name"]: entry for entry in json.loads(file.attrs["model_config"])["config"]["layers"]}
            stored = file["model_weights"]
            kernels = [stored[name][name]["kernel:0"][:] for name in LAYERS]
            biases = [stored[name][name]["bias:0"][:] for name in LAYERS]
        pools = [int(layers[f"max_pooling1d_{number}"]["config"]["pool_size"][0]) for number in (1, 2)]
        half_life = int(layers["halflife"]["config"]["batch_input_shape"][1])
    except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
        raise UserError(
            f"features.weights: {path} is no Keras file of a published Xpresso network ({error}): check the path."
        ) from error
    tiles = (UPSTREAM + DOWNSTREAM) // int(np.prod(pools))
    if kernels[2].shape[0] != tiles * kernels[1].shape[2] + half_life:
        raise UserError(f"features.weights: the network in {path} does not read {UPSTREAM + DOWNSTREAM} bp, as Xpresso does.")
    return Xpresso(kernels, biases, pools, half_life).eval().requires_grad_(False)


class XpressoExtractor:
    """The channels of the last pooling, which the dense layers read: 35 tiles of 300 bp; and the prediction as a track.

    Attributes: see `WindowExtractor`.
    """

    name = "xpresso"
    upstream = UPSTREAM
    downstream = DOWNSTREAM
    gene_direction = True

    def __init__(self, path: Path, device: torch.device):
        self.weights = fingerprint(path)
        self.batch = default_batch(device, 32)
        self._network = read_keras(path).to(device)
        tile = int(np.prod(self._network.pools))
        self.tile_edges = np.arange((UPSTREAM + DOWNSTREAM) // tile + 1) * tile
        self.feature_names: list[FeatureName] = [
            (f"channel_{number}", "xpresso", "max") for number in range(self._network.channels)
        ]
        self.track_names = ["ln_expression"]

    def read(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features (B, 35, 32) and prediction (B, 1), natural log, of sequences (B, 10500) in the gene's direction."""
        features = self._network.features(one_hot(sequences))
        return features, self._network.head(features)[:, None] * math.log(10)


def make(settings: FeatureSettings, window_length: int, device: torch.device) -> XpressoExtractor:
    """The extractor of the settings."""
    path = find_weights(settings)
    if path.is_dir():
        raise UserError(f"features.weights: {path} is a folder, but Xpresso's weights are one .h5 file: give its path.")
    return XpressoExtractor(path, device)
