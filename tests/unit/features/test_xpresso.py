"""Xpresso against a plain NumPy network and against measured expression."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr

from gta.errors import UserError
from gta.features.sequences import reverse_complement
from gta.features.settings import FeatureSettings
from gta.features.xpresso import Xpresso, XpressoExtractor, make, read_keras
from gta.haplotypes import Reference


def plain_network(sequence, kernels, biases, pools, half_life) -> tuple[np.ndarray, float]:
    """What Keras computes, written out for one sequence (L, 4)."""
    hidden = sequence
    for kernel, bias, pool in zip(kernels, biases, pools, strict=False):
        width, left = len(kernel), (len(kernel) - 1) // 2
        padded = np.pad(hidden, ((left, width - 1 - left), (0, 0)))
        convolved = np.stack([np.einsum("wi,wio->o", padded[at : at + width], kernel) for at in range(len(hidden))]) + bias
        whole = len(convolved) // pool * pool
        hidden = np.maximum(convolved, 0)[:whole].reshape(-1, pool, kernel.shape[2]).max(axis=1)
    features = hidden
    values = np.concatenate([features.ravel(), np.zeros(half_life)])
    for number, (kernel, bias) in enumerate(zip(kernels[len(pools) :], biases[len(pools) :], strict=True)):
        values = values @ kernel + bias
        if number < 2:
            values = np.maximum(values, 0)
    return features, float(values[0])


def test_the_network_equals_a_plain_one() -> None:
    generator = np.random.default_rng(2)
    shapes = [(6, 4, 5), (3, 5, 2), (4 * 2 + 3, 4), (4, 2), (2, 1)]
    kernels = [generator.normal(size=shape).astype(np.float32) for shape in shapes]
    biases = [generator.normal(size=shape[-1]).astype(np.float32) for shape in shapes]
    network = Xpresso(kernels, biases, [5, 2], half_life=3).eval()
    sequence = np.eye(4, dtype=np.float32)[generator.integers(0, 4, size=41)]
    features, prediction = plain_network(sequence, kernels, biases, [5, 2], 3)
    with torch.no_grad():
        ours = network.features(torch.from_numpy(sequence.T.copy())[None])
        head = network.head(ours)
    assert features.shape == (4, 2)
    np.testing.assert_allclose(ours[0].numpy(), features, atol=1e-5)
    assert head.item() == pytest.approx(prediction, abs=1e-4)


def test_the_published_weights_rank_real_genes(real_data: Path) -> None:
    # Every gene of the region whose 10.5 kb around the TSS hold no N; genotypes and cohort play no part.
    extractor = XpressoExtractor(real_data / "models" / "xpresso.GM12878.h5", torch.device("cpu"))
    assert len(extractor.tile_edges) == 36 and len(extractor.feature_names) == 32
    reference = Reference(real_data / "geuvadis-chr22" / "reference.fa.gz")
    table = pd.read_csv(real_data / "geuvadis-chr22" / "expression.rpkm.bed.gz", sep="\t")
    predicted, measured = [], []
    for row in table[table["end"] <= 22_000_000].itertuples(index=False):
        tss, minus = int(row.start), row.strand == "-"
        bounds = (tss - 3499, tss + 7001) if minus else (tss - 7000, tss + 3500)
        sequence = reference.fetch("22", *bounds)
        if (sequence == ord("N")).any():
            continue
        batch = torch.tensor(sequence[None])
        with torch.inference_mode():
            predicted.append(extractor.read(reverse_complement(batch) if minus else batch)[1].item())
        measured.append(np.log10(np.mean(np.array(row[6:], dtype=float))))
    assert len(predicted) == 97
    assert spearmanr(predicted, measured)[0] == pytest.approx(0.357, abs=0.01)


def test_other_files_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(UserError, match="no Keras file of a published Xpresso network"):
        read_keras(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(UserError, match="no Keras file of a published Xpresso network"):
        read_keras(tmp_path / "other.h5")
    for weights, sentence in ((None, "needs weights"), (str(tmp_path / "no.h5"), "there is no"), (str(tmp_path), "is a folder")):
        with pytest.raises(UserError, match=sentence):
            make(FeatureSettings(extractor="xpresso", weights=weights), 16_384, torch.device("cpu"))
