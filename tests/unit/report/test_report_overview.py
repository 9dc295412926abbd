"""The overview and the two figures of what correlations depend on: their numbers are those of the tables."""

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.errors import UserError
from gta.report import cis_signal, dependence
from gta.report.findings import verdict

Gta = Callable[..., None]
SEEN, UNSEEN = "seen_genes_unseen_people", "unseen_genes_unseen_people"


def per_gene_rows() -> pd.DataFrame:
    """Two seeds of `gta` and one `elastic_net`; g0 and g1 have strong variants, g2 is constant for the elastic net."""
    rows = []
    for seed, q in (("1", 0.01), ("2", 0.2)):
        rows += [("gta", seed, SEEN, f"g{i}", 30, value, value - 0.1, value + 0.1, q) for i, value in enumerate([0.4, 0.2, -0.1])]
    values = [(0.6, 0.01), (0.5, 0.04), (np.nan, np.nan)]
    rows += [("elastic_net", "", SEEN, f"g{i}", 30, value, value, value, q) for i, (value, q) in enumerate(values)]
    rows += [("gta", "1", UNSEEN, "g3", 30, 0.9, 0.8, 1.0, 0.01)]
    columns = ["model", "seed", "regime", "gene", "n_people", "spearman", "ci_low", "ci_high", "q_value"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def variants() -> pd.DataFrame:
    return pd.DataFrame({"gene": ["g0", "g1", "g2", "g3"], "p_value": [1e-12, 1e-6, 0.3, 1e-9]})


def test_cis_signal_joins_seen_genes_and_counts_what_every_seed_finds(variants: pd.DataFrame) -> None:
    genes = cis_signal.joined(per_gene_rows(), variants).set_index(["model", "gene"])
    assert len(genes) == 6, "unseen genes are not shown"
    assert not genes.loc["gta", "significant"].any(), "one seed is not every seed"
    assert genes.loc["elastic_net", "significant"].tolist() == [True, True, False]
    assert genes.loc[("elastic_net", "g2"), "spearman"] == 0.0
    figure = cis_signal.draw(genes.reset_index(), ["elastic_net", "absent", "gta"], 30)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == [
        "elastic_net (n = 3 genes)\n2 of 2 strong genes predicted, 0 of 1 others",
        "gta (n = 3 genes)\n0 of 2 strong genes predicted, 0 of 1 others",
    ]
    assert "30 held-out people" in figure.axes[0].get_ylabel()
    assert "predicted by absent" in cis_signal.draw(genes.reset_index(), ["absent"], 30).texts[0].get_text()


def dependence_rows() -> pd.DataFrame:
    rows = []
    for model, slope in (("gta", 0.1), ("mean", 0.0)):
        for part in range(3):
            bounds = {"low": 10_000.0 * part, "high": 10_000.0 * (part + 1)}
            value = {"value": slope * part, "ci_low": slope * part - 0.05, "ci_high": slope * part + 0.05}
            where = {"model": model, "regime": SEEN, "property": "distance", "group": f"{part + 1} of 3"}
            rows.append(where | bounds | {"metric": "mean_spearman", "n_genes": 7} | value)
    return pd.DataFrame(rows)


def test_dependence_shows_thirds_and_leaves_out_what_says_nothing() -> None:
    figure = dependence.draw(dependence_rows())
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0 to\n10", "10 to\n20", "20 to\n30"]  # kb
    assert "n = 7 in each third" in axis.get_ylabel()
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["gta"]
    (line,) = axis.containers
    assert line[0].get_ydata() == pytest.approx([0.0, 0.1, 0.2])
    assert "Too few genes" in dependence.draw(dependence_rows().assign(metric="trend")).texts[0].get_text()


@pytest.mark.parametrize(
    ("intervals", "expected"),
    [
        ((0.1, 0.3, 0.05, 0.2), "higher"),
        ((0.1, 0.3, -0.05, 0.2), "not different"),
        ((-0.3, -0.1, -0.2, -0.1), "lower"),
        ((-0.3, -0.1, -0.2, 0.0), "not different"),
    ],
)
def test_a_difference_needs_both_intervals(intervals: tuple[float, float, float, float], expected: str) -> None:
    assert verdict(*intervals) == expected


class Cells(HTMLParser):
    """The rows of all tables, as lists of text."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.fetched: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True
        self.fetched += [value for name, value in attrs if name in ("src", "href") and value and not value.startswith("data:")]

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.rows[-1][-1] += data


@pytest.fixture
def run(tmp_path: Path, cohort_folder: Path) -> list[object]:
    """The words of `report overview` for a small run."""
    evaluation = tmp_path / "evaluation"
    evaluation.mkdir()
    metrics = {
        "across_genes": ("spearman", "pearson", "r2"),
        SEEN: ("mean_spearman", "mean_pearson", "mean_r2", "share_negative"),
        UNSEEN: ("mean_spearman", "mean_pearson", "mean_r2", "share_negative"),
    }
    rows = []
    for model, seeds in (("gta", 2), ("elastic_net", 1)):
        for regime, names in metrics.items():
            for place, metric in enumerate(names):
                values = [0, 0.12 + place / 10, 0.05, 0.21, 0.04, 0.22, -0.001 if place < 3 else 0.5, 0.08, 0.0123]
                if model == "elastic_net" and regime != SEEN:
                    values = [np.nan] * 9
                rows.append([model, regime, metric, seeds, 8, 6, *values])
    columns = ["model", "regime", "metric", "n_seeds", "n_genes", "n_people", "n_constant", "value", "ci_low", "ci_high"]
    columns += ["people_ci_low", "people_ci_high", "null_mean", "null_high", "p_value"]
    pd.DataFrame(rows, columns=columns).to_csv(evaluation / "summary.tsv", sep="\t", index=False)
    per_gene_rows().to_csv(evaluation / "per_gene.tsv", sep="\t", index=False)
    comparison = [SEEN, "mean_difference", "gta", "elastic_net", 3, 6, -0.3, -0.4, -0.2, -0.35, -0.25]
    columns = ["regime", "metric", "model_a", "model_b", "n_genes", "n_people", "difference", "ci_low", "ci_high"]
    columns += ["people_ci_low", "people_ci_high"]
    pd.DataFrame([comparison], columns=columns).to_csv(evaluation / "comparisons.tsv", sep="\t", index=False)
    (tmp_path / "checksums.tsv").write_text("file\tbytes\tsha256\ndata/a_<b>.vcf.gz\t123\tabcdef\n")
    training = tmp_path / "aligner" / "gta" / "seed1" / "training.json"
    training.parent.mkdir(parents=True)
    account = {
        "settings": {"prompt": "full"},
        "versions": {"gta": "0.1.0"},
        "language_model_sha256_after": "5e803acc3e003a10343d",
    }
    training.write_text(json.dumps(account))
    attribution = tmp_path / "attribution" / "gta"
    (attribution / "figures").mkdir(parents=True)
    for gene in ("a_1", "b"):
        (attribution / "figures" / f"{gene}.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (attribution / "tiles.tsv").write_text("gene\tdeletion\tpersonal\nb\t9\t0.1\na/1\t1\t0.2\nc\t0\t0.3\n")
    (attribution / "completeness.tsv").write_text("gene\tchange\tgap\nb\t-2\t-0.003\n")
    (attribution / "signs.tsv").write_text(
        "signs_of\tagainst\tthreshold\tn_genes\tn_agree\tshare\tp_value\npredicted\ttest people\t1\t6\t4\t0.67\t0.69\n"
    )
    bounds = [f"{name}{bound}" for name in ("difference", "over_gc", "beyond") for bound in ("", "_low", "_high")]
    head = ["region", "measure", "n_genes", "n_tiles", "n_positive", "auroc", "ci_low", "ci_high", "same_distance", *bounds]
    rows = [
        ["all", measure, 7, 70, 9, 0.6, 0.5, 0.7, 0.5, *[0.04, -0.02, 0.1] * 3]
        for measure in ("personal", "nearness_to_tss", "gc_content")
    ]
    pd.DataFrame(rows, columns=head).to_csv(attribution / "enrichment.tsv", sep="\t", index=False)
    (tmp_path / "runtimes.tsv").write_text("step\tjob\tseconds\tcpu_seconds\tmax_rss_mib\na\tb\t60\t120\t500\n")
    (tmp_path / "per_gene.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    words: list[object] = ["report", "overview", "--cohort", cohort_folder, "--evaluation", evaluation]
    words += ["--checksums", tmp_path / "checksums.tsv", "--training", training, "--runtimes", tmp_path / "runtimes.tsv"]
    return [*words, "--figures", tmp_path / "per_gene.svg", "--attribution", attribution]


def test_the_overview_holds_the_numbers_of_the_tables_and_fetches_nothing(gta: Gta, run: list[object], tmp_path: Path) -> None:
    out = tmp_path / "overview.html"
    gta(*run, "--out", out)
    text = out.read_text()
    cells = Cells()
    cells.feed(text)
    assert cells.fetched == []
    assert ["people", "6", "3", "1", "2"] in cells.rows
    assert ["genes", "10", "5", "2", "3"] in cells.rows
    values = ["+0.12", "[+0.05, +0.21]", "[+0.04, +0.22]", "+0.00, +0.08", "0.012"]
    assert ["gta", "2", *values, "+0.22", "+0.32"] in cells.rows  # across genes: no share of negative genes
    # three genes in two seeds: two positive ones of seed 1 have a q-value below 0.05, none of seed 2
    assert ["gta", "2", *values, "+0.22", "+0.32", "42% (50%)", "1 of 8"] in cells.rows
    assert ["elastic_net", "1", *values, "+0.22", "+0.32", "42% (50%)", "2 of 8"] in cells.rows
    assert ["elastic_net", "1", "no predictions", *[""] * 6] in cells.rows
    pair = ["gta - elastic_net", "3", "-0.30", "[-0.40, -0.20]", "[-0.35, -0.25]", "lower"]
    assert ["Across people: seen genes", *pair] in cells.rows
    assert ["data/a_<b>.vcf.gz", "123", "abcdef"] in cells.rows
    assert "2 CPU minutes" in text
    # Of genes that have a figure, the one with the larger personal attribution comes first; then the figure of the evaluation.
    assert [alt[:3] for alt in re.findall(r"<img alt=\"([^\"]*)\" src=\"data:image/svg\+xml;base64,", text)] == [
        "a_1",
        "b: ",
        "Spe",
    ]
    assert ["all", "personal", "7", "9 of 70", "0.60 [0.50, 0.70]", *["+0.04 [-0.02, +0.10]"] * 3] in cells.rows
    assert "add up to the change of the prediction to within 0.003 ln expression" in text
    assert (
        "<li><b>Across people on seen genes, gta is above what permuted data reach.</b> Spearman correlation +0.12, [+0.05"
        in text
    )
    assert "gta is lower than elastic_net" in text and "of the test people in 4 of 6 genes" in text
    assert text.index("rebuilt here from the abstract") < text.index("In short") < text.index("What was run</h2>")
    assert "The data are simulated" not in text
    gta(*run, "--out", tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text() == text
    gta(*run, "--simulated", "--out", out)
    assert "The data are simulated" in out.read_text()


def test_an_overview_of_broken_files_is_refused(gta: Gta, run: list[object], tmp_path: Path) -> None:
    (tmp_path / "aligner" / "gta" / "seed1" / "training.json").write_text("{")
    with pytest.raises(UserError, match=r"training\.json is not JSON"):
        gta(*run, "--out", tmp_path / "overview.html")
    assert not (tmp_path / "overview.html").exists()


def test_without_genotypes_the_overview_says_what_does_not_apply(gta: Gta, run: list[object], tmp_path: Path) -> None:
    cohort, evaluation = tmp_path / "cohort", tmp_path / "evaluation"
    people = pd.read_csv(cohort / "people.tsv", sep="\t").assign(split="train")
    people.to_csv(cohort / "people.tsv", sep="\t", index=False)
    summary = pd.read_csv(evaluation / "summary.tsv", sep="\t")
    across_individuals = summary["regime"] != "across_genes"
    summary.loc[across_individuals, "n_genes"] = 0
    summary.loc[across_individuals, "value"] = np.nan
    summary.to_csv(evaluation / "summary.tsv", sep="\t", index=False)
    for name in ("per_gene", "comparisons"):
        pd.read_csv(evaluation / f"{name}.tsv", sep="\t")[:0].to_csv(evaluation / f"{name}.tsv", sep="\t", index=False)
    tiles = tmp_path / "attribution" / "gta" / "tiles.tsv"
    tiles.write_text("gene\tdeletion\tpersonal\nb\t-9\t0\na/1\t1\t0\nc\t0\t0\n")
    gta(*run, "--out", tmp_path / "overview.html")
    text = (tmp_path / "overview.html").read_text()
    cells = Cells()
    cells.feed(text)
    assert ["people", "6", "6", "0", "0"] in cells.rows
    assert "<b>Across individuals: does not apply.</b> The study has no genotypes" in text
    assert (
        "Across people" not in text
        and "people of the test split" not in text
        and "held-out people" not in text.split("Figures")[0]
    )
    assert "Gene expression from sequence" in text and "Across genes: held-out genes (n = 8 genes, 6 individuals)" in text
    # Nobody differs from the reference: the gene whose tiles change the prediction most comes first.
    assert [alt[:3] for alt in re.findall(r"<img alt=\"([^\"]*)\" src=", text)] == ["b: ", "a_1", "Spe"]
    assert "whose prediction its tiles change most" in text
