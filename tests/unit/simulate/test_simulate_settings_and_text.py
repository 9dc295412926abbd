"""Settings, names, text and the command line."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gta.errors import UserError
from gta.settings import from_mapping
from gta.simulate import cli, names
from gta.simulate.settings import SimulateSettings, check
from gta.simulate.text import write_texts
from gta.simulate.vocabulary import CLASSES


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"people": 3}, "people: 3 is below the smallest allowed value, 10"),
        ({"people": 10, "population_names": list("ABCDEF")}, "too few for 6 populations"),
        ({"population_names": []}, "population_names is empty"),
        ({"population_names": ["A", "A"]}, "a name twice"),
        ({"population_names": ["A B"]}, "'A B' is no usable name"),
        ({"population_names": ["A\tB"]}, "is no usable name"),
        ({"genes": 1, "contigs": 2}, "fewer than the 2 contigs"),
        ({"annotated_genes": 10}, "annotated_genes: 10 is smaller than genes (80)"),
        ({"margin": 20_000}, "the contigs are too short"),
        ({"mean_spacing": 5_000}, "mean_spacing: 5000 is below"),
        ({"indel_share": 0.9}, "above the largest allowed value, 0.5"),
        ({"text_effect": -1}, "text_effect: -1.0 is below the smallest allowed value, 0"),
        ({"text_effect": 11}, "text_effect: 11.0 is above the largest allowed value, 10"),
        ({"text_modulates": 1}, "is not boolean"),
        ({"gene": 5}, "did you mean genes?"),
        ({"people": "many"}, "is not integer"),
    ],
)
def test_bad_settings_are_explained(values: dict, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check(from_mapping(SimulateSettings, values, where="simulation"))
    assert message in str(caught.value)


def test_default_settings_make_sense() -> None:
    check(SimulateSettings())


@given(
    st.builds(
        SimulateSettings,
        people=st.integers(10, 2_000),
        population_names=st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=5, unique=True),
        contigs=st.integers(1, 5),
        genes=st.integers(5, 500),
        annotated_genes=st.integers(500, 3_000),
    )
)
def test_names_are_unique_and_shares_equal(settings: SimulateSettings) -> None:
    people, populations = names.person_names(settings), names.person_populations(settings)
    assert len(set(people)) == len(people) == len(populations) == settings.people
    sizes = [populations.count(name) for name in settings.population_names]
    assert sum(sizes) == settings.people
    assert max(sizes) - min(sizes) <= 1
    per_contig = names.genes_per_contig(settings)
    assert sum(per_contig) == settings.genes == len(names.gene_names(settings))
    assert max(per_contig) - min(per_contig) <= 1
    symbols = names.gene_symbols(settings)
    assert len(set(symbols)) == len(symbols) == settings.annotated_genes


def test_first_names() -> None:
    settings = SimulateSettings()
    assert names.person_names(settings)[:2] == ["P001", "P002"]
    assert names.gene_names(settings)[0] == "SIMG00001.1"
    assert len(names.gene_names(settings)) == 80
    assert all(len(s) == 6 and s[1::2] == "".join(c for c in s if c in "AEIOU") for s in names.gene_symbols(settings))


def test_text_tells_the_class_but_not_always() -> None:
    texts = write_texts(80, 2_000, np.random.default_rng(3))
    assert len(texts) == 2_000
    first = [text.text_class.name for text in texts[:80]]
    assert {first.count(c.name) for c in CLASSES} == {8}
    right = 0
    for text in texts:
        assert 15 <= len(text.description.split()) <= 40
        assert text.description[0].isupper() and text.description.endswith(".")
        terms = text.go_bp.split("; ")
        assert 1 <= len(terms) == len(set(terms)) <= 3
        sources = [c for c in CLASSES if set(terms) <= set(c.processes)]
        assert len(sources) == 1
        assert set(text.go_mf.split("; ")) <= set(sources[0].functions)
        assert any(kind in text.description for kind in sources[0].kinds)
        right += sources[0] is text.text_class
    assert right / len(texts) == pytest.approx(0.85, abs=0.03)
    assert len({text.description for text in texts}) > 1_900


def command_line(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_parser(parser.add_subparsers())
    return parser.parse_args(["simulate", *words])


def test_command_line_writes_and_reports_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = "--seed 2 --people 10 --genes 3 --contigs 1 --annotated-genes 5 --mean-spacing 13000 --margin 15000"
    arguments = command_line("--out", str(tmp_path / "a"), *words.split(), "--max-distal-distance", "3000")
    arguments.run(arguments)
    said = capsys.readouterr()
    assert said.out == ""
    assert "10 people, 3 genes" in said.err.splitlines()[-1]
    assert (tmp_path / "a" / "truth_genes.tsv").read_text().count("\n") == 4


def test_text_settings_on_the_command_line(tmp_path: Path) -> None:
    words = "--seed 2 --people 10 --genes 3 --contigs 1 --annotated-genes 5 --mean-spacing 13000 --margin 15000"
    words += " --max-distal-distance 3000 --text-effect=0 --text-modulates=true"
    arguments = command_line("--out", str(tmp_path), *words.split())
    arguments.run(arguments)
    multipliers = [line.split("\t")[2] for line in (tmp_path / "truth_modulation.tsv").read_text().splitlines()[1:]]
    assert sorted(multipliers) == ["-1"] * 50 + ["1"] * 50


def test_output_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    arguments = command_line("--out", str(tmp_path / "file"))
    with pytest.raises(UserError, match="cannot be written"):
        arguments.run(arguments)
    assert (tmp_path / "file").read_text() == "mine"


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command_line("--help")
    shown = capsys.readouterr().out
    for word in ("truth_variants.tsv", "TPM", "0-based", "--indel-share", "examples:"):
        assert word in shown, sys.argv
