"""The `borzoi` extractor (Linder et al., Nat Genet 2025), by the package borzoi-pytorch; Flashzoi too, on a GPU."""

import torch
from torch import nn

from gta.errors import UserError
from gta.features.binned import BinnedExtractor
from gta.features.extractor import default_batch
from gta.features.settings import FeatureSettings
from gta.features.weights import find_weights, fingerprint
from gta.networks.load import first_line, load_state, read_safetensors

#: Length of a bin and of a position of the attention, bp.
BIN, TOKEN = 32, 128
#: Length of the windows that Borzoi was trained on, bp, and the bins in their middle that it was trained to predict.
TRAINED_LENGTH, TRAINED_BINS = 524_288, 6144
#: What the package's list of tracks calls CAGE of GM12878, a lymphoblastoid cell line.
LYMPHOBLASTOID_TRACK = "CAGE:B lymphoblastoid cell line: GM12878 ENCODE, biol_"


def narrow_positions(attention: nn.Module, tokens: int) -> None:
    """Fit the position features of one of the package's attention layers to shorter sequences.

    The layer holds the features of the distances -4,095 to 4,095 and takes for granted that it reads 4,096 tokens: with fewer it
    would take wrong distances, and say nothing. The features of each distance stay those that it was trained with.

    Args:
        attention: The layer, whose buffer `positions` is (2 * 4096 - 1, features).
        tokens: Number of tokens that it will read.
    """
    positions = attention.get_buffer("positions")
    middle = len(positions) // 2
    attention.positions = positions[middle - tokens + 1 : middle + tokens].clone()


def make(settings: FeatureSettings, window_length: int, device: torch.device) -> BinnedExtractor:
    """The extractor of the settings.

    On windows of 524,288 bp it gives the 6,144 bins that it was trained on, on others all of them.

    Raises:
        UserError: if the weights are something else or do not fit the window.
    """
    from borzoi_pytorch import Borzoi
    from borzoi_pytorch.config_borzoi import BorzoiConfig
    from borzoi_pytorch.pytorch_borzoi_model import TRACKS_DF
    from borzoi_pytorch.pytorch_borzoi_transformer import Attention

    if window_length % TOKEN or window_length > TRAINED_LENGTH:
        raise UserError(
            f"features.extractor: Borzoi reads windows of a multiple of {TOKEN} bp, {TRAINED_LENGTH} bp at the most, not of"
            f" {window_length} bp; change cohort.window_length."
        )
    path = find_weights(settings)
    advice = "give the folder of a Borzoi or Flashzoi of borzoi-pytorch"
    try:
        # Not by from_pretrained, which leaves the position features of the package's attention without values.
        network = Borzoi(BorzoiConfig.from_pretrained(path))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, ImportError) as error:
        raise UserError(
            f"features.weights: {path} is no folder of a Borzoi of borzoi-pytorch ({first_line(error)}): {advice}."
        ) from error
    where, what = f"features.weights: {path}", "Borzoi of borzoi-pytorch"
    load_state(network, read_safetensors(path / "model.safetensors", where, what, advice), where, what, advice)
    bins = TRAINED_BINS if window_length == TRAINED_LENGTH else window_length // BIN
    network.crop.target_length = bins
    for module in network.modules():
        if isinstance(module, Attention):
            narrow_positions(module, window_length // TOKEN)
    network = network.eval().requires_grad_(False).to(device)
    named = TRACKS_DF["description"].str.startswith(LYMPHOBLASTOID_TRACK)
    # CAGE is stranded: both strands are summed, for the gene may lie on either.
    tracks = TRACKS_DF.index[named].tolist() if network.enable_human_head else []

    def read(sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        channels = network.final_joined_convs(network.get_embs_after_crop(sequences))
        features = channels.transpose(1, 2)
        if not tracks:
            return features, features[:, :, :0]
        head = network.human_head
        signal = torch.nn.functional.conv1d(channels, head.weight[tracks], head.bias[tracks])
        return features, network.final_softplus(signal).sum(dim=1)[:, :, None]

    return BinnedExtractor(
        "borzoi",
        fingerprint(path),
        read,
        window_length=window_length,
        bins=bins,
        bin_length=BIN,
        width=network.final_joined_convs[0].conv_layer.out_channels,
        track_names=["cage_gm12878"] if tracks else [],
        tiles=settings.tokens,
        strand_average=settings.strand_average,
        batch=default_batch(device, 2),
    )
