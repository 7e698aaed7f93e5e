"""What an evaluation found: per run the test scores, the selection behind them, and predictions."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hear_aesthetics.evaluation.embeddings.rows import SplitRows
from hear_aesthetics.evaluation.probes.grid import GridPoint
from hear_aesthetics.evaluation.tasks.event_postprocessing import Postprocessing
from hear_aesthetics.evaluation.tasks.scores import named_values
from hear_aesthetics.evaluation.tasks.task import Task
from hear_aesthetics.metrics.events import Events

__all__ = ["Outcome", "Selection", "decoded", "logged_values"]


@dataclass(frozen=True)
class Selection:
    """Which probe was chosen for a run, and how it did on the validation split."""

    point: GridPoint
    score: float
    epoch: int
    postprocessing: Postprocessing = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """One run's test: its named values as heareval writes them, and what they were computed from.

    Shape:
        - predictions, logits: ``(rows, labels)`` float32, in the order of the stored rows
    """

    split: str
    selection: Selection
    values: Mapping[str, float]
    rows: SplitRows
    logits: NDArray[np.float32]
    predictions: NDArray[np.float32]
    repetition: int = 0

    @property
    def name(self) -> str:
        """The test split; repetitions after the first add ``.seed<n>``."""
        return f"{self.split}.seed{self.repetition}" if self.repetition else self.split

    def as_json(self) -> dict[str, float]:
        """The entry of this run in ``test.predicted-scores.json``."""
        return {
            **self.values,
            "validation_score": self.selection.score,
            "epoch": self.selection.epoch,
            "time_in_min": self.selection.seconds / 60,
        }


def decoded(
    rows: SplitRows, predictions: NDArray[np.float32], postprocessing: Postprocessing
) -> tuple[NDArray[np.float32] | Events, NDArray[np.float32] | Events]:
    """What the scores compare: predictions and targets, as events for an event task."""
    if rows.timeline is None or rows.events is None:
        return predictions, rows.targets
    return rows.timeline.decode(predictions, **dict(postprocessing)), rows.events


def logged_values(
    task: Task,
    rows: SplitRows,
    predictions: NDArray[np.float32],
    postprocessing: Postprocessing,
    loss: float,
) -> dict[str, float]:
    """``test_loss``, ``test_score`` and ``test_<score>`` of every score, in float32 as logged."""
    values = named_values(task.scores, *decoded(rows, predictions, postprocessing), prefix="test_")
    first = next(iter(values.values()))
    named = {"test_loss": loss, "test_score": first} | values
    return {name: float(np.float32(value)) for name, value in named.items()}
