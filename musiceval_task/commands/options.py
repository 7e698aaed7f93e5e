"""Options that several subcommands share, and the encoding of clips with progress."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hear_aesthetics.compute.processes import Processes
    from musiceval_task.data.dataset import MusicEvalClip
    from musiceval_task.training.inference import Example
    from musiceval_task.training.runs import Encoders

__all__ = ["DataArgument", "StatesOption", "encode_all"]

DataArgument = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="MusicEval folder, or a CSV: path,prompt and, where known, overall,textual,system,"
        "split (train, dev or test).",
    ),
]
StatesOption = Annotated[
    Path | None,
    typer.Option(help="Folder of the encoders' hidden states.", show_default="states, in OUT"),
]


def encode_all(
    clips: "list[MusicEvalClip]", encoders: "Encoders", processes: "Processes | None" = None
) -> "list[Example]":
    """Return the states of all clips; a line on stderr says how many were computed."""
    from hear_aesthetics.commands.console import Report
    from hear_aesthetics.compute.processes import Processes
    from musiceval_task.training.runs import encode

    processes = processes or Processes()
    if not processes.is_main:
        return encode(clips, encoders, processes=processes)
    with Report(None, "encoded", "clip") as report:
        return encode(clips, encoders, report.done, processes)
