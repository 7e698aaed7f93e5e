"""``hear-aesthetics evaluate-embeddings``: probes on embedding folders of either kit.

``evaluate`` shares the probe options and the loop over tasks.
"""

import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hear_aesthetics.commands.console import (
    describe_error,
    error_line,
    exit_code,
    tracebacks_shown,
    warning_line,
    write_json,
)
from hear_aesthetics.commands.options import (
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
)
from hear_aesthetics.errors import HearAestheticsError, TaskError

if TYPE_CHECKING:
    from hear_aesthetics.engine.progress import ProgressBar
    from hear_aesthetics.evaluation.results.task_result import TaskResult

__all__ = ["ProbeOptions", "evaluate_each", "evaluate_embeddings"]

ProtocolOption = Annotated[
    Literal["robust", "official"],
    typer.Option(help="robust: several seeds, with an interval; official: exactly as heareval."),
]
GridOption = Annotated[
    Literal["default", "fast", "faster"],
    typer.Option(help="Grid of hyper-parameters, as in heareval."),
]
GridPointsOption = Annotated[int, typer.Option(min=1, help="Number of grid points to try.")]
SeedsOption = Annotated[int, typer.Option(min=1, help="Number of seeds (robust protocol only).")]


@dataclass(frozen=True)
class ProbeOptions:
    """Probe options: arguments of ``hear_aesthetics.evaluation.evaluate_embeddings``."""

    protocol: str
    grid: str
    grid_points: int
    seeds: int
    precision: str
    device: str | None
    overwrite: bool


def evaluate_embeddings(
    folders: Annotated[
        list[Path], typer.Argument(help="Embedding folders of tasks, or folders of such folders.")
    ],
    protocol: ProtocolOption = "robust",
    grid: GridOption = "default",
    grid_points: GridPointsOption = 8,
    seeds: SeedsOption = 3,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train and test probes on embeddings in heareval's layout.

    Scores are written into the folder, as heareval does; results of the same options are kept. Exit
    codes: 0 all good, 1 nothing worked, 2 wrong usage, 3 some tasks failed.
    """
    from hear_aesthetics.evaluation.tasks.task import find_tasks

    found: dict[Path, None] = {}
    failed = 0
    for folder in folders:
        try:
            found |= dict.fromkeys(find_tasks(folder))
        except TaskError as error:
            error_line(error)
            failed += 1
    options = ProbeOptions(protocol, grid, grid_points, seeds, precision, device, overwrite)
    raise evaluate_each(found, options, as_json=as_json, failed=failed)


def evaluate_each(
    folders: Iterable[Path],
    options: ProbeOptions,
    *,
    embed: "Callable[[Path, ProgressBar], Path] | None" = None,
    as_json: bool = False,
    failed: int = 0,
) -> typer.Exit:
    """Evaluate tasks one after the other; one that fails costs a line and the others go on.

    The folders are embedding folders, or task folders that ``embed`` turns into these. With
    ``failed`` inputs before, the exit to raise is returned.
    """
    from hear_aesthetics.engine.progress import ProgressBar
    from hear_aesthetics.evaluation import pipeline

    results: list[TaskResult] = []
    for folder in folders:
        try:
            with ProgressBar(folder.name) as bar, warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, of an undefined score
                stored = embed(folder, bar) if embed else folder
                train = bar.stage("training probes")
                result = pipeline.evaluate_embeddings(stored, **vars(options), progress=train)
        except Exception as error:  # whatever happens to one task, the others go on
            known = isinstance(error, HearAestheticsError)
            if not known and tracebacks_shown():
                raise
            error_line(error if known else f"{folder}: {describe_error(error)}")
            failed += 1
            continue
        results.append(result)
        if math.isnan(result.score):
            warning_line(f"{folder}: {result.score_name} is undefined for the test clips")
        if not as_json:
            typer.echo(f"{folder.name}  {result.score_name} {result.describe()}")
    if as_json:
        write_json([result.as_json() for result in results])
    return typer.Exit(exit_code(len(results), failed))
