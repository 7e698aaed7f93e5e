"""Processes that train together, as ``accelerate launch`` and ``torchrun`` start them.

A launcher tells every process its rank and their number (``RANK``, ``WORLD_SIZE``, ``LOCAL_RANK``,
``MASTER_ADDR``, ``MASTER_PORT``) and ends them all when one ends with an error. Without a launcher
there is one process, and everything here does nothing.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from hear_aesthetics.compute.precision import usable_device
from hear_aesthetics.errors import InputError

__all__ = ["Processes", "is_main_process", "joined_processes", "warn_of_one_process"]

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
# One process may make the audio pool or the hidden states while the others wait. A process that
# dies is noticed by the launcher, not by this limit.
LONGEST_WAIT = timedelta(days=2)
# Set by launchers of MPI, whose processes are not joined by the environment above.
MPI_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


def is_main_process() -> bool:
    """Return whether this process is the one that writes files and speaks."""
    return os.environ.get("RANK", "0") == "0"


@dataclass(frozen=True)
class Processes:
    """This process among those of a run.

    Attributes:
        rank: Number of this process, from 0.
        count: Number of processes.
        device: Device of this process.
    """

    rank: int = 0
    count: int = 1
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and speaks."""
        return self.rank == 0

    def share(self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items that this process takes: every ``count``-th."""
        return items[self.rank :: self.count]

    def wait(self) -> None:
        """Wait until every process is here."""
        if self.count > 1:
            dist.barrier()

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the main process leave the block before the others enter it.

        For what one process downloads or makes, and the others then find.
        """
        if not self.is_main:
            self.wait()
        yield
        if self.is_main:
            self.wait()

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum of the values of all processes; their device may be any."""
        if self.count == 1:
            return values
        total = values.detach().to(self.device, copy=True)
        dist.all_reduce(total)
        return total.to(values.device)

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by the sum over the processes.

        The main process, which always has a micro-batch, tells which parameters have one; a process
        that had no micro-batch adds zeros.
        """
        if self.count == 1:
            return
        parameters = list(parameters)
        has_gradient = self.of_main(torch.tensor([p.grad is not None for p in parameters]))
        works = []
        for parameter, reached in zip(parameters, has_gradient.tolist(), strict=True):
            if reached:
                if parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
                works.append(dist.all_reduce(parameter.grad, async_op=True))
        for work in works:
            work.wait()

    def of_main(self, values: Tensor) -> Tensor:
        """Return the values of the main process."""
        if self.count == 1:
            return values
        theirs = values.detach().to(self.device, copy=True)
        dist.broadcast(theirs, 0)
        return theirs.to(values.device)

    def copy_from_main(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors, on the processes' device, by those of the main process."""
        if self.count > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), 0)

    def check_share(self, micro_batches: int, clips: int) -> None:
        """Check that the micro-batches of an update can be shared evenly.

        Args:
            micro_batches: Micro-batches of an update.
            clips: Clips of an update.

        Raises:
            InputError: If they cannot; names a size that can.
        """
        if micro_batches % self.count:
            fitting = max(1, clips // self.count)
            raise InputError(
                f"{self.count} processes cannot share the {micro_batches} "
                f"micro-batch{'es' * (micro_batches > 1)} of an update of {clips} clips evenly; "
                f"take --micro-batch {fitting} and a --batch of a multiple of "
                f"{fitting * self.count}"
            )


@contextmanager
def joined_processes(device: str | torch.device | None = None) -> Iterator[Processes]:
    """Join the processes that a launcher started, and leave them at the end.

    Args:
        device: Device of a run; None is a GPU for each process where there are any. Of several
            processes on GPUs, each has the one of its number on the machine. The processor is taken
            where ``ACCELERATE_USE_CPU`` is set.

    Raises:
        InputError: If there is no such device, or there are more processes than GPUs.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if device is None and os.environ.get("ACCELERATE_USE_CPU", "0").lower() in ("1", "true", "yes"):
        device = "cpu"
    chosen = usable_device(device)
    if count == 1:
        warn_of_one_process()
        yield Processes(device=chosen)
        return
    if chosen.type == "cuda":
        chosen = usable_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(chosen)
    backend = "nccl" if chosen.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=LONGEST_WAIT)
    yield Processes(dist.get_rank(), dist.get_world_size(), chosen)
    dist.destroy_process_group()  # not after an error, when the others may be waiting


def warn_of_one_process() -> None:
    """Warn where ``accelerate launch --cpu`` was asked for several processes and started one."""
    told = "MASTER_ADDR" in os.environ and "WORLD_SIZE" not in os.environ
    if told and not any(name in os.environ for name in MPI_SIZES):
        logger.warning(
            "the launcher started one process: `accelerate launch --cpu` needs MPI for more; take "
            "`ACCELERATE_USE_CPU=1 accelerate launch --multi_gpu`, or torchrun"
        )
