"""Logs of a run: a table, TensorBoard events where it is installed, a progress line."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hear_aesthetics.engine.progress import ProgressBar
from hear_aesthetics.files import csv_text, write_text

__all__ = ["Logs", "ProgressLine"]

TENSORBOARD = "tensorboard"


class Logs:
    """``log.csv`` and TensorBoard events of a run folder.

    The table is written anew from the run's history each time, so that after a crash it holds what
    the checkpoint remembers and nothing twice.

    Args:
        folder: Folder of the run.
        events: Whether to write TensorBoard events.
    """

    def __init__(self, folder: Path, *, events: bool = True) -> None:
        self._table = folder / "log.csv"
        self._writer: Any = None
        with suppress(ImportError):  # where TensorBoard is not installed there are no events
            if events:
                from torch.utils.tensorboard import SummaryWriter

                self._writer = SummaryWriter(str(folder / TENSORBOARD))

    def record(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write the table, and the newest row as events."""
        if not history:
            return
        newest = history[-1]
        write_text(self._table, csv_text([newest.keys(), *(row.values() for row in history)]))
        if self._writer:
            for name, value in newest.items():
                if isinstance(value, int | float) and name != "update":
                    self._writer.add_scalar(name.replace(" ", "/", 1), value, newest["update"])

    def close(self) -> None:
        """Finish the events."""
        if self._writer:
            self._writer.close()


class ProgressLine(ProgressBar):
    """Progress bar of a training run, with its current metrics.

    Args:
        epochs: Most epochs of the run.
        shown: Whether the bar is drawn; None: where stderr is a terminal.
    """

    def __init__(self, epochs: int, shown: bool | None = None) -> None:
        super().__init__("training", shown=shown)
        self._epochs, self._metrics = epochs, ""

    def step(self, epoch: int, done: int, updates: int, loss: float | None) -> None:
        """Show an update: the ``done``-th of the epoch's ``updates``."""
        figures = f"loss {loss:.3f} {self._metrics}" if loss is not None else self._metrics
        title = f"epoch {epoch + 1}/{self._epochs}"
        self.show(epoch * updates + done, self._epochs * updates, title, figures)

    def evaluated(self, row: Mapping[str, Any], best: float | None) -> None:
        """Show the metrics of an evaluation from now on."""
        best_text = "" if best is None else f" best {best:.3f}"
        self._metrics = (
            f"lcc {row['lcc']:.3f} srcc {row['srcc']:.3f} score {row['score']:.3f}{best_text}"
        )
