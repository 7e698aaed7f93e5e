"""What ``evaluate`` and ``evaluate-embeddings`` share: probe options, a bar, a line per task."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, Self

import typer

from hear_aesthetics.commands.console import (
    describe_error,
    error_line,
    exit_code,
    tracebacks_shown,
    write_json,
)
from hear_aesthetics.errors import HearAestheticsError

if TYPE_CHECKING:
    from hear_aesthetics.evaluation.results.leaderboard import Result

__all__ = [
    "AsJson",
    "Bar",
    "Device",
    "Grid",
    "GridName",
    "GridPoints",
    "Overwrite",
    "Precision",
    "PrecisionName",
    "ProbeOptions",
    "Protocol",
    "ProtocolName",
    "Seeds",
    "evaluate_each",
]


class ProtocolName(StrEnum):
    """How probes are trained and selected."""

    robust = "robust"
    official = "official"


class GridName(StrEnum):
    """Which hyper-parameters are tried."""

    default = "default"
    fast = "fast"
    faster = "faster"


class PrecisionName(StrEnum):
    """Of the robust protocol's matrix products."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"


Protocol = Annotated[
    ProtocolName,
    typer.Option(help="robust: better practice, with an interval. official: heareval, exactly."),
]
Grid = Annotated[GridName, typer.Option(help="heareval's grids of hyper-parameters.")]
GridPoints = Annotated[int, typer.Option(min=1, help="How many points of the grid are tried.")]
Seeds = Annotated[int, typer.Option(min=1, help="Repetitions of the robust protocol.")]
Precision = Annotated[PrecisionName, typer.Option(help="Of the robust protocol's products.")]
Device = Annotated[
    str | None, typer.Option(help="Such as cpu or cuda:0.", show_default="a GPU if any")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite/--resume", help="Make again, or keep, what is there already.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]


@dataclass(frozen=True)
class ProbeOptions:
    """How probes are trained: arguments of ``hear_aesthetics.evaluation.evaluate_embeddings``."""

    protocol: str
    grid: str
    grid_points: int
    seeds: int
    precision: str
    device: str | None
    overwrite: bool


class Bar:
    """Progress within a task, drawn on stderr where that is a terminal; a context manager.

    Args:
        task: Name of the task.
    """

    def __init__(self, task: str) -> None:
        self._task = task
        self._progress: Any = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

            columns = "{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
            console = Console(stderr=True)
            self._progress = Progress(*columns, console=console, transient=True)
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._progress:
            self._progress.stop()

    def stage(self, name: str) -> Callable[[int, int], None]:
        """A stage, begun by the first call of what is returned, with the done and all there is."""
        rows: list[Any] = []

        def report(done: int, total: int) -> None:
            if self._progress is None:
                return
            if not rows:
                for known in self._progress.task_ids:
                    self._progress.remove_task(known)
                rows.append(self._progress.add_task(f"{self._task}: {name}"))
            self._progress.update(rows[0], completed=done, total=total)

        return report


def evaluate_each(
    folders: Iterable[Path],
    options: ProbeOptions,
    *,
    embed: Callable[[Path, Bar], Path] | None = None,
    as_json: bool = False,
    failed: int = 0,
) -> typer.Exit:
    """Evaluate tasks one after the other; one that fails costs a line and the others go on.

    Args:
        folders: Task folders, or embedding folders if there is no ``embed``.
        options: How probes are trained.
        embed: From a task folder to its embedding folder.
        as_json: Print one JSON document instead of a line per task.
        failed: Inputs that have failed before.

    Returns:
        The exit to raise.
    """
    from hear_aesthetics.evaluation.pipeline import evaluate_embeddings
    from hear_aesthetics.evaluation.results.leaderboard import read_result

    results: list[Result] = []
    for folder in folders:
        try:
            with Bar(folder.name) as bar:
                stored = embed(folder, bar) if embed else folder
                evaluate_embeddings(stored, **vars(options), progress=bar.stage("training probes"))
            result = read_result(stored)
        except Exception as error:  # whatever happens to one task, the others go on
            known = isinstance(error, HearAestheticsError)
            if not known and tracebacks_shown():
                raise
            error_line(error if known else f"{folder}: {describe_error(error)}")
            failed += 1
            continue
        results.append(result)
        if not as_json:
            typer.echo(f"{folder.name}  {result.score_name} {result.describe()}")
    if as_json:
        write_json([vars(result) for result in results])
    return typer.Exit(exit_code(len(results), failed))
