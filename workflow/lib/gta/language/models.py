"""Loading a language model so that it stays as it is."""

import functools
import hashlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoTokenizer,
    DynamicCache,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_MASKED_LM_MAPPING_NAMES

from gta.errors import UserError
from gta.files import atomic_path
from gta.language.hub import source_of, write_checksums

#: From so many weights on a model reads in bfloat16 where the CPU has it natively: below, reading costs next to nothing.
LARGE = 20_000_000


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The tokenizer of a Hugging Face folder.

    Raises:
        UserError: if the folder is absent or holds no tokenizer.
    """
    folder = _require_model_folder(folder)
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder} holds no tokenizer, or a broken config.json ({_first_line(error)}): download the model again."
        ) from error


def given_cache(model: nn.Module, cache: DynamicCache) -> dict[str, DynamicCache]:
    """The argument that gives a model a cache to read from and write to: `cache`; in older releases of transformers 5
    `past_key_values`.

    An argument of the other name may be taken without a word and forgotten.
    """
    return {_cache_argument(type(model).forward): cache}


@functools.cache
def _cache_argument(forward: Callable[..., Any]) -> str:
    """Looked up once: models are called for every token that is written."""
    return "cache" if "cache" in inspect.signature(forward).parameters else "past_key_values"


def load_frozen(folder: Path | str, device: str = "cpu", stored: bool = False) -> PreTrainedModel:
    """A language model, causal or encoder, in evaluation mode with every weight frozen.

    Only safetensors weights are read and no code from the folder is run. On the CPU the weights are float32; on a GPU they keep
    the precision in which they are stored (bfloat16 for most large models).

    Args:
        folder: Hugging Face folder.
        device: Where to put it, as torch names it.
        stored: Keep the stored precision on the CPU, too.

    Raises:
        UserError: if the folder is absent, or holds no language model in safetensors.
    """
    folder = _require_model_folder(folder)
    _require_safetensors(folder)
    dtype = torch.float32 if torch.device(device).type == "cpu" and not stored else "auto"
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = AutoModel if _is_encoder(config) else AutoModelForCausalLM
        # A file that lacks weights would be completed with random ones, with nothing but a warning.
        loaded: Any = kind.from_pretrained(
            folder,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=dtype,
            output_loading_info=True,
            **_without_pooler(config),
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"{folder} holds no whole language model in safetensors ({_first_line(error)}): download it again, or choose one that"
            " transformers knows without code from its folder."
        ) from error
    model, report = loaded
    if report["missing_keys"]:
        raise UserError(f"{folder} lacks the weights {min(report['missing_keys'])!r} of its language model: download it again.")
    model.requires_grad_(False)
    frozen: PreTrainedModel = model.eval().to(device)
    return frozen


def random_weights(folder: Path | str, seed: int) -> PreTrainedModel:
    """A model with the architecture of a folder's and random weights, drawn as that architecture does before pretraining.

    Args:
        folder: Hugging Face folder; its weights are not read.
        seed: Seed of the weights.

    Raises:
        UserError: if the folder holds no configuration of a language model.
    """
    folder = _require_model_folder(folder)
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        torch.manual_seed(seed)
        kind = AutoModel if _is_encoder(config) else AutoModelForCausalLM
        model: PreTrainedModel = kind.from_config(config, dtype=torch.float32, **_without_pooler(config))
    except (OSError, ValueError) as error:
        raise UserError(f"{folder} describes no language model ({_first_line(error)}): download it again.") from error
    return model.eval()


def write_first_blocks(folder: Path | str, blocks: int, out: Path) -> None:
    """Write a language model with its first transformer blocks only; its final norm and everything else stay.

    Args:
        folder: Hugging Face folder.
        blocks: How many blocks to keep, k >= 1.
        out: Folder to write, with the tokenizer; its `checksums.tsv` says which model it is from.

    Raises:
        UserError: if the model has fewer blocks, or none that can be told apart.
    """
    model, tokenizer = load_frozen(folder, stored=True), load_tokenizer(folder)
    keep_first_blocks(model, blocks)
    with atomic_path(out) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        write_checksums(temporary, f"{source_of(Path(folder))}, first {blocks} blocks", {})


def keep_first_blocks(model: PreTrainedModel, blocks: int) -> None:
    """Cut a model in place to its first blocks, as if it had been made with so few.

    Args:
        model: Causal model or encoder whose blocks are one list of modules.
        blocks: How many to keep, k >= 1.

    Raises:
        UserError: if the model has fewer blocks, or none that can be told apart.
    """
    config = model.config
    there = int(config.num_hidden_layers)
    lists = [
        (name, module)
        for name, module in model.base_model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == there
    ]
    if not lists:
        raise UserError(
            f"language.blocks: the blocks of a model of the kind {config.model_type} cannot be told apart; leave the key empty."
        )
    if blocks > there:
        raise UserError(f"language.blocks: {blocks} are wanted, but the language model has {there}; empty: all.")
    name, module = min(lists, key=lambda entry: entry[0].count("."))
    parent, _, child = name.rpartition(".")
    setattr(model.base_model.get_submodule(parent), child, module[:blocks])
    config.num_hidden_layers = blocks
    # What the configuration says of each block: which attention it has, and the like.
    for key, value in list(vars(config).items()):
        if isinstance(value, list) and len(value) == there and key.endswith(("layer_types", "layers")):
            setattr(config, key, value[:blocks])


def has_fast_bfloat16() -> bool:
    """Whether this machine's CPU multiplies matrices in bfloat16 natively (AVX-512 BF16 or AMX; BF16 of ARM)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, flags=re.MULTILINE)
    return flags is not None and bool({"avx512_bf16", "amx_bf16", "bf16"} & set(flags[1].split()))


