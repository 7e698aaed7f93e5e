"""Test result of one fold: scores, the selection behind them, and predictions."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hear_aesthetics.evaluation.embeddings.rows import SplitRows
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.probes.probe import mean_loss, probabilities
from hear_aesthetics.evaluation.tasks.event_postprocessing import (
    MIN_DURATION,
    Postprocessing,
    postprocessing_grid,
)
from hear_aesthetics.evaluation.tasks.scores import named_values
from hear_aesthetics.evaluation.tasks.task import Task
from hear_aesthetics.metrics.events import Events

__all__ = [
    "FoldResult",
    "Selection",
    "decoded",
    "fold_result",
    "logged",
    "logged_values",
    "scored_postprocessings",
]


IN_FLOAT64 = {"d_prime"}


@dataclass(frozen=True)
class Selection:
    """Best probe of a fold, with its score and epoch on the validation split."""

    point: GridPoint
    score: float
    epoch: int
    postprocessing: Postprocessing = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class FoldResult:
    """Test result of one fold: values named as heareval writes them, rows and predictions.

    Shape:
        - logits, predictions: ``(rows, labels)`` float32, in the order of the stored rows
    """

    split: str
    selection: Selection
    values: Mapping[str, float]
    rows: SplitRows
    logits: NDArray[np.float32]
    prediction_type: str
    repetition: int = 0

    @property
    def predictions(self) -> NDArray[np.float32]:
        """What is scored; computed on demand, since the results of all folds are held at once."""
        return probabilities(torch.from_numpy(self.logits), self.prediction_type).numpy()

    @property
    def name(self) -> str:
        """The test split; repetitions after the first add ``.seed<n>``."""
        return f"{self.split}.seed{self.repetition}" if self.repetition else self.split

    def as_json(self) -> dict[str, float]:
        """Return the entry of this fold in ``test.predicted-scores.json``."""
        return {
            **self.values,
            "validation_score": self.selection.score,
            "epoch": self.selection.epoch,
            "time_in_min": self.selection.seconds / 60,
        }


def fold_result(
    task: Task, split: str, rows: SplitRows, logits: Tensor, selection: Selection, repetition: int
) -> FoldResult:
    """Return the result of a probe whose logits on the test split are ``(rows, labels)``."""
    predictions = probabilities(logits, task.prediction_type).numpy()
    loss = mean_loss(logits, torch.from_numpy(rows.targets), task.prediction_type)
    values = logged_values(task, rows, predictions, selection.postprocessing, loss)
    kind = task.prediction_type
    return FoldResult(split, selection, values, rows, logits.numpy(), kind, repetition)


def decoded(
    rows: SplitRows, predictions: NDArray[np.float32], postprocessing: Postprocessing
) -> tuple[NDArray[np.float32] | Events, NDArray[np.float32] | Events]:
    """Return predictions and targets as the scores compare them: events for an event task."""
    if rows.timeline is None or rows.events is None:
        return predictions, rows.targets
    return rows.timeline.decode(predictions, **dict(postprocessing)), rows.events


def scored_postprocessings(
    task: Task, rows: SplitRows, predictions: NDArray[np.float32]
) -> list[tuple[float, Postprocessing]]:
    """Return the first score with every event post-processing; one entry for other tasks."""
    score, timeline = task.scores[0], rows.timeline
    if timeline is None:
        return [(next(iter(score.values(predictions, rows.targets).values())), ())]
    filtered = cache(partial(timeline.decode, predictions, min_duration=0))  # what takes longest
    scored = []
    for chosen in postprocessing_grid(task.postprocessing_grid):
        options = {"min_duration": MIN_DURATION, **dict(chosen)}
        shortest = options.pop("min_duration")
        values = score.values(filtered(**options).lasting(shortest), rows.events)
        scored.append((next(iter(values.values())), chosen))
    return scored


def logged(name: str, value: float) -> float:
    """Return the value of a score as heareval's log holds it: in float32, but d-prime in float64.

    Lightning makes a float32 tensor of a Python float, which the other scores are there, and a
    float64 one of NumPy's float64.
    """
    return value if name in IN_FLOAT64 else float(np.float32(value))


def logged_values(
    task: Task,
    rows: SplitRows,
    predictions: NDArray[np.float32],
    postprocessing: Postprocessing,
    loss: float,
) -> dict[str, float]:
    """Return ``test_loss``, ``test_score`` and ``test_<score>`` of every score, as logged."""
    named = named_values(task.scores, *decoded(rows, predictions, postprocessing))
    values = {f"test_{name}": logged(name, value) for name, value in named.items()}
    first = next(iter(values.values()))
    return {"test_loss": float(np.float32(loss)), "test_score": first, **values}
