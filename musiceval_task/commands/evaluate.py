"""``musiceval evaluate``: metrics of agreement with the listeners, with intervals and plots."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hear_aesthetics.commands.options import JsonOption
from hear_aesthetics.errors import InputError

if TYPE_CHECKING:
    from musiceval_task.predictions import ClipPredictions
    from musiceval_task.protocol import Measures

__all__ = ["evaluate"]


def evaluate(
    runs: Annotated[
        list[Path], typer.Argument(help="Run folders, .parquet or .pt files with predictions.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for report.md, plots and JSON.")] = Path(
        "runs/musiceval/report"
    ),
    split: Annotated[str, typer.Option(help="List to evaluate on: train, dev or test.")] = "test",
    truth: Annotated[
        Path | None,
        typer.Option(metavar="DATA", help="Data with the true scores, for files without them."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compute MSE, LCC, SRCC and KTAU over clips and systems, with 95 % intervals."""
    from hear_aesthetics.commands.console import write_json
    from musiceval_task.protocol import as_table
    from musiceval_task.reports.report import write_report

    found = {_name(run): _read(run, split, truth) for run in runs}
    if len(found) < len(runs):
        raise InputError("two runs have the same name; rename one of them")
    first = next(iter(found.values()))
    aligned = {name: run.aligned_with(first.clips, name) for name, run in found.items()}
    figures = write_report(out, aligned, data=split)
    if as_json:
        write_json({name: as_table(measures) for name, measures in figures.items()})
        return
    for name, measures in figures.items():
        typer.echo(_line(name, measures))
    typer.echo(f"{out / 'report.md'}: tables with intervals, and plots")


def _read(run: Path, split: str, truth: Path | None) -> "ClipPredictions":
    from musiceval_task.data.dataset import read_clips
    from musiceval_task.predictions import read_predictions

    found = read_predictions(run)
    if truth is not None:
        found = found.with_truth(read_clips(truth, [split]), str(run))
    found = found.of_split(split)
    if not len(found):
        raise InputError(f"{run}: no predictions of {split!r} in it; choose another --split")
    return found


def _name(run: Path) -> str:
    """Return the name of a run, of a checkpoint in it (RUN-CHECKPOINT), or of a file."""
    if not run.is_dir():
        return run.stem
    whole = run.resolve()
    part = (whole.parent / "run.json").is_file()
    return f"{whole.parent.name}-{whole.name}" if part else whole.name


def _line(name: str, measures: "Measures") -> str:
    wanted = {("utterance", "LCC"): "LCC", ("system", "SRCC"): "system SRCC"}
    figures = [
        f"{target} {wanted[level, metric]} {found.value:.3f}"
        for (target, level, metric), found in measures.items()
        if (level, metric) in wanted
    ]
    return f"{name}: {', '.join(figures)}"
