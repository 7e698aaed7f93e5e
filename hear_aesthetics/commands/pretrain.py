"""``hear-aesthetics pretrain``: an encoder of any size, from rendered audio or one's own."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hear_aesthetics.console import write_json

if TYPE_CHECKING:
    from hear_aesthetics.pretraining.pool import Pool

__all__ = ["pretrain"]

CLIPS_PER_HOUR = 450  # of 8 s


class Source(StrEnum):
    """Which encoder."""

    muq = "muq"
    musicfm = "musicfm"


def pretrain(
    source: Annotated[Source, typer.Option(help="Whose objective: the targets differ.")],
    out: Annotated[Path, typer.Option(help="Model directory; both sources may share it.")],
    audio: Annotated[
        Path | None,
        typer.Option(help="Folder of your recordings; default: rendered audio, free of licences."),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Updates.")] = 30_000,
    batch: Annotated[int, typer.Option(min=1, help="Clips per update.")] = 4,
    seconds: Annotated[float, typer.Option(help="Length of a clip.")] = 2.4,
    learning_rate: Annotated[float, typer.Option(help="Its peak.")] = 1e-3,
    visible_weight: Annotated[
        float, typer.Option(min=0.0, help="Weight of the loss of frames that are not masked.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(min=0, help="Of weights, audio, masks and order.")] = 1,
    size: Annotated[
        str, typer.Option(help="mini, published, or sizes such as dim=256,depth=6.")
    ] = "mini",
    targets: Annotated[
        str, typer.Option(help="Changes to the targets, such as codebooks=8,codes=1024.")
    ] = "",
    pool: Annotated[
        Path | None, typer.Option(help="Where the audio is kept.", show_default="OUT/pool")
    ] = None,
    pool_hours: Annotated[float, typer.Option(help="Most hours of audio in the pool.")] = 4.0,
    evaluate_every: Annotated[int, typer.Option(min=1, help="Updates between rows of the log.")] = (
        1000
    ),
    save_every: Annotated[int, typer.Option(min=1, help="Updates between checkpoints.")] = 500,
    snapshot_every: Annotated[
        int, typer.Option(min=0, help="Updates between models kept in OUT/snapshots; 0: none.")
    ] = 0,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    device: Annotated[
        str | None, typer.Option(help="Such as cuda.", show_default="a GPU if there is one")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--overwrite", help="Go on with OUT, or start over.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")] = False,
) -> None:
    """Pretrain an encoder by masked prediction, as MuQ and MusicFM were.

    The same command goes on after an interruption, and the same seed gives the same weights on the
    same machine. OUT then loads like any model: `hear-aesthetics embed SONG --model OUT`.
    """
    from hear_aesthetics.compute.precision import usable_device
    from hear_aesthetics.pretraining.config import PretrainConfig
    from hear_aesthetics.pretraining.sizes import encoder_sizes, target_sizes
    from hear_aesthetics.pretraining.training import pretrain as run

    config = PretrainConfig(
        source=source.value,
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
    place = str(usable_device(device))
    with _Bar() as bar:
        folder, most = pool or out / "pool", round(pool_hours * CLIPS_PER_HOUR)
        clips = _pool(folder, audio, seed, most, bar, overwrite=not resume)
        metrics = run(config, clips, out, device=place, resume=resume, progress=bar.show)
    if as_json:
        write_json(metrics)
        return
    typer.echo(
        f"{out / source.value}: {metrics['step']} steps, {metrics['hours_of_audio']:.2f} h of "
        f"audio; held-out accuracy {metrics['accuracy']:.4f}, {metrics['ratio']:.2f} times the "
        f"most frequent code's share; {metrics['steps_per_second']:.2f} steps/s"
    )


def _pool(
    folder: Path, audio: Path | None, seed: int, clips: int, bar: "_Bar", *, overwrite: bool
) -> "Pool":
    from hear_aesthetics.pretraining.pool import folder_pool, synthetic_pool

    def progress(done: int, total: int) -> None:
        bar.show("audio", done, total)

    if audio is None:
        return synthetic_pool(folder, seed, clips, progress, overwrite=overwrite)
    return folder_pool(folder, audio, seed, clips, progress, overwrite=overwrite)


class _Bar:
    """A progress bar on a terminal; silence elsewhere."""

    def __enter__(self) -> "_Bar":
        import sys

        self._bar = _make_bar() if sys.stderr.isatty() else None
        if self._bar:
            self._bar.start()
            self._bar.add_task("")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def show(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if self._bar:
            task = self._bar.task_ids[0]
            self._bar.update(task, description=stage, completed=done, total=total)


def _make_bar() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Rest

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rest()
    return Progress(*columns, console=Console(stderr=True), transient=True)
