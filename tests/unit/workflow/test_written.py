"""Names and numbers in YAML: what is written counts, not what YAML makes of it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from gta.errors import UserError
from gta.workflow.config import check
from gta.workflow.written import as_written, read_written


def read(folder: Path, text: str) -> dict[str, Any]:
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    return as_written(yaml.safe_load(text), read_written([path]))


@pytest.mark.parametrize(
    ("text", "section", "expected"),
    [
        ("cohort:\n  contigs: [1, 22, X]", "cohort", {"contigs": ["1", "22", "X"]}),
        ("cohort:\n  exclude_people: ['0011', 7, \" P1 \"]", "cohort", {"exclude_people": ["0011", "7", "P1"]}),
        ("cohort:\n  exclude_genes: [100287102, 1e5]", "cohort", {"exclude_genes": ["100287102", "1e5"]}),
        ("cohort:\n  held_out_population: 7", "cohort", {"held_out_population": "7"}),
        ("cohort:\n  held_out_population: ~", "cohort", {"held_out_population": None}),
        ("cohort:\n  window_length: 114_688", "cohort", {"window_length": 114_688}),
        ("cohort:\n  test_people: 0.25", "cohort", {"test_people": 0.25}),
        ("data:\n  reference: 38", "data", {"reference": "38"}),
        ("models:\n  gta:\n    kernel: 5", "models", {"gta": {"kernel": "5"}}),
        ("predict:\n  contigs: [21]", "predict", {"contigs": ["21"]}),
    ],
)
def test_whole_numbers_are_names_where_names_are_needed(tmp_path: Path, text: str, section: str, expected: object) -> None:
    assert read(tmp_path, text)[section] == expected


@pytest.mark.parametrize(
    ("value", "written", "what"),
    [
        ("[0011]", "0011", "the number 9"),
        ("[0x1F]", "0x1F", "the number 31"),
        ("[1_000]", "1_000", "the number 1000"),
        ("[+7]", "+7", "the number 7"),
        ("[12:30]", "12:30", "the number 750"),
        ("[1.50]", "1.50", "the number 1.5"),
        ("[NO]", "NO", "the truth value false"),
        ("[A, on]", "on", "the truth value true"),
        ("[2024-01-01]", "2024-01-01", "a date or time"),
        ("[.inf]", ".inf", "the number inf"),
    ],
)
def test_what_yaml_takes_for_something_else_is_quoted_to_the_user(tmp_path: Path, value: str, written: str, what: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, f"cohort:\n  exclude_people: {value}\n")
    assert str(caught.value) == (
        f"cohort.exclude_people: {written} without quotation marks is {what} in YAML; if it is a name, write it as a string, in"
        f" quotation marks: {written!r}."
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cohort:\n  contigs: [~]", "cohort.contigs: an item of the list is empty"),
        ("cohort:\n  contigs: [chr1, ]\n  biotypes: [null]", "cohort.biotypes: an item of the list is empty"),
        ("cohort:\n  held_out_population: NO", "cohort.held_out_population: NO without quotation marks is the truth value false"),
        ("cohort:\n  window_length: 0100000", "cohort.window_length: 0100000 is the number 32768 in YAML; write 32768"),
        ("seed: 1:30", "seed: 1:30 is the number 90 in YAML"),
        ("results: 2024-01-01", "results: 2024-01-01 without quotation marks is a date or time"),
        ("models:\n  gta:\n    prompt: no", "models.gta.prompt: no without quotation marks is the truth value false"),
        ("baselines:\n  ridge:\n    promoter: 010", "baselines.ridge.promoter: 010 is the number 8"),
    ],
)
def test_the_key_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(message)


def test_without_the_text_whole_numbers_are_names_all_the_same() -> None:
    """Jobs on other machines may not have the file, and the check at the start has refused what is doubtful."""
    assert as_written({"cohort": {"contigs": [1, 2]}}, {})["cohort"] == {"contigs": ["1", "2"]}
    with pytest.raises(UserError, match="false without quotation marks is the truth value false"):
        as_written({"cohort": {"contigs": [False]}}, {})


def test_a_value_of_the_command_line_is_not_that_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("cohort:\n  held_out_population: 0011\n  contigs: [1, 2]\n")
    config = {"cohort": {"held_out_population": 7, "contigs": ["chr1"]}}
    assert as_written(config, read_written([tmp_path / "c.yaml"])) == {
        "cohort": {"held_out_population": "7", "contigs": ["chr1"]}
    }


def test_later_files_count_and_broken_ones_do_not(tmp_path: Path) -> None:
    texts = ["cohort:\n  contigs: [01]\nseed: 1\n", "\ufeffcohort:\n  contigs: [1]\n", "a: [", "- x\n"]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text, encoding="utf-8")
    written = read_written([*(tmp_path / f"{number}.yaml" for number in range(len(texts))), tmp_path / "none.yaml"])
    assert written == {"cohort": {"contigs": ["1"]}, "seed": "1"}


@pytest.mark.parametrize(
    ("cohort", "message"),
    [
        ({"contigs": "chr1,chr2"}, "cohort.contigs: 'chr1,chr2' is not a list; write [chr1, chr2]."),
        ({"contigs": 1}, "cohort.contigs: 1 is not a list; write ['1']."),
        ({"exclude_people": "0011 HG1"}, "cohort.exclude_people: '0011 HG1' is not a list; write ['0011', HG1]."),
        ({"contigs": ["sim1,sim2"]}, "cohort.contigs: 'sim1,sim2' is one name; write [sim1, sim2] for several."),
    ],
)
def test_a_list_that_is_none(cohort: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        check({"simulation": {}, "cohort": cohort})
    assert str(caught.value) == message


def test_the_name_of_a_model_that_is_no_text() -> None:
    with pytest.raises(UserError, match=r"models: False cannot be a model's name; .* write it in quotation marks"):
        check({"simulation": {}, "models": {False: {}}})
