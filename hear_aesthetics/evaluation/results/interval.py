"""What the robust protocol states beside its scores: choices, repetitions, and an interval."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hear_aesthetics.evaluation.probes.outcome import Outcome, decoded
from hear_aesthetics.evaluation.tasks.task import Task
from hear_aesthetics.metrics.bootstrap import Array, Interval, percentile_interval, resample_counts

__all__ = ["robust_statement", "score_interval"]

RESAMPLES = 1000
CONFIDENCE = 0.95
CHOICES = (
    "training rows shuffled every epoch",
    "embeddings (and regression targets) standardised on the training part",
    "an undefined validation score neither ends a fit nor counts towards patience",
    "equal validation scores decided by the lower loss",
    "grid searched within every fold",
    "one seed per grid point, fold and repetition",
    "labels for which a score is undefined left out of its mean",
)


def score_interval(
    task: Task, outcomes: Sequence[Outcome], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Bootstrap interval of the mean first score over runs and repetitions.

    What is drawn are the clips of each test split (files, for event tasks), the same ones for all
    repetitions of a split.
    """
    names = list(dict.fromkeys(outcome.split for outcome in outcomes))
    sample = [
        _resampled(task, outcome, resamples, seed + names.index(outcome.split))
        for outcome in outcomes
    ]
    estimate = np.array([np.mean([outcome.values["test_score"] for outcome in outcomes])])
    return percentile_interval(estimate, np.mean(sample, axis=0)[:, None], CONFIDENCE)


def robust_statement(
    task: Task, outcomes: Sequence[Outcome], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """The content of ``test.robust-scores.json``."""
    interval = score_interval(task, outcomes)
    return {
        "protocol": {"name": "robust", "choices": list(CHOICES)} | dict(settings),
        "score": task.scores[0].name,
        "maximised": task.scores[0].maximise,
        "mean": float(interval.estimate[0]),
        "interval": [float(interval.low[0]), float(interval.high[0])],
        "confidence": interval.confidence,
        "bootstrap": {
            "resamples": RESAMPLES,
            "drawn": "files" if task.is_event else "clips",
            "of": "each test split, the same for all its repetitions",
        },
        "runs": [_run(task, outcome) for outcome in outcomes],
    }


def _run(task: Task, outcome: Outcome) -> dict[str, Any]:
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


def _resampled(task: Task, outcome: Outcome, resamples: int, seed: int) -> Array:
    score, rows = task.scores[0], outcome.rows
    units = len(rows.timeline.files) if rows.timeline else len(rows.targets)
    compared = decoded(rows, outcome.predictions, outcome.selection.postprocessing)
    blocks = resample_counts(units, resamples, seed)
    return np.concatenate([score.resampled(*compared, weights) for weights in blocks])
