"""Adam, as torch.optim computes it by default, in pieces that stay in the processor's cache."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

__all__ = ["Adam"]

_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
_CHUNK = 2**15  # elements; five arrays of this size fit a core's cache


class Adam:
    """Adam without weight decay for a stack of models, each with its own learning rate.

    A single model's update equals that of ``torch.optim.Adam`` to the last bit on a CPU: every
    operation is element by element, so working in pieces changes no rounding, provided that they
    are whole vectors of the processor (a vector and the rest of an array round differently). A step
    is several times faster, and importing ``torch.optim`` takes longer than training a small probe.

    Args:
        parameters: Contiguous float32 tensors ``(models, ...)``, updated in place.
        lrs: Learning rate of each model.
        copies: For each parameter a tensor of the same shape that shall hold it in another
            precision, or None. It is written piece by piece too, while the values are at hand.

    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization" (2015), Algorithm 1.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        lrs: Sequence[float],
        copies: Sequence[Tensor | None] | None = None,
    ) -> None:
        self._steps = 0
        self._means = [torch.zeros_like(p) for p in parameters]
        self._squares = [torch.zeros_like(p) for p in parameters]
        self._arrange(parameters, list(lrs), copies)

    def _arrange(
        self,
        parameters: Sequence[Tensor],
        lrs: list[float],
        copies: Sequence[Tensor | None] | None,
    ) -> None:
        self._lrs = lrs
        # a parameter without a copy stands for its own, which keeps the pieces uniform
        given = copies or [None] * len(parameters)
        held = [p if c is None else c for p, c in zip(parameters, given, strict=True)]
        arrays = zip(parameters, self._means, self._squares, held, strict=True)
        self._pieces = [piece for tensors in arrays for piece in _pieces(tensors, lrs)]
        largest = max((piece[1] for piece in self._pieces), key=Tensor.numel)
        self._scratch = torch.empty_like(largest).view(-1)
        self._gradient = torch.empty_like(self._scratch)

    def keep(
        self,
        indices: Tensor,
        parameters: Sequence[Tensor],
        copies: Sequence[Tensor | None] | None = None,
    ) -> None:
        """Go on with some of the models: ``parameters`` (and ``copies``) are theirs."""
        self._means = [mean[indices] for mean in self._means]
        self._squares = [square[indices] for square in self._squares]
        self._arrange(parameters, [self._lrs[i] for i in indices.tolist()], copies)

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update the parameters; one gradient ``(models, ...)`` of any dtype per parameter."""
        self._steps += 1
        root = (1 - _BETA_2**self._steps) ** 0.5
        correction = 1 - _BETA_1**self._steps
        slices = (piece for g in gradients for _, piece in _pieces((g,), self._lrs))
        for (lr, values, mean, square, copy), piece in zip(self._pieces, slices, strict=True):
            gradient = self._in_float32(piece)
            mean.lerp_(gradient, 1 - _BETA_1)
            square.mul_(_BETA_2).addcmul_(gradient, gradient, value=1 - _BETA_2)
            scratch = self._scratch[: square.numel()].view(square.shape)
            denominator = torch.sqrt(square, out=scratch).div_(root).add_(_EPSILON)
            if isinstance(lr, Tensor):
                values.addcmul_(torch.div(mean, denominator, out=denominator), lr / -correction)
            else:
                values.addcdiv_(mean, denominator, value=-(lr / correction))
            if copy.dtype != values.dtype:
                copy.copy_(values)

    def _in_float32(self, gradient: Tensor) -> Tensor:
        if gradient.dtype == torch.float32:
            return gradient
        return self._gradient[: gradient.numel()].view(gradient.shape).copy_(gradient)


def _pieces(tensors: Sequence[Tensor], lrs: Sequence[float]) -> list[tuple[Any, ...]]:
    """Views of equal places of ``(models, ...)`` tensors, after the learning rate there."""
    models = len(lrs)
    if tensors[0].is_cuda or (models > 1 and tensors[0].numel() <= _CHUNK):
        rates = torch.tensor(lrs, device=tensors[0].device)[:, None]
        return [(rates, *(t.reshape(models, -1) for t in tensors))]
    return [
        (lr, *chunks)
        for model, lr in enumerate(lrs)
        for chunks in zip(*(t[model].reshape(-1).split(_CHUNK) for t in tensors), strict=True)
    ]
