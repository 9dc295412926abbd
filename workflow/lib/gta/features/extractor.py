"""What a feature extractor is, and how one is made from the settings."""

import importlib
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from gta.errors import UserError
from gta.features.settings import EXTRACTORS, WITHOUT_WEIGHTS, FeatureSettings

#: (id, name, pool) of a feature column.
FeatureName = tuple[str, str, str]


@runtime_checkable
class TileExtractor(Protocol):
    """An extractor whose tiles depend on their own sequence (and a margin) only.

    It reads blocks, pieces of which a whole number makes a tile, and runs once per distinct block.

    Attributes:
        name: Its name in the settings.
        weights: Fingerprint of the weights, so that features of different ones are told apart; for the log and the store.
        feature_names: The F features.
        margin: Context on either side of a block, bp.
        batch: Blocks to read at once.
    """

    name: str
    weights: str
    feature_names: list[FeatureName]
    margin: int
    batch: int

    def block_length(self, tile_length: int) -> int:
        """The length of the blocks that tiles of a length are best cut into, bp; divides it."""
        ...

    def scan(self, blocks: torch.Tensor) -> torch.Tensor:
        """Read blocks.

        Args:
            blocks: (B, block length + 2 * margin) uint8, upper-case ASCII, on the device.

        Returns:
            (B, ...) float32, whatever `combine` needs of each block.
        """
        ...

    def combine(self, scanned: torch.Tensor, block_length: int) -> torch.Tensor:
        """Features of tiles from their blocks.

        Args:
            scanned: (R, b, ...) what `scan` gave for the b blocks of each of R tiles.
            block_length: Length of a block, bp.

        Returns:
            (R, F) float32.
        """
        ...


@runtime_checkable
class WindowExtractor(Protocol):
    """An extractor that reads one long sequence around the TSS, every part of which may change every tile.

    Attributes:
        name: Its name in the settings.
        weights: Fingerprint of the weights.
        feature_names: The F features.
        track_names: The K predictions of its own that it makes beside the features.
        upstream: Bases read before the TSS base.
        downstream: Bases read from the TSS base on.
        gene_direction: Is the sequence of a gene on the minus strand reverse-complemented? If not, upstream is left.
        tile_edges: (T + 1,) int64, borders of the tiles in the sequence as read, bp; neighbours touch.
        batch: Sequences to read at once.
    """

    name: str
    weights: str
    feature_names: list[FeatureName]
    track_names: list[str]
    upstream: int
    downstream: int
    gene_direction: bool
    tile_edges: np.ndarray
    batch: int

    def read(self, sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Read sequences.

        Args:
            sequences: (B, upstream + downstream) uint8, upper-case ASCII, on the device.

        Returns:
            Features (B, T, F) and tracks (B, K), float32.
        """
        ...


@runtime_checkable
class GeneExtractor(WindowExtractor, Protocol):
    """A window extractor that was trained on some of the genes, and computes each gene without what was learnt from it.

    Attributes:
        head: What turns the features of all tiles into the extractor's prediction: the fields of `gta.cnn.network.CnnConfig`.
    """

    head: dict[str, Any]

    def of_gene(self, gene: str, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Finish what `read` gave for the sequences of a gene.

        Args:
            gene: Name of the gene.
            features: (n, T, G), from `read`.

        Returns:
            Features (n, T, F) and tracks (n, K), float32, on the CPU.
        """
        ...


Extractor = TileExtractor | WindowExtractor


def default_batch(device: torch.device, on_gpu: int) -> int:
    """Sequences that a network reads at once if the settings do not say.

    One on the CPU, where more gain little: the last bits of a network's output depend on what else is in the batch, and features
    of a sequence must not depend on who else carries which.
    """
    return 1 if device.type == "cpu" else on_gpu


def make_extractor(settings: FeatureSettings, window_length: int, device: torch.device) -> Extractor:
    """The extractor that the settings name.

    Args:
        settings: The stage's settings.
        window_length: Length of the cohort's windows, bp.
        device: Where it computes.

    Raises:
        UserError: if its weights are missing or something else, or its package is not installed.
    """
    module, function = EXTRACTORS[settings.extractor].split(":")
    try:
        extractor: Extractor = getattr(importlib.import_module(module), function)(settings, window_length, device)
    except ModuleNotFoundError as error:
        raise UserError(
            f"features.extractor: {settings.extractor} needs the Python package {error.name}, which this environment lacks: run"
            " with --software-deployment-method conda, or install the packages that docs/features.md names."
        ) from error
    if settings.batch is not None:
        extractor.batch = settings.batch
    if settings.extractor not in WITHOUT_WEIGHTS:
        accelerate(extractor, settings, device)
    return extractor


def accelerate(extractor: Extractor, settings: FeatureSettings, device: torch.device) -> None:
    """Let the passes of a network be compiled, and computed in lower precision where autocast thinks it safe, if so wished.

    Args:
        extractor: The extractor, changed in place.
        settings: The stage's settings.
        device: Where it computes.
    """
    name = "read" if isinstance(extractor, WindowExtractor) else "scan"
    passes = getattr(extractor, name)
    if settings.compile:
        passes = torch.compile(passes)
    if settings.precision != "float32":
        passes = torch.autocast(device.type, dtype=getattr(torch, settings.precision))(passes)
    setattr(extractor, name, passes)
