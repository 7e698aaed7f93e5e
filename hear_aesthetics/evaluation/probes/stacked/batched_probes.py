"""Probes of one shape trained at once, as batched matrix products.

``S`` probes have weights ``(S, in, out)`` and activations ``(S, rows, width)``. Forward and
backward are written out, since the network is small and known: per hidden layer Linear, BatchNorm,
Dropout and ReLU, then Linear to the labels. Weights, statistics and updates are float32; matrix
products run, and activations are kept, in ``dtype``. Hidden layers have no bias, which BatchNorm
would cancel. Probes never influence each other: each has random generators of its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.stacked.probe_rng import ProbeRng

__all__ = ["BatchedProbes", "Weights", "parameter_count"]

_NORM_EPSILON = 1e-5
_ADAM: dict[str, Any] = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}  # as in torch
_ADAM |= {"weight_decay": 0.0, "amsgrad": False, "maximize": False}
_MOMENTUM = 0.1  # of the running statistics, as in torch's BatchNorm


def parameter_count(features: int, labels: int, point: GridPoint) -> int:
    """Return the number of weights of one probe."""
    widths = [features, *[point.hidden_dim] * point.hidden_layers, labels]
    return sum(i * o + 2 * o for i, o in pairwise(widths))


@dataclass(frozen=True)
class Weights:
    """Weights for prediction; row ``s`` of each tensor belongs to probe ``s``.

    Shape:
        - matrices: ``(S, in, out)`` per layer, in the dtype of the matrix products
        - scales, shifts: ``(S, 1, width)`` per hidden layer: the folded normalization
        - bias: ``(S, 1, labels)``
    """

    matrices: list[Tensor]
    scales: list[Tensor]
    shifts: list[Tensor]
    bias: Tensor

    def rows(self, index: slice | list[int]) -> "Weights":
        """Return the weights of some of the probes: views by a slice, copies by a list."""
        matrices, scales, shifts = (
            [tensor[index] for tensor in group]
            for group in (self.matrices, self.scales, self.shifts)
        )
        return Weights(matrices, scales, shifts, self.bias[index])

    def logits(self, inputs: Tensor) -> Tensor:
        """Return predictions, without dropout and with the running statistics.

        Shape:
            - inputs: ``(S, rows, features)``; output: ``(S, rows, labels)`` float32
        """
        hidden = inputs
        for matrix, scale, shift in zip(self.matrices, self.scales, self.shifts, strict=False):
            product = torch.bmm(hidden, matrix).float()
            hidden = torch.addcmul(shift, product, scale, out=product).relu_().to(matrix.dtype)
        return torch.bmm(hidden, self.matrices[-1]).float() + self.bias


@dataclass(frozen=True)
class _Hidden:
    """Cache of a hidden layer of one probe for the backward pass.

    Shape:
        - product, output: ``(rows, width)``, before and after BatchNorm, ReLU and dropout
        - scale: ``(width,)``, gamma over ``keep_prob``; mean, inverse_std: ``(width,)``
    """

    product: Tensor
    output: Tensor
    scale: Tensor
    mean: Tensor
    inverse_std: Tensor


class _Adam:
    """Adam for several models, each with its own learning rate, in one pass over the memory.

    It calls torch's fused kernel, five times as fast as the operations one by one, directly:
    importing what ``torch.optim`` needs takes longer than training a small probe. Parameters are
    contiguous float32 tensors ``(models, ...)``, updated in place. Source: Kingma & Ba, "Adam: A
    Method for Stochastic Optimization" (2015), Algorithm 1, without weight decay.
    """

    def __init__(self, parameters: Sequence[Tensor], lrs: Sequence[float]) -> None:
        self._lrs = list(lrs)
        self._parameters = list(parameters)
        self._moments = [[torch.zeros_like(p) for p in parameters] for _ in range(2)]
        self._steps = torch.zeros((), device=parameters[0].device)

    def keep(self, indices: list[int], parameters: Sequence[Tensor]) -> None:
        """Go on with some of the models: ``parameters`` are theirs."""
        self._lrs = [self._lrs[i] for i in indices]
        self._parameters = list(parameters)
        self._moments = [[moment[indices] for moment in group] for group in self._moments]

    def step(self, gradients: Sequence[Tensor]) -> None:
        """Update the parameters; one gradient ``(models, ...)`` of any dtype per parameter."""
        self._steps += 1
        steps = [self._steps] * len(self._parameters)
        for model, lr in enumerate(self._lrs):
            parameters, means, squares = (
                [tensor[model] for tensor in group] for group in (self._parameters, *self._moments)
            )
            found = [gradient[model].float() for gradient in gradients]
            torch._fused_adam_(parameters, found, means, squares, [], steps, lr=lr, **_ADAM)


class BatchedProbes:
    """``S`` probes with the same layers; seed, learning rate and dropout are each one's own.

    ``points`` and ``seeds`` have one entry per probe, points are alike in ``hidden_layers`` and
    ``hidden_dim``; ``dtype`` is float32 or bfloat16.
    """

    def __init__(
        self,
        features: int,
        labels: int,
        points: Sequence[GridPoint],
        seeds: Sequence[int],
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._dtype = dtype
        self._rngs = [ProbeRng(p, s, device) for p, s in zip(points, seeds, strict=True)]
        width, layers = points[0].hidden_dim, points[0].hidden_layers
        sizes = list(pairwise([features, *[width] * layers, labels]))
        self._matrices = [
            torch.stack([rng.matrix(*size, gain=math.sqrt(2) if i else 1.0) for rng in self._rngs])
            for i, size in enumerate(sizes)
        ]
        self._bias = torch.stack([rng.bias(*sizes[-1]) for rng in self._rngs])
        zeros = [torch.zeros(len(points), width, device=device) for _ in range(3 * layers)]
        self._gammas = [torch.ones_like(z) for z in zeros[:layers]]
        self._betas, self._means, self._variances = (zeros[i::3] for i in range(3))
        self._steps = 0
        self._products = self._cast()
        self._optimizer = _Adam(self._parameters(), [p.lr for p in points])

    def _parameters(self) -> list[Tensor]:
        return [*self._matrices, *self._gammas, *self._betas, self._bias]

    def _cast(self) -> list[Tensor]:
        """Return the matrices in the dtype of the products; in float32 the matrices themselves."""
        return [matrix.to(self._dtype) for matrix in self._matrices]

    def keep(self, indices: list[int]) -> None:
        """Go on with some of the probes only."""
        self._rngs = [self._rngs[i] for i in indices]
        groups = (self._matrices, self._gammas, self._betas, self._means, self._variances)
        self._matrices, self._gammas, self._betas, self._means, self._variances = (
            [tensor[indices] for tensor in group] for group in groups
        )
        self._bias = self._bias[indices]
        self._products = self._cast()
        self._optimizer.keep(indices, self._parameters())

    def weights(self) -> Weights:
        """Return the weights for prediction: views that the next training step changes.

        The running statistics are corrected for their start at zero, as Adam corrects its moments;
        uncorrected, a task with one step per epoch is misjudged for tens of epochs.
        """
        correction = 1 - (1 - _MOMENTUM) ** self._steps
        scales = [
            (gamma * (variance / correction + _NORM_EPSILON).rsqrt())[:, None]
            for gamma, variance in zip(self._gammas, self._variances, strict=True)
        ]
        shifts = [
            beta[:, None] - (mean / correction)[:, None] * scale
            for beta, mean, scale in zip(self._betas, self._means, scales, strict=True)
        ]
        return Weights(self._products, scales, shifts, self._bias)

    def train_step(self, inputs: Tensor, targets: Tensor, prediction_type: str) -> None:
        """Train every probe for one step on its own batch.

        Shape:
            - inputs: ``(S, rows, features)`` in ``dtype``, at least two rows
            - targets: ``(S, rows, labels)`` float32
        """
        self._steps += 1
        activations, caches = [inputs], []
        for layer in range(len(self._gammas)):
            cache = self._forward(layer, torch.bmm(activations[-1], self._products[layer]))
            caches.append(cache)
            activations.append(_joined([probe.output for probe in cache]))
        logits = torch.bmm(activations[-1], self._products[-1]).float() + self._bias
        error = _loss_gradient(logits, targets, prediction_type)
        bias_gradient = error.sum(1, keepdim=True)
        error = error.to(self._dtype)
        gradients = [torch.bmm(activations[-1].transpose(1, 2), error)]
        norms: list[tuple[Tensor, Tensor]] = []
        for layer in reversed(range(len(caches))):
            error = torch.bmm(error, self._products[layer + 1].transpose(1, 2))
            error, gamma, beta = self._backward(layer, caches[layer], error)
            norms.insert(0, (gamma, beta))
            gradients.insert(0, torch.bmm(activations[layer].transpose(1, 2), error))
        gammas, betas = zip(*norms, strict=True) if norms else ((), ())
        self._optimizer.step([*gradients, *gammas, *betas, bias_gradient])
        if self._dtype != torch.float32:
            for product, matrix in zip(self._products, self._matrices, strict=True):
                product.copy_(matrix)

    def _forward(self, layer: int, products: Tensor) -> list[_Hidden]:
        """Apply BatchNorm, ReLU and dropout of every probe.

        Probe by probe: what is in the processor's cache is used again. A kept unit counts
        ``1 / keep_prob``, which the scale and shift of BatchNorm take along.
        """
        caches = []
        for i, (rng, product) in enumerate(zip(self._rngs, products, strict=True)):
            scale = self._gammas[layer][i] / rng.keep_prob
            shift = self._betas[layer][i] / rng.keep_prob
            running = self._means[layer][i], self._variances[layer][i]
            output, mean, inverse_std = torch.native_batch_norm(
                product, scale, shift, *running, True, _MOMENTUM, _NORM_EPSILON
            )
            output.relu_().mul_(rng.draw_mask(torch.empty_like(output)))
            caches.append(_Hidden(product, output, scale, mean, inverse_std))
        return caches

    def _backward(
        self, layer: int, caches: Sequence[_Hidden], errors: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of the layer's product (in ``dtype``), gamma and beta."""
        found, every = [], [True] * 3  # gradients are wanted
        for i, (rng, c, error) in enumerate(zip(self._rngs, caches, errors, strict=True)):
            # a unit that was dropped or not positive is 0 in the output
            error = torch.ops.aten.threshold_backward(error, c.output, 0)
            running = self._means[layer][i], self._variances[layer][i]
            gradient, scale, shift = torch.ops.aten.native_batch_norm_backward(
                error,
                c.product,
                c.scale,
                *running,
                c.mean,
                c.inverse_std,
                True,
                _NORM_EPSILON,
                every,
            )
            found.append((gradient, scale / rng.keep_prob, shift / rng.keep_prob))
        gradients, gammas, betas = zip(*found, strict=True)
        return _joined(gradients), _joined(gammas), _joined(betas)


def _joined(tensors: Sequence[Tensor]) -> Tensor:
    """Return one tensor of all probes, without a copy if there is one probe."""
    return tensors[0][None] if len(tensors) == 1 else torch.stack(list(tensors))


def _loss_gradient(logits: Tensor, targets: Tensor, prediction_type: str) -> Tensor:
    """Return the gradient of :func:`~hear_aesthetics.evaluation.probes.probe.logit_loss`."""
    rows, labels = logits.shape[1:]
    if prediction_type == "multiclass":
        return (logits.softmax(dim=-1) - targets) / rows
    if prediction_type == "multilabel":
        return (logits.sigmoid() - targets) / (rows * labels)
    return (logits - targets).clamp_(-1, 1) / (rows * labels)
