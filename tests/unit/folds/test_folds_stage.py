"""Folds of the study: assignment, cohorts, predictions out of fold, homologues."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.cohort.folds import chromosome_folds, split_folds
from gta.cohort.settings import CohortSettings, FoldSettings
from gta.errors import UserError
from gta.evaluation.unmeasured import tabulate
from gta.folds.gather import gather
from gta.folds.homologues import (
    canonical_kmers,
    group,
    name_stem,
    same_family,
    similar_promoters,
    straddling,
    symbol_stem,
)

SIZES = {"chr1": 40, "chr2": 30, "chr3": 20, "chr4": 20, "chr5": 10}
COLUMNS = ["gene", "symbol", "contig", "strand", "tss", "window_start", "window_end", "split", "fold"]


def many_genes() -> pd.DataFrame:
    """Genes every 1,000 bp on five chromosomes."""
    rows = [(f"{contig}g{n}", contig, 1000 * n) for contig, size in SIZES.items() for n in range(size)]
    return pd.DataFrame(rows, columns=["gene", "contig", "tss"])


def quiet(_: str) -> None:
    pass


def test_whole_chromosomes_are_balanced_and_do_not_depend_on_the_order() -> None:
    genes = many_genes()
    folds = chromosome_folds(genes["contig"], 3, seed=1)
    assert len(set(zip(genes["contig"], folds, strict=True))) == len(SIZES)
    assert sorted(folds.value_counts()) == [40, 40, 40]
    shuffled = genes.sample(frac=1, random_state=0)
    assert (chromosome_folds(shuffled["contig"], 3, seed=1).sort_index() == folds).all()


def test_more_folds_than_chromosomes_are_refused() -> None:
    with pytest.raises(UserError, match=r"on 5 chromosomes, too few for 6 folds.*lower cohort\.folds\.number"):
        chromosome_folds(many_genes()["contig"], 6, seed=1)


@pytest.mark.parametrize("window", [500, 2500])
def test_every_gene_is_held_out_once_and_windows_never_overlap_between_splits(window: int) -> None:
    genes, folds = many_genes(), FoldSettings(number=3)
    settings = CohortSettings(window_length=window, gene_blocks=20)
    study, dropped = split_folds(genes, settings, folds, None, 1, quiet)
    assert not dropped and set(study["split"]) == {"test"}
    held_out = []
    for fold in (1, 2, 3):
        own, reasons = split_folds(genes, settings, folds, fold, 1, quiet)
        test = own.loc[own["split"] == "test", "gene"]
        assert set(test) == set(study.loc[study["fold"] == fold, "gene"])
        held_out += list(test)
        assert len(own) + len(reasons) == len(genes)
        others = own[own["split"] != "test"]
        assert abs((others["split"] == "valid").mean() - settings.valid_genes) < 0.06
        assert len(others[["block", "split"]].drop_duplicates()) == len(others["block"].drop_duplicates())
        for _, rows in own.groupby("contig"):
            borders = rows["split"].to_numpy()[1:] != rows["split"].to_numpy()[:-1]
            assert (np.diff(rows["tss"])[borders] >= window).all()
    assert sorted(held_out) == sorted(genes["gene"])
    with pytest.raises(UserError, match="--fold is 4, and there are 3 folds"):
        split_folds(genes, settings, folds, 4, 1, quiet)


def test_a_fold_that_leaves_one_block_is_refused() -> None:
    genes = many_genes()
    two = genes[genes["contig"].isin(["chr4", "chr5"])].reset_index(drop=True)
    large = int(chromosome_folds(two["contig"], 2, 1)[0])
    settings = CohortSettings(window_length=500, gene_blocks=3)
    with pytest.raises(UserError, match=r"in 1 blocks, cannot be split into train and valid.*raise gene_blocks"):
        split_folds(two, settings, FoldSettings(number=2), large, 1, quiet)


def write_cohort(folder: Path, splits: dict[str, str], folds: dict[str, int]) -> Path:
    """A cohort of genes with these splits and folds."""
    folder.mkdir(parents=True)
    rows = [(gene, gene, "chr1", "+", 1, 0, 2, split, folds[gene]) for gene, split in splits.items()]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / "genes.tsv", sep="\t", index=False)
    return folder


@pytest.fixture
def two_folds(tmp_path: Path) -> tuple[Path, list[Path], list[Path]]:
    """A study of genes a (fold 2), u (unmeasured) and b (fold 1), and predictions of both folds."""
    folds = {"a": 2, "u": 0, "b": 1}
    study = write_cohort(tmp_path / "study", {"a": "test", "u": "unmeasured", "b": "test"}, folds)
    splits = ({"a": "train", "u": "unmeasured", "b": "test"}, {"a": "test", "u": "unmeasured", "b": "train"})
    cohorts = [write_cohort(tmp_path / str(n), split, folds) for n, split in enumerate(splits, start=1)]
    paths = []
    for number in (1, 2):
        rows = [
            (gene, person, 10.0 * number + place, 0.5, 10.0 * number + place + 0.5)
            for place, gene in enumerate("aub")
            for person in ("p", "q")
        ]
        table = pd.DataFrame(rows, columns=["gene", "person", "mean", "deviation", "predicted"])
        paths.append(tmp_path / f"{number}.parquet")
        table.to_parquet(paths[-1])
    return study, cohorts, paths


def test_each_gene_comes_from_the_fold_that_held_it_out(two_folds: tuple[Path, list[Path], list[Path]], tmp_path: Path) -> None:
    study, cohorts, paths = two_folds
    assert gather(study, cohorts, paths, tmp_path / "m.seed1.parquet") == 3
    found = pd.read_parquet(tmp_path / "m.seed1.parquet")
    assert found["gene"].tolist() == list("aauubb") and found["person"].tolist() == ["p", "q"] * 3
    assert found["mean"].tolist() == [20, 20, 16, 16, 12, 12]
    gather(study, cohorts, paths, tmp_path / "m.seed2.parquet")
    table = tabulate(study, [tmp_path / "m.seed1.parquet", tmp_path / "m.seed2.parquet"])
    assert table.to_numpy().tolist() == [["u", "m", 16.0]]


def test_a_gene_that_its_fold_trained_on_is_refused(two_folds: tuple[Path, list[Path], list[Path]], tmp_path: Path) -> None:
    study, cohorts, paths = two_folds
    with pytest.raises(UserError, match=r"b is held out in fold 1 by .*make the cohorts of the folds again"):
        gather(study, cohorts[::-1], paths, tmp_path / "out.parquet")
    with pytest.raises(UserError, match="1 cohorts and 2 files of predictions are given for 2 folds"):
        gather(study, cohorts[:1], paths, tmp_path / "out.parquet")
    table = pd.read_parquet(paths[0])
    table[table["gene"] != "b"].to_parquet(paths[0])
    with pytest.raises(UserError, match="does not predict b, which fold 1 holds out"):
        gather(study, cohorts, paths, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_kmers_are_those_of_both_strands() -> None:
    sequence = "".join(np.random.default_rng(1).choice(list("ACGT"), 200))
    reverse = sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert len(canonical_kmers(sequence)) == 200 - 16 + 1
    assert (canonical_kmers(sequence) == canonical_kmers(reverse)).all()
    assert (canonical_kmers(sequence.lower()) == canonical_kmers(sequence)).all()
    assert len(canonical_kmers("N" * 50)) == len(canonical_kmers("ACGT")) == 0


def test_similar_promoters_are_linked_but_not_overlapping_ones_or_repeats() -> None:
    generator = np.random.default_rng(2)

    def draw(length: int) -> str:
        return "".join(generator.choice(list("ACGT"), length))

    first, repeat = draw(1024), draw(300)
    diverged = "".join(str(generator.choice(list("ACGT"))) if generator.random() < 0.06 else base for base in first)
    with_repeat = [repeat + draw(724) for _ in range(60)]
    sequences = [first, draw(1024), diverged[::-1].translate(str.maketrans("ACGT", "TGCA")), first, *with_repeat]
    contigs = np.array([0, 0, 1, 0, *[2] * 60])
    tss = np.array([5000, 90_000, 5000, 5100, *range(0, 600_000, 10_000)])
    assert similar_promoters(sequences, contigs, tss).pairs.tolist() == [[0, 2], [2, 3]]


def test_families_by_symbol_and_name() -> None:
    assert [symbol_stem(s) for s in ("RPL10", "RPL10A", "KRT18", "HLA-DRB1", "TMEM9", "C1orf112", "TP53", "")] == [
        *("RPL", "RPL", "KRT", "HLA-DRB", "", "", "", "")
    ]
    assert name_stem("ribosomal protein L10a") == name_stem("ribosomal protein L4") == "ribosomal protein"
    assert name_stem("uncharacterized LOC1234") == name_stem("tumor protein") == ""
    symbols = ["RPL10", "RPL4", "RPLP0", "ATP5F1A", "ATP2A1", "ZNF1", "ZNF2"]
    names = ["ribosomal protein L10", "ribosomal protein L4", "ribosomal protein lateral stalk P0", "ATP synthase F1 alpha"]
    names += ["sarcoplasmic calcium transporting 1", "", ""]
    assert same_family(symbols, names).pairs.tolist() == [[0, 1], [5, 6]]


def test_groups_and_genes_that_straddle_folds() -> None:
    links = [
        similar_promoters([], np.empty(0, np.int64), np.empty(0, np.int64)),
        same_family(["RPL1", "X", "RPL2", "RPL3", "KRT1", "KRT2"], [""] * 6),
    ]
    rows = list(group(list("abcdef"), links))
    assert [(gene, number) for gene, number, _ in rows] == [("a", "1"), ("c", "1"), ("d", "1"), ("e", "2"), ("f", "2")]
    assert {reason for *_, reason in rows} == {"family"}
    group_of = {gene: number for gene, number, _ in rows}
    assert straddling(group_of, {"a": 1, "c": 1, "d": 2, "e": 3, "f": 3, "b": 1}) == {"a", "c", "d"}
    # A homologue without expression trained nobody.
    assert straddling(group_of, {"a": 1, "c": 1, "e": 3}) == set()