def set_precision(model: PreTrainedModel, precision: str) -> None:
    """Bring a frozen model on the CPU to the precision in which it reads prompts.

    Buffers keep theirs, such as the frequencies of rotary positions.

    Args:
        model: The model.
        precision: `float32`; `bfloat16`; or `auto`: bfloat16 for models of `LARGE` weights and more where the CPU has it
            natively.
    """
    if precision == "auto":
        precision = "bfloat16" if model.num_parameters() >= LARGE and has_fast_bfloat16() else "float32"
    for parameter in model.parameters():
        parameter.data = parameter.data.to(torch.bfloat16 if precision == "bfloat16" else torch.float32)


def _is_encoder(config: PretrainedConfig) -> bool:
    """Whether the folder's model reads in both directions (BERT), by what it says that it is."""
    causal = any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in config.architectures or [])
    return config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not causal


def _without_pooler(config: PretrainedConfig) -> dict[str, bool]:
    """The option that leaves out the layer over the first token, which nobody reads and many folders lack."""
    pooled = config.model_type in ("bert", "roberta", "xlm-roberta", "camembert")
    return {"add_pooling_layer": False} if pooled and _is_encoder(config) else {}


def reads_both_ways(model: PreTrainedModel) -> bool:
    """Whether what follows a prompt changes how it is read, so that nothing of it can be cached."""
    return model.config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES and not model.can_generate()


def first_position(model: PreTrainedModel) -> int:
    """The position of the first token: 0, but for models of RoBERTa's kind, whose first positions mean padding."""
    padding = getattr(getattr(model.base_model, "embeddings", None), "padding_idx", None)
    return 0 if padding is None else int(padding) + 1


def word_embeddings(model: PreTrainedModel) -> torch.Tensor:
    """The model's input embeddings, (V, D) float32, detached."""
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach().float()


def fingerprint(model: torch.nn.Module) -> str:
    """SHA-256 over the names and values of all weights: equal before and after training if the model is really frozen.

    Taken in float32, so that it does not depend on the device.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        values = tensor.detach().cpu()
        values = values.float() if values.is_floating_point() else values
        digest.update(name.encode())
        digest.update(values.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _require_model_folder(folder: Path | str) -> Path:
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise UserError(f"language.model: {folder} is not a Hugging Face model folder (it has no config.json); check the path.")
    return folder


def _require_safetensors(folder: Path) -> None:
    """Refuse a folder with pickled weights alone: reading them could run any code.

    Raises:
        UserError: saying what to do.
    """
    pickled = sorted(path.name for pattern in ("*.bin", "*.pt", "*.pth") for path in folder.glob(pattern))
    if pickled and not any(folder.glob("*.safetensors")):
        raise UserError(
            f"{folder} has its weights as {pickled[0]}, a pickle, which can run any code when it is read: convert it to"
            " safetensors, or choose a model that has them."
        )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
