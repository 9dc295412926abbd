"""Attribution: exact numbers on a linear toy, enrichment by hand, tracks read back by pyBigWig."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyBigWig
import pysam
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

from gta.aligner.data import AlignerData, Batch, Scaling
from gta.aligner.predict import Trained
from gta.aligner.reading import Reader
from gta.attribution.enrichment import (
    auroc,
    average_precision,
    enrichment,
    gc_content,
    mark_tiles,
    nearest_edge,
    read_elements,
    require_shared_contigs,
    with_genes_of,
)
from gta.attribution.figures import chosen_genes, draw_gene, require_genes
from gta.attribution.run import attribute_cohort
from gta.attribution.tiles import attribute_gene, most_carried
from gta.attribution.tracks import write_tracks
from gta.errors import UserError
from gta.haplotypes import Reference
from toy_cohort import FEATURES, TILES, make_cohort, make_store

NOBODY = Reader(None, None, None)


class Linear(nn.Module):
    """Mean: the weighted sum of all features; deviation: the same plus that of the differences. Attribution is known exactly."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = torch.arange(1.0, FEATURES + 1)

    def forward(self, batch: Batch, *_: object) -> tuple[torch.Tensor, torch.Tensor]:
        mean = (batch.features @ self.weights).sum(dim=1)
        return mean, mean + (batch.difference @ self.weights).sum(dim=1)


def test_a_linear_model_is_attributed_exactly() -> None:
    store = make_store()
    cohort, model = make_cohort(store), Linear()
    data = AlignerData(cohort, store, Scaling.fit(store, store.genes, np.arange(40)))
    found = attribute_gene(model, data, NOBODY, 3, limit=100)  # type: ignore[arg-type]
    expected = (data.batch([(3, np.array([0]))]).features[0] @ model.weights).numpy()
    np.testing.assert_allclose(found.gradient_x_input, expected, rtol=1e-4, atol=1e-4)
    # For a linear model, deleting a tile takes away what the gradient says.
    np.testing.assert_allclose(found.deletion, expected, rtol=1e-4, atol=1e-4)

    numbers, counts = most_carried(data.carriers(3), 100)
    batch, reference = data.batch([(3, numbers)]), data.batch([(3, np.array([0]))])
    differences = ((batch.features - reference.features + batch.difference) @ model.weights).abs().numpy()
    np.testing.assert_allclose(found.personal, counts @ differences / counts.sum(), rtol=1e-4)


def test_most_carried_counts_haplotypes_not_the_absent_and_draws_lots_among_equals() -> None:
    carriers = np.array([[0, 2], [2, -1], [1, 2], [3, 3], [4, 5]], dtype=np.int32)
    numbers, counts = most_carried(carriers, 2)
    assert numbers.tolist() == [2, 3] and counts.tolist() == [3, 2]
    numbers, counts = most_carried(carriers, 4)
    assert set(numbers[2:].tolist()) < {0, 1, 4, 5} and counts.tolist() == [3, 2, 1, 1]
    assert most_carried(carriers, 4)[0].tolist() == numbers.tolist()
    many = most_carried(np.arange(200, dtype=np.int32).reshape(-1, 2), 20)[0]
    assert many.max() > 100


def test_the_table_stands_in_reference_order() -> None:
    store = make_store()
    cohort, model = make_cohort(store), Linear()
    data = AlignerData(cohort, store, Scaling.fit(store, store.genes, np.arange(40)))
    table = attribute_cohort([Trained(model, data, NOBODY)] * 2, cohort, store, 8)  # type: ignore[arg-type]
    assert len(table) == len(cohort.genes) * TILES and (table["n_seeds"] == 2).all()
    minus = table[table["gene"] == "G0"]
    assert minus["start"].tolist() == [0, 1000, 2000, 3000, 4000, 5000]
    assert minus["distance"].tolist() == store.gene("G0").tile_distance.tolist()
    scaled = (torch.from_numpy(store.gene("G0").haplotype(0)) - data_mean(store)) / data_sd(store)
    np.testing.assert_allclose(minus["gradient_x_input"], (scaled @ model.weights).numpy(), rtol=1e-4, atol=1e-4)


def data_mean(store) -> torch.Tensor:
    return Scaling.fit(store, store.genes, np.arange(40)).mean


def data_sd(store) -> torch.Tensor:
    return Scaling.fit(store, store.genes, np.arange(40)).sd


@pytest.fixture
def tiles() -> pd.DataFrame:
    rows = []
    for gene, first in (("A", 1000), ("B", 5000)):
        for tile in range(5):
            start = first + tile * 100
            rows.append((gene, "c1", start, start + 100, tile, (tile - 2) * 5000.0, float(tile), 0.0, float(5 - tile), 1))
    columns = ["gene", "contig", "start", "end", "tile", "distance", "gradient_x_input", "deletion", "personal", "n_seeds"]
    return pd.DataFrame(rows, columns=columns)


