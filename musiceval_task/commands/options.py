"""Options that several subcommands share, and the encoders that they name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from musiceval_task.data.dataset import MusicEvalClip
    from musiceval_task.training.inference import Example
    from musiceval_task.training.runs import Encoders

__all__ = [
    "DataArgument",
    "StatesOption",
    "encode_all",
    "make_encoders",
]

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
    typer.Option(help="Folder that keeps the encoders' states.", show_default="states, in OUT"),
]


def make_encoders(
    model: str, text: str, states: Path, *, precision: str, device: str | None
) -> "Encoders":
    """Both frozen encoders and the store of their states."""
    from hear_aesthetics.files import remove_leftovers
    from musiceval_task.features.states import AudioEncoder, StateStore
    from musiceval_task.features.text import TextEncoder
    from musiceval_task.training.runs import Encoders

    audio = AudioEncoder(model, precision=precision, device=device)
    remove_leftovers(states)
    return Encoders(audio, TextEncoder(text, audio.model.device), StateStore(states))


def encode_all(clips: "list[MusicEvalClip]", encoders: "Encoders") -> "list[Example]":
    """The states of all clips; a line on stderr says how many had to be computed."""
    from hear_aesthetics.commands.console import Report
    from musiceval_task.training.runs import encode

    with Report(None, "encoded", "clip") as report:
        return encode(clips, encoders, report.done)
