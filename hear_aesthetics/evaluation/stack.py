"""Many probes of one shape trained at once, as batched matrix products.

A *stack* holds ``S`` probes: weights ``(S, in, out)``, activations ``(S, rows, width)``. Forward
and backward are written out, since the network is small and known: per hidden layer Linear,
BatchNorm, Dropout and ReLU, then Linear to the labels. Weights, statistics and updates are float32;
the matrix products run in ``dtype``. Hidden layers have no bias, which BatchNorm would cancel.

Members never influence each other: weights and dropout come from a generator of each one's own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.evaluation.adam import Adam
from hear_aesthetics.evaluation.grid import GridPoint

__all__ = ["ProbeStack", "Weights", "parameter_count"]

_NORM_EPSILON = 1e-5
_MOMENTUM = 0.1  # of the running statistics, as in torch's BatchNorm
_DROPOUT_BITS = 16


def parameter_count(features: int, labels: int, point: GridPoint) -> int:
    """Weights of one probe."""
    widths = [features, *[point.hidden_dim] * point.hidden_layers, labels]
    return sum(i * o + 2 * o for i, o in pairwise(widths))


@dataclass(frozen=True)
class Weights:
    """All that a stack needs to predict; row ``s`` of each tensor belongs to probe ``s``.

    Shape:
        - matrices: ``(S, in, out)`` per layer, in the stack's ``dtype``
        - scales, shifts: ``(S, 1, width)`` per hidden layer: the normalisation, folded
        - bias: ``(S, 1, labels)``
    """

    matrices: list[Tensor]
    scales: list[Tensor]
    shifts: list[Tensor]
    bias: Tensor

    def rows(self, index: slice | Tensor) -> "Weights":
        """The weights of some of the probes."""
        matrices, scales, shifts = (
            [tensor[index] for tensor in group]
            for group in (self.matrices, self.scales, self.shifts)
        )
        return Weights(matrices, scales, shifts, self.bias[index])

    def assign(self, places: Tensor, source: "Weights", index: Tensor) -> None:
        """Overwrite the probes at ``places`` with those at ``index`` of ``source``."""
        for mine, other in zip(self._tensors(), source._tensors(), strict=True):
            mine[places] = other[index]

    def _tensors(self) -> list[Tensor]:
        return [*self.matrices, *self.scales, *self.shifts, self.bias]

    def logits(self, inputs: Tensor) -> Tensor:
        """Predictions, without dropout and with the running statistics.

        Shape:
            - inputs: ``(S, rows, features)``; output: ``(S, rows, labels)`` float32
        """
        hidden = inputs
        for matrix, scale, shift in zip(self.matrices, self.scales, self.shifts, strict=False):
            product = torch.bmm(hidden, matrix).float()
            hidden = torch.addcmul(shift, product, scale, out=product).relu_().to(matrix.dtype)
        return torch.bmm(hidden, self.matrices[-1]).float() + self.bias


class _Member:
    """The random numbers of one probe: initial weights, then dropout masks.

    On a processor the masks come from numpy's SFC64, whose raw bits are ten times as fast as
    torch's Bernoulli numbers; 16 of them decide about one unit.
    """

    def __init__(self, point: GridPoint, seed: int, device: torch.device) -> None:
        self._point = point
        self._device = device
        self._generator = torch.Generator().manual_seed(seed)
        self._bits = np.random.SFC64(seed)
        self._cuda = torch.Generator(device).manual_seed(seed) if device.type == "cuda" else None

    def matrix(self, inputs: int, outputs: int, gain: float) -> Tensor:
        """Xavier's initial weights ``(inputs, outputs)`` (Glorot & Bengio 2010, Eq. 16)."""
        std = gain * math.sqrt(2 / (inputs + outputs))
        weights = torch.empty(inputs, outputs)
        if self._point.initialization == "xavier_normal_":
            weights.normal_(0, std, generator=self._generator)
        else:
            bound = math.sqrt(3) * std
            weights.uniform_(-bound, bound, generator=self._generator)
        return weights.to(self._device)

    def bias(self, inputs: int, outputs: int) -> Tensor:
        """The initial bias of a torch Linear layer, ``(1, outputs)``."""
        bound = 1 / math.sqrt(inputs)
        bias = torch.empty(1, outputs).uniform_(-bound, bound, generator=self._generator)
        return bias.to(self._device)

    def draw_mask(self, out: Tensor) -> None:
        """Fill ``out`` with 0 (dropped) or 1 / (1 - dropout)."""
        dropout = self._point.dropout
        if self._cuda is not None:
            out.uniform_(generator=self._cuda).ge_(dropout)
        else:
            words = -(-out.numel() * _DROPOUT_BITS // 64)
            bits = self._bits.random_raw(words).view(np.int16)[: out.numel()]
            border = round(dropout * 2**_DROPOUT_BITS) - 2 ** (_DROPOUT_BITS - 1)
            torch.ge(torch.from_numpy(bits).view(out.shape), border, out=out)
        out.mul_(1 / (1 - dropout))


@dataclass(frozen=True)
class _Hidden:
    """What the backward pass of a hidden layer needs.

    Shape:
        - inputs: ``(S, rows, in)``; normalised, gate: ``(S, rows, width)``, the gate being dropout
          mask times derivative of ReLU; inverse_std: ``(S, 1, width)``
    """

    inputs: Tensor
    normalised: Tensor
    gate: Tensor
    inverse_std: Tensor


class ProbeStack:
    """``S`` probes with the same layers; seed, learning rate and dropout are each one's own.

    Args:
        features: Values per embedding.
        labels: Outputs.
        points: One grid point per probe, alike in ``hidden_layers`` and ``hidden_dim``.
        seeds: One seed per probe.
        device: Where to train.
        dtype: Of the matrix products: float32 or bfloat16.
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
        self._members = [_Member(p, s, device) for p, s in zip(points, seeds, strict=True)]
        width, layers = points[0].hidden_dim, points[0].hidden_layers
        widths = [features, *[width] * layers, labels]
        sizes = list(pairwise(widths))
        self._matrices = [
            torch.stack([m.matrix(*size, gain=math.sqrt(2) if i else 1.0) for m in self._members])
            for i, size in enumerate(sizes)
        ]
        self._bias = torch.stack([m.bias(*sizes[-1]) for m in self._members])
        zeros = [torch.zeros(len(points), 1, width, device=device) for _ in range(3 * layers)]
        self._gammas = [torch.ones_like(z) for z in zeros[:layers]]
        self._betas, self._means, self._variances = (zeros[i::3] for i in range(3))
        self._steps = 0
        self._products = self._cast()
        self._optimiser = Adam(self._parameters(), [p.lr for p in points], self._copies())

    def __len__(self) -> int:
        return len(self._members)

    def _parameters(self) -> list[Tensor]:
        return [*self._matrices, *self._gammas, *self._betas, self._bias]

    def _cast(self) -> list[Tensor]:
        """The matrices as they are multiplied; the optimiser keeps them up to date."""
        return [matrix.to(self._dtype) for matrix in self._matrices]

    def _copies(self) -> list[Tensor | None]:
        others = len(self._gammas) + len(self._betas) + 1
        return [*self._products, *[None] * others]

    def keep(self, indices: Tensor) -> None:
        """Go on with some of the probes only."""
        self._members = [self._members[i] for i in indices.tolist()]
        groups = (self._matrices, self._gammas, self._betas, self._means, self._variances)
        self._matrices, self._gammas, self._betas, self._means, self._variances = (
            [tensor[indices] for tensor in group] for group in groups
        )
        self._bias = self._bias[indices]
        self._products = self._cast()
        self._optimiser.keep(indices, self._parameters(), self._copies())

    def weights(self) -> Weights:
        """What predicts now: views that the next training step changes.

        The running statistics are corrected for their start at zero, as Adam corrects its moments;
        uncorrected, a task with one step per epoch is misjudged for tens of epochs.
        """
        correction = 1 - (1 - _MOMENTUM) ** self._steps
        scales = [
            gamma * (variance / correction + _NORM_EPSILON).rsqrt()
            for gamma, variance in zip(self._gammas, self._variances, strict=True)
        ]
        shifts = [
            beta - mean / correction * scale
            for beta, mean, scale in zip(self._betas, self._means, scales, strict=True)
        ]
        return Weights(self._products, scales, shifts, self._bias)

    def train_step(self, inputs: Tensor, targets: Tensor, prediction_type: str) -> None:
        """One step of every probe on its own batch.

        Shape:
            - inputs: ``(S, rows, features)`` in the stack's ``dtype``
            - targets: ``(S, rows, labels)`` float32
        """
        self._steps += 1
        hidden, layers = inputs, []
        for layer in range(len(self._gammas)):
            hidden, cache = self._forward(layer, hidden)
            layers.append(cache)
        logits = torch.bmm(hidden, self._products[-1]).float() + self._bias
        error = _loss_gradient(logits, targets, prediction_type)
        bias_gradient = error.sum(1, keepdim=True)
        error = error.to(self._dtype)
        gradients = [torch.bmm(hidden.transpose(1, 2), error)]
        norm_gradients: list[tuple[Tensor, Tensor]] = []
        for layer in reversed(range(len(layers))):
            error = torch.bmm(error, self._products[layer + 1].transpose(1, 2)).float()
            error, gamma, beta = self._backward(layer, layers[layer], error)
            norm_gradients.insert(0, (gamma, beta))
            gradients.insert(0, torch.bmm(layers[layer].inputs.transpose(1, 2), error))
        gammas, betas = zip(*norm_gradients, strict=True) if norm_gradients else ((), ())
        self._optimiser.step([*gradients, *gammas, *betas, bias_gradient])

    def _forward(self, layer: int, inputs: Tensor) -> tuple[Tensor, _Hidden]:
        product = torch.bmm(inputs, self._products[layer]).float()
        rows = product.shape[1]
        mean = product.mean(1, keepdim=True)
        product.sub_(mean)
        variance = product.square().mean(1, keepdim=True)
        self._means[layer].lerp_(mean, _MOMENTUM)
        self._variances[layer].lerp_(variance * (rows / max(rows - 1, 1)), _MOMENTUM)
        inverse_std = (variance + _NORM_EPSILON).rsqrt_()
        normalised = product.mul_(inverse_std)
        scaled = torch.addcmul(self._betas[layer], normalised, self._gammas[layer])
        mask = torch.empty_like(scaled)
        for member, out in zip(self._members, mask, strict=True):
            member.draw_mask(out)
        gate = torch.gt(scaled, 0, out=torch.empty_like(scaled)).mul_(mask)
        output = scaled.mul_(gate).to(self._dtype)
        return output, _Hidden(inputs, normalised, gate, inverse_std)

    def _backward(
        self, layer: int, hidden: _Hidden, error: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of the layer's product (in ``dtype``), gamma and beta."""
        rows = error.shape[1]
        error.mul_(hidden.gate)
        beta = error.sum(1, keepdim=True)
        gamma = (error * hidden.normalised).sum(1, keepdim=True)
        error.sub_(beta / rows).addcmul_(hidden.normalised, gamma / -rows)
        error.mul_(self._gammas[layer] * hidden.inverse_std)
        return error.to(self._dtype), gamma, beta


def _loss_gradient(logits: Tensor, targets: Tensor, prediction_type: str) -> Tensor:
    """Derivative of :func:`~hear_aesthetics.evaluation.probe.logit_loss` per probe."""
    rows, labels = logits.shape[1:]
    if prediction_type == "multiclass":
        return (logits.softmax(dim=-1) - targets) / rows
    if prediction_type == "multilabel":
        return (logits.sigmoid() - targets) / (rows * labels)
    return (logits - targets).clamp_(-1, 1) / (rows * labels)
