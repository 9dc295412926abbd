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


class ArrayFile:
    """What `save_arrays` wrote, mapped into memory: only what is asked for is read."""

    def __init__(self, path: Path | str, what: str, names: tuple[str, ...]):
        """Open a file.

        Args:
            path: The file.
            what: What it should be, for the message: "feature store".
            names: Arrays that it must hold.

        Raises:
            UserError: if the file is absent, truncated or something else.
        """
        path = require_file(path, what)
        try:
            self._handle = safe_open(path, framework="numpy")
            self.about: dict[str, Any] = json.loads((self._handle.metadata() or {})[KEY])
            missing = sorted(set(names) - set(self._handle.keys()))
            if missing:
                raise KeyError(f"it has no {missing[0]}")
        except (SafetensorError, KeyError, ValueError) as error:
            raise UserError(f"{path} is no complete {what} ({error}): remove it and run again.") from error

    def shape(self, name: str) -> list[int]:
        """The shape of an array."""
        return list(self._handle.get_slice(name).get_shape())

    def whole(self, name: str) -> np.ndarray:
        """An array."""
        return self._handle.get_tensor(name)

    def part(self, name: str, start: int, end: int) -> np.ndarray:
        """Rows `start` to `end` of an array, half-open."""
        length = self.shape(name)[0]
        if not length:
            return self.whole(name)
        # safetensors cuts no empty piece: at least one row is read.
        first = min(int(start), length - 1)
        return self._handle.get_slice(name)[first : max(int(end), first + 1)][: int(end - start)]


def load_arrays(path: Path | str, what: str, names: tuple[str, ...]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save_arrays` wrote; arguments and errors as for `ArrayFile`."""
    file = ArrayFile(path, what, names)
    return {name: file.whole(name) for name in names}, file.about
