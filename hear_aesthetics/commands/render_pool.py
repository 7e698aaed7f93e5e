"""``hear-aesthetics render-pool``: training audio of which every note and phoneme is known."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["render_pool"]


def render_pool(
    out: Annotated[Path, typer.Argument(help="Folder of the pool.")],
    hours: Annotated[float, typer.Option(min=0.0, help="Length of all clips in hours.")] = 16.0,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 1,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that render.", show_default="one per core, at most 8"),
    ] = None,
    fluid: Annotated[
        Path | None,
        typer.Option(help="FluidR3 GM, a sound font.", show_default="fluid-soundfont-gm's"),
    ] = None,
    musescore: Annotated[
        Path | None,
        typer.Option(
            help="MuseScore General, a sound font.",
            show_default="musescore-general-soundfont-small's",
        ),
    ] = None,
    sonic_pi: Annotated[
        Path | None,
        typer.Option(help="Folder of Sonic Pi's samples.", show_default="sonic-pi-samples'"),
    ] = None,
) -> None:
    """Render audio with labels, for `hear-aesthetics pretrain --objective multitask`.

    Notes, bands and percussion of sound fonts, speech of espeak-ng, samples and noise. The same
    command goes on with a pool that is not finished, and the same seed gives the same pool.
    """
    from hear_aesthetics.engine.progress import ProgressBar
    from hear_aesthetics.engine.workers import MAX_WORKERS, usable_cores
    from hear_aesthetics.pretraining.rendered.rendering import render_pool as render

    given = {"fluid": fluid, "musescore": musescore, "sonic_pi": sonic_pi}
    with ProgressBar("audio") as bar:
        pool = render(
            out,
            hours=hours,
            seed=seed,
            paths={name: path for name, path in given.items() if path},
            workers=workers or min(usable_cores(), MAX_WORKERS),
            progress=bar.stage("chunks"),
        )
    typer.echo(f"{out}: {len(pool)} clips, {pool.held_out} of them held out")
