"""``hear-aesthetics pretrain``: an encoder of any size, from rendered audio or recordings."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hear_aesthetics.commands.console import write_json
from hear_aesthetics.commands.options import (
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
)

__all__ = ["pretrain"]

CLIPS_PER_HOUR = 450  # of 8 s


def pretrain(
    source: Annotated[
        Literal["muq", "musicfm"],
        typer.Option(help="Objective to train with: MuQ's or MusicFM's targets."),
    ],
    out: Annotated[Path, typer.Option(help="Model directory; both encoders may share it.")],
    audio: Annotated[
        Path | None, typer.Option(help="Folder of recordings.", show_default="rendered audio")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Number of updates.")] = 30_000,
    batch: Annotated[int, typer.Option(min=1, help="Clips per update.")] = 4,
    seconds: Annotated[float, typer.Option(min=0.0, help="Length of a clip in seconds.")] = 2.4,
    learning_rate: Annotated[float, typer.Option(min=0.0, help="Peak learning rate.")] = 1e-3,
    visible_weight: Annotated[
        float, typer.Option(min=0.0, help="Weight of the loss of visible frames.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 1,
    size: Annotated[
        str, typer.Option(help="Encoder size: mini, published, or sizes such as dim=256,depth=6.")
    ] = "mini",
    targets: Annotated[
        str, typer.Option(help="Sizes of the targets, such as codebooks=8,codes=1024.")
    ] = "",
    pool: Annotated[
        Path | None, typer.Option(help="Folder of the training audio.", show_default="OUT/pool")
    ] = None,
    pool_hours: Annotated[
        float, typer.Option(min=0.0, help="Maximum hours of audio in the pool.")
    ] = 4.0,
    evaluate_every: Annotated[int, typer.Option(min=1, help="Updates between evaluations.")] = (
        1000
    ),
    save_every: Annotated[int, typer.Option(min=1, help="Updates between checkpoints.")] = 500,
    snapshot_every: Annotated[
        int, typer.Option(min=0, help="Updates between models written to OUT/snapshots; 0: none.")
    ] = 0,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Pretrain an encoder by masked prediction, as MuQ and MusicFM were.

    The same command resumes an interrupted run, and the same seed gives the same weights on the
    same machine. OUT then loads like any model: `hear-aesthetics embed SONG --model OUT`.
    """
    from hear_aesthetics.compute.precision import usable_device
    from hear_aesthetics.engine.progress import ProgressBar
    from hear_aesthetics.pretraining.config import PretrainingConfig, encoder_sizes, target_sizes
    from hear_aesthetics.pretraining.data.pool import open_pool
    from hear_aesthetics.pretraining.training import pretrain as run

    config = PretrainingConfig(
        source=source,
        seed=seed,
        steps=steps,
        batch=batch,
        seconds=seconds,
        learning_rate=learning_rate,
        visible_weight=visible_weight,
        precision=precision,
        evaluate_every=evaluate_every,
        save_every=save_every,
        snapshot_every=snapshot_every,
        targets=target_sizes(targets),
        encoder=encoder_sizes(size),
    )
    chosen = usable_device(device)  # before the pool is made, which may take long
    folder, most = pool or out / "pool", round(pool_hours * CLIPS_PER_HOUR)
    with ProgressBar(source) as bar:
        clips = open_pool(folder, audio, seed, most, bar.stage("audio"), overwrite=overwrite)
        metrics = run(
            config,
            clips,
            out,
            device=chosen,
            resume=not overwrite,
            progress=lambda name, done, total: bar.stage(name)(done, total),
        )
    if as_json:
        write_json(metrics)
        return
    typer.echo(
        f"{out / source}: {metrics['step']} steps, {metrics['hours_of_audio']:.2f} h of "
        f"audio; held-out accuracy {metrics['accuracy']:.4f}, {metrics['lift']:.2f} times the "
        f"most frequent code's share; {metrics['steps_per_second']:.2f} steps/s"
    )
