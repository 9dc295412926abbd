"""Checking a configuration: what is completed, and that each mistake is one sentence naming the key."""

from pathlib import Path
from typing import Any

import pysam
import pytest

from gta.errors import UserError
from gta.workflow.config import check
from gta.workflow.tables import report_tables
from tiny_networks import write_description

SIMULATED: dict[str, Any] = {"simulation": {"people": 12, "genes": 6}}


@pytest.fixture
def data(tmp_path: Path) -> dict[str, Any]:
    """A configuration with five tiny files of the user, genotypes compressed."""
    (tmp_path / "reference.fa").write_text(">22\nACGT\n>7\nACGT\n")
    (tmp_path / "reference.fa.fai").write_text("22\t4\t4\t4\t5\n7\t4\t12\t4\t5\n")
    vcf = tmp_path / "plain.vcf"
    vcf.write_text("##fileformat=VCFv4.2\n##contig=<ID=22>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tHG1\tHG2\n")
    pysam.tabix_compress(str(vcf), str(tmp_path / "genotypes.vcf.gz"))
    (tmp_path / "genes.gtf").write_text('chr22\tx\tgene\t1\t4\t.\t+\t.\tgene_id "ENSG00000000009.1"; gene_name "NINE";\n')
    (tmp_path / "expression.bed").write_text(
        "#chr\tstart\tend\tgene\tlength\tstrand\tHG1\tHG3\nchr22\t1\t2\tENSG00000000001.4\t3\t+\t1.0\t2.0\n"
    )
    (tmp_path / "annotation.tsv").write_text("gene_id\tsymbol\nENSG00000000001.4\tONE\n")
    return {
        "data_dir": str(tmp_path),
        "data": {
            "reference": "reference.fa",
            "genotypes": "genotypes.vcf.gz",
            "genes": "genes.gtf",
            "expression": "expression.bed",
            "annotation": "annotation.tsv",
        },
        "cohort": {"contigs": ["22"]},
    }