def test_tiles_are_marked_by_overlap_and_gene(tiles: pd.DataFrame) -> None:
    elements = pd.DataFrame(
        {
            "gene": ["A", "A", "", ""],
            "contig": ["c1", "c1", "c1", "c2"],
            "start": [1099, 1200, 5400, 1000],
            "end": [1101, 1300, 5500, 1500],
        }
    )
    marked = mark_tiles(tiles, elements)
    assert np.flatnonzero(marked).tolist() == [0, 1, 2, 9]


def test_auroc_and_average_precision_equal_scikit_learn_and_counts_ties_half() -> None:
    generator = np.random.default_rng(0)
    score, positive = generator.integers(0, 5, size=(4, 60)).astype(float), generator.random((3, 60)) < 0.3
    found = auroc(score, positive)
    expected = [[roc_auc_score(one, other) for other in score] for one in positive]
    np.testing.assert_allclose(found, expected)
    for one in positive:
        assert average_precision(one, score[0]) == pytest.approx(average_precision_score(one, score[0]))
    assert auroc(np.array([[1.0, 1.0]]), np.array([[True, False]])).tolist() == [[0.5]]
    assert np.isnan(auroc(np.array([[1.0, 2.0]]), np.array([[True, True]]))).all()


def test_enrichment_by_hand(tiles: pd.DataFrame) -> None:
    # The last tile of each gene is known: gradient_x_input ranks it first (1), personal last (0), deletion is constant (1/2).
    elements = pd.DataFrame({"gene": ["A", "B"], "contig": "c1", "start": [1450, 5450], "end": [1460, 5460]})
    table = enrichment(tiles, elements, np.arange(10.0), bootstraps=50, seed=1).set_index(["region", "measure"])
    assert table.loc[("all", "gradient_x_input"), ["auroc", "auprc", "base_rate"]].tolist() == [1.0, 1.0, 0.2]
    assert table["auroc"]["all", "personal"] == 0.0
    assert table["auprc"]["all", "personal"] == 0.2
    assert table["auroc"]["all", "deletion"] == 0.5
    assert table["auroc"]["all", "gc_content"] == 1.0
    # It is one of the two tiles farthest from the TSS: the other is as far, the three others nearer.
    assert table["auroc"]["all", "nearness_to_tss"] == pytest.approx(0.5 / 4)
    assert table["over_gc"]["all", "personal"] == -1.0 and table["over_gc_high"]["all", "deletion"] == -0.5
    # The other gene's tiles at the same distances say as much: there is nothing beyond the distance.
    assert (table["beyond"] == 0).all() and table["same_distance"]["all", "gradient_x_input"] == 1.0
    # Four tiles have their edge 2 kb or more away, two each in 2-10 kb (5,000 - 50) and 10-50 kb is the rest but one.
    assert table["n_tiles"].xs("nearness_to_tss", level="measure").to_dict() == {"all": 10, "distal": 8, "2-10kb": 8}


def test_what_is_beyond_the_distance_is_told_apart_from_it() -> None:
    generator = np.random.default_rng(5)
    genes, number = 60, 21
    distance = (np.arange(number) - 10) * 3000.0
    rows, known = [], []
    for gene in range(genes):
        # Elements are nearer to the TSS than others; one measure knows the distance alone, the other the elements, too.
        share = np.exp(-np.abs(distance) / 8000)
        is_known = generator.random(number) < share
        near = share + 0.01 * generator.normal(size=number)
        for tile in range(number):
            start = 1_000_000 * gene + 3000 * tile
            rows.append((f"G{gene}", "c1", start, start + 3000, tile, distance[tile], near[tile], 1.0,
                         near[tile] + is_known[tile], 1))  # fmt: skip
            if is_known[tile]:
                known.append(("", "c1", start + 10, start + 20))
    columns = ["gene", "contig", "start", "end", "tile", "distance", "gradient_x_input", "deletion", "personal", "n_seeds"]
    table = enrichment(
        pd.DataFrame(rows, columns=columns),
        pd.DataFrame(known, columns=["gene", "contig", "start", "end"]),
        generator.random(len(rows)),
        bootstraps=200,
        seed=1,
    ).set_index(["region", "measure"])
    blind, seeing = table.loc[("all", "gradient_x_input")], table.loc[("all", "personal")]
    assert blind["auroc"] > 0.75 and abs(blind["beyond"]) < 0.02 and blind["beyond_low"] < 0 < blind["beyond_high"]
    assert seeing["auroc"] > 0.95 and seeing["beyond_low"] > 0.1
    assert abs(table["auroc"]["all", "gc_content"] - 0.5) < 0.06


