"""Loading a causal language model so that it stays as it is."""

import hashlib
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from gta.errors import UserError


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


def load_frozen(folder: Path | str) -> PreTrainedModel:
    """A causal language model in evaluation mode, float32, with every weight frozen.

    Only safetensors weights are read and no code from the folder is run.

    Raises:
        UserError: if the folder is absent or holds no causal language model in safetensors.
    """
    folder = _require_model_folder(folder)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise UserError(
            f"{folder} holds no whole causal language model in safetensors ({_first_line(error)}): download it again."
        ) from error
    model.requires_grad_(False)
    return model.eval()


def word_embeddings(model: PreTrainedModel) -> torch.Tensor:
    """The model's input embeddings, (V, D) float32, detached."""
    weight = model.get_input_embeddings().weight
    assert isinstance(weight, torch.Tensor)
    return weight.detach().float()


def fingerprint(model: torch.nn.Module) -> str:
    """SHA-256 over the names and bytes of all weights: equal before and after training if the model is really frozen."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().reshape(-1).view(torch.uint8).cpu().numpy().tobytes())
    return digest.hexdigest()


def _require_model_folder(folder: Path | str) -> Path:
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise UserError(f"language.model: {folder} is not a Hugging Face model folder (it has no config.json); check the path.")
    return folder


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