def message(config: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        check(config)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_simulation_names_its_files_and_contigs() -> None:
    run = check({"results": "out/", **SIMULATED})
    assert run.input_files["genotypes"] == "out/simulated/genotypes.vcf.gz"
    assert run.known_elements == {"truth": "out/simulated/truth_elements.tsv"}
    assert run.contigs == ["sim1", "sim2"]
    assert run.language_model == "out/language/model"


def test_seed_of_the_run_is_that_of_the_simulation_unless_it_has_its_own() -> None:
    assert check({"seed": 7, **SIMULATED}).simulation.seed == 7
    assert check({"seed": 7, "simulation": {"seed": 3}}).simulation.seed == 3


def test_models_are_the_aligner_with_their_own_keys_on_top() -> None:
    run = check({**SIMULATED, "aligner": {"epochs": 3, "seeds": 2}, "models": {"gta": None, "long": {"epochs": 9}}})
    assert (run.models["gta"].epochs, run.models["long"].epochs) == (3, 9)
    trained = ["gta.seed1", "gta.seed2", "long.seed1", "long.seed2"]
    text = ["features_and_prompt", "prompt_ridge", "tfidf_ridge", "text_length"]
    assert run.predictors == [*trained, *text, "elastic_net", "top_eqtl", "ridge", "mean"]


def test_late_fusion_is_of_the_first_model_without_its_language_model() -> None:
    common = {**SIMULATED, "aligner": {"seeds": 2}}
    run = check({**common, "models": {"gta": {"heads": 2}, "short": {"language_model": "none"}}})
    assert run.fused_models == [], "the models differ in more than the language model"
    run = check({**common, "models": {"gta": {}, "sequence": {"language_model": "none"}, "again": {"language_model": "none"}}})
    assert run.fused_models == ["sequence"]
    assert run.predictors[6:9] == ["sequence_and_prompt.seed1", "sequence_and_prompt.seed2", "features_and_prompt"]
    assert check({**common, "models": {"gta": {"language_model": "none"}, "b": {"language_model": "none"}}}).fused_models == []


def test_text_baselines_read_the_full_prompts_of_the_first_model() -> None:
    models = {"gta": {"language_model": "minilm", "prompt": "symbol"}, "other": {}}
    assert check({**SIMULATED, "results": "out", "models": models}).full_prompts == "out/language/minilm/full"
    assert check({**SIMULATED, "results": "out"}).full_prompts == "out/language/pretrained/full"


def test_examples_are_read_by_full_prompts_of_models_and_not_by_text_baselines() -> None:
    models = {"gta": {}, "s": {"prompt": "shuffled"}, "b": {"prompt": "blank"}}
    config = {**SIMULATED, "results": "out", "models": models}
    without, run = check(config), check({**config, "language": {"examples": 4}})
    assert [without.example_files(mode) for mode in ("full", "plain", "symbol", "blank", "none")] == [[]] * 5
    assert [run.example_files(mode) for mode in ("plain", "symbol", "blank", "none")] == [[]] * 4
    assert run.example_files("full") == [f"out/cohort/{name}" for name in ("genes.tsv", "people.tsv", "expression.parquet")]
    assert run.full_prompts == "out/language/pretrained/plain"
    assert all(run.prompt_cache(model) == without.prompt_cache(model) for model in models)


def test_options_hold_what_commands_know_and_no_more() -> None:
    run = check({**SIMULATED, "models": {"gta": {}}, "cohort": {"include_people": ["P001", "P002"]}})
    assert "--include-people=P001 --include-people=P002" in run.options("cohort")
    assert "--models" not in run.options("attribution")
    assert "--seeds" not in run.model_options("gta")
    assert run.options("language", "prototypes") == "--prototypes=64"


def test_weights_are_a_path_or_an_id_on_the_hub(tmp_path: Path) -> None:
    (tmp_path / "net.h5").write_text("weights")
    features = {"extractor": "xpresso", "weights": "net.h5"}
    run = check({**SIMULATED, "data_dir": str(tmp_path), "features": features})
    assert run.sections["features"].weights == str(tmp_path / "net.h5") and run.weight_files() == [str(tmp_path / "net.h5")]
    assert run.predictors[-3:] == ["ridge", "mean", "track"]
    hub = check({**SIMULATED, "data_dir": str(tmp_path), "features": {**features, "weights": "a/b", "revision": "abc"}})
    assert hub.sections["features"].weights == "a/b" and hub.weight_files() == []
    # A window that tiles do not fill is nothing to a network with tiles of its own.
    check({**SIMULATED, "data_dir": str(tmp_path), "features": {**features, "tile_length": 1000}})


def test_an_extractor_without_weights_is_trained_on_the_study(tmp_path: Path) -> None:
    features = {"extractor": "cnn", "tile_length": 128}
    run = check({**SIMULATED, "features": features})
    assert run.trains_extractor and run.weight_files()[0] == f"{run.results}/cnn/model/config.json"
    assert f"--weights={run.results}/cnn/model" in run.feature_options() and "track" in run.predictors
    (tmp_path / "config.json").write_text("{}")
    given = check({**SIMULATED, "data_dir": str(tmp_path), "features": {**features, "weights": "."}})
    assert not given.trains_extractor and given.weight_files() == [str(tmp_path / "config.json")]
    with pytest.raises(UserError, match=r"cnn\.downstream: 100 bp are not a whole number of tiles of 128 bp"):
        check({**SIMULATED, "features": features, "cnn": {"downstream": 100}})


def test_text_from_the_command_line_is_read_as_what_is_needed() -> None:
    run = check({"simulation": {"people": "12"}, "aligner": {"seeds": "1", "learning_rate": "1e-3", "language_model": "none"}})
    assert run.seeds == [1]
    assert (run.models["gta"].learning_rate, run.models["gta"].language_model) == (0.001, "none")


def test_users_paths_start_from_the_folder_of_data(data: dict[str, Any], tmp_path: Path) -> None:
    run = check(data)
    assert run.data.expression == str(tmp_path / "expression.bed")
    assert run.known_elements == {}
    absolute = {**data, "data_dir": "/elsewhere", "data": {key: str(tmp_path / path) for key, path in data["data"].items()}}
    assert check(absolute).data.expression == str(tmp_path / "expression.bed")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"cohorts": {}}, "unknown key 'cohorts'; did you mean cohort?"),
        ({"cohort": {"window": 5}}, "cohort: unknown key 'window'"),
        ({"cohort": ["a"]}, "cohort: ['a'] is not a section"),
        ({"aligner": {"epochs": "many"}}, "aligner.epochs: 'many' is not integer"),
        ({"evaluation": {"confidence": 2}}, "evaluation.confidence: 2.0 is above the largest allowed value"),
        ({"baselines": {"lasso": {}}}, "baselines: unknown key 'lasso'"),
        ({"baselines": {"ridge": {"promotor": 1}}}, "baselines.ridge: unknown key 'promotor'; did you mean promoter?"),
        ({"models": {}}, "models: at least one model is needed"),
        ({"models": {"ridge": {}}}, "models.ridge: this is the name of a baseline"),
        ({"models": {"prompt_ridge": {}}}, "models.prompt_ridge: this is the name of a baseline"),
        ({"language": {"examples": 17}}, "language.examples: 17 is above the largest allowed value, 16"),
        (
            {"language": {"examples": 1}, "models": {"gta": {}, "b": {"compressor": "truncate"}}},
            "models.b.compressor: compressed prompts have no in-context examples; set compressor: none, or language.examples: 0.",
        ),
        (
            {"models": {"a": {}, "b": {"language_model": "none"}, "b_and_prompt": {}}},
            "models.b_and_prompt: this is the name of a baseline",
        ),
        ({"models": {"track": {}}}, "models.track: this is the name of a baseline"),
        ({"models": {"my model": {}}}, "models: 'my model' cannot be a model's name"),
        ({"models": {"gta": {"epoch": 1}}}, "models.gta: unknown key 'epoch'; did you mean epochs?"),
        ({"models": {"other": {}}}, "attribution.models: unknown key 'gta'"),
        ({"features": {"tile_length": 1000}}, "features.tile_length: tiles of 1000 bp do not fill windows of"),
        ({"features": {"extractor": "motif", "weights": "a.h5"}}, "features.weights: motif has no weights"),
        ({"features": {"extractor": "xpresso"}}, "features.weights: xpresso needs weights"),
        ({"features": {"extractor": "xpresso", "weights": "no.h5"}}, "features.weights: there is no no.h5"),
        ({"features": {"extractor": "xpreso"}}, "features.extractor: 'xpreso' is none of 'motif', 'xpresso'"),
        ({"results": "/"}, "results: '/' is no folder"),
        ({"results": "a{b}"}, "results: the path 'a{b}' contains '{'"),
        ({"data": {"genes": "x.gtf"}}, "data.genes: a run with a section `simulation` makes its own data"),
        ({"simulation": {"genes": 1}}, "genes: 1 are fewer than the 2 contigs"),
        ({"cohort": {"held_out_population": "POP3"}}, "cohort.held_out_population: 'POP3' is no population of the data; did you"),
        ({"cohort": {"exclude_people": ["P013"]}}, "cohort.exclude_people: 'P013' is no person of the data; did you mean"),
        ({"cohort": {"include_genes": ["SIMG1"]}}, "cohort.include_genes: 'SIMG1' is no gene of the data"),
        ({"cohort": {"contigs": ["sim3"]}}, "cohort.contigs: 'sim3' is no contig of the data"),
        ({"attribution": {"figure_genes": ["SIMG00007.1"]}}, "attribution.figure_genes: 'SIMG00007.1' is no gene"),
        ({"seed": -1}, "configuration.seed: -1 is below"),
        ({"simulation": {"genes": 1}}, "simulation.genes: 1 are fewer"),
        ({"predict": {"genes": "genes.txt"}}, "predict.genes: nobody is predicted without predict.genotypes"),
        ({"predict": {"expression": "x.bed"}}, "predict.expression: nobody is predicted without predict.genotypes"),
        ({"predict": {"genotypes": "nowhere.vcf"}}, "The file of predict.genotypes, nowhere.vcf does not exist"),
        ({"predict": {"genotypes": "x.vcf", "model": "gat"}}, "predict.model: unknown key 'gat'; did you mean gta?"),
        ({"aligner": {"heads": 3}}, "aligner.heads: 3 does not divide the language model's width, 64"),
        ({"models": {"gta": {}, "b": {"heads": 5}}}, "models.b.heads: 5 does not divide the language model's width, 64"),
        ({"language": {"heads": 3}}, "language.heads: 3 heads do not share hidden_size (64)"),
        ({"language": {"heads": 64}}, "language.heads: 64 heads do not share hidden_size (64) in equal, even parts"),
        ({"cohort": {"valid_people": 0.5, "test_people": 0.5}}, "cohort.valid_people (0.5) and test_people (0.5) leave nothing"),
        ({"cohort": {"window_length": 4097}}, "cohort.window_length: 4097 is odd"),
        ({"cohort": {"contigs": ["sim1", "sim1"]}}, "cohort.contigs: 'sim1' is named twice"),
        ({"attribution": {"models": ["gta", "gta"]}}, "attribution.models: 'gta' is named twice"),
        (
            {"attribution": {"figure_genes": ["SIMG00002.1"]}, "cohort": {"exclude_genes": ["SIMG00002.1"]}},
            "attribution.figure_genes: 'SIMG00002.1' is left out by cohort.exclude_genes",
        ),
        (
            {"attribution": {"figure_genes": ["SIMG00002.1"]}, "cohort": {"include_genes": ["SIMG00001.1"]}},
            "attribution.figure_genes: 'SIMG00002.1' is left out by cohort.include_genes",
        ),
        ({"features": {"factors": "lymphoblast"}}, "features.factors: lymphoblast is neither 'lymphoblastoid', 'all' nor"),
        ({"features": {"jaspar_release": "JASPAR2023"}}, "features.jaspar_release: 'JASPAR2023' is none of"),
        ({"language": {"template": "{{ symbol }"}}, "language.template: unexpected '}' (line 1); mend the template."),
        ({"language": {"template": "{% if %}"}}, "language.template: "),
        ({"language": {"template": "{{ symbol | uper }}"}}, "language.template: No filter named 'uper'"),
        ({"language": {"template": "{{ symbl }}"}}, "language.template: 'symbl' is no column of the annotation; did you mean"),
        ({"language": {"template": "{{ motto }}"}}, "'motto' is no column of the annotation; its columns are gene, symbol,"),
        ({"language": {"template": " "}}, "language.template: it is empty"),
        ({"language": {"template": "{% include 'x' %}"}}, "language.template: it refers to another template"),
        ({"results": __file__}, "test_config.py is a file; name a folder."),
        ({"results": "~/results"}, "results: the path '~/results' begins with ~"),
        ({"baselines": {"ridge": {"promoter": 3, "proximal": 2}}}, "baselines.ridge.promoter: 3 is more than proximal (2)"),
        ({"seed": 2**32}, "configuration.seed: 4294967296 is above the largest allowed value, 4,294,967,295."),
        ({"results": "-n"}, "results: the path '-n' begins with a dash"),
        ({"language": {"model": "no/such"}}, "language.model: no/such is no folder of a Hugging Face model"),
        (
            {"language": {"model": "no/such", "revision": "main"}},
            "language.revision: 'main' is no commit; give its 40 hexadecimal",
        ),
        ({"language": {"revision": "0" * 40}}, "language.revision: it goes with the id of a repository"),
        (
            {"models": {"gta": {}, "m": {"language_model": "minilm", "heads": 5}}},
            "models.m.heads: 5 does not divide the language model's width",
        ),
    ],
)
def test_mistakes_in_a_simulated_run(change: dict[str, Any], expected: str) -> None:
    assert expected in message({**SIMULATED, **change})