def test_the_nearest_edge_counts_not_the_centre() -> None:
    tiles = pd.DataFrame({"start": [0, 4096, 8192], "end": [4096, 8192, 12288]})
    # The TSS is base 4,500, on the plus strand.
    tiles["distance"] = [2047.5 - 4500, 6143.5 - 4500, 10239.5 - 4500]
    assert nearest_edge(tiles).tolist() == [4500 - 4095, 0, 8192 - 4500]


def test_gc_content_leaves_unknown_bases_out(tmp_path) -> None:
    (tmp_path / "r.fa").write_text(">c1\nGGCANNNNTTTT\n")
    pysam.faidx(str(tmp_path / "r.fa"))
    tiles = pd.DataFrame({"contig": "c1", "start": [0, 4, 6, -2], "end": [6, 8, 10, 2]})
    assert gc_content(tiles, Reference(tmp_path / "r.fa")).tolist() == [0.75, 0.5, 0.0, 1.0]


def test_no_known_element_gives_an_empty_table(tiles: pd.DataFrame) -> None:
    nothing = pd.DataFrame(columns=["gene", "contig", "start", "end"])
    assert enrichment(tiles, nothing, np.zeros(len(tiles)), 50, 1).empty


def test_the_strongest_stretches_of_a_track_are_elements(tmp_path) -> None:
    path = tmp_path / "signal.bw"
    track = pyBigWig.open(str(path), "w")
    track.addHeader([("c1", 1000), ("c2", 1000)])
    track.addEntries(["c1"] * 3, [0, 500, 510], ends=[500, 510, 530], values=[1.0, 8.0, 9.0])
    track.addEntries(["c2"], [100], ends=[600], values=[2.0])
    track.close()
    # 1,030 bases have a value: the strongest 5 % are the 30 of the peak and, to fill up, those of 2.
    assert read_elements(path).to_numpy().tolist() == [["", "c1", 500, 530], ["", "c2", 100, 600]]
    (tmp_path / "broken.bw").write_text("no")
    with pytest.raises(UserError, match="is no bigWig"):
        read_elements(tmp_path / "broken.bw")


