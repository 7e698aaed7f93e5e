"""Adam twice: as torch.optim computes it by default, and fused for a stack of models.

Neither needs ``torch.optim``, whose import takes longer than training a small probe. Source: Kingma
& Ba, "Adam: A Method for Stochastic Optimization" (2015), Algorithm 1, without weight decay.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["Adam", "StackAdam"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_CHUNK = 2**15  # elements; five arrays of this size fit a core's cache


class Adam:
    """The default Adam of torch, to the last bit, in pieces that stay in the processor's cache.

    Every operation is element by element, so working in pieces changes no rounding, provided that
    they are whole vectors of the processor (a vector and the rest of an array round differently).

    Args:
        parameters: Contiguous float32 tensors, updated in place.
        lr: Learning rate.
    """

    def __init__(self, parameters: Sequence[Tensor], lr: float) -> None:
        self._lr = lr
        self._steps = 0
        zeros = [torch.zeros_like(parameter) for parameter in parameters]
        squares = [torch.zeros_like(parameter) for parameter in parameters]
        arrays = zip(parameters, zeros, squares, strict=True)
        self._pieces = [
            piece for tensors in arrays for piece in zip(*map(_split, tensors), strict=True)
        ]
        self._scratch = torch.empty(max(piece[0].numel() for piece in self._pieces))

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update the parameters; one float32 gradient per parameter."""
        self._steps += 1
        root = (1 - _BETA_2**self._steps) ** 0.5
        rate = -self._lr / (1 - _BETA_1**self._steps)
        slices = (piece for gradient in gradients for piece in _split(gradient))
        for (values, mean, square), gradient in zip(self._pieces, slices, strict=True):
            mean.lerp_(gradient, 1 - _BETA_1)
            square.mul_(_BETA_2).addcmul_(gradient, gradient, value=1 - _BETA_2)
            scratch = self._scratch[: len(square)]
            denominator = torch.sqrt(square, out=scratch).div_(root).add_(_EPSILON)
            values.addcdiv_(mean, denominator, value=rate)


def _split(tensor: Tensor) -> Sequence[Tensor]:
    return tensor.reshape(-1).split(_CHUNK)


class StackAdam:
    """Adam for a stack of models, each with its own learning rate, in one pass over the memory.

    torch's fused kernel: five times as fast as the operations one by one, and rounded differently.

    Args:
        parameters: Contiguous float32 tensors ``(models, ...)``, updated in place.
        lrs: Learning rate of each model.
    """

    def __init__(self, parameters: Sequence[Tensor], lrs: Sequence[float]) -> None:
        self._parameters = list(parameters)
        self._lrs = list(lrs)
        self._means = [torch.zeros_like(parameter) for parameter in parameters]
        self._squares = [torch.zeros_like(parameter) for parameter in parameters]
        self._steps = torch.zeros((), device=parameters[0].device)

    def keep(self, indices: Tensor, parameters: Sequence[Tensor]) -> None:
        """Go on with some of the models: ``parameters`` are theirs."""
        self._parameters = list(parameters)
        self._lrs = [self._lrs[i] for i in indices.tolist()]
        self._means = [mean[indices] for mean in self._means]
        self._squares = [square[indices] for square in self._squares]

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update the parameters; one gradient ``(models, ...)`` of any dtype per parameter."""
        self._steps += 1
        for model, lr in enumerate(self._lrs):
            torch._fused_adam_(
                [parameter[model] for parameter in self._parameters],
                [gradient[model].float() for gradient in gradients],
                [mean[model] for mean in self._means],
                [square[model] for square in self._squares],
                [],
                [self._steps] * len(self._parameters),
                lr=lr,
                beta1=_BETA_1,
                beta2=_BETA_2,
                weight_decay=0.0,
                eps=_EPSILON,
                amsgrad=False,
                maximize=False,
            )