@pytest.mark.parametrize(
    ("section", "change", "expected"),
    [
        ("data", {"genes": None}, "data.genes: a path is needed"),
        ("data", {"genes": "nothing.gtf"}, "nothing.gtf does not exist"),
        ("data", {"annotation": "expression.bed"}, "data.annotation: "),
        ("data", {"annotation": "./expression.bed"}, "is the file that was given as data.expression; each needs its own."),
        ("data", {"elements": "a<b>.bed"}, "data.elements: the path 'a<b>.bed' contains '<'"),
        ("cohort", {"contigs": []}, "cohort.contigs: name the contigs to use"),
        ("cohort", {"contigs": ["chr22"]}, "cohort.contigs: 'chr22' is no contig of the data; did you mean '22'?"),
        ("cohort", {"include_people": ["HG2", "HG4"]}, "cohort.include_people: 'HG4' is no person of the data; did you mean"),
        ("cohort", {"include_genes": ["ENSG00000000002"]}, "cohort.include_genes: 'ENSG00000000002' is no gene of the data"),
        ("cohort", {"biotype": []}, "cohort: unknown key 'biotype'; did you mean biotypes?"),
    ],
)
def test_mistakes_in_a_run_on_the_users_data(data: dict[str, Any], section: str, change: dict[str, Any], expected: str) -> None:
    data[section] = {**data[section], **change}
    assert expected in message(data)


