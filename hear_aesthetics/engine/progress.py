"""Progress bar on stderr, drawn on a terminal only; ``NO_COLOR`` takes its colours away."""

import sys
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

__all__ = ["ProgressBar", "ProgressCallback", "no_progress", "stderr_console"]

ProgressCallback = Callable[[int, int], None]  # steps done, steps in all


def no_progress(*_: object) -> None:
    """Ignore the progress: the no-op callback."""


def stderr_console() -> Console:
    """Return a console on stderr that prints text as it is."""
    return Console(stderr=True, highlight=False, markup=False, emoji=False, soft_wrap=True)


class ProgressBar(Progress):
    """Progress bar of one task at a time; a context manager.

    Args:
        title: Text before the bar.
        total: Steps in all; None if unknown.
        shown: Whether the bar is drawn; None: where stderr is a terminal.
    """

    def __init__(
        self, title: str = "", total: int | None = None, *, shown: bool | None = None
    ) -> None:
        hidden = not (sys.stderr.isatty() if shown is None else shown)
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            console=stderr_console(),
            transient=True,
            disable=hidden,
        )
        self._title = title
        self._task = self.add_task(title, total=total, figures="")

    def stop(self) -> None:
        """Remove the bar."""
        if not self.disable:  # rich before 14.1 ends a bar that it did not draw with a blank line
            super().stop()

    def count(self, steps: int = 1) -> None:
        """Advance by a number of steps."""
        self.advance(self._task, steps)

    def show(self, done: int, total: int, title: str, figures: str = "") -> None:
        """Set the steps done and in all, the text before the bar and the one after it."""
        self.update(self._task, completed=done, total=total, description=title, figures=figures)

    def stage(self, name: str) -> ProgressCallback:
        """Return the callback of a stage, whose first call replaces the stage before."""
        title = f"{self._title}: {name}"

        def report(done: int, total: int) -> None:
            if self.tasks[0].description != title:
                self.reset(self._task)
            self.show(done, total, title)

        return report


class _Rate(ProgressColumn):
    """Recent steps per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.3g}/s" if task.speed else "")
