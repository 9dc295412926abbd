"""Weights of networks: where they are, and what they are."""

import hashlib
from pathlib import Path

from gta.errors import UserError
from gta.features.settings import FeatureSettings
from gta.files import sha256

#: Files of a folder of weights that say what the network computes; pickles are none of them.
FILES = ("*.json", "*.safetensors", "*.h5", "*.txt", "*.model")


def weight_files(path: Path) -> list[Path]:
    """The files of a network: the file itself, or those of its folder, sorted by name."""
    if path.is_dir():
        return sorted(file for pattern in FILES for file in path.glob(pattern) if file.is_file())
    return [path]


def find_weights(settings: FeatureSettings) -> Path:
    """The file or folder of the weights; those of the hub are downloaded, or taken from its cache.

    Raises:
        UserError: if no weights are named, there are none, or the hub does not give them.
    """
    if not settings.weights:
        raise UserError(
            f"features.weights: {settings.extractor} needs weights; give a path, or the id of a repository on the Hugging Face"
            " hub and its `revision`."
        )
    if settings.revision is None:
        path = Path(settings.weights).expanduser()
        if not path.exists():
            raise UserError(f"features.weights: there is no {path}; give the path of the weights, or a `revision` of the hub.")
        return path
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(settings.weights, revision=settings.revision, allow_patterns=list(FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"features.weights: {settings.weights} at revision {settings.revision} cannot be had from the Hugging Face hub:"
            " check both, or download it and give the folder."
        ) from error


def fingerprint(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of its files' names and checksums."""
    if path.is_file():
        return sha256(path)
    lines = "".join(f"{file.name} {sha256(file)}\n" for file in weight_files(path))
    return hashlib.sha256(lines.encode()).hexdigest()
