"""In-context examples: training genes with similar text, and nobody else's expression."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gta.baselines.text import read_prompts
from gta.cli import main
from gta.cohort.tables import Cohort
from gta.errors import UserError
from gta.inputs.tables import read_table, write_table
from gta.language.cache import PromptCache
from gta.language.examples import make_examples, most_similar, quote, training_means
from gta.language.models import load_tokenizer
from gta.language.pretrain import pretrain, save, train_tokenizer
from gta.language.prompts import tokenize
from gta.language.settings import LanguageSettings
from toy_cohort import write_cohort

#: Gene, symbol, description, split, mean expression over the training individuals.
ROWS = [
    ("g1", "KIN1", "kinase of the cell cycle", "train", 4.04),
    ("g2", "KIN2", "kinase of the cell membrane", "train", 1.96),
    ("g3", "RIB1", "ribosome subunit protein", "train", -3.0),
    ("g4", "RIB2", "ribosome subunit factor", "train", -0.04),
    ("g5", "KIN5", "kinase of the cell cycle", "valid", 7.7),
    ("g6", "RIB6", "ribosome subunit protein", "test", 8.8),
    ("g7", "", "", "train", 2.5),
]
GENES = [row[0] for row in ROWS]
SPLITS = ["train", "train", "valid", "test"]
ANNOTATION = pd.DataFrame([row[:3] for row in ROWS], columns=["gene", "symbol", "description"]).assign(biotype="protein_coding")
SETTINGS = LanguageSettings(examples=2, max_prompt_tokens=400)


@pytest.fixture
def cohort() -> Cohort:
    """Two training individuals, one above and one below the mean; a validation and a test individual far away."""
    people = pd.DataFrame({"person": ["a", "b", "c", "d"], "population": "X", "split": SPLITS})
    genes = pd.DataFrame(
        {
            "gene": GENES,
            "symbol": ANNOTATION["symbol"],
            "biotype": "protein_coding",
            "contig": "c1",
            "strand": "+",
            "tss": 100,
            "window_start": 0,
            "window_end": 200,
            "block": 0,
            "split": [row[3] for row in ROWS],
        }
    )
    means = np.array([row[4] for row in ROWS])
    return Cohort(people, genes, means[:, None] + np.array([0.5, -0.5, 30.0, 60.0]))


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language") / "model"
    texts = [f"gene number {i} encodes a protein of class {i % 5} in the membrane" for i in range(40)]
    settings = LanguageSettings(vocabulary=300, hidden_size=16, layers=1, heads=2, pretraining_steps=1)
    model, tokenizer, _ = pretrain(texts, settings, seed=1)
    save(model, tokenizer, folder)
    return folder


Command = Callable[..., dict[str, Path]]


@pytest.fixture
def command(language_model: Path, tmp_path: Path) -> Command:
    """Runs `gta language prompts` on a cohort; gives the files by name."""

    def run(cohort: Cohort, *options: object, annotation: pd.DataFrame = ANNOTATION) -> dict[str, Path]:
        folder = write_cohort(cohort, tmp_path / "cohort")
        write_table(annotation, tmp_path / "annotation.tsv")
        out = tmp_path / f"out{len(list(tmp_path.glob('out*')))}"
        words = ["language", "prompts", "--cohort", folder, "--annotation", tmp_path / "annotation.tsv"]
        words += ["--model", language_model, "--max-prompt-tokens", 400, *options, "--out", out]
        assert main([str(word) for word in words]) == 0
        return {path.name: path for path in out.iterdir()}

    return run


def changed(cohort: Cohort, genes: list[int], individuals: list[int]) -> Cohort:
    """The cohort with other expression of some genes in some individuals."""
    expression = cohort.expression.copy()
    expression[np.ix_(genes, individuals)] -= 20.0
    return Cohort(cohort.people, cohort.genes, expression)


def test_examples_by_hand(cohort: Cohort) -> None:
    assert training_means(cohort).round(9).to_dict() == {row[0]: row[4] for row in ROWS if row[3] == "train"}
    made = make_examples(ANNOTATION, ["g5", "g6", "g1"], cohort, SETTINGS).lines
    # Terciles of -3, -0.04, 1.96, 2.5 and 4.04: 0.63 and 2.32; without g1 of the rest: -0.04 and 1.96.
    assert made == {
        "g5": [
            "KIN1: kinase of the cell cycle. protein coding gene - high (4.0).",
            "KIN2: kinase of the cell membrane. protein coding gene - medium (2.0).",
        ],
        "g6": [
            "RIB1: ribosome subunit protein. protein coding gene - low (-3.0).",
            "RIB2: ribosome subunit factor. protein coding gene - low (0.0).",
        ],
        "g1": [
            "KIN2: kinase of the cell membrane. protein coding gene - medium (2.0).",
            "g7: protein coding gene - high (2.5).",
        ],
    }


def test_the_nearest_text_is_chosen_and_never_the_genes_own() -> None:
    training = {"b": "alpha beta", "a": "alpha beta", "c": "alpha gamma", "d": "delta epsilon"}
    similar = most_similar(training, {**training, "new": "the delta", "empty": ""}, 2)
    assert similar["new"] == ["d", "a"]
    assert similar["c"] == ["a", "b"]  # equal texts are ordered by name
    assert (similar["a"], similar["b"]) == (["b", "c"], ["a", "c"])
    assert similar["empty"] == ["a", "b"]
    everything = most_similar(training, training, 16)
    assert all(name not in names and len(names) == 3 for name, names in everything.items())
    with pytest.raises(UserError, match=r"language\.examples: texts of training genes have no words"):
        most_similar({"a": "", "b": "?"}, {"a": ""}, 1)


def test_blocks_of_genes_give_the_same_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    texts = {f"g{i:02}": " ".join(rng.choice(["one", "two", "three", "four", "five"], 4)) for i in range(30)}
    whole = most_similar(texts, texts, 5)
    monkeypatch.setattr("gta.language.examples.BLOCK", 7)
    assert most_similar(texts, texts, 5) == whole


@pytest.mark.parametrize(
    ("symbol", "text", "words", "expected"),
    [
        ("A", "A: first second. third", 2, "A: first second"),
        ("A", "AB is another gene", 9, "A: AB is another gene"),
        ("A", "A. :", 9, "A"),
        ("A", "", 9, "A"),
        ("A", "words without a symbol.", 2, "A: words without"),
    ],
)
def test_quote_by_hand(symbol: str, text: str, words: int, expected: str) -> None:
    assert quote(symbol, text, words) == expected


@pytest.mark.parametrize(
    ("genes", "individuals"),
    [([5], [0, 1, 2, 3]), ([4], [0, 1, 2, 3]), (list(range(7)), [2, 3])],
    ids=["held-out gene", "validation gene", "validation and test individuals"],
)
def test_expression_outside_the_training_set_is_not_in_any_prompt(
    cohort: Cohort, command: Command, genes: list[int], individuals: list[int]
) -> None:
    before = command(cohort, "--examples", 2)
    after = command(changed(cohort, genes, individuals), "--examples", 2)
    assert {name: path.read_bytes() for name, path in after.items()} == {name: path.read_bytes() for name, path in before.items()}


def test_expression_of_a_training_gene_is_in_the_prompts_of_others_alone(cohort: Cohort) -> None:
    number = GENES.index("g2")
    before = make_examples(ANNOTATION, GENES, cohort, SETTINGS).lines
    after = make_examples(ANNOTATION, GENES, changed(cohort, [number], [0, 1]), SETTINGS).lines
    quoting = {gene for gene, lines in before.items() if any(line.startswith("KIN2:") for line in lines)}
    assert quoting == {"g1", "g5"}
    for gene in quoting:
        assert any(line.endswith("low (-18.0).") for line in after[gene])


def test_the_expression_of_a_gene_is_not_in_its_own_prompt_by_the_terciles_either(cohort: Cohort) -> None:
    before = make_examples(ANNOTATION, GENES, cohort, SETTINGS).lines
    for number, gene in enumerate(GENES):
        assert make_examples(ANNOTATION, [gene], changed(cohort, [number], [0, 1]), SETTINGS).lines[gene] == before[gene]


def test_examples_are_dropped_before_the_genes_own_text_is_cut() -> None:
    tokenizer = train_tokenizer([f"gene number {i} encodes a protein of class {i % 5}" for i in range(40)], 300)
    near, far, own = "first example.", "another example, far away.", "gene number 7 encodes a protein"
    texts, examples = {"g": own}, {"g": [near, far]}
    (bare,) = tokenize(texts, tokenizer, 1000)
    (whole,) = tokenize(texts, tokenizer, 1000, examples=examples)
    (one,) = tokenize(texts, tokenizer, len(whole.tokens) - 1, examples=examples)
    (none,) = tokenize(texts, tokenizer, len(bare.tokens), examples=examples)
    (cut,) = tokenize(texts, tokenizer, len(bare.tokens) - 2, "middle", examples)
    assert [tokenizer.decode(prompt.tokens[1:]) for prompt in (whole, one)] == [f"{far} {near} {own}", f"{near} {own}"]
    assert [prompt.examples for prompt in (whole, one, none, cut)] == [(far, near), (near,), (), ()]
    assert [prompt.cut for prompt in (whole, one, none, cut)] == [0, 0, 0, 2]
    assert none.tokens == bare.tokens and all(prompt.text == own for prompt in (whole, one, none, cut))
    assert cut == tokenize(texts, tokenizer, len(bare.tokens) - 2, "middle")[0]


def test_without_examples_the_files_are_as_before(cohort: Cohort, command: Command) -> None:
    files = {mode: command(cohort, "--mode", mode) for mode in ("full", "plain", "symbol")}
    lines = files["full"]["prompts.tsv"].read_text().splitlines()
    own = "KIN1: kinase of the cell cycle. protein coding gene. Expression in lymphoblastoid cells:"
    assert lines[0] == "gene\tn_tokens\tn_cut\tprompt" and lines[1].startswith("g1\t") and lines[1].endswith(f"\t0\t{own}")
    with_examples = {mode: command(cohort, "--mode", mode, "--examples", 2) for mode in ("plain", "symbol", "blank", "none")}
    for mode, now in (("plain", "plain"), ("plain", "full"), ("symbol", "symbol")):
        for name, path in with_examples[mode].items():
            assert path.read_bytes() == files[now][name].read_bytes(), (mode, name)
    for mode in ("blank", "none"):
        assert "n_examples" not in pd.read_csv(with_examples[mode]["prompts.tsv"], sep="\t")


def test_the_table_has_the_genes_own_text_for_the_baselines(cohort: Cohort, command: Command, language_model: Path) -> None:
    files, plain = command(cohort, "--examples", 2), command(cohort)
    table = pd.read_csv(files["prompts.tsv"], sep="\t", keep_default_na=False)
    assert list(table.columns) == ["gene", "n_tokens", "n_cut", "prompt", "n_examples", "with_examples"]
    assert table["n_examples"].tolist() == [2] * len(GENES)
    texts = read_prompts(files["prompts.tsv"], GENES)
    assert texts == read_prompts(plain["prompts.tsv"], GENES)
    assert not any(symbol in text for symbol in ("KIN2", " - ") for gene, text in zip(GENES, texts, strict=True) if gene != "g2")
    assert table["with_examples"][4].startswith("KIN2:") and table["with_examples"][4].endswith(f"(4.0). {texts[4]}")
    cache = PromptCache.load(files["prompt_cache.safetensors"])
    tokens = cache.prompt_tokens(cache.rows[4:5])[0][0].tolist()
    assert load_tokenizer(language_model).decode(tokens[1:]) == table["with_examples"][4]
    assert cache.examples["g5"] == ["g1", "g2"] and set(cache.examples) == set(GENES)
    assert PromptCache.load(plain["prompt_cache.safetensors"]).examples == {}
    numbers = pd.read_csv(files["statistics.tsv"], sep="\t").set_index("what")["value"]
    assert numbers["examples: mean"] == 2 and "examples: mean" not in plain["statistics.tsv"].read_text()


def test_quotation_marks_in_symbols_and_descriptions_survive(cohort: Cohort, command: Command) -> None:
    quoted = ANNOTATION.assign(symbol=[f'"{name}"' for name in ANNOTATION["symbol"]])
    quoted["description"] = ['"so-called" kinase', 'the 5" end', 'one "mark', '""', "it's", '"', ""]
    files = command(cohort, "--examples", 2, annotation=quoted)
    texts = read_prompts(files["prompts.tsv"], GENES)
    assert texts[0].startswith('"KIN1": "so-called" kinase.') and texts[1].startswith('"KIN2": the 5" end.')
    assert texts[2].startswith('"RIB1": one "mark.') and texts[3].startswith('"RIB2": "".')
    table = read_table(files["prompts.tsv"], ("n_examples", "with_examples"))
    assert len(table) == len(GENES) and table["with_examples"].str.contains('"KIN1": "so-called" kinase', regex=False).any()


def test_new_genes_get_examples_of_the_study(cohort: Cohort, command: Command, tmp_path: Path) -> None:
    study = pd.read_csv(command(cohort, "--examples", 2)["prompts.tsv"], sep="\t", keep_default_na=False)
    folder = write_cohort(cohort, tmp_path / "study")
    new = Cohort(cohort.people, cohort.genes.iloc[[5, 0]].assign(split="new"), np.full((2, 4), np.nan))
    files = command(new, "--examples", 2, "--training-cohort", folder)
    table = pd.read_csv(files["prompts.tsv"], sep="\t", keep_default_na=False)
    expected = study.set_index("gene").loc[["g6", "g1"]].reset_index()
    pd.testing.assert_frame_equal(table, expected)
    with pytest.raises(UserError, match="no training genes or no training individuals"):
        training_means(new)


def test_a_limit_without_room_for_any_example_is_refused(
    cohort: Cohort, command: Command, language_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = command(cohort)["prompts.tsv"].parents[1] / "cohort"
    words = ["language", "prompts", "--cohort", study, "--annotation", tmp_path / "annotation.tsv", "--model", language_model]
    words += ["--examples", 2, "--max-prompt-tokens", 9, "--training-cohort", study, "--out", tmp_path / "x"]
    assert main([str(word) for word in words]) == 1
    assert "no example fits into any prompt of 9 tokens; raise language.max_prompt_tokens" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_compressed_prompts_with_examples_are_refused(
    cohort: Cohort, language_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ANNOTATION.to_csv(tmp_path / "annotation.tsv", sep="\t", index=False)
    words = ["compressor", "prompts", "--cohort", write_cohort(cohort, tmp_path / "cohort"), "--model", language_model]
    words += ["--annotation", tmp_path / "annotation.tsv", "--method", "truncate", "--memory-tokens", 2, "--examples", 1]
    assert main([str(word) for word in [*words, "--out", tmp_path / "out"]]) == 1
    assert "compressed prompts have no in-context examples" in capsys.readouterr().err
