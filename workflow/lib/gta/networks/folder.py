"""Folders of networks in the format of Hugging Face transformers, judged by their files before anything is loaded.

Everything here reads small files only (configuration, headers of safetensors, tokenizer), without torch or transformers, so that
a dry run can refuse what a job would stumble over.
"""

import importlib.util
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from gta.errors import UserError

#: Kinds of models (`model_type`) some of whose blocks keep a state in place of keys and values, unless their list of blocks says
#: otherwise.
RECURRENT = frozenset(
    (
        *("bailing_hybrid", "bamba", "falcon_h1", "falcon_mamba", "granitemoehybrid", "jamba", "kimi_linear", "lfm2", "lfm2_moe"),
        *("mamba", "mamba2", "minimax", "nemotron_h", "olmo_hybrid", "plamo2", "qwen3_5_moe_text", "qwen3_5_text", "qwen3_next"),
        *("recurrent_gemma", "retnet", "rwkv", "xlstm", "zamba", "zamba2", "zaya1"),
    )
)
#: Kinds of models with an encoder and a decoder, unless `is_encoder_decoder` says otherwise.
ENCODER_DECODER = frozenset(
    (
        *("bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "encoder-decoder", "fsmt", "led", "longt5", "m2m_100"),
        *(
            "marian",
            "mbart",
            "mt5",
            "mvp",
            "nllb-moe",
            "pegasus",
            "pegasus_x",
            "plbart",
            "prophetnet",
            "switch_transformers",
            "t5",
        ),
        *("t5gemma", "t5gemma2", "umt5", "whisper", "xlm-prophetnet"),
    )
)
#: Names of blocks without keys and values for every token, in lists of the kind of every block.
RECURRENT_BLOCKS = re.compile("conv|mamba|linear|recurrent|hybrid|ssm|delta|lightning|rwkv", re.IGNORECASE)
#: Keys of config.json that list the kind of every block.
BLOCK_KEYS = ("layer_types", "layers_block_type", "block_types", "attn_type_list", "hybrid_override_pattern")

#: Kinds of rotary positions whose frequencies change with the length of the text.
CHANGING_ROTARY = ("longrope", "su", "dynamic")

#: Tokenizers that need a package even where tokenizer.json is there, by class.
TOKENIZER_PACKAGES = {
    "BioGptTokenizer": ("sacremoses",),
    "FlaubertTokenizer": ("sacremoses",),
    "FSMTTokenizer": ("sacremoses",),
    "XLMTokenizer": ("sacremoses",),
    "BertJapaneseTokenizer": ("fugashi",),
    "CpmTokenizer": ("sentencepiece", "jieba"),
    "CpmAntTokenizer": ("jieba",),
    "M2M100Tokenizer": ("sentencepiece",),
    "MarianTokenizer": ("sentencepiece",),
    "MistralCommonTokenizer": ("mistral_common",),
    "MistralCommonBackend": ("mistral_common",),
}
#: Kinds of models whose tokenizer is one of these where tokenizer_config.json names none.
DEFAULT_TOKENIZERS = {
    "biogpt": "BioGptTokenizer",
    "flaubert": "FlaubertTokenizer",
    "xlm": "XLMTokenizer",
    "cpmant": "CpmAntTokenizer",
}
#: Files of a vocabulary, without tokenizer.json, and the package that reads them (its name as a module).
VOCABULARY_PACKAGES = (
    ("tekken.json", "mistral_common"),
    ("*.tiktoken", "tiktoken"),
    ("tiktoken.model", "tiktoken"),
    ("*.model", "sentencepiece"),
    ("*.spm", "sentencepiece"),
)
#: Any of these is a tokenizer.
TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "*.model", "*.spm", "*.tiktoken", "tekken.json", "vocab.*", "vocab-*")

#: Weights in other forms than safetensors.
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_FOREIGN = (("*.gguf", "GGUF"), ("*.onnx", "ONNX"), ("onnx/*.onnx", "ONNX"), ("*.h5", "TensorFlow"), ("*.msgpack", "Flax"))
#: What a pointer of git's large file storage begins with: it stands in place of a file that was not downloaded.
_POINTER = b"version https://git-lfs"
#: Types of weights that are not quantised, as safetensors names them.
_WEIGHTS = re.compile("F64|F32|F16|BF16")
#: Safetensors allows no longer list of weights, bytes.
_LARGEST_HEADER = 100_000_000
#: Larger ones are not read at the check: their numbers of words would take seconds.
_LARGEST_TOKENIZER = 2**25


