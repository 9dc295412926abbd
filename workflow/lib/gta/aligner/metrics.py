"""The numbers of a running training: JSON lines, and TensorBoard event files."""

import json
import math
import shutil
from pathlib import Path
from typing import Any, TextIO

#: Name of the file.
METRICS = "metrics.jsonl"

#: A line of an epoch has this key, a line of a step has not.
EPOCH_KEY = "valid_loss"


class Metrics:
    """Writes one line per step and one per epoch, at once, so that a training can be watched."""

    def __init__(self, path: Path, tensorboard: Path | None, step: int, epochs: int):
        """Open the file; what it holds beyond the point that the training goes on from is removed.

        Args:
            path: JSON lines.
            tensorboard: Folder of event files; None: none are written.
            step: Steps that are done.
            epochs: Epochs that are done, validation included.
        """
        kept = [line for line in _lines(path) if line["step"] <= step and (EPOCH_KEY not in line or line["epoch"] <= epochs)]
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("w")
        for line in kept:
            self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        self._writer: Any = None
        if tensorboard is not None:
            from torch.utils.tensorboard import SummaryWriter

            if not kept:
                shutil.rmtree(tensorboard, ignore_errors=True)
            self._writer = SummaryWriter(str(tensorboard), purge_step=step + 1)

    def write(self, row: dict[str, float]) -> None:
        """Write a row, which has `step` and `epoch`; numbers that do not exist (NaN) are left out."""
        row = {name: value for name, value in row.items() if not math.isnan(value)}
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        if self._writer is not None:
            for name, value in row.items():
                if name not in ("step", "epoch"):
                    self._writer.add_scalar(name, value, int(row["step"]))

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._writer is not None:
            self._writer.close()


def _lines(path: Path) -> list[dict[str, float]]:
    """The lines of a file; one that was cut by a kill is left out."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
