"""Adam, as torch.optim computes it by default, in pieces that stay in the processor's cache."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Adam"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_CHUNK = 2**15  # elements; five arrays of this size fit a core's cache


class Adam:
    """Adam without weight decay, equal to ``torch.optim.Adam`` to the last bit on a CPU.

    Every operation is element by element, so working piece by piece changes no rounding, provided
    that pieces are whole vectors of the processor: vectors and the rest of an array round
    differently. A step is several times faster, and importing ``torch.optim`` takes longer than
    training a small probe.

    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2015), Algorithm 1.
    """

    def __init__(self, parameters: Sequence[Tensor], lr: float) -> None:
        self._lr = lr
        self._steps = 0
        self._pieces = [
            (values, torch.zeros_like(values), torch.zeros_like(values))
            for parameter in parameters
            for values in parameter.detach().view(-1).split(_CHUNK)
        ]

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update the parameters in place; one gradient per parameter."""
        self._steps += 1
        root = (1 - _BETA_2**self._steps) ** 0.5
        step_size = self._lr / (1 - _BETA_1**self._steps)
        slices = (g for gradient in gradients for g in gradient.reshape(-1).split(_CHUNK))
        for (values, mean, square), gradient in zip(self._pieces, slices, strict=True):
            mean.lerp_(gradient, 1 - _BETA_1)
            square.mul_(_BETA_2).addcmul_(gradient, gradient, value=1 - _BETA_2)
            denominator = square.sqrt().div_(root).add_(_EPSILON)
            values.addcdiv_(mean, denominator, value=-step_size)