def test_elements_are_read_from_bed_and_truth(tmp_path) -> None:
    (tmp_path / "e.bed").write_text("22\t10\t20\tTF\nchrX\t5\t6\n")
    assert read_elements(tmp_path / "e.bed").to_numpy().tolist() == [["", "22", 10, 20], ["", "chrX", 5, 6]]
    (tmp_path / "t.tsv").write_text("gene\tcontig\tstart\tend\teffect\nG\tc1\t1\t2\t.5\n")
    assert read_elements(tmp_path / "t.tsv").to_numpy().tolist() == [["G", "c1", 1, 2]]
    (tmp_path / "e.bed").write_text("# made by hand\ntrack name=x\n22\t10\t10\r\n")
    assert read_elements(tmp_path / "e.bed").to_numpy().tolist() == [["", "22", 10, 10]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("e.bed", "22\t1\t2\n22\tten\t20\n", r"e.bed, line 2, is not BED \('22\\tten\\t20'\)"),
        ("e.bed", "22\t20\t10\n", "line 1, .* start <= end are needed"),
        ("e.bed", "22\t-1\t10\n", "line 1, is not BED"),
        ("e.bed", "22 1 10\n", "line 1, is not BED .* separated by tabs"),
        ("e.bed", "", "e.bed is empty"),
        ("e.bed", "#chr\tstart\tend\n", "e.bed names no element"),
        ("t.tsv", "a\tb\n1\t2\n", "t.tsv has no column gene"),
    ],
)
def test_broken_elements_are_named_by_line(name: str, text: str, message: str, tmp_path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        read_elements(tmp_path / name)


def test_elements_on_foreign_contigs_are_refused() -> None:
    elements = pd.DataFrame({"gene": [""], "contig": ["chr22"], "start": [1], "end": [2]})
    require_shared_contigs(elements, ["21", "chr22"], Path("e.bed"))
    with pytest.raises(UserError, match="it has 'chr22', the reference '22'"):
        require_shared_contigs(elements, ["22"], Path("e.bed"))


def test_elements_of_genes_have_the_names_of_the_cohort() -> None:
    pairs = pd.DataFrame({"gene": ["ENSG1", "ENSG9", ""], "contig": "c1", "start": [1, 5, 8], "end": [2, 6, 9]})
    found = with_genes_of(pairs, ["ENSG1.4", "ENSG2.1"], Path("pairs.tsv"))
    assert found[["gene", "start"]].to_numpy().tolist() == [["ENSG1.4", 1], ["", 8]]
    with pytest.raises(UserError, match=r"pairs.tsv names no gene of the cohort \(it names 'ENSG9', the cohort 'ENSG2.1'\)"):
        with_genes_of(pairs.iloc[1:2], ["ENSG2.1"], Path("pairs.tsv"))


def test_tracks_are_read_back_at_the_right_places(tiles: pd.DataFrame, tmp_path) -> None:
    # The first window is moved over the contig's start: what lies outside is left out.
    tiles.loc[tiles["gene"] == "A", ["start", "end"]] -= 1150
    write_tracks(tiles, {"c1": 5450, "c2": 10}, tmp_path)
    with pyBigWig.open(str(tmp_path / "A.personal.bw")) as track:
        assert track.chroms() == {"c1": 5450, "c2": 10}
        assert track.intervals("c1") == ((0, 50, 4.0), (50, 150, 3.0), (150, 250, 2.0), (250, 350, 1.0))
    with pyBigWig.open(str(tmp_path / "B.gradient_x_input.bw")) as track:
        assert track.values("c1", 5399, 5402) == [3.0, 4.0, 4.0]
        assert track.intervals("c1")[-1] == (5400, 5450, 4.0)
    lines = (tmp_path / "B.personal.bedgraph").read_text().splitlines()
    assert lines[0].startswith("track type=bedGraph") and lines[1] == "c1\t5000\t5100\t5"


def test_figure_of_a_gene_whose_name_reads_like_a_formula(tiles: pd.DataFrame, tmp_path) -> None:
    name = r"$\frac{B$/../x"
    tiles.loc[tiles["gene"] == "B", "gene"] = name
    about = {"gene": name, "symbol": r"$\frac{b$", "contig": r"$\frac{c$", "strand": "-", "tss": 5250, "split": "test"}
    path = draw_gene(
        name, tiles, pd.DataFrame([about]), pd.DataFrame(columns=["gene", "contig", "start", "end"]), np.array([]), tmp_path
    )
    assert path.parent == tmp_path and list(tmp_path.iterdir()) == [path]
    assert rf"$\frac{{b$ ({name}), unseen gene" in path.read_text()


def test_figures_of_the_strongest_and_the_named(tiles: pd.DataFrame, tmp_path) -> None:
    genes = pd.DataFrame(
        {
            "gene": ["A", "B"],
            "symbol": ["AAA", "B&B"],
            "contig": "c1",
            "strand": ["+", "-"],
            "tss": [1250, 5250],
            "split": ["train", "test"],
        }
    )
    tiles.loc[tiles["gene"] == "B", "personal"] += 1
    assert chosen_genes(tiles, 1, []) == ["B"]
    assert chosen_genes(tiles, 1, ["A"]) == ["A", "B"]
    with pytest.raises(UserError, match="NOPE is not a gene of the cohort"):
        require_genes(["A", "NOPE"], genes)
    elements = pd.DataFrame({"gene": [""], "contig": ["c1"], "start": [5300], "end": [5310]})
    path = draw_gene("B", tiles, genes, elements, np.array([5100, 5200, 9000]), tmp_path)
    text = path.read_text()
    assert "unseen gene" in text and "1 known elements, 2 variants" in text
    assert draw_gene("B", tiles, genes, elements, np.array([5100, 5200, 9000]), tmp_path).read_text() == text


def test_without_personal_attribution_deletion_chooses_the_genes_and_the_figure_says_so(
    tiles: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen_genes(tiles, 1, []) == ["A"], "equal personal attribution: the first"
    tiles["deletion"] = np.where(tiles["gene"] == "B", -2.0, 1.0)
    assert chosen_genes(tiles, 1, []) == ["A"]
    reference = tiles.assign(personal=0.0)
    assert chosen_genes(reference, 1, []) == ["B"]
    genes = pd.DataFrame(
        {"gene": ["A", "B"], "symbol": ["A", "B"], "contig": "c1", "strand": "+", "tss": [1250, 5250], "split": "test"}
    )
    notes = []
    monkeypatch.setattr("matplotlib.axes.Axes.text", lambda self, x, y, text, **options: notes.append(text))
    elements = pd.DataFrame(columns=["gene", "contig", "start", "end"])
    draw_gene("B", tiles, genes, elements, np.zeros(0, dtype=np.int64), tmp_path)
    assert not notes
    draw_gene("B", reference, genes, elements, np.zeros(0, dtype=np.int64), tmp_path)
    assert notes == ["no individual differs from the reference in any gene: does not apply"]
