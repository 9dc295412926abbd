"""The `enformer` extractor (Avsec et al., Nat Methods 2021), by the package enformer-pytorch."""

import torch

from gta.errors import UserError
from gta.features.binned import BinnedExtractor
from gta.features.extractor import default_batch
from gta.features.settings import FeatureSettings
from gta.features.weights import find_weights, fingerprint
from gta.networks.load import load_network

#: Length of the windows that Enformer was trained on, bp, and the bins in their middle that it was trained to predict.
TRAINED_LENGTH, TRAINED_BINS = 196_608, 896
#: Position features per head of the published network, which its table of TensorFlow's gamma values fits.
PUBLISHED_POSITION_FEATURES = 192
#: CAGE of GM12878, a lymphoblastoid cell line: number of the human track, from 0.
LYMPHOBLASTOID_TRACK = 5110


def make(settings: FeatureSettings, window_length: int, device: torch.device) -> BinnedExtractor:
    """The extractor of the settings.

    On windows of 196,608 bp it gives the 896 bins that it was trained on, on others all of them.

    Raises:
        UserError: if the weights are something else or do not fit the window.
    """
    from enformer_pytorch import Enformer
    from enformer_pytorch.modeling_enformer import Attention

    path = find_weights(settings)
    try:
        network, _ = load_network(Enformer, path, "features.weights", "Enformer of enformer-pytorch", (), use_safetensors=True)
    except UserError as error:
        raise UserError(f"{error} Pickled weights are not read; docs/features.md says how to convert them.") from error
    config = network.config
    bin_length = 2**config.num_downsamples
    if window_length % (2 * bin_length):
        raise UserError(
            f"features.extractor: Enformer reads windows of a multiple of {2 * bin_length} bp, not of {window_length} bp;"
            " change cohort.window_length."
        )
    trained = window_length == TRAINED_LENGTH
    # TensorFlow's gamma function differs from PyTorch's; enformer-pytorch ships its values for the published geometry only.
    gamma = trained and config.dim // config.heads == PUBLISHED_POSITION_FEATURES
    for module in network.modules():
        if isinstance(module, Attention):
            module.use_tf_gamma = gamma
    bins = TRAINED_BINS if trained and bin_length == 128 else window_length // bin_length
    network.set_target_length(bins)
    network = network.eval().requires_grad_(False).to(device)
    human = config.output_heads.get("human", 0)
    tracks = [LYMPHOBLASTOID_TRACK] if human > LYMPHOBLASTOID_TRACK else []

    def read(sequences: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = network(sequences.transpose(1, 2), return_only_embeddings=True)
        if not tracks:
            return features, features[:, :, :0]
        linear, softplus = network.heads["human"]
        signal = torch.nn.functional.linear(features, linear.weight[tracks], linear.bias[tracks])
        return features, softplus(signal)

    return BinnedExtractor(
        "enformer",
        fingerprint(path),
        read,
        window_length=window_length,
        bins=bins,
        bin_length=bin_length,
        width=2 * config.dim,
        track_names=[f"human_{track}" for track in tracks],
        tiles=settings.tokens,
        strand_average=settings.strand_average,
        batch=default_batch(device, 4),
    )