def test_people_and_genes_may_be_in_one_of_the_files_only(data: dict[str, Any]) -> None:
    # HG2 has genotypes only, HG3 expression only; gene 9 is in the GTF only; gene 1 is named without its version.
    data["cohort"] |= {"exclude_people": ["HG2", "HG3"], "exclude_genes": ["ENSG00000000009.1", "ENSG00000000001"]}
    assert check(data).sections["cohort"].exclude_people == ["HG2", "HG3"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ symbol }} {{ motto }}", None),
        ("{{ symbol }}{% if go_bp %} {{ go_bp }}{% endif %}", None),
        ("{{ symbol }} {{ go_bp | default('') }}", None),
        ("{% for word in motto.split() %}{{ word }}{% endfor %}", None),
        (
            "{{ gene_id }}",
            "'gene_id' is no column of the annotation; its columns are gene, symbol, biotype, description, motto, task,",
        ),
        ("{% if moto %}{{ motto }}{% endif %}", "'moto' is no column of the annotation; did you mean 'motto'?"),
        ("{% if go_bp %}{{ go_pb }}{% endif %}", "'go_pb' is no column"),
    ],
)
def test_template_is_compared_with_the_header_of_the_annotation(
    data: dict[str, Any], tmp_path: Path, template: str, expected: str | None
) -> None:
    (tmp_path / "annotation.tsv").write_text("\ufeff#gene_id\tsymbol\tmotto\r\nENSG00000000001.4\tONE\tx\r\n")
    data["language"] = {"template": template}
    if expected is None:
        check(data)
    else:
        assert expected in message(data)


