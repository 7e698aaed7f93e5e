"""``songeval train``: a head from stored features, resumable, in one folder."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hear_aesthetics.commands.options import OverwriteOption
from hear_aesthetics.errors import InputError

__all__ = ["DataOption", "FeaturesOption", "RecipeOption", "SetOption", "train"]

DataOption = Annotated[Path, typer.Option("--data", help="Folder that `songeval prepare` wrote.")]
FeaturesOption = Annotated[
    Path, typer.Option("--features", help="Folder that `songeval features` wrote.")
]
RecipeOption = Annotated[
    Literal["default", "published"],
    typer.Option(help="Training recipe: default, or published, as released to the letter."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any field of the training configuration."),
]


def train(
    data: DataOption,
    features: FeaturesOption,
    out: Annotated[Path, typer.Option(help="Folder of the run.")],
    track: Annotated[
        int | None,
        typer.Option(min=1, max=2, help="Track: 1 (Musicality) or 2 (all five). Default: 2."),
    ] = None,
    recipe: RecipeOption = "default",
    config: Annotated[
        Path | None,
        typer.Option(help="JSON of training options, or the config.json of a finished run."),
    ] = None,
    settings: SetOption = None,
    init: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|PATH",
            help="Head whose weights are where training starts: track1, track2, songeval, a file "
            "or a run. Track, features and sizes follow from it.",
        ),
    ] = None,
    model_features: Annotated[
        str | None,
        typer.Option(
            help="Features to train on: fused (aesthetic head), or a state such as muq_06 "
            "(SongEval baseline head)."
        ),
    ] = None,
    head_size: Annotated[
        str | None,
        typer.Option(help="Size of the head: published, small, or such as dim=64,layers=2."),
    ] = None,
    mixup: Annotated[
        bool | None, typer.Option("--mixup/--no-mixup", help="Mix pairs of songs (C-Mixup).")
    ] = None,
    augmented: Annotated[
        bool | None,
        typer.Option("--augmented/--no-augmented", help="Train on augmented versions too."),
    ] = None,
    select_on: Annotated[
        str | None,
        typer.Option(
            metavar="valid|test",
            help="Split that selects the head; test is as released, and its figures optimistic.",
            show_default="valid",
        ),
    ] = None,
    rank_weight: Annotated[
        float | None,
        typer.Option(help="Weight of ListMLE. Default: 0.15 (track 1), 0.05 (track 2)."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Most epochs. Default: 60.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate. Default: 1e-5.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Random seed of the run. Default: 0.")
    ] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train a head on the training songs; report the test songs once, at the end.

    The defaults are the published training with its faults mended; --recipe published is the
    released one: all songs train, and the head is selected on the test songs. The same command goes
    on after an interruption, exactly. OUT is complete where it holds metrics.json.
    On several GPUs: accelerate launch --num_processes 4 -m hear_aesthetics songeval train ...
    """
    from hear_aesthetics.commands.console import print_table
    from hear_aesthetics.compute.processes import is_main_process
    from hear_aesthetics.files import one_line_when_full
    from songeval_task.scoring.head_scorers import load_saved_head
    from songeval_task.training.config import read_config
    from songeval_task.training.run import train_run

    initial = load_saved_head(init) if init else None
    follows = initial.options() if initial else None
    options = {
        "track": None if track is None else f"track{track}",
        "features": model_features,
        "head_size": head_size,
        "mixup": mixup,
        "augmented": augmented,
        "select_on": select_on,
        "rank_weight": rank_weight,
        "epochs": epochs,
        "learning_rate": lr,
        "seed": seed,
    }
    chosen = read_config(config, settings or (), options, recipe, follows)
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; name a folder")
    with one_line_when_full(out):
        metrics = train_run(chosen, data, features, out, init=initial, resume=not overwrite)
    if is_main_process():  # of several processes, one speaks
        figures = metrics["test"]["utterance"]
        heading = f"{figures.pop('count')} test songs"
        names = [heading, *(name.upper() for name in figures["mean"])]
        lines = [
            [name, *(f"{value:.3f}" for value, _, _ in row.values())]
            for name, row in figures.items()
        ]
        print_table(names, lines, left=(heading,))
        typer.echo(
            f"{out}: epoch {metrics['best_epoch']} of {metrics['epochs']}; "
            f"calibration: {metrics['calibration']}",
            err=True,
        )
