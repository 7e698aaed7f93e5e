"""What a run tells while it trains: a table, TensorBoard where it is installed, a line to watch."""

import csv
import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hear_aesthetics.files import write_text

__all__ = ["Logs", "ProgressLine", "write_log"]

TENSORBOARD = "tensorboard"


def write_log(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write all rows as CSV, whole or not at all."""
    if not rows:
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


class Logs:
    """``log.csv`` and TensorBoard events of a run folder.

    The table is written anew from the run's history each time, so that after a crash it holds what
    the checkpoint remembers and nothing twice.

    Args:
        folder: Of the run.
        events: Whether to write TensorBoard events.
    """

    def __init__(self, folder: Path, *, events: bool = True) -> None:
        self._table = folder / "log.csv"
        self._writer = _tensorboard(folder / TENSORBOARD) if events else None

    def record(self, history: Sequence[Mapping[str, Any]]) -> None:
        """Write the table, and the newest row as events."""
        write_log(self._table, history)
        if self._writer and history:
            newest = history[-1]
            for name, value in newest.items():
                if isinstance(value, int | float) and name != "update":
                    self._writer.add_scalar(name.replace(" ", "/", 1), value, newest["update"])

    def close(self) -> None:
        """Finish the events."""
        if self._writer:
            self._writer.close()


class ProgressLine:
    """A bar with the current metrics on a terminal; silence elsewhere.

    Args:
        epochs: Most epochs of the run.
        shown: Whether to show it; None: where stderr is a terminal.
    """

    def __init__(self, epochs: int, shown: bool | None = None) -> None:
        self._bar = _bar() if (sys.stderr.isatty() if shown is None else shown) else None
        self._epochs = epochs
        self._text = ""

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
            self._bar.add_task("training", total=None, figures="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def step(self, epoch: int, done: int, updates: int, loss: float | None) -> None:
        """Show an update."""
        if self._bar:
            figures = f"loss {loss:.3f} {self._text}" if loss is not None else self._text
            self._bar.update(
                self._bar.task_ids[0],
                completed=epoch * updates + done,
                total=self._epochs * updates,
                description=f"epoch {epoch + 1}/{self._epochs}",
                figures=figures,
            )

    def evaluated(self, row: Mapping[str, Any], best: float | None) -> None:
        """Show the metrics of an evaluation from now on."""
        best_text = "" if best is None else f" best {best:.3f}"
        self._text = (
            f"lcc {row['lcc']:.3f} srcc {row['srcc']:.3f} score {row['score']:.3f}{best_text}"
        )


def _tensorboard(folder: Path) -> Any:
    """A writer of events, or None where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder))


def _bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False)
    columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
    return Progress(*columns, TextColumn("{task.fields[figures]}"), console=console, transient=True)
