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
    from musiceval_task.predictions import ClipPredictions, write_predictions
    from musiceval_task.reports.answer import write_answer
    from musiceval_task.training.inference import apply_head
    from musiceval_task.training.runs import Encoders, check_encoders, load_run

    if out.suffix not in (".parquet", ".pt"):
        raise InputError(f"{out}: predictions are written as .parquet or .pt")
    head = load_run(run)
    clips = read_clips(data, split)
    known = head.provenance
    encoders = Encoders.load(
        model or known["model"],
        text or known["text_encoder"],
        states or run.resolve().parent / "states",
        precision=precision,
        device=device,
    )
    check_encoders(head, encoders)
    predictions = ClipPredictions.of(clips, *apply_head(head, encode_all(clips, encoders)))
    write_predictions(out, predictions)
    typer.echo(f"{out}: {len(predictions)} clips")
    if answer:
        write_answer(answer, predictions)
        typer.echo(f"{answer}: the answer file")
