"""Arrays in files: safetensors with a JSON header of ours, whose bytes are the same in every run."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from gta.errors import UserError
from gta.files import atomic_path, require_file

#: What safetensors calls types of numpy.
TYPES = {"float32": "F32", "float16": "F16", "int64": "I64", "int32": "I32", "uint16": "U16"}
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


@contextmanager
def new_arrays(
    path: Path | str, shapes: dict[str, tuple[type[np.generic], tuple[int, ...]]], about: dict[str, Any]
) -> Iterator[dict[str, np.ndarray]]:
    """Write a file like that of `save_arrays` piece by piece, for what does not fit into memory.

    Args:
        path: File to write, `.safetensors`.
        shapes: Type and shape of each array, by name.
        about: Anything that JSON can hold.

    Yields:
        The arrays, zeros, which are mapped to the file and are to be filled.

    Raises:
        UserError: if the disk has no room for them.
    """
    # Eight bytes with the length of the header, the header, the arrays: https://huggingface.co/docs/safetensors
    header: dict[str, Any] = {"__metadata__": {KEY: json.dumps(about, sort_keys=True)}}
    at = 0
    # The widest types first, so that every array begins at a multiple of its own width.
    for name in sorted(shapes, key=lambda name: (-np.dtype(shapes[name][0]).itemsize, name)):
        kind, shape = shapes[name]
        end = at + math.prod(shape) * np.dtype(kind).itemsize
        header[name] = {"dtype": TYPES[np.dtype(kind).name], "shape": list(shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with atomic_path(path) as temporary:
        try:
            with temporary.open("wb") as file:
                file.write(len(text).to_bytes(8, "little") + text)
                # Room is taken now: where a mapped page finds none, the process is killed without a word.
                if at:
                    os.posix_fallocate(file.fileno(), 0, 8 + len(text) + at)
        except OSError as error:
            raise UserError(
                f"{path} cannot be written, it needs {at:,} bytes ({error}): check the disk and its permissions."
            ) from error
        arrays = {}
        for name, (kind, shape) in shapes.items():
            start = 8 + len(text) + header[name]["data_offsets"][0]
            arrays[name] = np.memmap(temporary, kind, "r+", start, shape) if math.prod(shape) else np.zeros(shape, kind)
        yield arrays
        try:
            for array in arrays.values():
                if isinstance(array, np.memmap):
                    array.flush()
        except OSError as error:
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

    def columns(self, name: str, column: int) -> np.ndarray:
        """One column of an array, along its second axis; the others are not read."""
        return self._handle.get_slice(name)[:, column : column + 1][:, 0]

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
