"""Option types that several commands share."""

from typing import Annotated, Literal

import typer

__all__ = [
    "DeviceOption",
    "InputsArgument",
    "JsonOption",
    "MaxMinutesOption",
    "ModelOption",
    "OverwriteOption",
    "PrecisionOption",
    "ShardOption",
    "WorkersOption",
]

InputsArgument = Annotated[
    list[str],
    typer.Argument(
        help="Audio files, folders, globs, .txt or .jsonl lists, .parquet or .tar files, URLs "
        "(s3://, hf://), or - for standard input."
    ),
]
ModelOption = Annotated[
    str, typer.Option("--model", metavar="large|mini|DIR", help="Model by name, or its directory.")
]
PrecisionOption = Annotated[
    Literal["auto", "float32", "bfloat16"],
    typer.Option(help="Number format of matrix products; auto: bfloat16 where it is faster."),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(help="Device to run on: cpu, cuda or cuda:N.", show_default="a GPU if any"),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite/--resume", help="Start over, or keep what is there and go on.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the results as JSON.")]
MaxMinutesOption = Annotated[
    float, typer.Option(min=0.001, help="Longest file or span to load, in minutes.")
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Part of the inputs to take, such as 2/3: which one a song is in follows from its key "
        "alone, so that lists may grow.",
        show_default="all",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(min=1, help="Number of worker processes.", show_default="half of the cores"),
]
