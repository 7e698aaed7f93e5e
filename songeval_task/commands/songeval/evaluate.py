"""``songeval evaluate``: figures with intervals, answer files and a report of predictions."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hear_aesthetics.commands.options import JsonOption
from hear_aesthetics.errors import InputError

if TYPE_CHECKING:
    from songeval_task.reports.read_predictions import NamedPredictions

__all__ = ["evaluate"]


def evaluate(
    predictions: Annotated[
        Path | None, typer.Argument(help="A run of `songeval train`, or scores: .csv or .scp.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the report. Default: RUN/evaluation.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of `songeval prepare`, with the ratings that scores need. A run has its "
            "own, which is found where it was."
        ),
    ] = None,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Head to score the songs with, from --features, instead of PREDICTIONS.",
        ),
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Folder of `songeval features`, for --head.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(help="Another run or scores file, for the paired difference.")
    ] = None,
    split: Annotated[Literal["test", "valid"], typer.Option(help="Split to evaluate.")] = "test",
    systems: Annotated[
        Path | None, typer.Option(help="CSV of name,system: which generator made a song.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure predictions by the protocol: LCC, SRCC, KTAU and TTA with intervals.

    Where single ratings are known, the agreement of raters with each other stands beside them.

    Writes predictions.csv, an answer file (.scp) per level, metrics.json and report.md with its
    pictures.
    """
    from hear_aesthetics.commands.console import write_json
    from songeval_task.reports.rater_agreement import ratings_of
    from songeval_task.reports.read_predictions import prepared_of, read_predictions
    from songeval_task.reports.report import write_report

    if (predictions is None) == (head is None) or (features and not head):
        raise InputError("name either PREDICTIONS, or a head with --head, --features and --data")
    if out is None and not (predictions and predictions.is_dir()):
        raise InputError(f"{predictions or head}: name a folder for the report with --out")
    folder = out or (predictions or Path()) / "evaluation"
    if predictions:
        found = read_predictions(predictions, data, split=split, systems=systems)
    else:
        found = _of_head(str(head), data, features, split, systems)
    other = read_predictions(against, data, split=split, systems=systems) if against else None
    known = data or (prepared_of(predictions) if predictions else None)
    ratings = ratings_of(known, found.predictions.songs, found.predictions.track)
    if isinstance(ratings, str):
        typer.echo(f"without the agreement of raters: {ratings}", err=True)
    figures = write_report(folder, found, other, None if isinstance(ratings, str) else ratings)
    if as_json:
        write_json(figures)
    else:
        typer.echo(f"{folder / 'report.md'}: {len(found.predictions.songs)} songs", err=True)


def _of_head(
    head: str, data: Path | None, features: Path | None, split: str, systems: Path | None
) -> "NamedPredictions":
    from songeval_task.reports.head_predictions import predict_split
    from songeval_task.reports.read_predictions import with_systems

    if data is None or features is None:
        raise InputError(f"{head}: a head needs features and ratings; name --features and --data")
    return with_systems(predict_split(head, data, features, split=split), systems)