@pytest.mark.parametrize(
    ("language", "folder"),
    [
        ({}, "out/language/model"),
        ({"model": "lab/good", "revision": "0" * 40}, "out/language/downloaded"),
        ({"model": "minilm"}, "out/language/minilm/model"),
        ({"model": "smollm2"}, "out/language/smollm2/model"),
        ({"model": "smollm2", "blocks": 8}, "out/language/first_blocks"),
        ({"blocks": 2}, "out/language/first_blocks"),
    ],
)
def test_where_the_models_and_their_prompts_are(language: dict[str, str], folder: str) -> None:
    models = {
        "gta": {"heads": 4},
        "r": {"heads": 4, "language_model": "random", "prompt": "blank"},
        "s": {"heads": 4, "prompt": "shuffled"},
        "m": {"heads": 4, "language_model": "minilm"},
        "a": {"heads": 4, "language_model": "attention"},
        "again": {"heads": 4},
    }
    run = check({**SIMULATED, "results": "out", "language": language, "models": models, "attribution": {"models": []}})
    assert run.model_folder(run.reads_with("gta")) == run.model_folder(run.reads_with("a")) == folder
    assert run.model_folder(run.reads_with("r")) == "out/language/random/model"
    assert run.model_folder(run.reads_with("m")) == "out/language/minilm/model"
    assert run.prompt_cache("s") == run.prompt_cache("gta") == "out/language/pretrained/full/prompt_cache.safetensors"
    assert run.prompt_cache("r") == "out/language/random/blank/prompt_cache.safetensors"
    assert run.prototypes("r") == "out/language/random/prototypes.safetensors"
    assert run.language_model_files("pretrained") == []
    assert run.ablations["r"] == "language_model: random, prompt: blank"
    assert "again" not in run.ablations  # it is the first model once more


def test_a_gguf_file_is_converted_and_must_be_there(data: dict[str, Any], tmp_path: Path) -> None:
    data |= {"language": {"model": "some.gguf"}, "results": "out"}
    assert "some.gguf" in message(data) and "GGUF file of language.model" in message(data)
    (tmp_path / "some.gguf").write_bytes(b"GGUF")
    assert check(data).language_model == "out/language/converted"
    assert check(data).gguf_files == [str(tmp_path / "some.gguf")]
    data["language"] = {"model": "."}
    assert check(data).language_model == "out/language/converted"


@pytest.mark.parametrize("language", [{"model": "smollm2", "blocks": 31}, {"blocks": 5}, {"model": "model", "blocks": 4}])
def test_more_blocks_than_there_are_are_refused(data: dict[str, Any], tmp_path: Path, language: dict[str, Any]) -> None:
    write_description(tmp_path / "model", model_type="gpt2", n_layer=3, n_embd=64)
    data |= {"language": language}
    there = {None: 4, "smollm2": 30, "model": 3}[language.get("model")]
    assert f"language.blocks: {language['blocks']} are wanted, but the language model has {there}" in message(data)


def test_width_of_the_users_language_model_is_read(data: dict[str, Any], tmp_path: Path) -> None:
    data |= {"language": {"model": "model"}, "aligner": {"heads": 6}}
    for config, expected in (
        ({"model_type": "llama", "hidden_size": 64}, "aligner.heads: 6 does not divide the language model's width, 64"),
        ({"model_type": "gpt2", "n_embd": 20}, "aligner.heads: 6 does not divide the language model's width, 20"),
        # Words may be narrower than the blocks.
        ({"model_type": "albert", "embedding_size": 32, "hidden_size": 96}, "the language model's width, 32"),
        ({"hidden_size": 96}, "has no `model_type`"),
    ):
        write_description(tmp_path / "model", **config)
        assert expected in message(data)
    for text, expected in (("{", "config.json is not JSON"), ("[]", "it is not a JSON object")):
        (tmp_path / "model" / "config.json").write_text(text)
        assert expected in message(data)
    for width in (96, None):
        write_description(tmp_path / "model", model_type="llama", hidden_size=width)
        check(data)


