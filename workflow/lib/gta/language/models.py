"""Loading a language model so that it stays as it is."""

import functools
import hashlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
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
from gta.networks.folder import changing_rotary, check_config, check_tokenizer, check_weights, positions_read, read_config
from gta.networks.load import HEADS, UNREAD, first_line, load_network

#: From so many weights on a model reads in bfloat16 where the CPU has it natively: below, reading costs next to nothing.
LARGE = 20_000_000
#: Words whose embeddings are computed at once.
CHUNK = 16_384
#: What names the folder of a language model, in messages.
KEY = "language.model"


def load_tokenizer(folder: Path | str) -> PreTrainedTokenizerBase:
    """The tokenizer of a Hugging Face folder.

    Raises:
        UserError: if the folder is absent or holds no tokenizer.
    """
    folder = Path(folder)
    check_tokenizer(folder, KEY, read_config(folder, KEY))
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except ImportError as error:
        raise UserError(
            f"{KEY}: the tokenizer of {folder} needs a package that is not installed ({first_line(error)}): choose a model with a"
            " tokenizer.json of its own, or install it."
        ) from error
    # Files of others: the libraries raise errors of many kinds, bare ones included.
    except Exception as error:
        raise UserError(
            f"{KEY}: {folder} holds no tokenizer, or a broken config.json or tokenizer ({first_line(error)}): download the model"
            " again."
        ) from error
    return tokenizer


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
    folder = Path(folder)
    described = read_config(folder, KEY)
    check_config(described, folder, KEY)
    check_weights(folder, KEY, described)
    dtype = torch.float32 if torch.device(device).type == "cpu" and not stored else "auto"
    config = _config(folder)
    options: dict[str, Any] = {
        "local_files_only": True,
        "trust_remote_code": False,
        "use_safetensors": True,
        "dtype": dtype,
        **_without_pooler(config),
    }
    if _is_encoder(config):
        model, _ = load_network(AutoModel, folder, KEY, "language model", **options)
    else:
        model, spared = load_network(AutoModelForCausalLM, folder, KEY, "language model", (*UNREAD, *HEADS), **options)
        if any(name.startswith(HEADS) for name in spared):
            # Saved without the layer that writes words, as embedding models are: what is read of the model does not need it.
            model, _ = load_network(AutoModel, folder, KEY, "language model", **options)
    frozen: PreTrainedModel = model.requires_grad_(False).eval().to(device)
    require_readable(frozen, folder)
    return frozen


def is_encoder(folder: Path | str) -> bool:
    """Whether the model of a folder reads in both directions (BERT), by what it says that it is.

    Raises:
        UserError: if the folder holds no configuration of a language model.
    """
    folder = Path(folder)
    read_config(folder, KEY)
    return _is_encoder(_config(folder))


def _config(folder: Path) -> PretrainedConfig:
    """The configuration of a folder's model as transformers completes it.

    Raises:
        UserError: if it is damaged, or of a model that is not read.
    """
    try:
        config: PretrainedConfig = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    # Files of others: the libraries raise errors of many kinds.
    except Exception as error:
        raise UserError(
            f"{KEY}: {folder} describes no language model in its config.json ({first_line(error)}): download it again, or choose"
            " one that transformers knows without code from its folder."
        ) from error
    # Completed, it says what config.json leaves to the defaults of its kind.
    check_config(config.to_dict(), folder, KEY)
    return config


@torch.no_grad()
def require_readable(model: PreTrainedModel, folder: Path | str) -> None:
    """Refuse a model that cannot be read as it is here: in parts, by keys and values that were kept, and as embeddings.

    It reads a few words at once, and again in two parts or as embeddings, which must give the same.

    Args:
        model: The model, in evaluation mode.
        folder: Its folder, for the message.

    Raises:
        UserError: one sentence that says what differs.
    """
    refused = (
        f"{KEY}: {folder} ({model.config.model_type}) cannot be used: {{}}; choose a model of the kind of Llama, Mistral, Qwen,"
        " Gemma, GPT-2 or GPT-NeoX, or an encoder of BERT's."
    )
    base, both_ways = model.base_model, reads_both_ways(model)
    ids = _some_words(model)
    try:
        whole = base(input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True)
        states = [*whole.hidden_states, whole.last_hidden_state]
        words = embed(model, ids)
        positions = first_position(model) + torch.arange(ids.shape[1], device=ids.device)[None]
        if both_ways:
            again = base(inputs_embeds=words, attention_mask=torch.ones_like(ids), position_ids=positions).last_hidden_state
            part = states[-1]
        else:
            half = ids.shape[1] // 2
            cache = DynamicCache()
            base(input_ids=ids[:, :half], use_cache=True, **given_cache(base, cache))
            layers: list[Any] = list(cache.layers)
            pairs = [(layer.keys, layer.values) for layer in layers]
            torch.stack([keys for keys, _ in pairs]), torch.stack([values for _, values in pairs])
            again = base(
                inputs_embeds=words[:, half:],
                attention_mask=torch.ones_like(ids),
                position_ids=positions[:, half:],
                use_cache=True,
                **given_cache(base, DynamicCache(pairs)),
            ).last_hidden_state
            part = states[-1][:, half:]
    except (MemoryError, torch.OutOfMemoryError):
        raise
    # Whatever a model of an unknown kind stumbles over: no keys and values, no positions, other arguments.
    except Exception as error:
        way = "its words and positions" if both_ways else "the keys and values of a prompt, its words and positions"
        raise UserError(refused.format(f"it does not take or give {way} as others do ({first_line(error)})")) from error
    if any(state.shape[:2] != ids.shape or state.dim() != 3 or state.shape[2] != states[-1].shape[2] for state in states):
        raise UserError(refused.format("its hidden states have different shapes"))
    if not bool(part.isfinite().all()):
        raise UserError(
            f"{KEY}: {folder} gives numbers that are not finite for words: its weights are damaged; download it again."
        )
    tolerance = 1e-3 if model.dtype == torch.float32 else 0.1
    if not float((again - part).abs().max()) <= tolerance * float(part.abs().max()):
        reason = (
            "it reads embeddings of words otherwise than words"
            if both_ways
            else "what it makes of words changes with what follows, or with the cut after which keys and values are kept"
        )
        raise UserError(refused.format(reason))


