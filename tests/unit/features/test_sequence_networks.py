"""Enformer and Borzoi of their own packages, with random weights of a small size: `make test-networks` builds what they need."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gta.errors import UserError
from gta.features.build import build_store
from gta.features.extractor import make_extractor
from gta.features.pooling import bin_edges, pool_bins
from gta.features.sequences import one_hot
from gta.features.settings import FeatureSettings

CPU = torch.device("cpu")


def random_batch(length: int) -> torch.Tensor:
    return torch.tensor(np.frombuffer(b"ACGT", dtype=np.uint8)[np.random.default_rng(3).integers(0, 4, size=(2, length))])


@pytest.fixture(scope="module")
def enformer_folder(tmp_path_factory) -> Path:
    package = pytest.importorskip("enformer_pytorch", reason="enformer-pytorch is not installed: make test-networks")
    folder = tmp_path_factory.mktemp("enformer")
    torch.manual_seed(1)
    network = package.Enformer.from_hparams(
        dim=48, depth=2, heads=2, output_heads={"human": 5313}, target_length=-1, dim_divisible_by=4
    )
    # Its modules share tensors, which safetensors refuses unless they are copied; one name of each is kept.
    network.save_pretrained(folder, state_dict={name: tensor.clone() for name, tensor in network.state_dict().items()})
    return folder


@pytest.fixture(scope="module")
def borzoi_folder(tmp_path_factory) -> Path:
    package = pytest.importorskip("borzoi_pytorch", reason="borzoi-pytorch is not installed: make test-networks")
    folder = tmp_path_factory.mktemp("borzoi")
    torch.manual_seed(1)
    network = package.Borzoi.from_hparams(dim=64, depth=1, heads=2, attn_dim_value=32)
    torch.nn.init.normal_(network.transformer[0][0].fn[1].to_out.weight)  # zero in the package
    network.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("length", [1024, 4096])
def test_enformer_equals_its_package(enformer_folder: Path, length: int) -> None:
    from enformer_pytorch import Enformer

    batch = random_batch(length)
    extractor = make_extractor(FeatureSettings(extractor="enformer", weights=str(enformer_folder), tokens=6), length, CPU)
    network = Enformer.from_pretrained(enformer_folder).eval()
    with torch.inference_mode():
        features, tracks = extractor.read(batch)
        output, trunk = network(one_hot(batch).transpose(1, 2), return_embeddings=True, target_length=length // 128)
    assert trunk.shape == (2, length // 128, 96)
    np.testing.assert_allclose(features, pool_bins(trunk, bin_edges(length // 128, 6)), atol=1e-5)
    middle = length // 256
    signal = output["human"][:, middle - 1 : middle + 2, 5110].mean(dim=1)
    np.testing.assert_allclose(tracks[:, 0], torch.log1p(signal), atol=1e-5)
    assert extractor.tile_edges.tolist() == (128 * bin_edges(length // 128, 6)).tolist()


def test_enformer_crops_windows_of_its_training(enformer_folder: Path) -> None:
    from enformer_pytorch import Enformer

    settings = FeatureSettings(extractor="enformer", weights=str(enformer_folder), tokens=1000)
    extractor = make_extractor(settings, 196_608, CPU)
    assert extractor.tile_edges[[0, -1]].tolist() == [40_960, 155_648] and len(extractor.tile_edges) == 897
    batch = random_batch(196_608)[:1]
    with torch.inference_mode():
        features, _ = extractor.read(batch)
        trunk = Enformer.from_pretrained(enformer_folder).eval()(
            one_hot(batch).transpose(1, 2), return_only_embeddings=True, target_length=896
        )
    np.testing.assert_allclose(features, trunk, atol=1e-5)


def test_borzoi_attends_by_true_distances_in_short_windows() -> None:
    pytest.importorskip("borzoi_pytorch", reason="borzoi-pytorch is not installed: make test-networks")
    from borzoi_pytorch.pytorch_borzoi_transformer import Attention

    from gta.features.borzoi import narrow_positions

    torch.manual_seed(2)
    layer = Attention(dim=8, heads=1, dim_key=4, dim_value=4, num_rel_pos_features=32).eval()
    torch.nn.init.normal_(layer.to_out.weight)  # zero in the package
    # Of each distance d the features at 4,095 + d in the layer's own table.
    keys_of_distance = layer.to_rel_k(layer.positions)
    tokens = torch.randn(1, 6, 8)
    query, key, value = layer.to_q(tokens)[0] * layer.scale, layer.to_k(tokens)[0], layer.to_v(tokens)[0]
    scores = (query + layer.rel_content_bias[0, 0]) @ key.T
    for i in range(6):
        for j in range(6):
            scores[i, j] += (query[i] + layer.rel_pos_bias[0, 0, 0]) @ keys_of_distance[4095 + j - i]
    expected = layer.to_out(scores.softmax(dim=1) @ value)
    narrow_positions(layer, 6)
    assert torch.allclose(layer(tokens)[0], expected, atol=1e-5)


def test_borzoi_equals_its_package(borzoi_folder: Path) -> None:
    from borzoi_pytorch import Borzoi

    length = 4096
    batch = random_batch(length)
    extractor = make_extractor(FeatureSettings(extractor="borzoi", weights=str(borzoi_folder), tokens=8), length, CPU)
    torch.manual_seed(1)
    network = Borzoi.from_hparams(dim=64, depth=1, heads=2, attn_dim_value=32).eval()
    torch.nn.init.normal_(network.transformer[0][0].fn[1].to_out.weight)
    network.crop.target_length = length // 32
    for layer in network.transformer:  # the package's attention fits windows of 524,288 bp only
        attention = layer[0].fn[1]
        attention.positions = attention.positions[4096 - 32 : 4095 + 32]
    with torch.inference_mode():
        features, tracks = extractor.read(batch)
        trunk = network.final_joined_convs(network.get_embs_after_crop(one_hot(batch))).transpose(1, 2)
        output = network(one_hot(batch))
    assert trunk.shape == (2, 128, 1920)
    np.testing.assert_allclose(features, pool_bins(trunk, bin_edges(128, 8)), atol=1e-5)
    signal = output[:, 870:872, 63:66].sum(dim=1).mean(dim=1)
    np.testing.assert_allclose(tracks[:, 0], torch.log1p(signal), atol=1e-5)


@pytest.mark.parametrize("name", ["enformer", "borzoi"])
def test_strand_average_is_the_same_for_both_strands(name: str, request) -> None:
    from gta.features.sequences import reverse_complement

    folder = request.getfixturevalue(f"{name}_folder")
    settings = FeatureSettings(extractor=name, weights=str(folder), strand_average=True)
    extractor = make_extractor(settings, 2048, CPU)
    batch = random_batch(2048)
    with torch.inference_mode():
        features, tracks = extractor.read(batch)
        opposite, opposite_tracks = extractor.read(reverse_complement(batch))
    np.testing.assert_allclose(features, opposite.flip(1), atol=1e-5)
    # An even number of bins: the middle three are shifted by one on the other strand.
    assert tracks.shape == opposite_tracks.shape == (2, 1)


def test_a_store_of_enformer_features(made, enformer_folder: Path, tmp_path: Path) -> None:
    panels, reference, genes = made
    settings = FeatureSettings(extractor="enformer", weights=str(enformer_folder), tokens=6)
    store, _ = build_store(panels, genes, reference, settings)
    assert store.tile_lengths == [256, 128, 128, 128, 128, 256] and store.track_names == ["human_5110"]
    assert store.tile_bounds("G2", 1900, "-")[[0, -1]].tolist() == [[1388, 1644], [2156, 2412]]
    network = make_extractor(settings, 1024, CPU)
    panel = panels.panel("G2")
    with torch.inference_mode():
        expected, _ = network.read(torch.tensor(panel.sequence(1, reference)[None]))
    assert store.gene("G2").haplotype(1).tobytes() == expected[0].numpy().tobytes()


@pytest.mark.parametrize("name", ["enformer", "borzoi"])
def test_other_weights_and_windows_are_refused(name: str, request, tmp_path: Path) -> None:
    folder = request.getfixturevalue(f"{name}_folder")
    with pytest.raises(UserError, match="multiple of"):
        make_extractor(FeatureSettings(extractor=name, weights=str(folder)), 1000, CPU)
    with pytest.raises(UserError, match=r"holds no whole|no folder of"):
        make_extractor(FeatureSettings(extractor=name, weights=str(tmp_path)), 1024, CPU)


def test_an_enformer_is_whole_or_refused(enformer_folder: Path, tmp_path: Path) -> None:
    from enformer_pytorch import Enformer

    weights = load_file(enformer_folder / "model.safetensors")
    shutil.copy(enformer_folder / "config.json", tmp_path / "config.json")
    names: dict[int, list[str]] = {}
    for name, tensor in Enformer.from_pretrained(enformer_folder).state_dict(keep_vars=True).items():
        names.setdefault(id(tensor), []).append(name)
    assert any(len(each) > 1 for each in names.values())

    def extract(kept: dict[str, torch.Tensor]) -> torch.Tensor:
        save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
        extractor = make_extractor(FeatureSettings(extractor="enformer", weights=str(tmp_path), tokens=6), 1024, CPU)
        with torch.inference_mode():
            return extractor.read(random_batch(1024))[0]

    # Converters keep a weight that has two names under one of them.
    torch.testing.assert_close(extract({each[0]: weights[each[0]] for each in names.values()}), extract(weights))
    for each in list(names.values())[:: len(names) // 5]:
        with pytest.raises(UserError, match="lacks the weights"):
            extract({name: tensor for name, tensor in weights.items() if name not in each})


def test_a_borzoi_is_whole_or_refused(borzoi_folder: Path, tmp_path: Path) -> None:
    weights = load_file(borzoi_folder / "model.safetensors")
    shutil.copy(borzoi_folder / "config.json", tmp_path / "config.json")
    name = min(weights)
    save_file({other: tensor for other, tensor in weights.items() if other != name}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=f"lacks the weights '{re.escape(name)}' of its Borzoi"):
        make_extractor(FeatureSettings(extractor="borzoi", weights=str(tmp_path)), 1024, CPU)
