"""``songeval hear-task``: the songs as a task for any HEAR module."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hear_aesthetics.commands.console import Report
from hear_aesthetics.commands.options import OverwriteOption

__all__ = ["hear_task"]


def hear_task(
    prepared: Annotated[Path, typer.Argument(help="Folder of `songeval prepare`.")],
    out: Annotated[Path, typer.Option(help="Folder of HEAR task folders.")],
    track: Annotated[
        Literal["1", "2"], typer.Option(help="Track: 1 (Musicality) or 2 (all five dimensions).")
    ] = "2",
    overwrite: OverwriteOption = False,
) -> None:
    """Write a HEAR regression task: 48 kHz FLAC, splits, mean ratings as labels.

    heareval's embeddings runner takes it, and `hear-aesthetics evaluate`. The same command goes on
    after an interruption. Exit codes: 0 all good, 1 nothing worked, 2 wrong usage, 3 some songs
    failed.
    """
    from hear_aesthetics.files import one_line_when_full
    from songeval_task.data.hear_task import task_folder, write_task
    from songeval_task.data.prepared import read_prepared
    from songeval_task.dimensions import TRACKS

    songs, chosen = read_prepared(prepared), TRACKS[f"track{track}"]
    with one_line_when_full(out), Report(len(songs.songs), "written", "song") as report:
        for _, error in write_task(songs, out, chosen, overwrite=overwrite):
            report.fail(error) if error else report.done()
    typer.echo(task_folder(out, chosen))
    raise typer.Exit(report.exit_code)
