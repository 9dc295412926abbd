"""New people: which genotypes, genes and references are taken, and what is predicted of whom."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.aligner.predict import Trained
from gta.aligner.reference import sequence_checksums
from gta.cli import main
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.features.store import FeatureStore
from gta.haplotypes import PanelSet, open_reference
from gta.inputs.reference import place_reference
from gta.inputs.tables import write_table
from gta.predict.people import new_cohort, predict_new
from gta.predict.prepare import prepare
from gta.predict.settings import PredictSettings
from toy_cohort import make_cohort, make_language_model, make_store, make_training

LENGTH = 400


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The folders of a study on two contigs, with a trained aligner (its weights are of no matter here)."""
    generator = np.random.default_rng(3)
    bases = {name: "".join(generator.choice(list("ACGT"), 2000)) for name in ("chr1", "chr2")}
    write_reference(tmp_path / "reference.fa", bases)
    (tmp_path / "inputs").mkdir()
    name = place_reference(tmp_path / "reference.fa", tmp_path / "inputs")
    (tmp_path / "inputs" / "inputs.json").write_text(f'{{"reference": "{name}", "genotypes": "genotypes.vcf.gz"}}')
    genes = pd.DataFrame(
        {
            "gene": ["ENSG01.3", "ENSG02.1", "ENSG03.1", "ENSG04.1"],
            "symbol": ["AAA", "BBB", "CCC", "CCC"],
            "biotype": "protein_coding",
            "contig": ["chr1", "chr1", "chr2", "chr2"],
            "start": [500, 900, 600, 1500],
            "end": [700, 1200, 900, 1600],
            "strand": ["+", "-", "+", "+"],
            "tss": [500, 1199, 600, 1500],
        }
    )
    write_table(genes, tmp_path / "inputs" / "genes.tsv")
    (tmp_path / "cohort").mkdir()
    windows = genes.iloc[[0, 2]].assign(window_start=[300, 400], window_end=[700, 800], block=0, split="train")
    write_table(windows, tmp_path / "cohort" / "genes.tsv")
    config = asdict(make_training(make_cohort(make_store()), make_store(), make_language_model()).aligner.config)
    save_config(tmp_path, {**config, "reference": sequence_checksums(open_reference(tmp_path / "inputs"))})
    records = [("1", 450, bases["chr1"][449]), ("1", 1100, bases["chr1"][1099]), ("2", 610, bases["chr2"][609])]
    write_genotypes(tmp_path / "new.vcf", records)
    return tmp_path


def save_config(folder: Path, config: dict[str, object]) -> None:
    (folder / "trained" / "model").mkdir(parents=True, exist_ok=True)
    (folder / "trained" / "model" / "config.json").write_text(json.dumps(config))


def write_reference(path: Path, bases: dict[str, str], width: int = 60) -> None:
    lines = [f">{name}\n" + "\n".join(text[at : at + width] for at in range(0, len(text), width)) for name, text in bases.items()]
    path.write_text("\n".join(lines) + "\n")


def write_genotypes(path: Path, records: list[tuple[str, int, str]]) -> None:
    head = "##fileformat=VCF4.2\n" + "".join(f"##contig=<ID={name}>\n" for name in dict.fromkeys(r[0] for r in records))
    head += '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">\n'
    head += "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tX\tY\n"
    rows = [f"{c}\t{p}\t.\t{ref}\t{'A' if ref != 'A' else 'C'}\t.\t.\t.\tGT\t0|1\t1|1\n" for c, p, ref in records]
    path.write_text(head.replace("VCF4.2", "VCFv4.2") + "".join(rows))


def prepared(study: Path, **keys: object) -> Path:
    settings = PredictSettings(**{"genotypes": str(study / "new.vcf"), **keys})  # type: ignore[arg-type]
    prepare(settings, study / "inputs", study / "cohort", [study / "trained"], study / "new")
    return study / "new"


def test_without_a_list_the_genes_of_the_study_have_its_windows(study: Path) -> None:
    new = new_cohort(prepared(study) / "cohort")
    assert new.people_names == ["X", "Y"] and np.isnan(new.expression).all()
    old = pd.read_csv(study / "cohort" / "genes.tsv", sep="\t")
    pd.testing.assert_frame_equal(new.genes[["gene", "tss", "window_start"]], old[["gene", "tss", "window_start"]])


