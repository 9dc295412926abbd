"""Arrays in files: safetensors with a JSON header of ours, whose bytes are the same in every run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gta.errors import UserError
from gta.files import atomic_path, require_file

#: Everything but the arrays stands under one key: safetensors would write several keys in random order.
KEY = "gta"


def save_arrays(path: Path | str, arrays: dict[str, np.ndarray], about: dict[str, Any]) -> None:
    """Write named arrays and what is to be known of them.

    Args:
        path: File to write, `.safetensors`.
        arrays: The arrays.
        about: Anything that JSON can hold.
    """
    contiguous = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(contiguous, temporary, metadata={KEY: json.dumps(about, sort_keys=True)})
        except SafetensorError as error:
            raise UserError(f"{path} cannot be written ({error}): check the disk and its permissions.") from error


def load_arrays(path: Path | str, what: str, names: tuple[str, ...]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save_arrays` wrote.

    Args:
        path: The file.
        what: What it should be, for the message: "feature store".
        names: Arrays that it must hold.

    Raises:
        UserError: if the file is absent, truncated or something else.
    """
    path = require_file(path, what)
    try:
        with safe_open(path, framework="numpy") as handle:
            about = json.loads((handle.metadata() or {})[KEY])
            return {name: handle.get_tensor(name) for name in names}, about
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{path} is no complete {what} ({error}): remove it and run again.") from error
