"""Metrics of agreement with the listeners: MSE, LCC, SRCC and KTAU over clips and over systems.

A system's score is the mean over its clips, in float64 and rounded to 1e-6, so that equal means
tie. Intervals are over clips at utterance level, over systems at system level; ends that cannot be
estimated are NaN.
"""

from dataclasses import asdict, dataclass
from typing import Any

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


@dataclass(frozen=True)
class Measure:
    """Value of one metric with the ends of its 95 % interval, over ``count`` clips or systems."""

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
    levels = {"utterance": (known.scores, known.truth)}
    if len(set(known.systems)) > 1:
        scores, truth = (system_means(part, known.systems)[0] for part in levels["utterance"])
        levels["system"] = scores, truth
    measures = {}
    for level, (scores, truth) in levels.items():
        for name, metric in METRICS.items():
            found = confidence_interval(metric, scores, truth, scale=SCALES[name.lower()])
            for column, target in enumerate(TARGETS):
                value, low, high = (
                    float(part[column]) for part in (found.estimate, found.low, found.high)
                )
                measures[target, level, name] = Measure(
                    target, level, name, value, low, high, len(scores), found.method
                )
    return measures


def as_table(measures: Measures) -> list[dict[str, Any]]:
    """Return the metrics as rows for JSON."""
    return [asdict(measure) for measure in measures.values()]
