"""Checks of a HEAR module's answers: one message for each way of breaking the API's contract.

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

__all__ = ["ApiChecker"]

_MAX_HOP = 50.0  # ms, HEAR's recommendation
_MAX_TAIL = 1000.0  # ms without a timestamp, before the first or after the last
_MIN_COVERAGE = 0.5  # share of the audio

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ApiChecker:
    """Checker of one answer to one batch; each method raises a ModuleError for a broken one."""

    where: str  # function that gave the answer, with its module
    files: Sequence[str]  # of the batch

    def error(self, message: str) -> ModuleError:
        """Return the error that says what is wrong, and where."""
        return ModuleError(f"{self.where} {message}")

    @property
    def batch(self) -> str:
        """The files in a few words."""
        others = len(self.files) - 1
        return f"{self.files[0]} and {others} others" if others else self.files[0]

    def array(self, value: Any) -> NDArray[Any]:
        """Return the values of a tensor."""
        if not isinstance(value, Tensor):
            raise self.error(f"returned a {type(value).__name__}; expected a torch.Tensor")
        if value.dtype == torch.bfloat16:  # numpy has no such type
            raise self.error("returned bfloat16; expected float32")
        return value.detach().cpu().numpy()

    def embeddings(self, value: Any, size: int, *, over_time: bool) -> NDArray[np.float32]:
        """Return embeddings ``(B, size)``, or ``(B, frames, size)`` over time, all finite."""
        values = self.array(value)
        if values.dtype != np.float32:
            raise self.error(f"returned {values.dtype} embeddings; expected float32")
        count = len(self.files)
        frames = values.shape[1:2] if values.ndim == 3 else (0,)
        if not values.size or values.shape != (count, *(frames if over_time else ()), size):
            expected = f"({count}, frames, {size})" if over_time else f"({count}, {size})"
            raise self.error(f"returned embeddings of shape {values.shape}; expected {expected}")
        bad = ~np.isfinite(values.reshape(count, -1)).all(axis=1)
        if bad.any():
            raise self.error(f"returned NaN or infinity for {self.files[int(np.argmax(bad))]}")
        return values

    def times(self, value: Any, frames: int, duration: float) -> NDArray[np.floating]:
        """Return times in ms, ``(B, frames)``, which rise and cover ``duration`` ms of audio."""
        times = self.array(value)
        if times.shape != (len(self.files), frames):
            raise self.error(
                f"returned timestamps of shape {times.shape} for embeddings of {frames} frames; "
                f"expected ({len(self.files)}, {frames})"
            )
        if not np.isfinite(times).all() or (np.diff(times, axis=1) <= 0).any():
            raise self.error(f"returned timestamps that do not rise ({self.batch})")
        first, last, latest = (float(v) for v in (times.min(), times[:, -1].min(), times.max()))
        uncovered = duration - _MIN_COVERAGE * duration
        slack = max(_MAX_TAIL, uncovered)
        if first < -slack or latest > duration + slack:
            raise self.error(
                f"returned timestamps from {first:g} to {latest:g} for {self.batch}, which lasts "
                f"{duration:g} ms; milliseconds are expected"
            )
        hop = (last - first) / max(frames - 1, 1)
        tail = min(max(_MAX_TAIL, 2 * hop), uncovered + _MAX_HOP)
        begin = float(times[:, 0].max())
        if last < duration - tail or begin > tail:
            gap = (last, duration) if last < duration - tail else (0, begin)
            problem = f"none lies between {gap[0]:g} and {gap[1]:g} ms"
            if last <= duration / 500:  # seconds, most likely
                problem = "milliseconds are expected"
            raise self.error(
                f"returned too few timestamps for {self.batch}: from {begin:g} to {last:g} of "
                f"{duration:g} ms; {problem}"
            )
        if hop > _MAX_HOP:
            logger.warning(
                "%s: timestamps every %g ms; HEAR recommends at most 50", self.where, hop
            )
        # whole milliseconds become fractions: labels are looked up between the timestamps
        return times if np.issubdtype(times.dtype, np.floating) else times.astype(np.float64)
