"""What a HEAR module's answers must be: one message for each way of breaking the contract.

heareval trusts what a module returns and fails, if at all, one stage later. Source: "HEAR 2021 API"
(hearbenchmark.com), and hear-validator's checks.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hear_aesthetics.errors import ModuleError

__all__ = ["Contract"]

_LONGEST_HOP = 50.0  # ms, HEAR's recommendation
_LONGEST_TAIL = 1000.0  # ms without a timestamp, before the first or after the last
_LEAST_COVERAGE = 0.5  # of the audio

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Contract:
    """Checks one answer to one batch.

    Attributes:
        where: The function that gave it, with its module.
        files: The batch, one name per sound.
    """

    where: str
    files: Sequence[str]

    def broken(self, how: str) -> ModuleError:
        """The error that says how, and where."""
        return ModuleError(f"{self.where} {how}")

    @property
    def batch(self) -> str:
        """The files in a few words."""
        others = len(self.files) - 1
        return f"{self.files[0]} and {others} others" if others else self.files[0]

    def array(self, value: Any) -> NDArray[Any]:
        """The values of a tensor.

        Raises:
            ModuleError: If it is none.
        """
        if not isinstance(value, Tensor):
            raise self.broken(f"returned a {type(value).__name__}; expected a torch.Tensor")
        value = value.detach().cpu()
        if value.dtype == torch.bfloat16:  # numpy has no such type
            raise self.broken("returned bfloat16; expected float32")
        return value.numpy()

    def embeddings(self, value: Any, size: int, *, over_time: bool) -> NDArray[np.float32]:
        """Embeddings ``(B, size)``, or ``(B, frames, size)`` over time.

        Raises:
            ModuleError: If type, shape or values are wrong; NaN names the file.
        """
        values = self.array(value)
        if values.dtype != np.float32:
            raise self.broken(f"returned {values.dtype} embeddings; expected float32")
        count = len(self.files)
        frames = values.shape[1:2] if values.ndim == 3 else (0,)
        if not values.size or values.shape != (count, *(frames if over_time else ()), size):
            expected = f"({count}, frames, {size})" if over_time else f"({count}, {size})"
            raise self.broken(f"returned embeddings of shape {values.shape}; expected {expected}")
        bad = ~np.isfinite(values.reshape(count, -1)).all(axis=1)
        if bad.any():
            raise self.broken(f"returned NaN or infinity for {self.files[int(np.argmax(bad))]}")
        return values

    def times(self, value: Any, frames: int, duration: float) -> NDArray[np.floating]:
        """Times in ms, ``(B, frames)``, of sounds that last ``duration`` ms.

        Raises:
            ModuleError: If they are not as many as the embeddings, do not rise, or end too early.
        """
        times = self.array(value)
        if times.shape != (len(self.files), frames):
            raise self.broken(
                f"returned timestamps of shape {times.shape} for embeddings of {frames} frames; "
                f"expected ({len(self.files)}, {frames})"
            )
        if not np.isfinite(times).all() or (np.diff(times, axis=1) <= 0).any():
            raise self.broken(f"returned timestamps that do not rise ({self.batch})")
        first, last, latest = (float(v) for v in (times.min(), times[:, -1].min(), times.max()))
        slack = max(_LONGEST_TAIL, duration - _LEAST_COVERAGE * duration)
        if first < -slack or latest > duration + slack:
            raise self.broken(
                f"returned timestamps from {first:g} to {latest:g} for {self.batch}, which lasts "
                f"{duration:g} ms; milliseconds are expected"
            )
        hop = (last - first) / max(frames - 1, 1)
        longest = max(_LONGEST_TAIL, 2 * hop)
        longest = min(longest, duration - _LEAST_COVERAGE * duration + _LONGEST_HOP)
        begin = float(times[:, 0].max())
        if last < duration - longest or begin > longest:
            gap, seconds = (
                (last, duration) if last < duration - longest else (0, begin),
                duration / 500,
            )
            raise self.broken(
                f"returned too few timestamps for {self.batch}: from {begin:g} to {last:g} of "
                f"{duration:g} ms; "
                + (
                    "milliseconds are expected"
                    if last <= seconds
                    else f"none lies between {gap[0]:g} and {gap[1]:g} ms"
                )
            )
        if hop > _LONGEST_HOP:
            logger.warning(
                "%s: timestamps every %g ms; HEAR recommends at most 50", self.where, hop
            )
        # whole milliseconds become fractions: labels are looked up between the timestamps
        return times if np.issubdtype(times.dtype, np.floating) else times.astype(np.float64)