def check_network(folder: Path, key: str, language: bool = True) -> dict[str, Any]:
    """Refuse a folder whose files say that the network cannot be used.

    Args:
        folder: Hugging Face folder.
        key: Key of the configuration that names it, such as `language.model`.
        language: Whether it is a language model, whose keys and values are kept; otherwise a network whose hidden states are
            features.

    Returns:
        What `config.json` says.

    Raises:
        UserError: one sentence: what the folder is, and what to do.
    """
    config = read_config(folder, key)
    check_config(config, folder, key, language)
    check_weights(folder, key, config)
    check_tokenizer(folder, key, config)
    return config


def read_config(folder: Path, key: str) -> dict[str, Any]:
    """The configuration of a network.

    Raises:
        UserError: if the folder is of another layout, or its `config.json` is damaged or does not name the kind of model.
    """
    path = folder / "config.json"
    _refuse_adapter(folder, key)
    if not path.is_file():
        _refuse_other_layout(folder, key)
    config = _json(path, key)
    if not isinstance(config, dict):
        raise UserError(f"{key}: {path} is no description of a model (it is not a JSON object): download the model again.")
    if not isinstance(config.get("model_type"), str):
        raise UserError(
            f"{key}: {path} has no `model_type`, which says what kind of model it is, so it is not one of Hugging Face"
            " transformers; give a folder that transformers wrote."
        )
    return config


def check_config(config: Mapping[str, Any], folder: Path, key: str, language: bool = True) -> None:
    """Refuse a network whose configuration says that it cannot be used.

    Args:
        config: What `config.json` says.
        folder: The folder, for the message.
        key: Key of the configuration that names it.
        language: As in `check_network`.

    Raises:
        UserError: one sentence that names the reason.
    """
    kind = config.get("model_type")
    parts = [
        part for part in ("vision_config", "audio_config", "text_config", "thinker_config") if isinstance(config.get(part), dict)
    ]
    if parts:
        raise UserError(
            f"{key}: {folder} is a model of several kinds of input ({kind} has {parts[0]!r} in its config.json), of which no"
            " part is"
            f" read alone; choose {'a model of text' if language else 'an encoder of sequence'}."
        )
    _refuse_quantised(config, folder, key)
    if is_encoder_decoder(config):
        raise UserError(
            f"{key}: {folder} holds no whole language model but an encoder with a decoder ({kind}), which are not read one"
            " without the other; choose a causal model (of Llama's or GPT's kind) or an encoder (of BERT's kind)."
        )
    if language and (blocks := blocks_without_keys(config)):
        raise UserError(
            f"{key}: {folder} is a recurrent or hybrid model ({kind}; {blocks}), which has no keys and values of a prompt to keep"
            " in every block; choose a model with attention in every block."
        )
    _refuse_own_code(config, folder, key)


def blocks_without_keys(config: Mapping[str, Any]) -> str | None:
    """What of a model keeps a state in place of keys and values, in words; None: nothing, as far as the configuration says."""
    for name in BLOCK_KEYS:
        blocks = config.get(name)
        if isinstance(blocks, list | tuple) and blocks:
            # Minimax counts: 0 is linear attention.
            other = [block for block in blocks if block == 0 or (isinstance(block, str) and RECURRENT_BLOCKS.search(block))]
            return f"{name} has {other[0]!r}" if other else None
        if isinstance(blocks, str) and "M" in blocks:
            return f"{name} has Mamba blocks"
    return "its blocks keep a state" if config.get("model_type") in RECURRENT else None


def is_encoder_decoder(config: Mapping[str, Any]) -> bool:
    """Whether a model is an encoder with a decoder, such as BART or T5."""
    stated = config.get("is_encoder_decoder")
    causal = any(str(name).endswith("ForCausalLM") for name in config.get("architectures") or [])
    return bool(stated) if isinstance(stated, bool) else config.get("model_type") in ENCODER_DECODER and not causal


def positions_read(config: Mapping[str, Any]) -> int | None:
    """How many positions a model reads, those that its kind leaves free in front included; None: no limit is stated.

    Where the frequencies of rotary positions change with the length of the text, as in Phi-3 (longrope) and with dynamic scaling,
    the limit is where they begin to change: keys that were kept at one length do not fit another.

    Args:
        config: What `config.json` says.
    """
    stated = next(
        (
            config[name]
            for name in ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len")
            if _positive(config.get(name))
        ),
        None,
    )
    if config.get("model_type") in ("bloom", "xlnet", "transfo-xl") or config.get("alibi") is True:
        stated = None
    limits = [] if stated is None else [int(stated)]
    first = changing_rotary(config)
    return min([*limits, first]) if first is not None else (limits[0] if limits else None)


