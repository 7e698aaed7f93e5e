"""Scores of predictions, and how sure they are: correlations, rankings, events, intervals."""

from hear_aesthetics.metrics.correlation import ktau, lcc, mse, srcc, system_means, top_tier_f1
from hear_aesthetics.metrics.intervals import (
    SCALES,
    Interval,
    Metric,
    by_resampling,
    confidence_interval,
    paired_interval,
)

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
