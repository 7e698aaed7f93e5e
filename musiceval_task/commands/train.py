"""``musiceval train``: training of ensemble members, each in a run folder of its own."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hear_aesthetics.commands.console import Report
from hear_aesthetics.commands.options import (
    DeviceOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
)
from hear_aesthetics.errors import InputError
from musiceval_task.commands.options import DataArgument, StatesOption, encode_all

if TYPE_CHECKING:
    from musiceval_task.training.loop import Epoch

__all__ = ["train"]


def train(
    data: DataArgument,
    out: Annotated[Path, typer.Option(help="Folder for the run folders.")] = Path("runs/musiceval"),
    member: Annotated[
        list[str] | None,
        typer.Option(
            help="Member to train, repeatable: gaussian-1984, gaussian-1990, gaussian-1910, "
            "gaussian-1510, one-hot, coral, decoupled-lstm or decoupled.",
            show_default="gaussian-1984",
        ),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Train all eight members.")] = False,
    model: ModelOption = "large",
    text: Annotated[
        str, typer.Option(metavar="roberta-base|DIR", help="Text encoder.")
    ] = "roberta-base",
    states: StatesOption = None,
    epochs: Annotated[int, typer.Option(min=1, help="Maximum number of epochs.")] = 100,
    patience: Annotated[int, typer.Option(min=1, help="Epochs without progress to stop at.")] = 15,
    batch_size: Annotated[int, typer.Option(min=1, help="Clips per batch.")] = 32,
    micro_batch: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Clips computed at once; processes share the micro-batches of a batch.",
            show_default="--batch-size",
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--lr", help="Learning rate of AdamW.", show_default="5e-5 at width 1024, more below"
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="Training recipe: corrected, or published: the released code to the letter "
            "(docs/explanation/recipes.md), which selects on dev."
        ),
    ] = "corrected",
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train members of the ensemble on frozen hidden states, which are computed once and kept.

    OUT/MEMBER gets weights, model card, configuration, log, metrics, and predictions for all lists.
    The best epoch is selected on the inner split, a share of the train list that is held back from
    training; dev and test are only reported. A finished member is kept. `--recipe published` trains
    on all of the train list and keeps three checkpoints, selected on dev: OUT/MEMBER, and loss and
    system-srcc in it. On two GPUs: accelerate launch --num_processes 2 -m hear_aesthetics
    musiceval train DATA --micro-batch 16 ...
    """
    from hear_aesthetics.compute.processes import joined_processes
    from hear_aesthetics.files import one_line_when_full
    from musiceval_task.data.dataset import read_clips
    from musiceval_task.training.loop import TrainingConfig
    from musiceval_task.training.members import MEMBERS
    from musiceval_task.training.recipes import divide
    from musiceval_task.training.runs import Encoders, train_run

    if every and member:
        raise InputError("--all trains every member; leave --member out")
    names = list(MEMBERS) if every else list(dict.fromkeys(member or [next(iter(MEMBERS))]))
    if unknown := [name for name in names if name not in MEMBERS]:
        raise InputError(f"unknown member {unknown[0]!r}; choose one of: {', '.join(MEMBERS)}")
    config = TrainingConfig(
        epochs=epochs,
        patience=patience,
        batch_size=batch_size,
        micro_batch=micro_batch,
        learning_rate=learning_rate,
        recipe=recipe,  # type: ignore[arg-type]
    )
    clips = read_clips(data)
    divide(clips, config)  # says what is wrong before hours of encoding
    with joined_processes(device) as processes, one_line_when_full(out):
        config.check_share(processes)
        with processes.main_first():
            encoders = Encoders.load(
                model,
                text,
                states or out / "states",
                precision=precision,
                device=str(processes.device),
                released=recipe == "published",
            )
        examples = encode_all(clips, encoders, processes)
        for name in names:
            run = partial(
                train_run,
                out / name,
                MEMBERS[name],
                config,
                clips,
                examples,
                encoders,
                overwrite=overwrite,
                processes=processes,
            )
            if not processes.is_main:
                run()
                continue
            seen: list[Epoch] = []
            with Report(epochs, f"of {name} trained", "epoch") as report:
                run(on_epoch=partial(_record, seen, report))
            typer.echo(f"{out / name}: {_best(seen)}")


def _record(seen: "list[Epoch]", report: Report, epoch: "Epoch") -> None:
    seen.append(epoch)
    report.done()


def _best(seen: "list[Epoch]") -> str:
    """Return the epoch whose weights are kept, in words."""
    if not seen:
        return "finished before"
    return f"best {max(seen, key=lambda epoch: epoch.rank)}"
