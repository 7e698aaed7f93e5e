"""``hear-aesthetics evaluate-embeddings``: probes on embedding folders of either kit."""

from pathlib import Path
from typing import Annotated

import typer

from hear_aesthetics.commands.console import error_line
from hear_aesthetics.commands.options import (
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
)
from hear_aesthetics.commands.probing import (
    GridOption,
    GridPointsOption,
    ProbeOptions,
    ProtocolOption,
    SeedsOption,
    evaluate_each,
)
from hear_aesthetics.errors import TaskError

__all__ = ["evaluate_embeddings"]


def evaluate_embeddings(
    folders: Annotated[
        list[Path],
        typer.Argument(help="Embedding folders of tasks, or folders of such folders."),
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
