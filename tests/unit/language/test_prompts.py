"""Prompts and prototypes: text by hand, tokens cut where they should be."""

import json

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from transformers import BertTokenizerFast, LlamaConfig, LlamaForCausalLM

from gta.cli import main
from gta.errors import UserError
from gta.language.models import fingerprint, load_frozen, load_tokenizer, random_weights
from gta.language.pretrain import pretrain, save, train_tokenizer
from gta.language.prompts import Prompt, complete, empty_columns, render, statistics, table, texts_of, tokenize, with_question
from gta.language.prototypes import kmeans_prototypes, load_prototypes, save_prototypes
from gta.language.settings import LanguageSettings

TEMPLATE = LanguageSettings().template
ANNOTATION = pd.DataFrame(
    {
        "gene": ["G1", "G2"],
        "symbol": ["COMT", "AC1.2"],
        "biotype": ["protein_coding", "lincRNA"],
        "description": ["catechol-O-methyltransferase.", ""],
        "go_bp": ["dopamine catabolism", ""],
    }
)
ASKED = with_question(ANNOTATION, "Expression in", "lymphoblastoid cells")
TEXTS = [f"gene number {i} encodes a protein of class {i % 5} in the membrane" for i in range(40)]


def test_the_default_template_by_hand() -> None:
    genes = pd.DataFrame({"gene": ["G1", "G3"], "symbol": ["COMT", "NEW"], "biotype": ["protein_coding", "snoRNA"]})
    texts = render(TEMPLATE, with_question(complete(ANNOTATION, genes), "Level in", "liver"), ["G2", "G1", "G3"])
    assert texts == {
        "G2": "AC1.2. lincRNA gene. Level in liver:",
        "G1": "COMT: catechol-O-methyltransferase. protein coding gene. Process: dopamine catabolism. Level in liver:",
        "G3": "NEW. snoRNA gene. Level in liver:",
    }


def test_the_template_of_everything_by_hand() -> None:
    row = {"gene": "G1", "symbol": "A", "biotype": "x", "description": "name.", "summary": "It acts.", "go_cc": "nucleus"}
    annotation = with_question(pd.DataFrame([row]), "Expression in", "T cells")
    assert render("summary.j2", annotation, ["G1"]) == {
        "G1": "A: name. x gene. It acts. Location: nucleus. Expression in T cells:"
    }


def test_a_template_may_be_a_file(tmp_path) -> None:
    (tmp_path / "mine.j2").write_text("{{ symbol }}\n  is {{ biotype }}")
    assert render(str(tmp_path / "mine.j2"), ANNOTATION, ["G2"]) == {"G2": "AC1.2 is lincRNA"}
    with pytest.raises(UserError, match=r"there is no file nowhere\.j2; give the path of one, or one of gene\.j2, summary\.j2\."):
        render("nowhere.j2", ANNOTATION, ["G2"])


def test_what_an_ablation_leaves_of_the_prompt_by_hand() -> None:
    made = {mode: texts_of(mode, TEMPLATE, ASKED, ["G1", "G2"]) for mode in ("full", "symbol", "blank", "none")}
    assert made["full"] == render(TEMPLATE, ASKED, ["G1", "G2"])
    assert made["symbol"] == {"G1": "COMT", "G2": "AC1.2"}
    assert made["blank"] == dict.fromkeys(["G1", "G2"], ". gene. Expression in lymphoblastoid cells:")
    assert made["none"] == {"G1": "", "G2": ""}


@pytest.mark.parametrize(
    "template", ["{{ symbol", "", "{{ nope }}", "{{ 1 / 0 }}", "{% if %}", "{{ symbol.__class__.__mro__[1].__subclasses__() }}"]
)
def test_a_template_with_an_error_is_one_sentence(template: str) -> None:
    with pytest.raises(UserError, match=r"language\.template"):
        render(template, ANNOTATION, ["G1"])


def test_tokens_are_cut_and_marked() -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    prompts = tokenize({"long": TEXTS[0], "short": "gene", "empty": ""}, tokenizer, 5)
    assert len(prompts[0].tokens) == 5
    assert [prompt.cut > 0 for prompt in prompts] == [True, False, False]
    assert all(prompt.tokens[0] == tokenizer.bos_token_id for prompt in prompts)
    assert prompts[2].tokens == [tokenizer.bos_token_id]
    whole = tokenize({"long": TEXTS[0]}, tokenizer, 100)[0]
    assert whole.tokens[:5] == prompts[0].tokens and tokenizer.decode(whole.tokens[1:]) == TEXTS[0]
    assert table(prompts)["n_tokens"].tolist() == [5, len(prompts[1].tokens), 1]


