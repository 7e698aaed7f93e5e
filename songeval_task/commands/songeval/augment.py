"""``songeval augment``: augmented versions of the songs that train, as files."""

from pathlib import Path
from typing import Annotated

import typer

from hear_aesthetics.commands.console import Report
from hear_aesthetics.commands.options import OverwriteOption, WorkersOption
from songeval_task.commands.songeval.features import VersionsOption, warn_if_published

__all__ = ["augment"]


def augment(
    prepared: Annotated[Path, typer.Argument(help="Folder of `songeval prepare`.")],
    out: Annotated[Path, typer.Option(help="Folder for FLAC files and augmentations.jsonl.")],
    augmentations: Annotated[
        int, typer.Option(min=1, help="Number of augmented versions of each training song.")
    ] = 3,
    seed: Annotated[
        int, typer.Option(min=0, help="Random seed; it decides, with song and version, every draw.")
    ] = 0,
    versions: VersionsOption = "all",
    workers: WorkersOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Write augmented versions of the training songs, 24 kHz FLAC, and what was done to each.

    `songeval features --augmented OUT` takes them; without it, it makes the same versions by itself
    and keeps no audio. The same command goes on after an interruption. Exit codes: 0 all good,
    1 nothing worked, 2 wrong usage, 3 some songs failed.
    """
    from hear_aesthetics.engine.workers import default_workers
    from hear_aesthetics.files import one_line_when_full
    from songeval_task.data.prepared import read_prepared
    from songeval_task.features.augmented_files import make_augmented, plan_versions

    planned = plan_versions(read_prepared(prepared), augmentations, versions, seed)
    wanted = [version for version in planned if not version.made]
    warn_if_published(versions)
    made = make_augmented(wanted, out, workers or default_workers(), overwrite=overwrite)
    with one_line_when_full(out), Report(len(wanted), "written") as report:
        for _, error in made:
            report.fail(error) if error else report.done()
    raise typer.Exit(report.exit_code)