def _some_words(model: PreTrainedModel) -> torch.Tensor:
    """(1, n) int64, two to eight token ids that have no special meaning for the model, as far as its configuration says."""
    config, rows = model.config, vocabulary_rows(model)
    special = {value for name, value in config.to_dict().items() if name.endswith("token_id") and isinstance(value, int)}
    usual = [number for number in torch.linspace(0.2 * rows, rows - 1, 24).long().unique().tolist() if number not in special]
    return torch.tensor([(usual if len(usual) > 1 else 2 * (usual or [0]))[:8]], device=model.device)


def random_weights(folder: Path | str, seed: int) -> PreTrainedModel:
    """A model with the architecture of a folder's and random weights, drawn as that architecture does before pretraining.

    Args:
        folder: Hugging Face folder; its weights are not read.
        seed: Seed of the weights.

    Raises:
        UserError: if the folder holds no configuration of a language model.
    """
    folder = Path(folder)
    check_config(read_config(folder, KEY), folder, KEY)
    config = _config(folder)
    torch.manual_seed(seed)
    kind = AutoModel if _is_encoder(config) else AutoModelForCausalLM
    try:
        model: PreTrainedModel = kind.from_config(config, dtype=torch.float32, **_without_pooler(config))
    except Exception as error:
        raise UserError(f"{KEY}: {folder} describes no language model ({first_line(error)}): download it again.") from error
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


def embed(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    """The embeddings of words as a model takes them (`inputs_embeds`), so that it reads the same as of their ids.

    Gemma, BioGPT and XGLM multiply by the square root of their width within the layer of embeddings, past which embeddings of
    others go. ESM with `token_dropout` multiplies by the share of words that was left in its training, for ids alone.

    Args:
        model: The language model.
        ids: (..., n) int64 token ids, on its device.

    Returns:
        (..., n, D) in its precision.
    """
    embedded: torch.Tensor = model.get_input_embeddings()(ids)
    return embedded * _input_factor(model)


def _input_factor(model: PreTrainedModel) -> float:
    """What a model multiplies embeddings of ids by behind the layer of embeddings, and embeddings that it is given not."""
    # As in transformers: 15 % of the words were masked, 80 % of these by the token that is zero.
    return 1 - 0.15 * 0.8 if model.config.model_type == "esm" and getattr(model.config, "token_dropout", False) else 1.0


@torch.no_grad()
def word_embeddings(model: PreTrainedModel) -> torch.Tensor:
    """The embeddings of all words as the model takes them (see `embed`), (V, D) float32, detached."""
    layer = model.get_input_embeddings()
    weight = layer.weight
    assert isinstance(weight, torch.Tensor)
    if type(layer) is nn.Embedding and _input_factor(model) == 1:
        return weight.detach().float()
    return torch.cat([embed(model, ids).float() for ids in torch.arange(len(weight), device=weight.device).split(CHUNK)])


def vocabulary_rows(model: PreTrainedModel) -> int:
    """How many words a model has embeddings of, V."""
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, torch.Tensor)
    return len(weight)


def require_head(model: PreTrainedModel, folder: Path | str) -> None:
    """Refuse a model that cannot write words: an encoder, or one that was saved without its output layer.

    Raises:
        UserError: saying what is needed.
    """
    if not model.can_generate() or model.get_output_embeddings() is None:
        raise UserError(
            f"{KEY}: {folder} has no output layer (lm_head), and compressors are trained and tested by texts that a causal model"
            " writes again: choose a causal model that was saved whole."
        )


def require_positions(model: PreTrainedModel, positions: int, what: str, advice: str) -> None:
    """Refuse more positions than a model reads.

    Args:
        model: The language model.
        positions: How many are needed, those that its kind leaves free in front included.
        what: What needs them, for the message: "A prompt and a window take".
        advice: What to do about it.

    Raises:
        UserError: if they are too many.
    """
    config = model.config.to_dict()
    limit = positions_read(config)
    if limit is None or positions <= limit:
        return
    if limit == changing_rotary(config):
        has = f"has {limit} before its rotary positions change with the length of the text, unlike keys and values that are kept"
    else:
        has = f"has {limit}"
    raise UserError(f"{what} {positions} positions, but the language model {has}: {advice}.")


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
