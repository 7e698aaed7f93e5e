"""Scores of predictions, and how sure they are: correlations, rankings, events, intervals."""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names
from hear_aesthetics.metrics.intervals import (
    SCALES,
    Interval,
    Metric,
    by_resampling,
    confidence_interval,
    paired_interval,
)

if TYPE_CHECKING:  # it imports SciPy
    from hear_aesthetics.metrics.correlation import ktau, lcc, mse, srcc, system_means, top_tier_f1

__all__ = [
    "SCALES",
    "Interval",
    "Metric",
    "by_resampling",
    "confidence_interval",
    "ktau",
    "lcc",
    "mse",
    "paired_interval",
    "srcc",
    "system_means",
    "top_tier_f1",
]
__getattr__, __dir__ = lazy_names(
    __name__, dict.fromkeys(__all__, "hear_aesthetics.metrics.correlation")
)
