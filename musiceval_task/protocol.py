"""Metrics of agreement with the listeners: MSE, LCC, SRCC and KTAU over clips and over systems.

A system's score is the mean over its clips, in float64 and rounded to 1e-6, so that equal means
tie. Intervals are over clips at utterance level, over systems at system level; ends that cannot be
estimated are NaN.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hear_aesthetics.errors import InputError
from hear_aesthetics.metrics import (
    SCALES,
    Metric,
    confidence_interval,
    ktau,
    lcc,
    mse,
    srcc,
    system_means,
)
from musiceval_task.predictions import ClipPredictions
from musiceval_task.scale import TARGETS

__all__ = ["LEVELS", "METRICS", "Measure", "Measures", "as_table", "compute_metrics"]

METRICS: dict[str, Metric] = {"MSE": mse, "LCC": lcc, "SRCC": srcc, "KTAU": ktau}
LEVELS = ("utterance", "system")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Measure:
    """Value of one metric with its interval.

    Attributes:
        target: "overall" or "textual".
        level: "utterance" or "system".
        metric: Name of the metric.
        value: Its value.
        low: Lower end of the 95 % interval.
        high: Upper end of the interval.
        count: Number of clips or systems.
        method: Method of the interval.
    """

    target: str
    level: str
    metric: str
    value: float
    low: float
    high: float
    count: int
    method: str


Measures = dict[tuple[str, str, str], Measure]  # by target, level and metric


def compute_metrics(predictions: ClipPredictions) -> Measures:
    """Compute all metrics on the clips whose true scores are known.

    The system level is left out if there is only one system.

    Raises:
        InputError: If the true scores of fewer than two clips are known.
    """
    known = predictions.scored()
    if len(known) < 2:
        raise InputError(
            f"the true scores of {len(known)} clips are known; two or more can be compared"
        )
    return {
        (found.target, found.level, found.metric): found
        for level in _levels(known)
        for found in _measures(*level)
    }


def as_table(measures: Measures) -> list[dict[str, Any]]:
    """Return the metrics as rows for JSON."""
    return [asdict(measure) for measure in measures.values()]


def _levels(known: ClipPredictions) -> Iterator[tuple[str, Array, Array]]:
    yield "utterance", known.scores, known.truth
    if len(set(known.systems)) > 1:
        scores, _ = system_means(known.scores, known.systems)
        truth, _ = system_means(known.truth, known.systems)
        yield "system", scores, truth


def _measures(level: str, scores: Array, truth: Array) -> Iterator[Measure]:
    for name, metric in METRICS.items():
        interval = confidence_interval(metric, scores, truth, scale=SCALES[name.lower()])
        for column, target in enumerate(TARGETS):
            value, low, high = (
                float(part[column]) for part in (interval.estimate, interval.low, interval.high)
            )
            yield Measure(target, level, name, value, low, high, len(scores), interval.method)
