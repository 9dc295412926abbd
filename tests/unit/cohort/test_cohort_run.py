"""The whole stage."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from gta.cohort.run import make_cohort
from gta.cohort.settings import CohortSettings
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.inputs.run import InputFiles, prepare_inputs

SETTINGS = CohortSettings(window_length=20_000, gene_blocks=6, hidden_factors=1)


def changed(**values) -> CohortSettings:
    return CohortSettings(**{**vars(SETTINGS), **values})


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def reasons(folder) -> dict[str, str]:
    return pd.read_csv(folder / "dropped.tsv", sep="\t").set_index("name")["reason"].to_dict()


def test_files_and_their_order(inputs, tmp_path):
    out = tmp_path / "cohort"
    make_cohort(inputs.folder, out, SETTINGS, 1)
    assert list(contents(out)) == [
        "dropped.tsv", "expression.parquet", "gene_statistics.tsv", "genes.tsv", "people.tsv", "summary.tsv",
    ]  # fmt: skip
    cohort = Cohort.load(out)
    assert cohort.people_names == inputs.people[:40]
    assert cohort.gene_names == [gene for gene in inputs.genes if gene in set(cohort.gene_names)]
    assert cohort.people["split"].value_counts().to_dict() == {"train": 26, "test": 10, "valid": 4}
    windows = cohort.genes[["tss", "window_start", "window_end"]].to_numpy()
    assert (windows[:, 0] - windows[:, 1] == 10_000).all() and (windows[:, 2] - windows[:, 1] == 20_000).all()
    assert cohort.genes.columns.tolist() == [
        "gene", "symbol", "biotype", "contig", "strand", "tss", "window_start", "window_end", "block", "split",
    ]  # fmt: skip


def test_everything_is_kept_or_dropped_with_a_reason(inputs, tmp_path):
    make_cohort(inputs.folder, tmp_path / "cohort", SETTINGS, 1)
    cohort, dropped = Cohort.load(tmp_path / "cohort"), reasons(tmp_path / "cohort")
    everything = {*inputs.people, "only_expression", *inputs.rows, "no_values"}
    assert sorted([*cohort.gene_names, *cohort.people_names, *dropped]) == sorted(everything)
    assert {name: why for name, why in dropped.items() if "overlaps" not in why} == {
        "only_genotypes": "no expression",
        "only_expression": "no genotypes",
        "no_values": "no expression",
        "elsewhere": "its contig is not in the reference",
        "at_the_edge": "window reaches past the contig's end",
        "not_in_gtf": "not in the gene annotation (GTF)",
    }
    summary = pd.read_csv(tmp_path / "cohort" / "summary.tsv", sep="\t").set_index("what")["n"]
    assert (
        summary["people"] == 40 and summary["people: YRI: test"] + summary["people: GBR: test"] == summary["people: test"] == 10
    )
    assert summary["genes"] == len(cohort.genes) == sum(summary[f"genes: {split}"] for split in ("train", "valid", "test"))
    assert summary.filter(like="dropped: ").sum() == len(dropped)


def test_values_are_the_logarithm_where_no_factor_is_removed(inputs, tmp_path):
    make_cohort(inputs.folder, tmp_path / "cohort", changed(hidden_factors=0), 1)
    cohort = Cohort.load(tmp_path / "cohort")
    tpm = (
        pd.DataFrame(inputs.matrix, index=inputs.rows, columns=inputs.columns)
        .loc[cohort.gene_names, cohort.people_names]
        .to_numpy()
    )
    np.testing.assert_allclose(cohort.expression, np.log(tpm + 0.01))
    table = pd.read_csv(tmp_path / "cohort" / "gene_statistics.tsv", sep="\t")
    training = cohort.people_numbers("train")
    np.testing.assert_allclose(table["mean"], np.log(tpm + 0.01)[:, training].mean(axis=1))
    np.testing.assert_allclose(table["sd"], np.log(tpm + 0.01)[:, training].std(axis=1))
    np.testing.assert_allclose(table["mean_tpm"], tpm[:, training].mean(axis=1))


def test_rpkm_is_rescaled_over_all_genes_of_the_matrix(inputs, tmp_path):
    make_cohort(inputs.folder, tmp_path / "cohort", changed(hidden_factors=0, unit="rpkm"), 1)
    cohort = Cohort.load(tmp_path / "cohort")
    matrix = pd.DataFrame(inputs.matrix, index=inputs.rows, columns=inputs.columns)
    assert "not_in_gtf" in matrix.index
    expected = np.log(matrix.loc["G10", "P03"] / matrix["P03"].sum() * 1e6 + 0.01)
    assert cohort.expression[cohort.gene_names.index("G10"), 3] == pytest.approx(expected)


@pytest.mark.parametrize("split", ["test", "valid"])
def test_a_held_out_person_reaches_nobody_else(inputs, tmp_path, split):
    settings = changed(unit="rpkm", min_expressed_fraction=0.9)
    make_cohort(inputs.folder, tmp_path / "before", settings, 1)
    before = Cohort.load(tmp_path / "before")
    person = before.people_names[before.people_numbers(split)[0]]
    column = inputs.columns.index(person)
    inputs.matrix[:, column] = inputs.matrix[::-1, column] * 50
    inputs.matrix[:20, column] = 0
    inputs.save()
    make_cohort(inputs.folder, tmp_path / "after", settings, 1)
    after = Cohort.load(tmp_path / "after")
    others = [number for number, name in enumerate(before.people_names) if name != person]
    assert before.expression[:, others].tobytes() == after.expression[:, others].tobytes()
    assert not np.allclose(before.expression, after.expression)
    old, new = contents(tmp_path / "before"), contents(tmp_path / "after")
    assert {name for name in old if old[name] != new[name]} == {"expression.parquet"}


def test_a_training_person_reaches_the_others(inputs, tmp_path):
    """The test above could pass if nothing were fitted at all."""
    make_cohort(inputs.folder, tmp_path / "before", SETTINGS, 1)
    before = Cohort.load(tmp_path / "before")
    person = before.people_names[before.people_numbers("train")[0]]
    inputs.matrix[:, inputs.columns.index(person)] *= 50
    inputs.save()
    make_cohort(inputs.folder, tmp_path / "after", SETTINGS, 1)
    test = before.people_numbers("test")
    assert not np.allclose(before.expression[:, test], Cohort.load(tmp_path / "after").expression[:, test])


def test_the_same_run_gives_the_same_bytes_and_another_seed_does_not(inputs, tmp_path):
    for name, seed in (("one", 1), ("two", 1), ("other", 2)):
        make_cohort(inputs.folder, tmp_path / name, SETTINGS, seed)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert contents(tmp_path / "one")["people.tsv"] != contents(tmp_path / "other")["people.tsv"]


def test_people_and_genes_are_split_independently(inputs, tmp_path):
    make_cohort(inputs.folder, tmp_path / "one", SETTINGS, 1)
    make_cohort(inputs.folder, tmp_path / "two", changed(contigs=["c1"], gene_blocks=3), 1)
    assert contents(tmp_path / "one")["people.tsv"] == contents(tmp_path / "two")["people.tsv"]


@pytest.mark.parametrize(
    ("values", "kept", "reason"),
    [
        ({"contigs": ["chrc1"]}, None, None),
        ({"contigs": ["c1"]}, {f"G{number:02}" for number in range(30)}, "its contig is not named in contigs"),
        ({"biotypes": ["lincRNA"]}, {f"G{number:02}" for number in range(1, 60, 2)}, "its biotype is not named in biotypes"),
        ({"exclude_genes": ["G07", "G08"]}, {f"G{number:02}" for number in range(60)} - {"G07", "G08"}, "named in exclude_genes"),
        ({"include_genes": [f"G{number:02}" for number in range(40)]}, {f"G{number:02}" for number in range(40)},
         "not named in include_genes"),
        ({"window_length": 78_002}, {f"G{number:02}" for number in (*range(1, 30), *range(31, 60))},
         "window has too many unknown bases (N)"),
        ({"window_length": 78_002, "max_unknown_bases": 1}, {f"G{number:02}" for number in range(60)}, None),
    ],
)  # fmt: skip
def test_settings_choose_genes(inputs, tmp_path, values, kept, reason):
    """1,000 N stand before the first gene at 40,000: a window of 78,002 bp, from 999 on, has one of them."""
    make_cohort(inputs.folder, tmp_path / "cohort", changed(**values), 1)
    dropped = reasons(tmp_path / "cohort")
    overlapping = {name for name, why in dropped.items() if "overlaps" in why}
    found = set(Cohort.load(tmp_path / "cohort").gene_names) | overlapping
    if kept is not None:
        assert found == kept
    if reason is not None:
        assert {dropped[gene] for gene in set(inputs.genes) - kept} == {reason}


def test_genes_that_are_rarely_expressed_are_dropped_by_training_people(inputs, tmp_path):
    make_cohort(inputs.folder, tmp_path / "before", SETTINGS, 1)
    cohort = Cohort.load(tmp_path / "before")
    training = [cohort.people_names[number] for number in cohort.people_numbers("train")]
    columns = [inputs.columns.index(person) for person in training]
    inputs.matrix[3, columns[:14]] = 0  # 12 of 26 express it
    inputs.matrix[4, columns[:13]] = 0  # 13 of 26 do
    held_out = [number for number in range(len(inputs.columns)) if number not in columns]
    inputs.matrix[5, held_out] = 0
    inputs.save()
    make_cohort(inputs.folder, tmp_path / "after", SETTINGS, 1)
    dropped = reasons(tmp_path / "after")
    assert [name for name, why in dropped.items() if why == "expressed in too few training people"] == ["G03"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window_length": 1001}, "window_length: 1001 is odd"),
        ({"valid_genes": 0.5, "test_genes": 0.5}, "valid_genes .0.5. and test_genes .0.5. leave nothing"),
        ({"exclude_people": ["P1"]}, "exclude_people: 'P1' is no person of the inputs; did you mean 'P"),
        ({"include_genes": ["S7"]}, "include_genes: 'S7' is no gene of the inputs; did you mean 'G07', which has this symbol"),
        ({"contigs": ["c4"]}, "contigs: 'c4' is no contig of the inputs; the names there are 'c1', 'c2'"),
        ({"biotypes": ["protein coding"]}, "biotypes: .* did you mean 'protein_coding'"),
        ({"window_length": 400_000}, "No gene is left in the cohort: .*window reaches past the contig's end: 59"),
        ({"hidden_factors": 30}, "lower hidden_factors"),
        ({"window_length": 60_000, "include_genes": ["G02", "G03", "G04"]}, "cannot be split"),
    ],
)
def test_mistakes_are_named_and_leave_nothing_behind(inputs, tmp_path, values, message):
    with pytest.raises(UserError, match=message):
        make_cohort(inputs.folder, tmp_path / "cohort", changed(**values), 1)
    assert not (tmp_path / "cohort").exists()


def test_a_folder_that_is_no_inputs_folder(tmp_path):
    with pytest.raises(UserError, match=r"list of the inputs .* does not exist"):
        make_cohort(tmp_path, tmp_path / "cohort", SETTINGS, 1)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("inputs.json", "{}", "does not name a reference and genotypes; run `gta inputs` again"),
        ("inputs.json", "{", "does not name a reference"),
        ("inputs.json", "[]", "does not name a reference"),
        ("inputs.json", '{"reference": "no.fa", "genotypes": "x"}', "reference .*no.fa does not exist"),
        ("reference.fa.fai", "c1\n", "cannot be opened through its index"),
        ("genes.tsv", "", "genes.tsv is empty: check the path"),
        ("people.tsv", "person\n", "people.tsv has no column population"),
    ],
)
def test_damage_to_the_inputs_folder_is_named(inputs, tmp_path, name, text, message):
    (inputs.folder / name).write_text(text)
    with pytest.raises(UserError, match=message):
        make_cohort(inputs.folder, tmp_path / "cohort", SETTINGS, 1)


def test_numbers_that_are_none_are_shown(inputs, tmp_path):
    path = inputs.folder / "genes.tsv"
    path.write_text(path.read_text().replace("\t40000\t", "\t4e4\t"))
    with pytest.raises(UserError, match=r"genes.tsv has '4e4' in the column (start|tss), where whole numbers are needed"):
        make_cohort(inputs.folder, tmp_path / "cohort", SETTINGS, 1)


def test_an_empty_cohort_is_refused_by_whoever_reads_it(inputs, tmp_path):
    make_cohort(inputs.folder, tmp_path / "cohort", SETTINGS, 1)
    path = tmp_path / "cohort" / "people.tsv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    with pytest.raises(UserError, match=r"people\.tsv has a header but no rows"):
        Cohort.load(tmp_path / "cohort")


def test_a_contig_without_genotypes(inputs, tmp_path):
    path = inputs.folder / "contigs.tsv"
    path.write_text(path.read_text().replace("\t2\t", "\t\t"))
    make_cohort(inputs.folder, tmp_path / "cohort", changed(gene_blocks=4), 1)
    assert set(Cohort.load(tmp_path / "cohort").genes["contig"]) == {"c1"}
    assert reasons(tmp_path / "cohort")["G40"] == "no genotypes on its contig"


def test_real_data(real_data, tmp_path):
    folder = real_data / "geuvadis-chr22"
    files = InputFiles(
        reference=folder / "reference.fa.gz",
        genotypes=folder / "genotypes.vcf.gz",
        genes=folder / "gencode.v19.chr22.gtf.gz",
        expression=folder / "expression.rpkm.bed.gz",
        annotation=folder / "gene_annotation.tsv",
    )
    prepare_inputs(files, tmp_path / "inputs")
    settings = CohortSettings(window_length=196_608, unit="rpkm", hidden_factors=10)
    make_cohort(tmp_path / "inputs", tmp_path / "cohort", settings, 1)
    cohort = Cohort.load(tmp_path / "cohort")
    assert len(cohort.people) == 343
    dropped = pd.Series(reasons(tmp_path / "cohort"))
    # 98 genes of the matrix have their TSS in the region, 84 of them a window free of N; one of the 84 is not in GENCODE v19.
    assert len(cohort.genes) + dropped.str.contains("overlaps").sum() == 83
    assert (cohort.genes["window_end"] <= 22_000_000).all() and (cohort.genes["window_start"] >= 16_050_000).all()


def test_help_and_settings_load_nothing_heavy():
    """The Snakefile imports the settings, and every start of the command line all parsers."""
    script = (
        "import sys\nimport gta.cohort.cli, gta.cohort.settings, gta.inputs.cli\n"
        "print(sorted({'numpy', 'pandas', 'pysam', 'scipy', 'sklearn', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    assert done.stdout == "[]\n"


def without_genotypes(inputs, columns=None):
    """The inputs as those of a reference study, with some of the columns of the matrix."""
    (inputs.folder / "inputs.json").write_text('{"reference": "reference.fa", "genotypes": null}')
    contigs = pd.read_csv(inputs.folder / "contigs.tsv", sep="\t").assign(genotypes_name="")
    contigs.to_csv(inputs.folder / "contigs.tsv", sep="\t", index=False)
    columns = columns or inputs.columns
    inputs.matrix = inputs.matrix[:, [inputs.columns.index(name) for name in columns]]
    inputs.columns = columns
    inputs.save()
    pd.DataFrame({"person": columns, "population": "GBR"}).to_csv(inputs.folder / "people.tsv", sep="\t", index=False)
    return inputs


def test_a_reference_study_uses_all_individuals_and_splits_genes_alone(inputs, tmp_path, capsys):
    without_genotypes(inputs)
    make_cohort(inputs.folder, tmp_path / "cohort", changed(held_out_population="nowhere"), 1)
    cohort = Cohort.load(tmp_path / "cohort")
    assert cohort.reference_study
    assert cohort.people_names == inputs.columns and set(cohort.people["split"]) == {"train"}
    assert cohort.evaluated_individuals.tolist() == list(range(len(inputs.columns)))
    assert set(cohort.genes["split"]) == {"train", "valid", "test"}
    assert "no genotypes on its contig" not in reasons(tmp_path / "cohort").values()
    # The mean over all individuals is that of the values as given, whatever hidden factors were removed.
    values = np.log(inputs.matrix[[inputs.rows.index(gene) for gene in cohort.gene_names]] + 0.01)
    np.testing.assert_allclose(cohort.expression.mean(axis=1), values.mean(axis=1), rtol=1e-9)
    assert not np.allclose(cohort.expression, values)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("individuals:")]
    assert "valid_people, test_people, held_out_population do not apply" in line


def test_one_individual_is_enough_and_rpkm_sums_to_a_million(inputs, tmp_path, capsys):
    without_genotypes(inputs, ["P03"])
    make_cohort(inputs.folder, tmp_path / "cohort", changed(unit="rpkm", hidden_factors=2), 1)
    cohort = Cohort.load(tmp_path / "cohort")
    assert cohort.people_names == ["P03"]
    tpm = inputs.matrix[:, 0] / inputs.matrix[:, 0].sum() * 1e6
    expected = np.log(tpm[[inputs.rows.index(gene) for gene in cohort.gene_names]] + 0.01)
    np.testing.assert_allclose(cohort.expression[:, 0], expected, rtol=1e-9)
    said = capsys.readouterr().err
    assert "hidden_factors: 2 do not apply to so few individuals (1)" in said and "removed 0 hidden factors (none)" in said
    statistics = pd.read_csv(tmp_path / "cohort" / "gene_statistics.tsv", sep="\t")
    np.testing.assert_allclose(statistics["mean"], expected, rtol=1e-9)
    assert (statistics["sd"] == 0).all()


def test_the_split_of_genes_does_not_depend_on_genotypes(inputs, tmp_path):
    make_cohort(inputs.folder, tmp_path / "with", changed(min_expressed_fraction=0), 1)
    assert not Cohort.load(tmp_path / "with").reference_study
    without_genotypes(inputs)
    make_cohort(inputs.folder, tmp_path / "without", changed(min_expressed_fraction=0), 1)
    assert (tmp_path / "with" / "genes.tsv").read_bytes() == (tmp_path / "without" / "genes.tsv").read_bytes()


def test_genes_without_expression_are_kept_apart(inputs, tmp_path):
    make_cohort(inputs.folder, tmp_path / "drop", SETTINGS, 1)
    make_cohort(inputs.folder, tmp_path / "predict", changed(genes_without_expression="predict"), 1)
    before, after = Cohort.load(tmp_path / "drop"), Cohort.load(tmp_path / "predict")
    unmeasured = after.gene_numbers("unmeasured")
    assert [after.gene_names[number] for number in unmeasured] == ["no_values"]
    assert np.isnan(after.expression[unmeasured]).all()
    assert (after.genes.loc[unmeasured, "block"] == -1).all()
    rest = np.delete(np.arange(len(after.genes)), unmeasured)
    pd.testing.assert_frame_equal(after.genes.iloc[rest].reset_index(drop=True), before.genes)
    np.testing.assert_array_equal(after.expression[rest], before.expression)
    order = [gene for gene in inputs.genes if gene in set(after.gene_names)]
    assert [gene for gene in after.gene_names if gene in inputs.genes] == order
    assert "no_values" not in reasons(tmp_path / "predict")
    summary = pd.read_csv(tmp_path / "predict" / "summary.tsv", sep="\t").set_index("what")["n"]
    assert summary["genes: unmeasured"] == 1
