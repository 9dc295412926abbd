"""When memory runs out: what PyTorch says then, and what we say."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gta.errors import UserError


def is_out_of_memory(error: RuntimeError) -> bool:
    """Does an error of PyTorch say that memory is short, on a GPU or on the CPU?"""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


@contextmanager
def told_of_memory(where: str) -> Iterator[None]:
    """Say in one sentence that memory ran out, in place of PyTorch's traceback.

    Args:
        where: Where it did, a colon, and what to do about it.

    Raises:
        UserError: if memory runs out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        raise UserError(f"Memory ran out {where}.") from error
