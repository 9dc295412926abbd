"""Settings of the trained extractor."""

from dataclasses import dataclass

from gta.errors import UserError
from gta.settings import setting

#: Product of the strides of the first two poolings, bp: a tile is a multiple of it.
STRIDE = 16


@dataclass(frozen=True)
class CnnSettings:
    """The convolutional network of `features.extractor: cnn`, trained on the mean expression of the training genes."""

    upstream: int = setting(
        896, "Bases read before the TSS base, in the gene's direction; a multiple of the tile length.", minimum=0
    )
    downstream: int = setting(1024, "Bases read from the TSS base on; a multiple of the tile length.", minimum=16)
    networks: int = setting(
        4,
        "Number of networks, whose features are averaged. Each is trained without one part of the training genes, so that every"
        " training gene has features from a network that did not learn from it.",
        minimum=2,
    )
    channels: int = setting(64, "Channels of each convolution.", minimum=4)
    tile_channels: int = setting(16, "Features of a tile that each network gives.", minimum=1)
    dropout: float = setting(0.3, "Dropout before the dense layers.", minimum=0, maximum=0.9)
    masked_bases: float = setting(0.05, "Share of the bases that are hidden at random in training.", minimum=0, maximum=0.9)
    shift: int = setting(8, "Sequences are shifted at random by up to this many bases in training.", minimum=0)
    epochs: int = setting(8, "Passes over the training genes.", minimum=1)
    batch: int = setting(64, "Genes in a batch.", minimum=2)
    learning_rate: float = setting(
        2e-3, "Peak learning rate of AdamW; warm-up over a tenth of the steps, then a cosine.", minimum=0
    )
    weight_decay: float = setting(0.05, "Weight decay of AdamW.", minimum=0)
    precision: str = setting(
        "auto",
        "Precision of the convolutions in training: bfloat16, float32, or auto (bfloat16 on a GPU and on CPUs that compute in it"
        " natively). Features are always computed in the precision of `features.precision`.",
        choices=("auto", "float32", "bfloat16"),
    )
    device: str = setting("auto", "auto: a GPU if there is one; cpu; or cuda.", choices=("auto", "cpu", "cuda"))


def check(settings: CnnSettings, tile_length: int) -> None:
    """Check that the sequence is a whole number of tiles.

    Raises:
        UserError: naming the setting.
    """
    if tile_length % STRIDE:
        raise UserError(f"features.tile_length: with the extractor cnn a multiple of {STRIDE} is needed, not {tile_length}.")
    for name in ("upstream", "downstream"):
        if getattr(settings, name) % tile_length:
            raise UserError(
                f"cnn.{name}: {getattr(settings, name)} bp are not a whole number of tiles of {tile_length} bp"
                " (features.tile_length); choose a multiple of it."
            )
