"""Where a training computes: one process or several that share each batch, on CPUs or GPUs."""

import argparse
import contextlib
import math
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import gather, reduce
from torch import multiprocessing
from torch.multiprocessing.spawn import ProcessExitedException
from transformers import PreTrainedModel

from gta.errors import UserError

#: The environment variable by which a launcher (ours, `accelerate launch`, `torchrun`) numbers the processes of a machine.
LOCAL_RANK = "LOCAL_RANK"

Item = TypeVar("Item")

#: Distance between the seeds of the processes that share a training.
PROCESS_SEEDS = 1_000_003


class Workers:
    """This process among those that train one model together.

    Attributes:
        device: Where it computes.
        number: Its number; 0 is the one that writes.
        count: How many there are.
        bfloat16: Whether matrix products are made in bfloat16.
    """

    def __init__(self, device: str = "auto", precision: str = "float32", section: str = "aligner"):
        """Join the processes that a launcher started, or be the only one.

        Args:
            device: `auto` (a GPU if there is one), `cpu` or `cuda`.
            precision: `float32` or `bfloat16`.
            section: The section of the configuration that says so, for messages.

        Raises:
            UserError: if a GPU is wanted and there is none.
        """
        there = torch.cuda.is_available()
        if device == "cuda" and not there:
            raise UserError(
                f"{section}.device: cuda is wanted, but PyTorch sees no GPU: choose auto or cpu, or a node with a GPU."
            )
        use_gpu = there and device != "cpu"
        self.number, self.count, self.device = 0, 1, torch.device("cuda" if use_gpu else "cpu")
        if LOCAL_RANK in os.environ:
            state = PartialState(cpu=not use_gpu)
            self.number, self.count, self.device = state.process_index, state.num_processes, state.device
        self.bfloat16 = precision == "bfloat16"

    @property
    def main(self) -> bool:
        """Whether this is the process that writes."""
        return self.number == 0

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The precision of the forward pass."""
        if self.bfloat16:
            return torch.autocast(self.device.type, dtype=torch.bfloat16)
        return contextlib.nullcontext()

    def parts(self, batch: list[Item], accumulation: int) -> Iterator[list[Item]]:
        """This process's share of a batch, in up to `accumulation` parts of nearly equal size."""
        own = batch[self.number :: self.count]
        size = math.ceil(len(own) / accumulation) or 1
        yield from (own[at : at + size] for at in range(0, len(own), size))

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of a tensor over all processes, which must all call this."""
        return tensor if self.count == 1 else reduce(tensor.to(self.device), reduction="sum")

    def sum_gradients(self, parameters: list[torch.nn.Parameter], totals: torch.Tensor) -> torch.Tensor:
        """Sum gradients and totals over the processes: one exchange per step, whatever share of the batch each of them had.

        Args:
            parameters: What is trained; `grad` is changed in place.
            totals: Whatever else is summed, on the CPU.

        Returns:
            The sums of `totals`, on the CPU.
        """
        if self.count == 1:
            return totals
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = self.sum(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, summed in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
            gradient.copy_(summed.view_as(gradient))
        return self.sum(totals).cpu()

    def place(self, language_model: PreTrainedModel) -> None:
        """Bring a frozen language model to the device of this process, in the precision in which it computes there.

        Buffers keep theirs: rounded frequencies of rotary positions would turn cached keys and new queries apart.
        """
        language_model.to(self.device)  # type: ignore[arg-type]
        for parameter in language_model.parameters():
            parameter.data = parameter.data.to(torch.bfloat16 if self.bfloat16 else torch.float32)

    def gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """The tensors of all processes, (processes, ...), on the CPU."""
        if self.count == 1:
            return tensor[None].cpu()
        return gather(tensor[None].to(self.device)).cpu()


def run_in_processes(function: Callable[..., None], processes: int, arguments: argparse.Namespace, chosen: Any) -> None:
    """Run a command in this process, or in several if that is asked for and no launcher has started them already.

    Args:
        function: Of a module; it gets the arguments and the settings, and is run by each process.
        processes: How many.
        arguments: Of the command line.
        chosen: The settings.

    Raises:
        UserError: as `spawn`.
    """
    if processes > 1 and LOCAL_RANK not in os.environ:
        words = {name: value for name, value in vars(arguments).items() if name != "run"}
        spawn(function, processes, argparse.Namespace(**words), chosen)
    else:
        function(arguments, chosen)


def spawn(function: Callable[..., None], processes: int, *arguments: Any) -> None:
    """Run a function in several processes of this machine that find each other through `Workers`.

    Args:
        function: Of a module; it gets the arguments.
        processes: How many.
        arguments: Anything that can be pickled to a process of our own.

    Raises:
        UserError: with the message of the process that failed by one; the others are ended.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    messages = context.SimpleQueue()
    try:
        multiprocessing.spawn(_run, (processes, port, messages, function, arguments), nprocs=processes)
    except ProcessExitedException as error:
        reason = messages.get() if not messages.empty() else f"it ended with {error.signal_name or error.exit_code}"
        raise UserError(reason if reason.endswith(".") else f"A process of the training failed: {reason}.") from error


def _run(
    number: int, processes: int, port: int, messages: Any, function: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    """What each process does."""
    os.environ |= {
        "RANK": str(number),
        LOCAL_RANK: str(number),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    try:
        function(*arguments)
    except UserError as error:
        messages.put(str(error))
        os._exit(1)
    torch.distributed.destroy_process_group()
