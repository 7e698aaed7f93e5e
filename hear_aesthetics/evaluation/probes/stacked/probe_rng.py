"""Random numbers of one of several probes: its initial weights, then its dropout masks."""

import math

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.evaluation.probes.grid import GridPoint

__all__ = ["ProbeRng"]

_DROPOUT_BITS = 16


class ProbeRng:
    """Random generators of one probe, so that it does not depend on which others are trained.

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
        """Return Xavier's initial weights ``(inputs, outputs)`` (Glorot & Bengio 2010, Eq. 16)."""
        std = gain * math.sqrt(2 / (inputs + outputs))
        weights = torch.empty(inputs, outputs)
        if self._point.initialization == "xavier_normal_":
            weights.normal_(0, std, generator=self._generator)
        else:
            bound = math.sqrt(3) * std
            weights.uniform_(-bound, bound, generator=self._generator)
        return weights.to(self._device)

    def bias(self, inputs: int, outputs: int) -> Tensor:
        """Return the initial bias of a torch Linear layer, ``(1, outputs)``."""
        bound = 1 / math.sqrt(inputs)
        bias = torch.empty(1, outputs).uniform_(-bound, bound, generator=self._generator)
        return bias.to(self._device)

    @property
    def keep_prob(self) -> float:
        """The probability that a unit is not dropped."""
        return 1 - self._point.dropout

    def draw_mask(self, out: Tensor) -> Tensor:
        """Fill ``out`` with 0 (dropped) or 1, and return it."""
        if self._cuda is not None:
            return out.uniform_(generator=self._cuda).ge_(self._point.dropout)
        words = -(-out.numel() * _DROPOUT_BITS // 64)
        bits = self._bits.random_raw(words).view(np.int16)[: out.numel()]
        border = round(self._point.dropout * 2**_DROPOUT_BITS) - 2 ** (_DROPOUT_BITS - 1)
        return torch.ge(torch.from_numpy(bits).view(out.shape), border, out=out)
