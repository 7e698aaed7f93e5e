"""``songeval synthesize``: a rated set of synthetic songs."""

import re
import time
from pathlib import Path
from typing import Annotated

import typer

from hear_aesthetics.commands.console import Report
from hear_aesthetics.commands.options import OverwriteOption
from hear_aesthetics.errors import InputError

__all__ = ["synthesize"]


def synthesize(
    out: Annotated[Path, typer.Argument(help="Folder for mp3/ and metadata.jsonl.")],
    songs: Annotated[int, typer.Option(help="Number of songs.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of every song and rating.")] = 0,
    seconds: Annotated[str, typer.Option(help="Duration, or shortest-longest.")] = "60-180",
    systems: Annotated[int, typer.Option(help="Number of generators to compare.")] = 10,
    workers: Annotated[int, typer.Option(min=1, help="Number of processes that render.")] = 2,
    overwrite: OverwriteOption = False,
) -> None:
    """Compose and render songs with simulated ratings: a test and demo set, nothing more.

    The layout is SongEval's. The same command goes on after an interruption.
    """
    from hear_aesthetics.files import one_line_when_full
    from hear_aesthetics.synthesis.folder import begin_set
    from songeval_task.data.synthetic import SongSetConfig, finish_set, plan, render_songs

    config = SongSetConfig(songs, seed, *_span(seconds), systems)
    planned = plan(config)
    started, rendered = time.monotonic(), 0.0
    with one_line_when_full(out), Report(songs, "ready", "song") as report:
        begin_set(out, config, overwrite=overwrite)
        report.done(sum((out / song.name).is_file() for song in planned))
        for song in render_songs(planned, out, workers):
            rendered += song.seconds
            report.done()
        finish_set(out, config, planned)
    if rendered:
        took = time.monotonic() - started
        speed = f"{rendered / took:.0f} x real time"
        typer.echo(f"rendered {rendered / 3600:.2f} h of audio in {took:.0f} s: {speed}", err=True)
    typer.echo(f"{out}: a test and demo set; its ratings are simulated", err=True)


def _span(text: str) -> tuple[float, float]:
    """Shortest and longest of ``60-180``, or of ``90``."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    if not found:
        raise InputError(f"--seconds {text}: write two numbers, such as 60-180")
    return float(found[1]), float(found[2] or found[1])
