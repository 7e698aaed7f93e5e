"""``songeval evaluate``: figures with intervals, answer files and a report of predictions."""

from pathlib import Path
from typing import Annotated

import typer

from hear_aesthetics.commands.options import JsonOption
from hear_aesthetics.errors import InputError

__all__ = ["evaluate"]


def evaluate(
    predictions: Annotated[
        Path, typer.Argument(help="A run of `songeval train`, or scores: .csv or .scp.")
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report. Default: RUN/evaluation.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of `songeval prepare`, with the ratings that scores need."),
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another run or scores file, for the paired difference.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split to evaluate: test or valid.")] = "test",
    systems: Annotated[
        Path | None, typer.Option(help="CSV of name,system: which generator made a song.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure predictions by the protocol: LCC, SRCC, KTAU and TTA with intervals.

    Writes predictions.csv, an answer file (.scp) per level, metrics.json and report.md with its
    pictures.
    """
    from hear_aesthetics.commands.console import write_json
    from songeval_task.reports.read_predictions import read_predictions
    from songeval_task.reports.report import write_report

    if out is None and not predictions.is_dir():
        raise InputError(f"{predictions}: name a folder for the report with --out")
    folder = out or predictions / "evaluation"
    found = read_predictions(predictions, data, split=split, systems=systems)
    other = read_predictions(against, data, split=split, systems=systems) if against else None
    figures = write_report(folder, found, other)
    if as_json:
        write_json(figures)
    else:
        typer.echo(f"{folder / 'report.md'}: {len(found.predictions.songs)} songs", err=True)
