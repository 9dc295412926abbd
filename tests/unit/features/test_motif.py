"""The motif extractor against sums by hand, Biopython's scanner and its own long tiles."""

import numpy as np
import pyjaspar
import pytest
import torch
from Bio.motifs.matrix import PositionSpecificScoringMatrix

from gta.errors import UserError
from gta.features.motif import FLOOR, Motif, MotifExtractor, background, information, load_motifs, log_odds
from gta.features.sequences import one_hot, reverse_complement
from gta.features.settings import JASPAR_RELEASES


def letters(text: str) -> torch.Tensor:
    return torch.tensor(list(text.encode()), dtype=torch.uint8)


def random_sequence(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), size=length))


def test_log_odds_by_hand() -> None:
    counts = np.array([[8.0, 0.0], [0.0, 4.0], [1.0, 4.0], [0.0, 1.0]])
    odds = log_odds(counts)
    # First column, A: (8 + 0.295) / (9 + 1) / 0.295; second column, A: (0 + 0.295) / (9 + 1) / 0.295.
    assert odds[0, 0] == pytest.approx(np.log(8.295 / 10 / 0.295), rel=1e-5)
    assert odds[0, 1] == pytest.approx(np.log(0.1), rel=1e-5)
    assert odds[2, 1] == pytest.approx(np.log(4.205 / 10 / 0.205), rel=1e-5)


def test_one_hot_of_unknown_bases_is_zero() -> None:
    expected = torch.tensor([[[1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]]]).float()
    assert torch.equal(one_hot(letters("ACGTN")[None]), expected)


def test_an_unphased_heterozygote_is_half_of_each_base() -> None:
    # R = A or G, Y = C or T.
    assert one_hot(letters("RY")[None])[0].T.tolist() == [[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5]]


def test_the_opposite_strand() -> None:
    assert bytes(reverse_complement(letters("AACGTRYKMN")[None])[0].tolist()) == b"NKMRYACGTT"


def test_best_and_summed_match_by_hand() -> None:
    # A matrix of width 1 that likes A (score 2) and hates the rest (-1); its reverse complement likes T.
    matrix = np.full((4, 1), -1.0, dtype=np.float32)
    matrix[0] = 2.0
    extractor = MotifExtractor([Motif("X", "x", matrix)])
    assert extractor.margin == 0
    scanned = extractor.scan(letters("ACGT")[None])
    # Forward: 2 -1 -1 -1; reverse: -1 -1 -1 2.
    assert scanned[0, 0, 0].item() == 2.0
    assert scanned[0, 1, 0].item() == pytest.approx(np.log(2 * np.exp(2) + 6 * np.exp(-1)), rel=1e-6)
    features = extractor.combine(scanned[:, None], 4)
    assert features[0].tolist() == pytest.approx([2.0, np.log((2 * np.exp(2) + 6 * np.exp(-1)) / 8)], rel=1e-6)


def test_scores_equal_an_independent_scanner() -> None:
    motifs = [
        motif for motif in load_motifs("JASPAR2024", "lymphoblastoid") if motif.name.upper() in ("CTCF", "SPI1", "REST", "NRF1")
    ]
    assert len(motifs) >= 4
    extractor = MotifExtractor(motifs)
    text = random_sequence(600, seed=3)
    inner = slice(extractor.margin, len(text) - extractor.margin)
    scanned = extractor.scan(letters(text)[None])
    for number, motif in enumerate(motifs):
        size = motif.log_odds.shape[1]
        matrix = PositionSpecificScoringMatrix("ACGT", {base: motif.log_odds[i].tolist() for i, base in enumerate("ACGT")})
        forward = np.asarray(matrix.calculate(text))
        reverse = np.asarray(matrix.reverse_complement().calculate(text))
        # A match that begins at i has its centre at i + size // 2.
        centres = np.arange(len(forward)) + size // 2
        inside = (centres >= inner.start) & (centres < inner.stop)
        scores = np.concatenate([forward[inside], reverse[inside]])
        assert scanned[0, 0, number].item() == pytest.approx(scores.max(), abs=1e-4)
        assert scanned[0, 1, number].item() == pytest.approx(np.log(np.exp(scores.astype(float)).sum()), abs=1e-4)


def test_blocks_combine_to_the_tile_and_strands_are_equal() -> None:
    extractor = MotifExtractor(load_motifs("JASPAR2024", "lymphoblastoid")[:20])
    margin, block = extractor.margin, 32
    text = random_sequence(128 + 2 * margin, seed=5)
    whole = extractor.combine(extractor.scan(letters(text)[None])[:, None], 128)
    blocks = torch.stack([letters(text)[at : at + block + 2 * margin] for at in range(0, 128, block)])
    parts = extractor.combine(extractor.scan(blocks)[None], block)
    np.testing.assert_allclose(parts, whole, atol=1e-5)
    # With matrices of odd width, the reverse complement of a sequence has the same features.
    odd = MotifExtractor([m for m in load_motifs("JASPAR2024", "lymphoblastoid") if m.log_odds.shape[1] % 2][:5])
    text = text[: 128 + 2 * odd.margin]
    opposite = text[::-1].translate(str.maketrans("ACGT", "TGCA"))
    both = odd.combine(odd.scan(torch.stack([letters(text), letters(opposite)]))[:, None], 128)
    np.testing.assert_allclose(both[0], both[1], atol=1e-5)


