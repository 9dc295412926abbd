"""Batches, and memory that runs out."""

import numpy as np
import pytest
import torch

from gta.errors import UserError
from gta.features.passes import Passes

CPU = torch.device("cpu")


class Hungry:
    """Reads at most `limit` sequences at once; remembers the sizes of its batches."""

    def __init__(self, limit: int):
        self.limit = limit
        self.sizes: list[int] = []

    def __call__(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        self.sizes.append(len(batch))
        if len(batch) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return batch.sum(dim=1), batch[:, :1]


def test_short_memory_halves_the_batch_and_loses_nothing() -> None:
    sequences = np.arange(40, dtype=np.uint8).reshape(20, 2)
    hungry, passes = Hungry(3), Passes(8, CPU)
    sums, first = passes.run(hungry, sequences)
    assert hungry.sizes[:3] == [8, 4, 2] and set(hungry.sizes[2:]) == {2} and passes.batch == 2
    assert sums.tolist() == sequences.sum(axis=1).tolist() and first[:, 0].tolist() == list(range(0, 40, 2))
    assert passes.done == 20
    # The smaller batch is kept.
    passes.run(hungry, sequences[:4])
    assert hungry.sizes[-2:] == [2, 2]


def test_memory_for_not_even_one_sequence_is_a_clear_message() -> None:
    with pytest.raises(UserError, match="one sequence of 2 bp"):
        Passes(4, CPU).run(Hungry(0), np.zeros((4, 2), dtype=np.uint8))


def test_other_errors_pass() -> None:
    def broken(batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Passes(4, CPU).run(broken, np.zeros((4, 2), dtype=np.uint8))