def test_held_out_population_is_one_of_the_table(data: dict[str, Any], tmp_path: Path) -> None:
    data["cohort"] |= {"held_out_population": "YRI"}
    assert "nobody's population is known; name a table in data.populations" in message(data)
    (tmp_path / "panel.tsv").write_text("sample\tpop\tsuper_pop\nHG1\tGBR\tEUR\nHG2\tYRI\tAFR\n")
    data["data"]["populations"] = "panel.tsv"
    assert check(data).sections["cohort"].held_out_population == "YRI"
    data["cohort"] |= {"held_out_population": "AFR"}
    assert "cohort.held_out_population: 'AFR' is no population of the data" in message(data)


def test_groups_of_genes_need_their_columns(data: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "groups.tsv").write_text("gene\tsplit\nENSG00000000001\ttrain\n")
    data["data"]["gene_groups"] = "groups.tsv"
    assert "data.gene_groups" in message(data)
    assert "has no column group" in message(data)
    (tmp_path / "groups.tsv").write_text("gene\tgroup\nENSG00000000001\ttrain\n")
    run = check(data)
    assert run.gene_groups == {"gene_groups": str(tmp_path / "groups.tsv")}
    assert "gene_groups" not in run.input_files
    (tmp_path / "pairs.tsv").write_text("gene\tcontig\tstart\nENSG00000000001\t22\t5\n")
    data["data"]["elements"] = "pairs.tsv"
    assert "data.elements" in message(data) and "has no column end" in message(data)
    (tmp_path / "eqtls.tsv").write_text("gene\tvariant\tbeta\nENSG00000000001\t22_5_A_G\t1\n")
    data["data"] |= {"elements": None, "eqtls": "eqtls.tsv"}
    assert "data.eqtls" in message(data) and "has no column 'slope'" in message(data)
    (tmp_path / "eqtls.tsv").write_text("gene\tvariant\tslope\nENSG00000000001\t22_5_A_G\t1\n")
    assert check(data).known_eqtls == {"eqtls": str(tmp_path / "eqtls.tsv")}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("# nothing\n", "names no element"),
        ("22 1 2\n", "line 1, is not BED ('22 1 2')"),
        ("track name=x\n22\t1\t2\n", None),
    ],
)
def test_elements_are_looked_at_before_the_last_step_reads_them(
    data: dict[str, Any], tmp_path: Path, text: str, expected: str | None
) -> None:
    (tmp_path / "e.bed").write_text(text)
    data["data"]["elements"] = "e.bed"
    if expected is None:
        check(data)
    else:
        assert expected in message(data)


@pytest.mark.parametrize(("content", "expected"), [(b"", "is empty"), (b"# a\n\n", "is empty"), (b"\xff\n", "UTF-8")])
def test_list_of_factors_is_read(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "factors.txt").write_bytes(content)
    assert expected in message({**SIMULATED, "features": {"factors": str(tmp_path / "factors.txt")}})


def test_empty_file_is_refused(data: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "annotation.tsv").write_text("")
    assert "data.annotation: the file" in message(data)


def test_missing_data_dir_is_explained(data: dict[str, Any]) -> None:
    del data["data_dir"]
    assert message(data).endswith("say which folder holds the data: --config data_dir=FOLDER.")


def test_jobs_trust_the_check_of_files(data: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "genes.gtf").unlink()
    assert check(data, files=False).data.genes == str(tmp_path / "genes.gtf")


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"language": {"task": "in</SCRIPT >x"}}, "language.task"),
        ({"cohort": {"exclude_genes": ["A", "<script>x</script>"]}}, "cohort.exclude_genes"),
        ({"simulation": {"population_names": ["<!--<script>"]}}, "simulation.population_names"),
    ],
)
def test_text_that_would_run_in_the_browser_of_a_reader_is_refused(config: dict[str, Any], key: str) -> None:
    said = message({**SIMULATED, **config})
    assert said.startswith(f"{key}: ") and "breaks the page of the report" in said


@pytest.fixture
def reference_study(data: dict[str, Any]) -> dict[str, Any]:
    """A configuration without genotypes."""
    del data["data"]["genotypes"]
    return data


