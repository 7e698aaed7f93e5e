"""A training step of one probe, written out: autograd's numbers to the last bit, in less time.

The products are those of autograd, in the same layouts. What lies between them is element by
element, and is done in place, piece by piece: a piece stays in the processor's cache from the
dropout draw to the rectified output, and neither mask nor intermediate is kept for the backward
pass, since a unit that was dropped or negative is zero in the output.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from hear_aesthetics.evaluation.adam import Adam
from hear_aesthetics.evaluation.probe import logit_loss
from hear_aesthetics.evaluation.products import product

__all__ = ["Descent"]

_PIECE = 2**16  # elements; a few arrays of this size fit a core's cache


class _Layer(Protocol):
    """One step forward, and the same step backward."""

    def forward(self, values: Tensor) -> Tensor:
        """Output ``(rows, out)``; may overwrite ``values``."""

    def backward(self, error: Tensor, *, wanted: bool) -> tuple[Tensor, list[Tensor]]:
        """The error of the input, if ``wanted``, and the gradients of the parameters."""


class _Linear:
    def __init__(self, module: nn.Linear) -> None:
        self._weight, self._bias = module.weight.detach(), module.bias.detach()

    def forward(self, values: Tensor) -> Tensor:
        self._inputs = values
        return product(values, self._weight, self._bias)

    def backward(self, error: Tensor, *, wanted: bool) -> tuple[Tensor, list[Tensor]]:
        gradients = [product(error.t(), self._inputs.t()), error.sum(0)]
        return product(error, self._weight.t()) if wanted else error, gradients


class _Norm:
    def __init__(self, module: nn.BatchNorm1d) -> None:
        self._gamma, self._beta = module.weight.detach(), module.bias.detach()
        self._running = module.running_mean, module.running_var
        self._momentum, self._epsilon = module.momentum or 0.0, module.eps

    def forward(self, values: Tensor) -> Tensor:
        self._inputs = values
        output, *self._statistics = torch.native_batch_norm(
            values, self._gamma, self._beta, *self._running, True, self._momentum, self._epsilon
        )
        return output

    def backward(self, error: Tensor, *, wanted: bool) -> tuple[Tensor, list[Tensor]]:
        error, *gradients = torch.ops.aten.native_batch_norm_backward(
            error,
            self._inputs,
            self._gamma,
            *self._running,
            *self._statistics,
            True,
            self._epsilon,
            [True, True, True],
        )
        return error, gradients


class _DropoutReLU:
    def __init__(self, module: nn.Dropout) -> None:
        self._kept = 1 - module.p
        self._scale = float(torch.ones(1).div_(self._kept))
        self._noise = torch.empty(0)

    def forward(self, values: Tensor) -> Tensor:
        self._output = values
        if len(self._noise) < min(_PIECE, values.numel()):
            self._noise = torch.empty(_PIECE)
        for piece in values.view(-1).split(_PIECE):
            noise = self._noise[: len(piece)].bernoulli_(self._kept).div_(self._kept)
            piece.mul_(noise).relu_()
        return values

    def backward(self, error: Tensor, *, wanted: bool) -> tuple[Tensor, list[Tensor]]:
        pieces = zip(*(t.view(-1).split(_PIECE) for t in (error, self._output)), strict=True)
        for piece, output in pieces:
            torch.ops.aten.threshold_backward(piece, output, 0, grad_input=piece)
            piece.mul_(self._scale)
        return error, []


class Descent:
    """Trains a probe by Adam.

    Args:
        probe: As :func:`~hear_aesthetics.evaluation.probe.build_probe` makes it; its parameters and
            running statistics are updated in place.
        lr: Learning rate.
    """

    def __init__(self, probe: nn.Sequential, lr: float) -> None:
        self._layers: list[_Layer] = []
        parameters: list[Tensor] = []
        for module in probe:
            if isinstance(module, nn.Linear):
                self._layers.append(_Linear(module))
            elif isinstance(module, nn.BatchNorm1d):
                self._layers.append(_Norm(module))
            elif isinstance(module, nn.Dropout):  # a ReLU follows
                self._layers.append(_DropoutReLU(module))
            parameters += [parameter.detach() for parameter in module.parameters()]
        self._optimiser = Adam(parameters, lr)

    @torch.no_grad()
    def step(self, embeddings: Tensor, targets: Tensor, prediction_type: str) -> None:
        """One update on one batch.

        Shape:
            - embeddings: ``(rows, features)`` float32; targets: ``(rows, labels)`` float32
        """
        values = embeddings
        for layer in self._layers:
            values = layer.forward(values)
        error = _loss_gradient(values, targets, prediction_type)
        gradients: list[Tensor] = []
        for number, layer in reversed(list(enumerate(self._layers))):
            error, found = layer.backward(error, wanted=number > 0)
            gradients = found + gradients
        self._optimiser.step(gradients)


@torch.enable_grad()
def _loss_gradient(logits: Tensor, targets: Tensor, prediction_type: str) -> Tensor:
    logits.requires_grad_()
    (gradient,) = torch.autograd.grad(logit_loss(logits, targets, prediction_type), [logits])
    return gradient
