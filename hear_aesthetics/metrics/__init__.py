"""Scores of predictions, and how sure they are: correlations, rankings, events, resampling."""

from typing import TYPE_CHECKING

from hear_aesthetics.lazy import lazy_names
from hear_aesthetics.metrics.bootstrap import (
    Interval,
    Metric,
    bootstrap_interval,
    by_resampling,
    paired_bootstrap,
)

if TYPE_CHECKING:  # it imports SciPy
    from hear_aesthetics.metrics.correlation import ktau, lcc, mse, srcc, system_means, top_tier_f1

__all__ = [
    "Interval",
    "Metric",
    "bootstrap_interval",
    "by_resampling",
    "ktau",
    "lcc",
    "mse",
    "paired_bootstrap",
    "srcc",
    "system_means",
    "top_tier_f1",
]
__getattr__, __dir__ = lazy_names(
    __name__, dict.fromkeys(__all__, "hear_aesthetics.metrics.correlation")
)
