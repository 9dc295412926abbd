"""A second cohort with files of its own: who and what is compared, and what the study's weights say of its people."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.errors import UserError
from gta.evaluation.settings import EvaluationSettings
from gta.evaluation.transfer import Files, score_of_weights, second_cohort, transfer
from gta.haplotypes import PanelSet

PEOPLE = [f"new{i}" for i in range(12)]
#: Genes of the study by split, and two that it did not have: one beside gene s0, whose window it shares, and one far away.
GENES = {f"s{i}": "train" for i in range(6)} | {f"u{i}": "test" for i in range(6)} | {"v0": "valid", "near": "", "far": ""}


def genes_table(names: list[str]) -> pd.DataFrame:
    tss = np.array([10_400 if name == "near" else 10_000 * (1 + list(GENES).index(name)) for name in names])
    return pd.DataFrame(
        {
            **{"gene": names, "symbol": names, "biotype": "x", "contig": "c1", "strand": "+", "tss": tss},
            **{"window_start": tss - 500, "window_end": tss + 500, "block": 0, "split": [GENES[name] for name in names]},
        }
    )


def panel_set() -> PanelSet:
    """Every window has two variants: at the TSS the first haplotype of even people has C, at TSS + 1 every second one G."""
    tss = genes_table(list(GENES))["tss"].to_numpy()
    order = np.argsort(tss)
    positions = np.concatenate([[at, at + 1] for at in tss[order]])
    haplotypes = np.zeros((2 * len(PEOPLE), len(positions)), dtype=np.uint8)
    haplotypes[0::4, 0::2] = 1
    haplotypes[1::2, 1::2] = 1
    return PanelSet(
        contig="c1",
        genes=[list(GENES)[i] for i in order],
        people=PEOPLE,
        windows=np.stack([tss - 500, tss + 500, tss], axis=1)[order],
        reaches=np.stack([tss - 756, tss + 756], axis=1)[order],
        spans=np.stack([2 * np.arange(len(tss)), 2 * np.arange(len(tss)) + 2], axis=1),
        haploid=np.zeros((len(tss), len(PEOPLE)), dtype=bool),
        positions=positions,
        refs=[b"A"] * len(positions),
        alts=[(b"C",), (b"G",)] * len(tss),
        haplotypes=haplotypes,
    )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A study and a second cohort whose expression is what the model predicts for it, on the scale of TPM."""
    study, new = tmp_path / "study", tmp_path / "new"
    study.mkdir()
    new.mkdir()
    own = [name for name, split in GENES.items() if split]
    genes_table(own).to_csv(study / "genes.tsv", sep="\t", index=False)
    genes_table(list(GENES)).assign(split="new").to_csv(new / "genes.tsv", sep="\t", index=False)
    pd.DataFrame({"person": ["old", "held"], "population": "x", "split": ["train", "test"]}).to_csv(
        study / "people.tsv", sep="\t", index=False
    )
    pd.DataFrame({"person": PEOPLE, "population": "unknown", "split": "new"}).to_csv(new / "people.tsv", sep="\t", index=False)
    pd.DataFrame({"gene": own, "mean": 3.0, "sd": 1.0}).to_csv(study / "gene_statistics.tsv", sep="\t", index=False)
    predicted = np.random.default_rng(0).normal(3, 0.3, size=(len(GENES), len(PEOPLE))) + np.arange(len(GENES))[:, None]
    pairs = pd.MultiIndex.from_product([list(GENES), PEOPLE], names=["gene", "person"]).to_frame(index=False)
    seeds = [pairs.assign(seed=seed, predicted=predicted.ravel() * seed) for seed in (1, 2)]
    pd.concat(seeds).to_parquet(new / "people.parquet")
    # The expression lists people in another order, and has others, too.
    columns = ["held", *PEOPLE[::-1]]
    lines = ["#chr\tstart\tend\tgene\tlength\tstrand\t" + "\t".join(columns)]
    for name, row in zip(GENES, np.exp(predicted) - 0.01, strict=True):
        lines.append(f"c1\t1\t2\t{name}\t1\t+\t" + "\t".join(map(repr, [1.0, *row[::-1].tolist()])))
    (new / "expression.bed").write_text("\n".join(lines) + "\n")
    panel_set().save(new / "c1.npz")
    tss = genes_table(own).set_index("gene")["tss"]
    # Of s0: 0.5 per C, less 0.25 per G; and a variant, and an allele, that nobody here has.
    places = {"gene": "s0", "contig": "c1", "pos": tss["s0"] + np.array([0, 1, 1, 7]), "ref": "A", "alt": ["C", "G", "T", "C"]}
    weights = pd.DataFrame({**places, "weight": [0.5, -0.25, 9.0, 9.0], "cv_r2": 0.1, "n_variants": 4})
    weights.to_csv(study / "weights.tsv", sep="\t", index=False)
    pd.DataFrame({"gene": ["s1", "u0"], "pos": tss[["s1", "u0"]].tolist(), "ref": "A", "alt": "C", "slope": -1.0}).to_csv(
        study / "variants.tsv", sep="\t", index=False
    )
    return Files(
        study,
        new,
        new / "people.parquet",
        new / "expression.bed",
        [new / "c1.npz"],
        study / "weights.tsv",
        study / "variants.tsv",
    )


