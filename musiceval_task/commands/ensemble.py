"""``musiceval ensemble``: predictions of several runs combined into one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hear_aesthetics.errors import InputError

if TYPE_CHECKING:
    from musiceval_task.predictions import ClipPredictions

__all__ = ["ensemble"]


def ensemble(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, .parquet or .pt files with predictions.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for predictions and metrics.")] = Path(
        "runs/musiceval/ensemble"
    ),
    method: Annotated[
        str,
        typer.Option(
            help="scores: mean of scores; distributions: mean of distributions; ridge: stacking, "
            "fitted on the inner split; released: stacking, fitted on the dev list."
        ),
    ] = "distributions",
    regressor: Annotated[
        str, typer.Option(help="Regressor of --method released: ridge or lightgbm.")
    ] = "ridge",
    dev: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Predictions of a run for the dev list, where its own have none; once per run, in "
            "their order.",
        ),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(metavar="DATA", help="Data with the true scores of --dev.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="List of the answer file: train, dev or test.")
    ] = "test",
    answer: Annotated[
        Path | None, typer.Option(help="Answer file.", show_default="answer.txt, in OUT")
    ] = None,
) -> None:
    """Combine the predictions of runs, and write the answer file."""
    from musiceval_task.predictions import FILE_NAME, read_predictions, write_predictions
    from musiceval_task.reports.answer import write_answer
    from musiceval_task.reports.ensemble import combine
    from musiceval_task.training.runs import write_metrics

    found = [read_predictions(run) for run in runs]
    if dev:
        found = _with_dev(found, dev, truth)
    combined = combine(found, method, regressor)  # type: ignore[arg-type]
    answered = combined.of_split(split)
    if not len(answered):
        known = ", ".join(dict.fromkeys(combined.splits))
        raise InputError(f"no clips of {split!r} among the predictions; they are of {known}")
    write_predictions(out / FILE_NAME, combined)
    write_metrics(out, combined)
    answer = answer or out / "answer.txt"
    write_answer(answer, answered)
    typer.echo(f"{out}: {len(runs)} runs, by {method}")
    if method == "released":
        typer.echo(
            f"{regressor} fitted on the dev list, as released: its dev figures are optimistic"
        )
    typer.echo(f"{answer}: the answer file, {len(answered)} clips of {split}")


def _with_dev(
    found: "list[ClipPredictions]", dev: list[Path], truth: Path | None
) -> "list[ClipPredictions]":
    """Return the runs with what they predict for the dev list, and its true scores."""
    from musiceval_task.data.dataset import read_clips
    from musiceval_task.predictions import read_predictions

    if truth is None or len(dev) != len(found):
        raise InputError(
            f"--dev: {len(dev)} files for {len(found)} runs; give one for each, and --truth DATA"
        )
    clips = read_clips(truth, ["dev"])
    parts = [read_predictions(file).with_truth(clips, str(file)) for file in dev]
    names = {clip.name for clip in clips}
    if names & {name for run in found for name in run.clips}:
        raise InputError("--dev: the runs predict clips of the dev list themselves; leave it out")
    return [part.joined(run) for part, run in zip(parts, found, strict=True)]
