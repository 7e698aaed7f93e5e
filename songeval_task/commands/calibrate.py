"""``hear-aesthetics calibrate``: what rated songs tell about the errors of a head."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hear_aesthetics.commands.console import ExitCode, Report, print_table, warning_line
from hear_aesthetics.commands.options import (
    DeviceOption,
    MaxMinutesOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
)
from hear_aesthetics.errors import InputError
from hear_aesthetics.spec import MAX_MINUTES
from songeval_task.commands.score_options import HeadOption
from songeval_task.commands.scorers import load_aesthetic_scorer

if TYPE_CHECKING:
    from songeval_task.uncertainty.calibration import Calibration

__all__ = ["calibrate"]


def calibrate(
    ratings: Annotated[
        Path,
        typer.Argument(
            metavar="RATINGS.csv",
            help="Columns path (relative to the table), one per dimension, and perhaps system.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="File of the calibration, such as HEAD.json.")],
    head: HeadOption = None,
    model: ModelOption = "large",
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    max_minutes: MaxMinutesOption = MAX_MINUTES,
    overwrite: OverwriteOption = False,
) -> None:
    """Learn how far off a head is, from 50 or more rated songs that neither trained nor chose it.

    `score --calibration OUT` then gives intervals. The same command goes on after an interruption.
    Exit codes: 0 all good, 1 nothing worked, 2 wrong usage, 3 some songs were left out.
    """
    from hear_aesthetics.fingerprint import digest
    from songeval_task.scoring.calibrate import (
        calibration_of,
        pool_rated_songs,
        read_ratings,
    )
    from songeval_task.scoring.outputs.journal import Journal, journal_path

    if out.is_dir() or not out.parent.is_dir():
        raise InputError(f"{out}: --out names a file, in a folder that exists")
    scorer = load_aesthetic_scorer(head, model, precision=precision, device=device)
    if len(scorer.scorer_set.scorers) != 1 or not scorer.scorer_set.heads:
        raise InputError("a calibration is of one head that reads features; name one with --head")
    (chosen,) = scorer.scorer_set.heads.values()
    songs, unrated = read_ratings(ratings, chosen)
    if out.is_file() and not overwrite:
        raise InputError(f"{out}: is there already; take another --out, or --overwrite")
    made = {
        "pooled": digest(chosen.calibrated_for(scorer.model)),
        "precision": str(scorer.required_model.precision),
    }
    rated, pooled = [], []
    with (
        Journal(out.with_name(f"{out.name}.songs"), made, overwrite=overwrite) as journal,
        Report(len(songs) + len(unrated), "heard") as report,
    ):
        for line in unrated:
            report.fail(line)
        for song, vector, error in pool_rated_songs(scorer, chosen, songs, journal, max_minutes):
            if vector is None:
                report.fail(error or "")
                continue
            rated.append(song)
            pooled.append(vector)
            report.done()
    found = calibration_of(scorer, chosen, rated, pooled, ratings)
    found.write(out)
    journal_path(out.with_name(f"{out.name}.songs")).unlink()
    _show(found, out)
    raise typer.Exit(ExitCode.PARTIAL if report.failed else ExitCode.OK)


def _show(calibration: "Calibration", out: Path) -> None:
    """Show the half width of the intervals beside the spread of the ratings."""
    import numpy as np

    from songeval_task.uncertainty.calibration import COVERAGE

    low, high = calibration.intervals(calibration.preds, calibration.distance)
    half = (high - low).mean(axis=0) / 2
    bias = calibration.errors.mean(axis=0)
    spread = calibration.target.std(axis=0, ddof=1)
    cells = [
        [name, f"{b:+.2f}", f"{h:.2f}" if np.isfinite(h) else "-", f"{s:.2f}"]
        for name, b, h, s in zip(calibration.columns, bias, half, spread, strict=True)
    ]
    heading = ["", "rated - scored", f"{COVERAGE:.0%} interval, +-", "spread of ratings"]
    print_table(heading, cells, left=("",))
    if not np.isfinite(half).all():
        warning_line(f"{out}: too few songs for intervals of {COVERAGE:.0%}")
    typer.echo(f"{out}: {len(calibration.preds)} songs", err=True)