def test_weights_of_the_study_score_new_people_by_hand(files: Files) -> None:
    weights = pd.read_csv(files.elastic_net, sep="\t")
    score, found = score_of_weights(panel_set().panel("s0"), weights)
    # Everybody has one G; people 0, 2, 4, ... have one C.
    assert score.tolist() == [0.25, -0.25] * 6 and found == 2


def test_a_perfect_model_transfers_perfectly(files: Files, tmp_path: Path) -> None:
    settings = EvaluationSettings(bootstraps=40, permutations=40)
    transfer(files, tmp_path / "out", "gta", settings, 1, "tpm", 0.5)
    summary = pd.read_csv(tmp_path / "out" / "summary.tsv", sep="\t").set_index(["model", "regime", "metric"])
    for regime, metric, genes in (
        ("across_genes", "spearman", 7),
        ("seen_genes_unseen_people", "mean_spearman", 6),
        ("unseen_genes_unseen_people", "mean_spearman", 7),
    ):
        row = summary.loc[("gta", regime, metric)]
        assert row["value"] == 1.0 and (row["n_seeds"], row["n_genes"], row["n_people"]) == (2, genes, 12)
    variants = pd.read_csv(tmp_path / "out" / "variants.tsv", sep="\t").set_index("model")
    assert variants.loc["elastic_net"].tolist() == [6, 4, 2] and variants.loc["top_eqtl"].tolist() == [6, 1, 1]
    per_gene = pd.read_csv(tmp_path / "out" / "per_gene.tsv", sep="\t").set_index(["model", "regime", "gene"])
    observed = np.array(files.expression.read_text().splitlines()[1].split("\t")[7:][::-1], dtype=float)
    expected = pd.Series(observed).corr(pd.Series([0.25, -0.25] * 6), method="spearman")
    assert per_gene.loc[("elastic_net", "seen_genes_unseen_people", "s0"), "spearman"].item() == pytest.approx(expected, abs=1e-5)
    assert np.isnan(per_gene.loc[("elastic_net", "seen_genes_unseen_people", "s2"), "spearman"])  # its model is empty
    dropped = pd.read_csv(tmp_path / "out" / "dropped.tsv", sep="\t")
    assert dropped.to_numpy().tolist() == [["gene", "near", "window overlaps one of the training"]]


def test_people_of_the_training_are_no_test(files: Files) -> None:
    path = files.study / "people.tsv"
    path.write_text(path.read_text() + "new3\tx\tvalid\nnew4\tx\ttest\n")
    cohort, dropped = second_cohort(files, "tpm", 0.5)
    assert cohort.people_names == [person for person in PEOPLE if person != "new3"]
    assert ["person", "new3", "in the training of the study"] in dropped.to_numpy().tolist()


def test_rpkm_is_rescaled_over_the_whole_matrix(files: Files) -> None:
    tpm, _ = second_cohort(files, "tpm", 0.5)
    rescaled, _ = second_cohort(files, "rpkm", 0.5)
    values = pd.read_csv(files.expression, sep="\t", index_col="gene")[PEOPLE]
    expected = values.loc[tpm.gene_names].to_numpy() / values.sum().to_numpy() * 1e6
    np.testing.assert_allclose(np.exp(rescaled.expression) - 0.01, expected)


def test_populations_are_those_of_the_table(files: Files, tmp_path: Path) -> None:
    (tmp_path / "panel.tsv").write_text("sample\tpop\nnew0\tYRI\nnew1\tFIN\n")
    cohort, _ = second_cohort(replace(files, populations=tmp_path / "panel.tsv"), "tpm", 0.5)
    assert cohort.people["population"].tolist()[:3] == ["YRI", "FIN", "unknown"]


def test_files_that_do_not_belong_together(files: Files, tmp_path: Path) -> None:
    text = files.expression.read_text()
    files.expression.write_text(text.replace("new", "other"))
    with pytest.raises(UserError, match="nobody who has genotypes"):
        second_cohort(files, "tpm", 0.5)
    files.expression.write_text(text.replace("\t1\t2\t", "\t1\t2\tX"))
    with pytest.raises(UserError, match="none of the genes that are predicted"):
        second_cohort(files, "tpm", 0.5)
    files.expression.write_text(text)
    with pytest.raises(UserError, match=r"12 people in common .* needs 13"):
        transfer(files, tmp_path / "out", "gta", EvaluationSettings(min_people=13), 1, "tpm", 0.5)
    table = pd.read_parquet(files.predictions)
    table[table["gene"] != "u3"].to_parquet(files.predictions)
    with pytest.raises(UserError, match="lacks a gene of the second cohort"):
        transfer(files, tmp_path / "out", "gta", EvaluationSettings(), 1, "tpm", 0.5)
    assert not (tmp_path / "out").exists()
