"""Running statistics of batch norms over the micro-batches of an update.

A batch norm moves its running statistics at every forward pass, so they would depend on which
process computed how many micro-batches, and in what order. Here an update moves them once, by the
mean of its micro-batches. Training does not read them; evaluations do.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from hear_aesthetics.compute.processes import Processes

__all__ = ["batch_norms", "moved_once"]


def batch_norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Return the batch norms of a model."""
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@contextmanager
def moved_once(
    norms: Sequence[nn.BatchNorm2d], own: int, every: int, processes: Processes
) -> Iterator[None]:
    """Let an update, whose micro-batches run in the block, move running statistics once.

    Args:
        norms: In training mode.
        own: Micro-batches of this process.
        every: Micro-batches of the update.
        processes: Processes that share them.
    """
    momenta = [norm.momentum or 0.0 for norm in norms]
    before = [[tensor.clone() for tensor in _statistics(norm)] for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over the micro-batches of this process
    yield
    for norm, momentum, (mean, variance, updates) in zip(norms, momenta, before, strict=True):
        norm.momentum = momentum
        new_mean, new_variance, count = _statistics(norm)
        count.copy_(updates + 1)
        for new, former in ((new_mean, mean), (new_variance, variance)):
            new.copy_(torch.lerp(former, processes.sum(new * own) / every, momentum))


def _statistics(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor, Tensor]:
    """Return running mean, running variance and the number of updates."""
    mean, variance, updates = norm.running_mean, norm.running_var, norm.num_batches_tracked
    assert mean is not None
    assert variance is not None
    assert updates is not None
    return mean, variance, updates