def changing_rotary(config: Mapping[str, Any]) -> int | None:
    """The number of positions from which on rotary frequencies change with the length of the text; None: they never do."""
    for name in ("rope_parameters", "rope_scaling"):
        scaling = config.get(name)
        if not isinstance(scaling, Mapping):
            continue
        kinds = [scaling, *(value for value in scaling.values() if isinstance(value, Mapping))]
        for each in kinds:
            if (each.get("rope_type") or each.get("type")) in CHANGING_ROTARY:
                places = (each.get("original_max_position_embeddings"), config.get("original_max_position_embeddings"))
                stated = [place for place in (*places, config.get("max_position_embeddings")) if _positive(place)]
                return int(stated[0]) if stated else None
    return None


def first_position(config: Mapping[str, Any]) -> int:
    """The position of the first token: 0, but for encoders of RoBERTa's kind, whose first positions mean padding."""
    kinds = (
        "camembert",
        "data2vec-text",
        "esm",
        "ibert",
        "longformer",
        "mpnet",
        "roberta",
        "roberta-prelayernorm",
        "xlm-roberta",
    )
    if config.get("model_type") not in (*kinds, "xlm-roberta-xl", "xmod") or config.get("position_embedding_type") == "rotary":
        return 0
    padding = config.get("pad_token_id")
    return int(padding) + 1 if isinstance(padding, int) else 2


def check_weights(folder: Path, key: str, config: Mapping[str, Any]) -> dict[str, list[int]]:
    """Refuse a folder without whole weights in safetensors.

    Args:
        folder: Hugging Face folder.
        key: Key of the configuration that names it.
        config: What its `config.json` says.

    Returns:
        The shape of every weight, by name.

    Raises:
        UserError: if there are none, naming what is there in their place; if a file is missing, cut off or a pointer; if the
            sizes are not those that the configuration gives.
    """
    shapes: dict[str, list[int]] = {}
    for path in weight_files(folder, key):
        shapes |= _header(path, key)
    _refuse_other_sizes(shapes, folder, key, config)
    return shapes


def weight_files(folder: Path, key: str) -> list[Path]:
    """The safetensors files of a folder's weights, as transformers chooses them.

    Raises:
        UserError: if there are none, or some of them are missing.
    """
    whole, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if whole.is_file():
        return [whole]
    if index.is_file():
        listed = _json(index, key)
        names = listed.get("weight_map") if isinstance(listed, dict) else None
        if not isinstance(names, dict) or not names:
            raise UserError(f"{key}: {index} lists no weights: download the model again.")
        shards = sorted({str(name) for name in names.values()})
        missing = [name for name in shards if not (folder / name).is_file()]
        if missing:
            raise UserError(
                f"{key}: {folder} lacks {len(missing)} of the {len(shards)} files of its weights, such as {missing[0]}: download"
                " the model again."
            )
        return [folder / name for name in shards]
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    if others:
        raise UserError(
            f"{key}: {folder} has no model.safetensors, nor an index of several files; {others[0]} is of another layout, which"
            " transformers does not read: choose the model in its layout for transformers."
        )
    pickled = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    if pickled:
        raise UserError(
            f"{key}: {folder} has its weights as {pickled[0]}, a pickle, which can run any code when it is read: convert it to"
            " safetensors, or choose a model that has them."
        )
    for pattern, name in _FOREIGN:
        found = sorted(folder.glob(pattern))
        if found:
            raise UserError(
                f"{key}: {folder} has its weights for {name} alone ({found[0].name}); safetensors are needed: choose a model that"
                " has them."
            )
    raise UserError(f"{key}: {folder} has no weights (no model.safetensors): download the model completely.")


def check_tokenizer(folder: Path, key: str, config: Mapping[str, Any]) -> None:
    """Refuse a folder without a tokenizer that can be read here.

    Args:
        folder: Hugging Face folder.
        key: Key of the configuration that names it.
        config: What its `config.json` says.

    Raises:
        UserError: if there is none; if it needs a package that is not installed; if it is damaged; if it has more words than the
            model has embeddings.
    """
    if not any(path.is_file() for pattern in TOKENIZER_FILES for path in folder.glob(pattern)):
        raise UserError(f"{key}: {folder} holds no tokenizer (no tokenizer.json): download the model completely.")
    package = missing_package(folder, key, config)
    if package:
        raise UserError(
            f"{key}: the tokenizer of {folder} needs the package {package}, which is not installed: choose a model with a"
            f" tokenizer.json of its own, or install {package}."
        )
    _refuse_larger_vocabulary(folder, key, config)


