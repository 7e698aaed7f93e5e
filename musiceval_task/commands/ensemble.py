"""``musiceval ensemble``: predictions of several runs combined into one."""

from pathlib import Path
from typing import Annotated

import typer

from hear_aesthetics.errors import InputError

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
            help="scores: mean of scores; distributions: mean of distributions; ridge: the "
            "released stacking, fitted on the inner split."
        ),
    ] = "distributions",
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

    combined = combine([read_predictions(run) for run in runs], method)  # type: ignore[arg-type]
    answered = combined.of_split(split)
    if not len(answered):
        known = ", ".join(dict.fromkeys(combined.splits))
        raise InputError(f"no clips of {split!r} among the predictions; they are of {known}")
    write_predictions(out / FILE_NAME, combined)
    write_metrics(out, combined)
    answer = answer or out / "answer.txt"
    write_answer(answer, answered)
    typer.echo(f"{out}: {len(runs)} runs, by {method}")
    typer.echo(f"{answer}: the answer file, {len(answered)} clips of {split}")