def test_without_genotypes_what_needs_them_is_left_out(reference_study: dict[str, Any]) -> None:
    settings = {"models": {"gta": {}, "no_llm": {"language_model": "none"}}, "aligner": {"seeds": 1}}
    run = check({**reference_study, **settings})
    assert not run.genotypes and check(SIMULATED).genotypes
    assert set(run.input_files) == {"reference", "genes", "expression", "annotation"}
    text = ["features_and_prompt", "prompt_ridge", "tfidf_ridge", "text_length"]
    assert run.predictors == ["gta.seed1", "no_llm.seed1", "no_llm_and_prompt.seed1", *text, "ridge", "mean"]
    assert run.genotype_tables == {} and run.known_eqtls == {} and run.evaluation_figures == ["across_genes"]
    assert {model.select for model in run.models.values()} == {"genes"} and run.sections["aligner"].select == "genes"


def test_with_genotypes_the_epoch_is_still_chosen_by_individuals(data: dict[str, Any]) -> None:
    run = check(data)
    assert run.models["gta"].select == "people"
    assert set(run.genotype_tables) == {"elastic_net", "top_eqtl"}


def test_settings_about_individuals_do_not_matter_without_genotypes(reference_study: dict[str, Any]) -> None:
    cohort = {"held_out_population": "YRI", "valid_people": 0.3, "hidden_factors": 30, "exclude_people": ["HG3"]}
    reference_study["cohort"] |= cohort
    run = check({**reference_study, "baselines": {"elastic_net": {"folds": 3}}, "models": {"gta": {"select": "spearman_genes"}}})
    assert run.models["gta"].select == "spearman_genes"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {"aligner": {"select": "people"}},
            "aligner.select: people compares individuals, which needs data.genotypes; choose genes",
        ),
        ({"models": {"m": {"select": "both"}}, "attribution": {"models": ["m"]}}, "models.m.select: both compares individuals"),
        ({"models": {"m": {"select": "spearman_people"}}}, "choose spearman_genes, or leave the key out."),
        ({"predict": {"genotypes": "new.vcf.gz"}}, "predict.genotypes: without data.genotypes nothing is learnt of differences"),
        ({"cohort": {"contigs": ["22"], "include_people": ["HG1", "HG2"]}}, "'HG2' is no person of the data"),
    ],
)
def test_contradictions_in_a_study_without_genotypes(
    reference_study: dict[str, Any], change: dict[str, Any], expected: str
) -> None:
    assert expected in message({**reference_study, **change})


def test_known_eqtls_need_genotypes(reference_study: dict[str, Any]) -> None:
    reference_study["data"]["eqtls"] = "eqtls.tsv"
    assert "data.eqtls: known eQTLs are compared with predicted differences between individuals" in message(reference_study)


def test_the_report_shows_no_empty_tables_about_individuals() -> None:
    arguments = (["chr1"], ["gta"], True, (), False)
    everything, reference = report_tables(*arguments), report_tables(*arguments, genotypes=False)
    assert set(everything) - set(reference) == {
        "haplotypes/chr1.account",
        "evaluation/per_gene",
        "evaluation/dependence",
        "baselines/elastic_net.genes",
        "baselines/top_eqtl.variants",
        "attribution/gta/signs",
        "attribution/gta/eqtls",
    }
    same = {name for name in reference if everything[name] == reference[name]}
    assert set(reference) - same == {"evaluation/per_person"}


def test_folds_are_checked_before_any_job() -> None:
    folds = check({**SIMULATED, "simulation": {"contigs": 3}, "cohort": {"folds": {"number": 3}}}).folds
    assert folds is not None and (folds.by, folds.number) == ("chromosome", 3)
    assert check({**SIMULATED, "cohort": {"folds": None}}).folds is None
    wrong = {**SIMULATED, "simulation": {"contigs": 2}, "cohort": {"folds": {"number": 3}}}
    assert message(wrong).startswith(
        "cohort.folds.number: 3 folds of whole chromosomes need as many contigs, and the study has 2;"
    )
    assert message({**SIMULATED, "cohort": {"folds": {"by": "genes"}}}).startswith("cohort.folds.by: 'genes' is none of")
    assert "cohort.folds: unknown key 'numbr'; did you mean number?" in message({**SIMULATED, "cohort": {"folds": {"numbr": 2}}})


def test_new_individuals_are_not_predicted_from_an_extractor_of_each_fold(tmp_path: Path) -> None:
    (tmp_path / "new.vcf").write_text("##fileformat=VCFv4.2\n")
    features = {"extractor": "cnn", "tile_length": 128}
    config = {**SIMULATED, "simulation": {"contigs": 2}, "data_dir": str(tmp_path), "predict": {"genotypes": "new.vcf"}}
    assert check({**config, "features": features}).predict_files
    assert check({**config, "cohort": {"folds": {"number": 2}}}).predict_files
    wrong = {**config, "features": features, "cohort": {"folds": {"number": 2}}}
    assert message(wrong).startswith("predict.genotypes: with cohort.folds every fold trains a cnn of its own")