def missing_package(folder: Path, key: str, config: Mapping[str, Any]) -> str | None:
    """The package that a tokenizer needs and that is not installed, by its name on PyPI; None: none is known."""
    path = folder / "tokenizer_config.json"
    described = _json(path, key) if path.is_file() else {}
    given = described.get("tokenizer_class") if isinstance(described, dict) else None
    name = str(given or config.get("tokenizer_class") or "")
    if not name and not (folder / "tokenizer.json").is_file():
        name = DEFAULT_TOKENIZERS.get(str(config.get("model_type")), "")
    needed: Iterable[str] = TOKENIZER_PACKAGES.get(name, ())
    if not needed and not (folder / "tokenizer.json").is_file() and not any(folder.glob("vocab*")):
        needed = [package for pattern, package in VOCABULARY_PACKAGES if any(folder.glob(pattern))][:1]
    # Where transformers itself is absent, as in an environment that only plans jobs, nothing can be said of its neighbours.
    if importlib.util.find_spec("transformers") is None:
        return None
    return next((package.replace("_", "-") for package in needed if importlib.util.find_spec(package) is None), None)


def _pointer(path: Path, key: str) -> str:
    return (
        f"{key}: {path} is not the file itself but a pointer of git's large file storage: run `git lfs pull` in the folder, or"
        " download the model again."
    )


def _json(path: Path, key: str) -> Any:
    try:
        text = path.read_bytes()
        if text.startswith(_POINTER):
            raise UserError(_pointer(path, key))
        return json.loads(text.decode("utf-8"))
    except OSError as error:
        raise UserError(f"{key}: {path} cannot be read ({error}): check its permissions.") from error
    except ValueError as error:
        raise UserError(f"{key}: {path} is not JSON ({error}); download the model again.") from error


def _refuse_adapter(folder: Path, key: str) -> None:
    """Refuse a folder with an adapter: transformers would load the model that it names from wherever that is."""
    path = folder / "adapter_config.json"
    if path.is_file():
        described = _json(path, key)
        base = described.get("base_model_name_or_path") if isinstance(described, dict) else None
        raise UserError(
            f"{key}: {folder} holds an adapter (LoRA or another of PEFT){f' of {base}' if base else ''}, not a whole model:"
            " merge it"
            " into that model (merge_and_unload of PEFT), save the result and give its folder."
        )


def _refuse_other_layout(folder: Path, key: str) -> None:
    """Say what a folder without `config.json` is.

    Raises:
        UserError: always.
    """
    below = sorted(path.parent for path in folder.glob("*/config.json"))
    snapshots = sorted(path.parent for path in folder.glob("snapshots/*/config.json"))
    if snapshots:
        hint = f"it is a folder of the hub's cache; give {snapshots[0]}"
    elif below:
        hint = f"there is one in its folder {below[0].name}, as sentence-transformers and others keep them; give {below[0]}"
    elif (folder / "params.json").is_file():
        hint = "it is in the layout of its makers (params.json); choose the model in its layout for transformers"
    elif folder.is_file():
        hint = "it is a file; give the folder that holds the model"
    elif key == "language.model":
        hint = (
            "give such a folder, a GGUF file, or the id of a repository on the hub with its `revision`, or leave the key out to"
        )
        hint += " pretrain one"
    else:
        hint = "check the path"
    raise UserError(f"{key}: {folder} is no folder of a Hugging Face model (it has no config.json); {hint}.")


def _refuse_quantised(config: Mapping[str, Any], folder: Path, key: str) -> None:
    given = next(
        (config[name] for name in ("quantization_config", "compression_config", "quantization") if config.get(name)), None
    )
    files = [name for name in ("quantize_config.json", "quant_config.json", "hf_quant_config.json") if (folder / name).is_file()]
    if given is None and not files:
        return
    method = given.get("quant_method") if isinstance(given, dict) else None
    other = ", or a GGUF file of it" if key == "language.model" else ""
    raise UserError(
        f"{key}: the weights of {folder} are quantised ({method or (files or ['quantization_config'])[0]}), which needs packages"
        f" that are not part of the workflow: choose the model that is not quantised{other}."
    )


def _refuse_own_code(config: Mapping[str, Any], folder: Path, key: str) -> None:
    """Refuse a model that only code of its repository can read."""
    known = known_types()
    kind = str(config.get("model_type"))
    if not known or kind in known:
        return
    if config.get("auto_map"):
        raise UserError(own_code(folder, key, f"transformers has no model of the kind {kind!r}"))
    raise UserError(
        f"{key}: the transformers that is installed has no model of the kind {kind!r}, which {folder} is: choose another model,"
        " or a newer transformers."
    )


