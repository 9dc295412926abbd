"""Folders of networks that cannot be used: one sentence each, from their files alone, and the same from the loader."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel, LlamaConfig, LlamaForCausalLM

from gta.errors import UserError
from gta.language.models import load_frozen, load_tokenizer, random_weights
from gta.networks.folder import check_network, known_types
from tiny_networks import change_config, tokenizer, write_network

SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": 60}
KEY = "language.model"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama that nothing is wrong with."""
    folder = tmp_path_factory.mktemp("llama") / "model"
    write_network(folder, LlamaForCausalLM, LlamaConfig(**SMALL, max_position_embeddings=64))
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy of it, to damage."""
    return Path(shutil.copytree(whole, tmp_path / "model"))


def message(call: Callable[[], object]) -> str:
    """What a mistake is answered with, one sentence."""
    with pytest.raises(UserError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_whole_folder_is_taken(whole: Path) -> None:
    assert check_network(whole, KEY)["model_type"] == "llama"
    assert check_network(whole, "features.weights", language=False)["hidden_size"] == 16
    assert load_frozen(whole).config.model_type == "llama" and len(load_tokenizer(whole)) == 60


QUANTISED = "quantised"
RECURRENT = "no keys and values of a prompt to keep in every block"
CONFIGURATIONS = [
    ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, QUANTISED),
    ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, QUANTISED),
    ({"quantization_config": {"quant_method": "awq", "bits": 4}}, QUANTISED),
    ({"quantization_config": {"quant_method": "fp8"}}, QUANTISED),
    ({"quantization_config": {"quant_method": "mxfp4"}}, QUANTISED),
    ({"compression_config": {"quant_method": "compressed-tensors"}}, QUANTISED),
    ({"model_type": "bart", "is_encoder_decoder": None, "architectures": ["BartModel"]}, "an encoder with a decoder"),
    ({"model_type": "t5", "is_encoder_decoder": None, "architectures": ["T5Model"]}, "an encoder with a decoder"),
    ({"model_type": "mbart", "is_encoder_decoder": True}, "an encoder with a decoder"),
    ({"model_type": "gemma3", "text_config": {"hidden_size": 16}, "vision_config": {}}, "several kinds of input"),
    ({"auto_map": {"AutoModel": "modeling_x.X"}, "model_type": "hyena_of_a_lab"}, "needs code from its repository"),
    ({"model_type": "of_a_later_release"}, "has no model of the kind 'of_a_later_release'"),
    ({"model_type": None}, "has no `model_type`"),
]
RECURRENTS = [
    *({"model_type": kind} for kind in ("mamba", "mamba2", "jamba", "bamba", "falcon_h1", "rwkv", "recurrent_gemma", "zamba2")),
    {"model_type": "lfm2", "layer_types": ["conv", "full_attention"]},
    {"model_type": "qwen3_next", "layer_types": ["linear_attention", "full_attention"]},
    {"model_type": "granitemoehybrid", "layer_types": ["mamba", "attention"]},
    {"model_type": "recurrent_gemma", "block_types": ["recurrent", "attention"]},
    {"model_type": "minimax", "attn_type_list": [0, 1]},
    {"model_type": "nemotron_h", "hybrid_override_pattern": "M-M*"},
    # Whatever the kind: a list of blocks says it.
    {"layer_types": ["full_attention", "linear_attention"]},
]


@pytest.mark.parametrize(("values", "expected"), CONFIGURATIONS, ids=lambda value: str(value)[:60])
def test_what_the_configuration_says_is_enough(folder: Path, values: dict[str, object], expected: str) -> None:
    change_config(folder, **values)
    for call in (
        lambda: check_network(folder, KEY),
        lambda: check_network(folder, "features.weights", language=False),
        lambda: load_frozen(folder),
        lambda: random_weights(folder, 1),
    ):
        assert expected in message(call)


@pytest.mark.parametrize("values", RECURRENTS, ids=str)
def test_recurrent_and_hybrid_models_have_no_keys_to_keep(folder: Path, values: dict[str, object]) -> None:
    change_config(folder, **values)
    assert RECURRENT in message(lambda: check_network(folder, KEY))
    assert RECURRENT in message(lambda: load_frozen(folder))
    # Their hidden states are features like others.
    check_network(folder, "features.weights", language=False)


@pytest.mark.parametrize(
    "values",
    [
        {"model_type": "granitemoehybrid", "layer_types": ["attention", "attention"]},
        {"model_type": "gemma2", "layer_types": ["sliding_attention", "full_attention"]},
        {"model_type": "bart", "is_encoder_decoder": False, "architectures": ["BartForCausalLM"]},
    ],
    ids=str,
)
def test_models_with_attention_in_every_block_are_not_refused(folder: Path, values: dict[str, object]) -> None:
    change_config(folder, **values)
    check_network(folder, KEY)


def weights_under(name: str) -> Callable[[Path], None]:
    """The weights are there under this name alone."""

    def damage(folder: Path) -> None:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / "model.safetensors").rename(folder / name)

    return damage


def pointer(name: str) -> Callable[[Path], None]:
    """A file is a pointer of git's large file storage."""
    text = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 1000\n"
    return lambda folder: (folder / name).write_text(text) and None