def test_genes_are_listed_by_id_or_symbol_in_any_order(study: Path) -> None:
    (study / "genes.txt").write_text("BBB\n\nENSG01\n")
    new = new_cohort(prepared(study, genes=str(study / "genes.txt"), contigs=["chr1"]) / "cohort")
    assert new.gene_names == ["ENSG01.3", "ENSG02.1"]
    assert new.genes["window_start"].tolist() == [300, 1199 - LENGTH // 2]


def test_a_list_may_cover_some_contigs_of_the_study_only(study: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (study / "genes.txt").write_bytes(b"\xef\xbb\xbfBBB \r\n# and\r\nENSG01\r\n")
    new = new_cohort(prepared(study, genes=str(study / "genes.txt")) / "cohort")
    assert new.genes[["gene", "contig"]].to_numpy().tolist() == [["ENSG01.3", "chr1"], ["ENSG02.1", "chr1"]]
    assert "2 genes on 1 contigs" in capsys.readouterr().err


def test_the_stages_read_what_is_prepared(study: Path) -> None:
    new = prepared(study, contigs=["chr1"])
    words = ["haplotypes", "build", "--inputs", new / "inputs", "--cohort", new / "cohort", "--contig", "chr1"]
    assert main([str(word) for word in [*words, "--out", new / "h.npz", "--account", new / "a.tsv"]]) == 0
    panel = PanelSet.load(new / "h.npz").panel("ENSG01.3")
    first, second = (panel.sequence(number, open_reference(new / "inputs")) for number in panel.carriers[0])
    assert np.flatnonzero(first != second).tolist() == [449 - 300]
    (new / "factor.txt").write_text("CTCF\n")
    words = ["features", "--inputs", new / "inputs", "--cohort", new / "cohort", "--haplotypes", new / "h.npz"]
    words += ["--contig", "chr1", "--tile-length", 100, "--factors", new / "factor.txt", "--out", new / "f.safetensors"]
    assert main([str(word) for word in [*words, "--summary", new / "s.tsv", "--names", new / "n.tsv"]]) == 0
    assert FeatureStore.load(new / "f.safetensors").people == ["X", "Y"]


@pytest.mark.parametrize(
    ("genes", "contigs", "message"),
    [
        ("ENSG01\nNOPE\n", [], r"genes.txt, line 2: 'NOPE' is no gene of the study's annotation, or the names there are"),
        ("CCC\n", [], r"line 1: 'CCC' .* the symbol of several genes: give the id"),
        ("\n", [], "is empty: write one name per line"),
        ("AAA\n", ["chr2"], r"predict\.contigs: no gene that is wanted lies on chr2; name the contigs of the genes: \[chr1\]"),
    ],
)
def test_mistakes_in_the_list_of_genes(study: Path, genes: str, contigs: list[str], message: str) -> None:
    (study / "genes.txt").write_text(genes)
    with pytest.raises(UserError, match=message):
        prepared(study, genes=str(study / "genes.txt"), contigs=contigs)
    assert not (study / "new").exists()


def test_the_same_sequence_in_another_form_is_the_same_reference(study: Path) -> None:
    text = (study / "reference.fa").read_text()
    bases = {part.split("\n")[0]: "".join(part.split("\n")[1:]).lower() for part in text.split(">")[1:]}
    write_reference(study / "other.fa", {"2": bases["chr2"], "1": bases["chr1"]}, width=80)
    new = prepared(study, reference=str(study / "other.fa"))
    assert new_cohort(new / "cohort").gene_names == ["ENSG01.3", "ENSG03.1"]


def test_another_reference_is_refused(study: Path) -> None:
    text = (study / "reference.fa").read_text()
    (study / "other.fa").write_text(text[:-100] + ("A" if text[-100] != "A" else "C") + text[-99:])
    with pytest.raises(UserError, match=r"The sequence of chr2 in the reference .*other\.fa is not that which .*trained"):
        prepared(study, reference=str(study / "other.fa"))
    new = prepared(study, reference=str(study / "other.fa"), contigs=["chr1"])  # that contig is the same
    assert new_cohort(new / "cohort").gene_names == ["ENSG01.3"]


def test_a_model_that_does_not_know_its_reference_is_refused(study: Path) -> None:
    config = asdict(make_training(make_cohort(make_store()), make_store(), make_language_model()).aligner.config)
    save_config(study, config)
    with pytest.raises(UserError, match="does not say which reference it was trained with"):
        prepared(study)


def test_a_model_with_shuffled_prompts_predicts_nobody_new(study: Path) -> None:
    config = json.loads((study / "trained" / "model" / "config.json").read_text())
    save_config(study, {**config, "prompt": "shuffled"})
    with pytest.raises(UserError, match="shuffled prompts, a control"):
        prepared(study)


def test_genotypes_without_a_contig_are_refused(study: Path) -> None:
    bases = (study / "reference.fa").read_text().split(">chr1\n")[1].replace("\n", "")
    write_genotypes(study / "new.vcf", [("1", 450, bases[449])])
    with pytest.raises(UserError, match=r"have no record on chr2, where ENSG03\.1 lies"):
        prepared(study)


def test_deviations_are_from_the_reference_sequence() -> None:
    store = make_store()
    store.gene("G0").carriers[:3] = [[0, 5], [4, -1], [5, 5]]
    cohort = make_cohort(store)
    training = make_training(cohort, store, make_language_model())
    training.run()
    unknown = Cohort(cohort.people, cohort.genes, np.full_like(cohort.expression, np.nan))
    per_haplotype, per_person = predict_new(Trained(training.aligner, training.setup.data, training.setup.reader))
    assert per_person["person"].tolist()[:40] == unknown.people_names and len(per_person) == 12 * 40
    own = per_haplotype[(per_haplotype["gene"] == "G0")]
    assert own["haplotype"].tolist()[:5] == [1, 2, 1, 1, 2]
    assert own["deviation"].iloc[0] == 0.0  # the first person's first haplotype is the reference
    # Everybody's difference from the first person, as the trained model predicts people.
    expected = training.setup.predict([0], np.arange(40))[1][0].numpy()
    found = per_person.loc[per_person["gene"] == "G0", "deviation"].to_numpy()
    np.testing.assert_allclose(found - found[0], expected - expected[0], atol=1e-6)
    haploid = per_person[(per_person["gene"] == "G0") & (per_person["person"] == "P1")]
    assert haploid["deviation"].item() == own["deviation"].iloc[2]
    np.testing.assert_allclose(own["predicted"] - own["deviation"], own["mean"].iloc[0])
    assert (per_person["seed"] == 1).all()


def test_a_model_of_a_study_without_genotypes_is_refused(study: Path) -> None:
    config = json.loads((study / "trained" / "model" / "config.json").read_text())
    save_config(study, {**config, "mean_only": True})
    with pytest.raises(
        UserError, match="was trained without genotypes and predicts nothing about differences between individuals"
    ):
        prepared(study)
    assert not (study / "new").exists()
