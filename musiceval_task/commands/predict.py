"""``musiceval predict``: predictions of a trained run for other clips."""

from pathlib import Path
from typing import Annotated

import typer

from hear_aesthetics.commands.options import DeviceOption, PrecisionOption
from hear_aesthetics.errors import InputError
from musiceval_task.commands.options import DataArgument, StatesOption, encode_all

__all__ = ["predict"]


def predict(
    run: Annotated[Path, typer.Argument(help="Run folder of `musiceval train`.")],
    data: DataArgument,
    out: Annotated[
        Path, typer.Option(help="Output: FILE.parquet, or FILE.pt in the released format.")
    ] = Path("predictions.parquet"),
    split: Annotated[
        list[str] | None,
        typer.Option(help="List to predict; repeatable.", show_default="all there are"),
    ] = None,
    answer: Annotated[Path | None, typer.Option(help="Answer file to write as well.")] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="large|mini|DIR", help="Model of MuQ.", show_default="as in training"),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            metavar="roberta-base|DIR", help="Text encoder.", show_default="as in training"
        ),
    ] = None,
    states: StatesOption = None,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
) -> None:
    """Predict scores and distributions of clips with prompts."""
    from musiceval_task.data.dataset import read_clips
    from musiceval_task.predictions import write_predictions
    from musiceval_task.reports.answer import write_answer
    from musiceval_task.training.inference import is_released, predict_clips
    from musiceval_task.training.runs import Encoders, check_encoders, load_run

    if out.suffix not in (".parquet", ".pt"):
        raise InputError(f"{out}: predictions are written as .parquet or .pt")
    head = load_run(run)
    clips = read_clips(data, split)
    known = head.provenance
    encoders = Encoders.load(
        model or known["model"],
        text or known["text_encoder"],
        states or _states_of(run),
        precision=precision,
        device=device,
        released=is_released(head),
    )
    check_encoders(head, encoders)
    predictions = predict_clips(head, clips, encode_all(clips, encoders))
    write_predictions(out, predictions)
    typer.echo(f"{out}: {len(predictions)} clips")
    if answer:
        write_answer(answer, predictions)
        typer.echo(f"{answer}: the answer file")


def _states_of(run: Path) -> Path:
    """Return the folder of states beside a run, or beside the run that a checkpoint is part of."""
    run = run.resolve()
    whole = run.parent if (run.parent / "run.json").is_file() else run
    return whole.parent / "states"