def test_the_code_of_two_bases_scores_as_their_mean() -> None:
    # One column, of which only the minus strand's score is changed by reading A or G: -1, -1 and, as the mean, -1.
    matrix = np.array([[2.0], [-1.0], [-3.0], [-1.0]], dtype=np.float32)
    extractor = MotifExtractor([Motif("X", "x", matrix)])
    # Forward: A 2, G -3, R their mean -0.5; reverse: the score of T -1, of C -1, of Y their mean -1.
    for base, forward in (("A", 2.0), ("G", -3.0), ("R", -0.5)):
        scanned = extractor.scan(letters(base)[None])
        assert scanned[0, 1, 0].item() == pytest.approx(np.log(np.exp(forward) + np.exp(-1)), abs=1e-6)


def test_scores_are_told_apart_down_to_the_floor() -> None:
    # 20 columns that allow A alone: one mismatch costs 9.2 nats, twenty cost more than the floor.
    matrix = np.full((4, 20), -9.2, dtype=np.float32)
    matrix[0] = 1.2
    extractor = MotifExtractor([Motif("X", "x", matrix)])
    side = "C" * extractor.margin
    nearly = extractor.scan(letters("C" * 20 + "A" * 18 + "C" * 20)[None])
    assert nearly[0, 0, 0].item() == pytest.approx(18 * 1.2 - 2 * 9.2, rel=1e-5)
    assert extractor.scan(letters(side + "C" * 8 + side)[None])[0, 0, 0].item() == FLOOR


def test_features_are_named_in_the_order_of_the_columns() -> None:
    motifs = load_motifs("JASPAR2024", "lymphoblastoid")[:7]
    extractor = MotifExtractor(motifs)
    consensus = {i: "".join("ACGT"[j] for j in motif.log_odds.argmax(axis=0)) for i, motif in enumerate(motifs)}
    for number, motif in enumerate(motifs):
        assert extractor.feature_names[2 * number] == (motif.matrix_id, motif.name, "max")
        text = "N" * extractor.margin + consensus[number] + "N" * 40
        features = extractor.combine(extractor.scan(letters(text)[None])[:, None], len(text) - 2 * extractor.margin)
        # The consensus of a matrix reaches the highest score that the matrix has.
        assert features[0, 2 * number] == pytest.approx(motif.log_odds.max(axis=0).sum(), abs=1e-4)


def test_background_and_information_by_hand() -> None:
    assert background(0.4).tolist() == pytest.approx([0.3, 0.2, 0.2, 0.3])
    # Even frequencies: a column that is always A says two bits, one that is A or C says one, and one of all bases none.
    odds = np.log(np.array([[4, 1e-9, 1e-9, 1e-9], [2, 2, 1e-9, 1e-9], [1, 1, 1, 1]]).T)
    assert information(odds, 0.5) == pytest.approx(3.0)
    # A column that is always G says more where G is rare.
    assert information(np.log(np.array([[1e-9], [1e-9], [10], [1e-9]])), 0.2) == pytest.approx(np.log2(10))


def test_matrices_of_little_information_are_left_out() -> None:
    every = load_motifs("JASPAR2024", "lymphoblastoid")
    bits = [information(motif.log_odds) for motif in every]
    some = load_motifs("JASPAR2024", "lymphoblastoid", min_information=float(np.median(bits)))
    assert [motif.matrix_id for motif in some] == [
        m.matrix_id for m, bit in zip(every, bits, strict=True) if bit >= np.median(bits)
    ]
    assert 0.4 < len(some) / len(every) < 0.6
    with pytest.raises(UserError, match=r"lower features\.min_information"):
        MotifExtractor(load_motifs("JASPAR2024", "lymphoblastoid", min_information=100.0))


def test_factors_from_a_file(tmp_path) -> None:
    path = tmp_path / "factors.txt"
    path.write_text("# mine\nctcf\nMA0138.3\n")
    names = {motif.name for motif in load_motifs("JASPAR2024", str(path))}
    assert names == {"CTCF", "REST"}


@pytest.mark.parametrize(
    ("release", "factors", "sentence"),
    [
        ("JASPAR1999", "all", "choose one of"),
        ("JASPAR2024", "/no/such/file", "nor a readable text file"),
    ],
)
def test_wrong_choices_are_refused(release: str, factors: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        load_motifs(release, factors)


def test_an_unknown_factor_is_named(tmp_path) -> None:
    path = tmp_path / "factors.txt"
    path.write_text("CTCF\nNOSUCHFACTOR\n")
    with pytest.raises(UserError, match="NOSUCHFACTOR"):
        load_motifs("JASPAR2024", str(path))


def test_releases_of_the_settings_are_those_of_the_package() -> None:
    assert set(pyjaspar.jaspar_releases) <= set(JASPAR_RELEASES) and len(JASPAR_RELEASES) == 7
