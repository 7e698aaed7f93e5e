"""Statement of the robust protocol beside its scores: choices, repetitions, an interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hear_aesthetics.evaluation.probes.fold_result import FoldResult, decoded
from hear_aesthetics.evaluation.tasks.task import Task
from hear_aesthetics.metrics.intervals import (
    GROUPS,
    SCALES,
    Array,
    Interval,
    interval_of,
    jackknife,
)

__all__ = ["robust_statement", "score_interval"]

CONFIDENCE = 0.95
CHOICES = (
    "training rows shuffled every epoch",
    "embeddings (and regression targets) standardized on the training part",
    "an undefined validation score neither ends a fit nor counts towards patience",
    "equal validation scores decided by the lower loss",
    "grid searched within every fold",
    "one seed per grid point, fold and repetition",
    "labels for which a score is undefined left out of its mean",
)


def score_interval(task: Task, outcomes: Sequence[FoldResult]) -> Interval:
    """Return the interval of the mean first score over runs and repetitions.

    What is left out are clips of every test split at once (files, for event tasks), the same ones
    for all repetitions of a split.
    """
    score = task.scores[0]
    scale = SCALES[score.name]

    def metric(preds: Any, target: Any, *, weights: Array) -> Array:
        return score.resampled(preds, target, weights)[:, None]

    units = [
        len(o.rows.timeline.files) if o.rows.timeline else len(o.rows.targets) for o in outcomes
    ]
    parts = [
        jackknife(
            metric,
            *decoded(o.rows, o.predictions, o.selection.postprocessing),
            songs,
            scale,
            most=min(GROUPS, *units),
        )
        for o, songs in zip(outcomes, units, strict=True)
    ]
    splits = len({outcome.split for outcome in outcomes})
    return interval_of(
        np.array([np.mean([outcome.values["test_score"] for outcome in outcomes])]),
        np.mean([replicates for replicates, _ in parts], axis=0),
        np.mean([cases for _, cases in parts], axis=0) * splits,
        scale,
        CONFIDENCE,
    )


def robust_statement(
    task: Task, outcomes: Sequence[FoldResult], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of ``test.robust-scores.json``."""
    interval = score_interval(task, outcomes)
    ends = [float(interval.low[0]), float(interval.high[0])]
    return {
        "protocol": {"name": "robust", "choices": list(CHOICES)} | dict(settings),
        "score": task.scores[0].name,
        "maximised": task.scores[0].higher_is_better,
        "mean": float(interval.estimate[0]),
        "interval": None if np.isnan(ends).any() else ends,
        "confidence": interval.confidence,
        "method": interval.method,
        "left_out": "files" if task.is_event else "clips",
        "runs": [_run(task, outcome) for outcome in outcomes],
    }


def _run(task: Task, outcome: FoldResult) -> dict[str, Any]:
    selection = outcome.selection
    targets = outcome.rows.targets
    one_class = (targets == targets[0]).all(axis=0)
    left_out = [label for label, one in zip(task.labels, one_class, strict=True) if one]
    return {
        "test": outcome.name,
        **outcome.as_json(),
        "chosen": selection.point.describe(),
        "postprocessing": dict(selection.postprocessing),
        "labels_with_one_class": [] if task.prediction_type == "regression" else left_out,
    }