def test_what_is_left_out_of_a_long_prompt_by_hand() -> None:
    tokenizer = train_tokenizer(TEXTS, 300)
    (whole,) = tokenize({"long": TEXTS[0]}, tokenizer, 1000)
    (end,) = tokenize({"long": TEXTS[0]}, tokenizer, 9)
    (middle,) = tokenize({"long": TEXTS[0]}, tokenizer, 9, "middle")
    assert end.tokens == whole.tokens[:9]
    assert middle.tokens == whole.tokens[:6] + whole.tokens[-3:]
    assert end.cut == middle.cut == len(whole.tokens) - 9 and whole.cut == 0
    # A tokenizer of an encoder, whose texts end with [SEP].
    ended = BertTokenizerFast(vocab={word: i for i, word in enumerate(["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "a", "b"])})
    assert tokenize({"x": "a b a"}, ended, 9, encoder=True)[0].tokens == [2, 5, 6, 5, 3]
    assert tokenize({"x": "a b a"}, ended, 4, encoder=True)[0].tokens == [2, 5, 6, 3]
    assert tokenize({"x": ""}, ended, 4, encoder=True)[0].tokens == [2, 3]


def test_statistics_of_prompts_by_hand() -> None:
    annotation = ANNOTATION[["gene", "description"]]
    prompts = [Prompt("G1", "", [1, 2, 3], 4), Prompt("G2", "", [1], 0)]
    assert dict(statistics(prompts, annotation).itertuples(index=False)) == {
        "genes": 2,
        "distinct prompts": 2,
        "tokens: least": 1,
        "tokens: median": 2,
        "tokens: mean": 2,
        "tokens: most": 3,
        "prompts cut short": 1,
        "tokens left out": 4,
        "genes with description": 1,
    }


def test_pretraining_learns_is_seeded_and_survives_saving(tmp_path) -> None:
    settings = LanguageSettings(
        vocabulary=300, hidden_size=16, layers=1, heads=2, pretraining_steps=30, pretraining_learning_rate=1e-2
    )
    model, tokenizer, loss = pretrain(TEXTS, settings, seed=1)
    # Without learning, the loss is that of guessing among all words.
    assert loss < 0.7 * torch.log(torch.tensor(float(len(tokenizer))))
    again, _, _ = pretrain(TEXTS, settings, seed=1)
    assert fingerprint(again) == fingerprint(model)
    save(model, tokenizer, tmp_path / "model")
    back = load_frozen(tmp_path / "model")
    assert fingerprint(back) == fingerprint(model)
    assert not any(parameter.requires_grad for parameter in back.parameters()) and not back.training
    assert load_tokenizer(tmp_path / "model")(TEXTS[3])["input_ids"] == tokenizer(TEXTS[3])["input_ids"]


def test_random_weights_have_the_architecture_and_nothing_of_the_pretrained_ones(tmp_path) -> None:
    settings = LanguageSettings(vocabulary=300, hidden_size=16, layers=1, heads=2, pretraining_steps=5)
    model, tokenizer, _ = pretrain(TEXTS, settings, seed=1)
    save(model, tokenizer, tmp_path / "model")
    assert main(["language", "randomise", "--model", str(tmp_path / "model"), "--seed", "3", "--out", str(tmp_path / "r")]) == 0
    found = load_frozen(tmp_path / "r")
    assert fingerprint(found) == fingerprint(random_weights(tmp_path / "model", 3))
    assert fingerprint(found) != fingerprint(random_weights(tmp_path / "model", 4))
    assert load_tokenizer(tmp_path / "r")(TEXTS[3])["input_ids"] == tokenizer(TEXTS[3])["input_ids"]
    pretrained = model.state_dict()
    for name, tensor in found.state_dict().items():
        # Norms begin with ones; every matrix was drawn anew, with the standard deviation of the architecture.
        if tensor.dim() > 1:
            assert abs(float(torch.corrcoef(torch.stack([tensor.ravel(), pretrained[name].ravel()]))[0, 1])) < 0.2, name
            assert abs(float(tensor.std()) - found.config.initializer_range) < 0.003, name


def test_too_few_texts_and_odd_widths_are_refused() -> None:
    with pytest.raises(UserError, match="at least 16 genes with a description, not 3"):
        pretrain(TEXTS[:3], LanguageSettings(), 1)
    with pytest.raises(UserError, match=r"heads: 4 heads do not share hidden_size .18. in equal, even parts"):
        pretrain(TEXTS, LanguageSettings(hidden_size=18, heads=4), 1)


def test_pretraining_without_any_description_says_so(tmp_path, capsys) -> None:
    (tmp_path / "a.tsv").write_text("gene\tsymbol\tbiotype\tdescription\n" + "".join(f"G{i}\tS{i}\t\t\n" for i in range(20)))
    words = ["language", "pretrain", "--annotation", str(tmp_path / "a.tsv"), "--out", str(tmp_path / "model")]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "needs descriptions of genes, and the column description of" in said
    assert not (tmp_path / "model").exists()


def test_columns_of_the_template_that_say_nothing_are_found() -> None:
    annotation = pd.DataFrame(
        {"gene": ["A", "B", "C"], "symbol": ["a", "", "c"], "go_bp": ["", " ", "x"], "note": ["n", "n", "n"]}
    )
    template = "{{ symbol }} {{ go_bp }} {{ task }}{% if summary %}{{ summary }}{% endif %}"
    assert empty_columns(template, annotation, ["A", "B"]) == ["go_bp"]
    assert empty_columns(template, annotation, ["A", "C"]) == []


def test_prototypes_are_the_centres_of_planted_clusters(tmp_path) -> None:
    model = LlamaForCausalLM(
        LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=30)
    )
    centres = torch.eye(8)[:3] * 5
    with torch.no_grad():
        noise = 0.01 * torch.randn(30, 8, generator=torch.Generator().manual_seed(0))
        model.get_input_embeddings().weight.copy_(centres.repeat(10, 1) + noise)
    found = kmeans_prototypes(model, 3, seed=1)
    distance, index = torch.cdist(centres, found.vectors).min(dim=1)
    assert distance.max() < 0.05 and len(set(index.tolist())) == 3
    save_prototypes(found, tmp_path / "p.safetensors")
    back = load_prototypes(tmp_path / "p.safetensors")
    assert torch.equal(back.vectors, found.vectors) and back.model == fingerprint(model)
    with pytest.raises(UserError, match="more than the 30 words"):
        kmeans_prototypes(model, 31, seed=1)


def test_the_real_pretrained_model_reads_prompts(real_data) -> None:
    folder = real_data / "models" / "stories260k-llama"
    model, tokenizer = load_frozen(folder), load_tokenizer(folder)
    tokens = torch.tensor([tokenizer("Once upon a time, there was a little girl named")["input_ids"]])
    with torch.no_grad():
        logits = model(input_ids=tokens, attention_mask=torch.ones_like(tokens)).logits
    # Every word of the vocabulary would have 6.2 nats if it knew nothing.
    loss = torch.nn.functional.cross_entropy(logits[0, :-1], tokens[0, 1:])
    assert loss < 2.5


def small_llama() -> LlamaForCausalLM:
    return LlamaForCausalLM(
        LlamaConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2, vocab_size=30)
    )


def test_pickled_weights_are_refused_before_anything_reads_them(tmp_path) -> None:
    small_llama().save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"pytorch_model\.bin, a pickle, which can run any code .* convert it to safetensors"):
        load_frozen(tmp_path)


def test_a_model_that_lacks_weights_is_refused(tmp_path) -> None:
    model = small_llama()
    model.save_pretrained(tmp_path)
    weights = {name: tensor for name, tensor in model.state_dict().items() if "q_proj" not in name}
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lacks the weights 'model\.layers\.0\.self_attn\.q_proj\.weight'"):
        load_frozen(tmp_path)


def test_code_in_the_folder_of_a_model_is_not_run(tmp_path) -> None:
    small_llama().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.EvilModel"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UserError, match=r"needs code from its repository .* which is never run"):
        load_frozen(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_the_fingerprint_does_not_depend_on_the_precision_of_exact_weights() -> None:
    model = small_llama().bfloat16()
    there = fingerprint(model)
    assert fingerprint(model.float()) == there


@pytest.mark.parametrize("content", [None, "{}", "not json"])
def test_a_folder_without_a_model_is_one_sentence(tmp_path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"no config\.json|no `model_type`|is not JSON"):
        load_frozen(tmp_path)
