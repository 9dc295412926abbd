"""Running a network over many sequences: full batches, halved where memory is short."""

from collections.abc import Callable

import numpy as np
import torch
from tqdm import tqdm

from gta.errors import UserError
from gta.memory import is_out_of_memory


class Passes:
    """Runs a function over sequences in batches.

    Attributes:
        batch: Sequences at once; it is halved for good whenever memory runs out.
        done: Sequences that were read.
    """

    def __init__(self, batch: int, device: torch.device, progress: "tqdm[object] | None" = None):
        self.batch = batch
        self.device = device
        self.done = 0
        self._progress = progress

    # Not inference mode, in which compiled networks fail.
    @torch.no_grad()
    def run(
        self, function: Callable[[torch.Tensor], tuple[torch.Tensor, ...]], sequences: np.ndarray
    ) -> tuple[torch.Tensor, ...]:
        """What a function gives for all sequences.

        Args:
            function: From (B, L) uint8 on the device to tensors whose first axis is B.
            sequences: (N, L) uint8, N > 0.

        Returns:
            The function's tensors, on the CPU, their first axis N.

        Raises:
            UserError: if memory does not even suffice for one sequence.
        """
        parts: list[tuple[torch.Tensor, ...]] = []
        at = 0
        while at < len(sequences):
            part = torch.tensor(sequences[at : at + self.batch], device=self.device)
            try:
                parts.append(tuple(tensor.float().cpu() for tensor in function(part)))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if self.batch == 1:
                    raise UserError(
                        f"Memory does not suffice for one sequence of {sequences.shape[1]} bp: give the job more, or choose"
                        " shorter windows."
                    ) from error
                self.batch = max(1, min(self.batch, len(part)) // 2)
                if self.device.type == "cuda":
                    torch.cuda.empty_cache()
                tqdm.write(f"Out of memory: reading {self.batch} sequences at once from now on.")
                continue
            at += len(part)
            self.done += len(part)
            if self._progress is not None:
                self._progress.update(len(part))
        return tuple(torch.cat(tensors) for tensors in zip(*parts, strict=True))