def write(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def cut_off(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-50])


def shards(folder: Path) -> None:
    """Two files are listed, one is there."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    files = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(sorted(weights))}
    first = {name: tensor for name, tensor in weights.items() if files[name].startswith("model-00001")}
    save_file(first, folder / "model-00001-of-00002.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))


def eight_bits(folder: Path) -> None:
    """Weights in eight bits and their scales, which config.json does not speak of."""
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    weights[name] = weights[name].to(torch.float8_e4m3fn)
    weights[f"{name}_scale_inv"] = torch.ones(1)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def only_an_adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "lab/base", "peft_type": "LORA"}')


def in_a_folder_below(folder: Path) -> None:
    """As sentence-transformers once wrote them."""
    below = folder / "0_Transformer"
    below.mkdir()
    for path in list(folder.iterdir()):
        if path.is_file():
            path.rename(below / path.name)
    (folder / "modules.json").write_text("[]")


def cache_of_the_hub(folder: Path) -> None:
    below = folder / "snapshots" / "0123"
    below.mkdir(parents=True)
    for path in list(folder.iterdir()):
        if path.is_file():
            path.rename(below / path.name)


def layout_of_its_makers(folder: Path) -> None:
    (folder / "config.json").rename(folder / "params.json")


FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "pickle": (weights_under("pytorch_model.bin"), "a pickle, which can run any code"),
    "GGUF": (weights_under("model.Q4_K_M.gguf"), "its weights for GGUF alone"),
    "ONNX": (weights_under("onnx/model.onnx"), "its weights for ONNX alone"),
    "TensorFlow": (weights_under("tf_model.h5"), "its weights for TensorFlow alone"),
    "Flax": (weights_under("flax_model.msgpack"), "its weights for Flax alone"),
    "another layout": (weights_under("consolidated.safetensors"), "consolidated.safetensors is of another layout"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "has no weights"),
    "pointer of weights": (pointer("model.safetensors"), "git lfs pull"),
    "cut off": (cut_off, "was not copied or downloaded completely"),
    "damaged": (write("model.safetensors", "no such file here"), "its beginning is damaged"),
    "empty": (write("model.safetensors", ""), "its beginning is damaged"),
    "a shard is missing": (shards, "lacks 1 of the 2 files of its weights, such as model-00002-of-00002.safetensors"),
    "eight bits": (eight_bits, QUANTISED),
    "adapter": (only_an_adapter, "holds an adapter (LoRA or another of PEFT) of lab/base"),
    "adapter next to a model": (write("adapter_config.json", "{}"), "holds an adapter"),
    "folder below": (in_a_folder_below, "0_Transformer"),
    "cache of the hub": (cache_of_the_hub, "snapshots/0123"),
    "layout of its makers": (layout_of_its_makers, "layout of its makers (params.json)"),
    "not JSON": (write("config.json", "{"), "is not JSON"),
    "not an object": (write("config.json", "[]"), "is not a JSON object"),
    "pointer of config.json": (pointer("config.json"), "git lfs pull"),
    "quantised by an older tool": (write("quantize_config.json", "{}"), QUANTISED),
}


@pytest.mark.parametrize("damage", FILES)
def test_folders_that_lack_something_say_what(folder: Path, damage: str) -> None:
    change, expected = FILES[damage]
    change(folder)
    assert expected in message(lambda: check_network(folder, KEY))
    assert expected in message(lambda: check_network(folder, "features.weights", language=False))
    assert expected in message(lambda: load_frozen(folder))


TOKENIZERS: dict[str, tuple[Callable[[Path], None], str]] = {
    "none": (lambda folder: (folder / "tokenizer.json").unlink(), "holds no tokenizer"),
    "no vocabulary": (write("tokenizer.json", "{}"), "it has no vocabulary"),
    "not JSON": (write("tokenizer.json", "{"), "is not JSON"),
    "pointer": (pointer("tokenizer.json"), "git lfs pull"),
    "BioGPT": (write("tokenizer_config.json", '{"tokenizer_class": "BioGptTokenizer"}'), "needs the package sacremoses"),
    "Japanese": (write("tokenizer_config.json", '{"tokenizer_class": "BertJapaneseTokenizer"}'), "needs the package fugashi"),
}
ALONE = {
    "tokenizer.model": "needs the package sentencepiece",
    "spiece.model": "needs the package sentencepiece",
    "tekken.json": "needs the package mistral-common",
    "qwen.tiktoken": "needs the package tiktoken",
}


@pytest.mark.parametrize("damage", TOKENIZERS)
def test_tokenizers_that_cannot_be_read_say_why(folder: Path, damage: str) -> None:
    change, expected = TOKENIZERS[damage]
    change(folder)
    assert expected in message(lambda: check_network(folder, KEY))
    assert expected in message(lambda: load_tokenizer(folder))


@pytest.mark.parametrize("name", ALONE)
def test_vocabularies_that_need_a_package_name_it(folder: Path, name: str) -> None:
    (folder / "tokenizer.json").rename(folder / name)
    (folder / "tokenizer_config.json").unlink()
    package = ALONE[name].split()[-1].replace("-", "_")
    if __import__("importlib.util").util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")
    assert ALONE[name] in message(lambda: check_network(folder, KEY))
    assert ALONE[name] in message(lambda: load_tokenizer(folder))


@pytest.mark.parametrize("content", ['{"model": {"vocab": {"a": 0}}}', '{"model": {"type": "Nonsense", "vocab": {"a": 0}}}'])
def test_what_the_libraries_stumble_over_is_one_sentence(folder: Path, content: str) -> None:
    """Bare exceptions of the tokenizers library, KeyErrors of the parsers ..."""
    (folder / "tokenizer.json").write_text(content)
    assert "holds no tokenizer" in message(lambda: load_tokenizer(folder))


def test_the_tokenizer_of_a_larger_model_is_refused(folder: Path) -> None:
    tokenizer(words=61).save_pretrained(folder)
    for call in (lambda: check_network(folder, KEY), lambda: load_tokenizer(folder)):
        assert "has 61 words, but the model has embeddings of 60" in message(call)


def test_networks_with_gated_mlps_need_their_own_code(tmp_path: Path) -> None:
    """As Nucleotide Transformer v2: the intermediate layers have twice the rows of the class of the same name."""
    network = write_network(tmp_path, BertModel, BertConfig(**SMALL))
    weights = {
        name: torch.cat([tensor, tensor]) if "intermediate.dense" in name else tensor
        for name, tensor in network.state_dict().items()
    }
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    for call in (
        lambda: check_network(tmp_path, "features.weights", language=False),
        lambda: check_network(tmp_path, KEY),
        lambda: load_frozen(tmp_path),
    ):
        said = message(call)
        assert "needs code from its repository" in said and "intermediate.dense.weight has 48 rows" in said


def test_kinds_of_models_are_known_without_importing_transformers() -> None:
    assert {"llama", "gemma2", "esm", "mamba", "bert"} <= known_types()
    assert "hyena_of_a_lab" not in known_types()
