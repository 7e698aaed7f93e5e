"""Options and arguments of the commands that score songs."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hear_aesthetics.spec import LOUDEST_LUFS, QUIETEST_LUFS

__all__ = [
    *("BestOfOption", "CalibrationOption", "CoverageOption", "ExplainOption", "FormatOption"),
    *("HeadOption", "LoudnessOption", "OutOption", "PlotOption", "PromptOption", "ServerOption"),
    *("SongsArgument", "TOKEN_VARIABLE", "TimelineOption", "TokenOption", "TopOption"),
    "WindowOption",
]

TOKEN_VARIABLE = "HEAR_AESTHETICS_TOKEN"


def _loudness_in_range(value: float | None) -> float | None:
    if value is not None and not QUIETEST_LUFS <= value <= LOUDEST_LUFS:  # nan is in no range
        raise typer.BadParameter(
            f"{value:g} LUFS is not from {QUIETEST_LUFS:g} to {LOUDEST_LUFS:g}"
        )
    return value


HeadOption = Annotated[
    list[str] | None,
    typer.Option(
        "--head",
        metavar="NAME|PATH",
        help="track1, track2, songeval, songbench, audiobox and muq-eval (which need no model), "
        "demo, an installed scorer, or a file; may be given again: the columns of further heads "
        "begin with their name. Default: track2, with mini: demo (which never learned from "
        "ratings).",
    ),
]
CalibrationOption = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE",
        help="What `hear-aesthetics calibrate` learned of a head's errors; may be given again for "
        "further heads.",
        show_default="that of the run that a head is of",
    ),
]
CoverageOption = Annotated[
    float,
    typer.Option(
        min=0.01, max=0.999, help="Share of ratings that the intervals of calibrated heads hold."
    ),
]
SongsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Audio or .npy files, folders, globs, .txt or .jsonl lists, .parquet or .tar files, "
        "URLs (s3://, hf://), or - for standard input."
    ),
]
LoudnessOption = Annotated[
    float | None,
    typer.Option(
        metavar="LUFS",
        callback=_loudness_in_range,
        help="Bring every clip to this loudness before it is scored, such as -14. The column "
        "loudness_lufs keeps what was measured (BS.1770, all channels, the file's own rate).",
    ),
]
OutOption = Annotated[
    Path | None,
    typer.Option(
        help="FILE.csv, .jsonl, .json or .scp, or a folder for Parquet shards; default: stdout."
    ),
]
FormatOption = Annotated[
    Literal["ear-hear", "songeval"] | None,
    typer.Option(
        "--format",
        help="JSON of a released program: ear-hear, the object of EAR_HEAR's inference.py, of "
        "several songs a list of them; songeval, SongEval's result.json. One head alone.",
        show_default="by the suffix of OUT",
    ),
]
TimelineOption = Annotated[
    bool, typer.Option("--timeline", help="Also score 30 s windows, one every 10 s.")
]
ExplainOption = Annotated[
    bool,
    typer.Option(
        "--explain",
        help="Add how scores change without each 10 s, and the attention of the head to it.",
    ),
]
TopOption = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Print the N best, by their mean.")
]
BestOfOption = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Name the best take of each group: takes whose .jsonl rows have one value of this "
        "key, such as prompt; or folder. Beside OUT: OUT.best.csv.",
    ),
]
PlotOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.png",
        help="Draw up to 8 songs (the best with --top, else the first): of one head a radar each, "
        "of several a panel for each head on its own scale; with --timeline their curves.",
    ),
]
PromptOption = Annotated[
    str | None, typer.Option(help="Text of inputs that have none, for scorers that read it.")
]
WindowOption = Annotated[
    Literal["centre", "first", "all"] | None,
    typer.Option(
        help="Which 10 s of a song muq-eval hears; all: every 10 s, and their mean.",
        show_default="centre, as published",
    ),
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Have `hear-aesthetics serve` at this address score, by its model and heads.",
    ),
]
TokenOption = Annotated[
    str, typer.Option(envvar=TOKEN_VARIABLE, show_default=False, help="Token of that server.")
]
