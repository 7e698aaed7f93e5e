"""``songeval ablation``: the eight rows of the paper's table, over seeds."""

from pathlib import Path
from typing import Annotated

import typer

from hear_aesthetics.commands.options import OverwriteOption
from songeval_task.commands.songeval.train import (
    DataOption,
    FeaturesOption,
    RecipeOption,
    SetOption,
)

__all__ = ["ablation"]


def ablation(
    data: DataOption,
    features: FeaturesOption,
    out: Annotated[Path, typer.Option(help="Folder of the table and of all runs.")],
    track: Annotated[
        list[int] | None, typer.Option(min=1, max=2, help="Track, 1 or 2; default: both.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of runs per row.")] = 3,
    baseline_features: Annotated[
        str, typer.Option(help="Hidden state that the rows without MMR read.")
    ] = "muq_06",
    recipe: RecipeOption = "default",
    config: Annotated[Path | None, typer.Option(help="JSON of training options.")] = None,
    settings: SetOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Train the rows of the ablation and write their table beside the published figures.

    The same command goes on after an interruption; runs that are finished are kept.
    """
    from songeval_task.reports.ablation import run_ablation
    from songeval_task.training.config import read_config

    run_ablation(
        read_config(config, settings or (), {}, recipe),
        data,
        features,
        out,
        tracks=[f"track{number}" for number in track or (1, 2)],
        seeds=seeds,
        state=baseline_features,
        resume=not overwrite,
    )
    typer.echo(f"{out / 'ablation.md'}: {seeds} seeds", err=True)
