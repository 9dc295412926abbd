"""Integrated gradients with known answers, words by hand, logos, pages and files for genome browsers."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
from tokenizers import Tokenizer, models
from torch import nn
from transformers import PreTrainedTokenizerFast

from gta.aligner.data import AlignerData, Batch, Scaling
from gta.aligner.predict import Trained
from gta.aligner.reading import Reader
from gta.attribution.browsers import write_hub, write_session
from gta.attribution.integrated import integrated_gradients
from gta.attribution.page import page_data, write_page
from gta.attribution.stretches import WIDTH, base_importance, draw_logos, strongest
from gta.attribution.tiles import haplotypes_of, most_carried
from gta.attribution.tracks import write_base_track, write_tracks
from gta.attribution.words import nearest_tokens, prototype_attention, table_of_words
from gta.language.models import word_embeddings
from toy_cohort import TILES, make_cohort, make_language_model, make_store, make_training, with_random_readout


class Cubic(nn.Module):
    """Mean: 5 + the sum of squares + the sum of cubes of all features. From zero, integrated gradients are each square + cube."""

    def forward(self, batch: Batch, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
        mean = 5 + (batch.features**2 + batch.features**3).sum(dim=(1, 2))
        return mean, mean


def toy(model: nn.Module) -> Trained:
    store = make_store()
    data = AlignerData(make_cohort(store), store, Scaling.fit(store, store.genes, np.arange(40)))
    return Trained(model, data, Reader(None, None, None))  # type: ignore[arg-type]


def test_integrated_gradients_of_a_cubic_are_exact_and_complete() -> None:
    trained = toy(Cubic())
    x = trained.data.batch([(3, np.array([0]))]).features[0].double()
    expected = (x**2 + x**3).sum(dim=1).numpy()
    # Gauss-Legendre quadrature of two points is exact for the gradient of a cubic.
    found, change, gap = integrated_gradients(trained, 3, 2, "reference", 10)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert change == pytest.approx(expected.sum(), rel=1e-4) and gap == pytest.approx(0, abs=1e-3)


def test_integrated_gradients_of_people_are_weighted_by_carriers() -> None:
    trained = toy(Cubic())
    numbers, counts = most_carried(trained.data.carriers(3), 4)
    x = trained.data.batch([(3, numbers)]).features.double()
    expected = np.average((x**2 + x**3).sum(dim=2).numpy(), axis=0, weights=counts)
    found, _, _ = integrated_gradients(trained, 3, 4, "personal", 4)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert haplotypes_of(trained.data, 3, "personal", 4)[1].sum() == pytest.approx(1)
    assert not np.allclose(found, integrated_gradients(trained, 3, 4, "reference", 4)[0])


def test_completeness_gap_shrinks_with_the_steps_on_a_real_aligner() -> None:
    store = make_store()
    training = with_random_readout(make_training(make_cohort(store), store, make_language_model()))
    training.aligner.eval()
    trained = Trained(training.aligner, training.setup.data, training.setup.reader)
    coarse, fine = (integrated_gradients(trained, 2, steps, "reference", 1) for steps in (2, 64))
    assert abs(fine[2]) < abs(coarse[2]) and abs(fine[2]) < 1e-3 * max(1, abs(fine[1]))
    assert fine[0].sum() - fine[1] == pytest.approx(fine[2], abs=1e-5)


@pytest.fixture(scope="module")
def aligned() -> Trained:
    store = make_store()
    training = with_random_readout(make_training(make_cohort(store), store, make_language_model()))
    training.aligner.eval()
    return Trained(training.aligner, training.setup.data, training.setup.reader)


def test_prototype_attention_by_hand(aligned: Trained) -> None:
    found = prototype_attention(aligned, 2, "reference", 1)
    aligner, batch = aligned.aligner, aligned.data.batch([(2, np.array([0]))])
    with torch.no_grad():
        signs = torch.stack([batch.position, batch.position.abs(), (batch.position.abs() < 1).float()], dim=2)
        content = aligner.project(batch.features) + aligner.project_difference(batch.difference) + aligner.position(signs)
        query, key = aligner.query_norm(content)[0], aligner.prototype_norm(aligner.prototypes)
        weight, bias = aligner.attention.in_proj_weight, aligner.attention.in_proj_bias
        width = query.shape[1]
        q, k = query @ weight[:width].T + bias[:width], key @ weight[width : 2 * width].T + bias[width : 2 * width]
        half = width // 2
        by_head = [torch.softmax(q[:, part] @ k[:, part].T / half**0.5, dim=1) for part in (slice(half), slice(half, None))]
    np.testing.assert_allclose(found, torch.stack(by_head).mean(dim=0).numpy(), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)


def test_prototype_attention_over_people_is_the_weighted_mean_of_their_haplotypes(aligned: Trained) -> None:
    numbers, weights = haplotypes_of(aligned.data, 2, "personal", 5)
    assert len(numbers) > 1
    aligner, batch = aligned.aligner, aligned.data.batch([(2, numbers)])
    each = []
    with torch.no_grad():
        signs = torch.stack([batch.position, batch.position.abs(), (batch.position.abs() < 1).float()], dim=2)
        content = aligner.project(batch.features) + aligner.project_difference(batch.difference) + aligner.position(signs)
        words = aligner.prototype_norm(aligner.prototypes)[None]
        for queries in aligner.query_norm(content):
            each.append(aligner.attention(queries[None], words, words, need_weights=True)[1][0].double().numpy())
    expected = np.tensordot(weights, np.stack(each), axes=1)
    np.testing.assert_allclose(prototype_attention(aligned, 2, "personal", 5), expected, atol=1e-6)


def test_words_stand_in_reference_order_and_name_the_nearest_tokens(aligned: Trained, tmp_path: Path) -> None:
    model = make_language_model()
    vocabulary = {f"w{number}": number for number in range(39)} | {" a\n": 39}
    PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel(vocabulary, unk_token="w0"))).save_pretrained(tmp_path)
    # A prototype that is a word's vector, at any length, is nearest to that word.
    prototypes = word_embeddings(model)[[7, 39]] * torch.tensor([[3.0], [0.1]])
    nearest = nearest_tokens(prototypes, model, tmp_path, 2)
    assert nearest[0].split()[0] == "w7" and len(nearest[0].split()) == 2 and nearest[1].split()[0] == "_a_"

    tiles = pd.DataFrame({"start": np.arange(TILES) * 1000, "end": np.arange(1, TILES + 1) * 1000})
    tiles["distance"] = -(np.arange(TILES) - TILES / 2 + 0.5) * 1000  # minus strand
    table = table_of_words([aligned], 2, tiles, [[f"t{i}" for i in range(7)]], "reference", 1, 2)
    shares = prototype_attention(aligned, 2, "reference", 1)[::-1]
    first = table[table["rank"] == 1]
    np.testing.assert_allclose(first["attention"], shares.max(axis=1))
    assert first["tokens"].tolist() == [f"t{best}" for best in shares.argmax(axis=1)]
    assert first["start"].tolist() == tiles["start"].tolist() and (table["seed"] == 1).all() and len(table) == 2 * TILES


def test_words_of_pooled_tiles_are_those_of_their_token_and_without_prototypes_there_are_none() -> None:
    store = make_store()
    tiles = pd.DataFrame({"start": np.arange(TILES) * 1000, "end": np.arange(1, TILES + 1) * 1000})
    tiles["distance"] = (np.arange(TILES) - TILES / 2 + 0.5) * 1000
    tables = []
    for settings in ({"aligned_tokens": 3}, {"alignment": "none"}):
        training = make_training(make_cohort(store), store, make_language_model(), **settings)
        training.aligner.eval()
        one = Trained(training.aligner, training.setup.data, training.setup.reader)
        tables.append(table_of_words([one], 2, tiles, [[f"t{i}" for i in range(7)]], "reference", 1, 1))
    pooled, none = tables
    assert pooled["start"].tolist() == tiles["start"].tolist()
    assert 1 < pooled["attention"].nunique() <= 3
    assert none.empty and none.columns.tolist() == pooled.columns.tolist()


def mutations(positions: range, peak: int) -> pd.DataFrame:
    """Changes of every base; those at the peak lower the mean by 3, 2 and 1."""
    rows = [("G", at, "A", alt, "base", -step if at == peak else 0.0)
            for at in positions for step, alt in zip((3.0, 2.0, 1.0), "CGT", strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["gene", "position", "ref", "alt", "kind", "effect_mean"])


def test_importance_is_minus_the_mean_of_three_changes_and_stretches_do_not_overlap(tmp_path: Path) -> None:
    importance = base_importance(mutations(range(1000, 1200), 1100))
    assert importance.set_index("position")["importance"].loc[[1099, 1100]].tolist() == [0.0, 2.0]
    importance.loc[importance["position"] == 1150, "importance"] = -5.0
    found = list(strongest(importance))
    assert [1150 in set(stretch["position"]) for stretch in found] == [True, False]
    assert 1100 in set(found[1]["position"]) and all(len(stretch) == WIDTH for stretch in found)
    assert not set(found[0]["position"]) & set(found[1]["position"])
    # A gap (an unknown base) is never within a stretch.
    assert not list(strongest(importance.iloc[::2])) and not list(strongest(importance[:5]))
    path = tmp_path / "l.svg"
    # A dollar sign in a name begins no formula.
    draw_logos(r"$\frac{G$", r"$\frac{c1$", found, path)
    text = path.read_text()
    draw_logos(r"$\frac{G$", r"$\frac{c1$", found, path)
    assert path.read_text() == text and text.count("<path") > 2


@pytest.fixture
def gene() -> pd.Series:
    columns = {"gene": "G/1", "symbol": "<S>", "contig": "22", "strand": "-", "tss": 1500, "window_start": 0, "window_end": 3000}
    return pd.Series(columns)


def tiles_of(gene: pd.Series) -> pd.DataFrame:
    table = pd.DataFrame({"start": [0, 1000, 2000], "end": [1000, 2000, 3000], "tile": [0, 1, 2], "distance": [1000.0, 0, -1000]})
    table["deletion"], table["gradient_x_input"], table["personal"] = [1.0, 2.0, 3.0], [0.5, np.nan, -1], [0.0, 0.1, 0.2]
    return table.assign(gene=gene["gene"], contig=gene["contig"], integrated_gradients=0.25)


def test_the_tracks_of_hub_and_session_exist_and_stand_at_the_right_bases(gene: pd.Series, tmp_path: Path) -> None:
    write_tracks(tiles_of(gene).fillna(0.0), {"22": 2500}, tmp_path)
    importance = pd.DataFrame({"position": [1400, 1401, 1403], "base": ["A", "C", "G"], "importance": [0.1, -0.2, 0.3]})
    write_base_track("G/1", "22", importance, {"22": 2500}, tmp_path)
    with pyBigWig.open(str(tmp_path / "G_1.base_importance.bw")) as track:
        assert track.values("22", 1400, 1402) == pytest.approx([0.1, -0.2])
        assert track.values("22", 1403, 1404) == pytest.approx([0.3]) and np.isnan(track.values("22", 1402, 1403)[0])
    assert (tmp_path / "G_1.base_importance.bedgraph").read_text().splitlines()[2] == "22\t1401\t1402\t-0.2"

    genes = gene.to_frame().T
    write_hub(genes, ["G/1"], "hg19", tmp_path)
    hub = (tmp_path / "hub.txt").read_text()
    files = re.findall(r"^bigDataUrl (\S+)$", hub, re.MULTILINE)
    assert len(files) == 4 and all((tmp_path / file).exists() for file in files)
    assert "useOneFile on" in hub and "\ngenome hg19\n" in hub
    stanzas = [stanza.split("\n") for stanza in hub.split("\n\n")]
    names = [line.split()[1] for stanza in stanzas for line in stanza if line.startswith("track ")]
    parents = {line.split()[1] for stanza in stanzas for line in stanza if line.startswith("parent ")}
    assert len(names) == len(set(names)) and parents <= set(names)
    # hub.txt, then the genome, then stanzas that begin with the name of a track: letters, digits and underscores only.
    assert [line.split()[0] for line in stanzas[0]] == ["hub", "shortLabel", "longLabel", "useOneFile", "email"]
    assert all(stanza[0].startswith("track ") for stanza in stanzas[2:] if any(stanza))
    assert all(re.fullmatch(r"[A-Za-z]\w*", name) for name in names)
    for key, limit in (("shortLabel", 17), ("longLabel", 80)):
        assert all(len(label) <= limit for label in re.findall(rf"^{key} (.*)$", hub, re.MULTILINE)), key
    (tmp_path / "G_1.base_importance.bw").unlink()
    write_hub(genes, [], "hg19", tmp_path)
    assert "base_importance" not in (tmp_path / "hub.txt").read_text(), "a super-track without members"
    write_base_track("G/1", "22", importance, {"22": 2500}, tmp_path)

    write_session(genes, ["G/1"], "hg19", tmp_path)
    session = ElementTree.parse(tmp_path / "igv_session.xml").getroot()
    assert session.get("locus") == "22:1-3000" and session.get("genome") == "hg19"
    resources = [resource.get("path") for resource in session.iter("Resource")]
    assert sorted(resources) == sorted(files) and [track.get("id") for track in session.iter("Track")] == resources


def test_a_page_holds_its_data_and_no_link_to_the_network(gene: pd.Series, tmp_path: Path) -> None:
    variants = pd.DataFrame({"position": [10], "ref": ["A"], "alt": ["</script>"], "kind": ["variant"], "frequency": [0.123456],
                             "effect_deviation": [1e-5], "effect_mean": [0.0]})  # fmt: skip
    words = pd.DataFrame({"start": [0, 0, 1000], "rank": [1, 1, 1], "tokens": ["one", "two", "three"]})
    elements = pd.DataFrame({"gene": ["", "other", ""], "contig": "22", "start": [100, 200, 5000], "end": [110, 210, 5010]})
    tiles = tiles_of(gene)
    data = page_data(gene, tiles, tiles, words, variants, base_importance(variants), elements, gene.to_frame().T)
    write_page(gene, data, tmp_path / "p.html")
    text = (tmp_path / "p.html").read_text()
    kept = json.loads(re.search(r"^const D = (.*);$", text, re.MULTILINE).group(1).replace("<\\/", "</"))  # type: ignore[union-attr]
    assert kept["rows"][1]["values"] == [0.5, None, -1.0] and kept["elements"] == [[100, 110]]
    assert kept["tiles"]["words"] == ["one | two", "three", ""] and kept["variants"]["change"] == ["A></script>"]
    assert kept["variants"]["frequency"] == [0.1235]
    assert "&lt;S&gt;" in text and text.count("</script>") == 1 and "NaN" not in text
    assert not re.findall(r"(?:src|href)=|https?://(?!www\.w3\.org/2000/svg)", text) and len(text) < 20_000