def test_folds_leave_the_rest_as_it_is_and_prompts_with_examples_have_one_per_fold() -> None:
    plain = check({**SIMULATED, "simulation": {"contigs": 2}})
    folds = check({**SIMULATED, "simulation": {"contigs": 2}, "cohort": {"folds": {"number": 2}}, "language": {"examples": 2}})
    assert plain.fold_folders == [""] and not plain.homologues and "folds" not in plain.cohort_options
    assert folds.fold_folders == ["folds/1/", "folds/2/"]
    assert set(plain.predictors) - set(folds.predictors) == {"elastic_net", "top_eqtl"}
    first = next(iter(folds.models))
    assert "/folds/2/language/" in folds.prompt_cache(first, fold="2")
    assert "/folds/" not in plain.prompt_cache(first)
    assert "--training-cohort=" in folds.prompt_options("full", "2") and "/folds/2/cohort" in folds.prompt_options("full", "2")


def test_a_language_model_that_cannot_be_used_is_refused_before_any_job(data: dict[str, Any], tmp_path: Path) -> None:
    """What its files say; every kind is in the tests of gta.networks."""
    data["language"] = {"model": "model"}
    for config, expected in (
        ({"model_type": "mamba", "hidden_size": 64}, "is a recurrent or hybrid model (mamba"),
        ({"model_type": "qwen3_5_text", "layer_types": ["linear_attention", "full_attention"]}, "recurrent or hybrid"),
        ({"model_type": "bart", "d_model": 64}, "an encoder with a decoder (bart)"),
        ({"model_type": "llama", "quantization_config": {"quant_method": "awq"}}, "are quantised (awq)"),
        ({"model_type": "llama", "vocab_size": 40}, "has 60 words, but the model has embeddings of 40"),
    ):
        write_description(tmp_path / "model", **config)
        assert expected in message(data)
    write_description(tmp_path / "model", model_type="llama", hidden_size=64)
    check(data)
    (tmp_path / "model" / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    assert "git lfs pull" in message(data)
    (tmp_path / "model" / "model.safetensors").unlink()
    assert "has no weights" in message(data)


def test_a_network_that_cannot_be_used_is_refused_before_any_job(data: dict[str, Any], tmp_path: Path) -> None:
    data |= {"features": {"extractor": "hf", "weights": "net", "tile_length": 512}}
    write_description(tmp_path / "net", model_type="t5")
    assert message(data).startswith("features.weights:") and "an encoder with a decoder (t5)" in message(data)
    # States of recurrent networks are features like others.
    write_description(tmp_path / "net", model_type="mamba", hidden_size=64)
    check(data)


def test_more_tokens_than_positions_are_refused_before_any_job(data: dict[str, Any], tmp_path: Path) -> None:
    data["cohort"] |= {"window_length": 8192}
    data |= {"language": {"model": "model", "max_prompt_tokens": 90}, "features": {"tile_length": 1024}, "aligner": {"heads": 4}}
    for config, expected in (
        ({"model_type": "gpt2", "n_embd": 64, "n_positions": 89}, "prompts of up to 90 tokens are longer than the 89 that"),
        ({"model_type": "gpt2", "n_embd": 64, "n_positions": 97}, "90 tokens and 8 aligned tokens of a window"),
        ({"model_type": "gpt2", "n_embd": 64, "n_positions": 98}, None),
        # RoBERTa leaves two of its positions free.
        (
            {"model_type": "roberta", "hidden_size": 64, "max_position_embeddings": 99, "pad_token_id": 1},
            "more than the 97 positions",
        ),
        ({"model_type": "roberta", "hidden_size": 64, "max_position_embeddings": 100, "pad_token_id": 1}, None),
        ({"model_type": "bloom", "hidden_size": 64}, None),
        (
            {
                "model_type": "phi3",
                "hidden_size": 64,
                "max_position_embeddings": 131072,
                "original_max_position_embeddings": 64,
                "rope_scaling": {"type": "longrope"},
            },
            "longer than the 64 that",
        ),
    ):
        write_description(tmp_path / "model", **config)
        if expected is None:
            check(data)
        else:
            assert expected in message(data)
    write_description(tmp_path / "model", model_type="gpt2", n_embd=64, n_positions=97)
    # Fewer aligned tokens fit; so do models that let no language model read them.
    check(data | {"aligner": {"heads": 4, "aligned_tokens": 7}})
    check(data | {"models": {"gta": {"language_model": "attention"}, "b": {"language_model": "none"}}})