def own_code(folder: Path, key: str, reason: str) -> str:
    """The sentence about a model that needs code from its repository."""
    return (
        f"{key}: {folder} needs code from its repository ({reason}), which is never run: choose a model that transformers reads"
        " without."
    )


@cache
def known_types() -> frozenset[str]:
    """The kinds of models that the installed transformers has, found without importing it; empty where that does not tell."""
    spec = importlib.util.find_spec("transformers")
    if spec is None or spec.origin is None:
        return frozenset()
    folder = Path(spec.origin).parent / "models" / "auto"
    names: set[str] = set()
    for name in ("auto_mappings.py", "configuration_auto.py"):
        path = folder / name
        if path.is_file():
            names |= set(re.findall(r"\(\"([^\"]+)\", \"[A-Za-z0-9_]+Config\"\)", path.read_text(encoding="utf-8")))
    return frozenset(names) if "llama" in names else frozenset()


def _header(path: Path, key: str) -> dict[str, list[int]]:
    """The shapes of the weights of a safetensors file.

    Raises:
        UserError: if the file is a pointer, damaged or cut off.
    """
    header: Any = None
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            if len(start) == 8 and 2 <= length <= min(size - 8, _LARGEST_HEADER):
                header = json.loads(file.read(length).decode("utf-8"))
    except ValueError:
        header = None
    except OSError as error:
        raise UserError(f"{key}: {path} cannot be read ({error}): check its permissions.") from error
    if start and _POINTER.startswith(start):
        raise UserError(_pointer(path, key))
    if not isinstance(header, dict):
        raise UserError(f"{key}: {path} is no safetensors file, or its beginning is damaged: download the model again.")
    tensors = {name: about for name, about in header.items() if name != "__metadata__"}
    try:
        shapes = {name: [int(number) for number in about["shape"]] for name, about in tensors.items()}
        kinds = {name: str(about["dtype"]) for name, about in tensors.items()}
        end = max((int(about["data_offsets"][1]) for about in tensors.values()), default=0)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise UserError(f"{key}: the list of weights in {path} is damaged: download the model again.") from error
    if 8 + length + end != size:
        raise UserError(
            f"{key}: {path} has {size:,} bytes, but its weights take {8 + length + end:,}: it was not copied or downloaded"
            " completely; download it again."
        )
    packed = sorted(name for name, kind in kinds.items() if name.endswith(("weight", "_packed")) and not _WEIGHTS.fullmatch(kind))
    if packed:
        raise UserError(
            f"{key}: the weights of {path} are quantised ({packed[0]!r} is {kinds[packed[0]]}), which needs packages that are"
            " not part"
            " of the workflow: choose the model that is not quantised."
        )
    return shapes


def _refuse_other_sizes(shapes: Mapping[str, list[int]], folder: Path, key: str, config: Mapping[str, Any]) -> None:
    """Refuse MLPs of BERT's kind with other rows than stated, as of networks with code of their own (gated MLPs)."""
    stated = config.get("intermediate_size")
    for name, shape in sorted(shapes.items()):
        if name.endswith(".intermediate.dense.weight") and _positive(stated) and len(shape) == 2 and shape[0] != stated:
            raise UserError(
                own_code(
                    folder, key, f"{name} has {shape[0]} rows, the class {config.get('model_type')} of transformers {stated}"
                )
            )


def _refuse_larger_vocabulary(folder: Path, key: str, config: Mapping[str, Any]) -> None:
    """Refuse a tokenizer that has more words than the model: it is another model's."""
    path, rows = folder / "tokenizer.json", config.get("vocab_size")
    if not path.is_file() or not _positive(rows) or path.stat().st_size > _LARGEST_TOKENIZER:
        return
    described = _json(path, key)
    model = described.get("model") if isinstance(described, dict) else None
    words = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(words, dict | list):
        raise UserError(f"{key}: {path} is no tokenizer (it has no vocabulary): download the model again.")
    numbers = words.values() if isinstance(words, dict) else range(len(words))
    largest = max((number for number in numbers if isinstance(number, int)), default=-1) + 1
    if largest > int(rows):
        raise UserError(larger_vocabulary(folder, key, largest, int(rows)))


def larger_vocabulary(folder: Path, key: str, words: int, rows: int) -> str:
    """The sentence about a tokenizer that has more words than the model."""
    return (
        f"{key}: the tokenizer of {folder} has {words:,} words, but the model has embeddings of {rows:,}: tokenizer and weights"
        " are of different models; download both again."
    )


def _positive(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
