"""``hear-aesthetics evaluate``: a HEAR module on HEAR tasks, from audio to scores."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hear_aesthetics.commands.console import (
    print_table,
    warn_if_untrained,
    warning_line,
    write_json,
)
from hear_aesthetics.commands.evaluate_embeddings import (
    GridOption,
    GridPointsOption,
    ProbeOptions,
    ProtocolOption,
    SeedsOption,
    evaluate_each,
)
from hear_aesthetics.commands.options import (
    DeviceOption,
    JsonOption,
    OverwriteOption,
    PrecisionOption,
)
from hear_aesthetics.errors import InputError, TaskError

if TYPE_CHECKING:
    from hear_aesthetics.engine.progress import ProgressBar
    from hear_aesthetics.evaluation.tasks.catalogue import PublishedTask
    from hear_aesthetics.evaluation.tasks.task import Task

__all__ = ["evaluate"]

LIST_COLUMNS = ("task", "folder", "kind", "splits", "seconds", "clips", "score", "here")


def evaluate(
    tasks_dir: Annotated[
        Path | None,
        typer.Argument(
            metavar="TASKS_DIR", help="Folder of task folders, such as unpacked archives."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for embeddings and scores.")] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Task by folder, task_name or published name; may be repeated."),
    ] = None,
    list_tasks: Annotated[
        bool, typer.Option("--list", help="List the tasks of the benchmark and of TASKS_DIR.")
    ] = False,
    module: Annotated[
        str, typer.Option(help="HEAR module to import, also from the working directory.")
    ] = "hear_aesthetics",
    model: Annotated[
        str | None, typer.Option(help="Argument of the module's load_model.", show_default="none")
    ] = None,
    model_options: Annotated[
        str, typer.Option(help="Further arguments of load_model, as a JSON object.")
    ] = "{}",
    protocol: ProtocolOption = "robust",
    grid: GridOption = "default",
    grid_points: GridPointsOption = 8,
    seeds: SeedsOption = 3,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a HEAR module on tasks: compute embeddings, train probes, score them.

    Files are written to `OUT/<module and options>/<task>/` in heareval's layout, each as soon as
    it is computed: the same command goes on after an interruption. Audio at the module's sample
    rate is made once if it is missing. Exit codes: 0 all good, 1 nothing worked, 2 wrong usage,
    3 some tasks failed.
    """
    if list_tasks:
        _list(_load_all(tasks_dir) if tasks_dir else [], as_json)
        return
    if tasks_dir is None or out is None:
        raise typer.BadParameter("TASKS_DIR and --out are needed (or --list)")
    from hear_aesthetics.evaluation.embeddings.module import HearModule, parse_options
    from hear_aesthetics.evaluation.embeddings.runner import embed_task
    from hear_aesthetics.evaluation.tasks.task import find_tasks

    arguments = parse_options(model_options)
    inside = out.resolve()
    folders = [f for f in find_tasks(tasks_dir) if not f.resolve().is_relative_to(inside)]
    folders = _chosen(folders, task) if task else folders
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # as `python -m heareval...` finds modules there
    loaded = HearModule(module, model, arguments, device=device)
    warn_if_untrained(loaded.provenance["provenance"])

    def embed(folder: Path, bar: "ProgressBar") -> Path:
        draw = bar.stage("resampling")

        def resampling(done: int, total: int) -> None:
            if not done:
                typer.echo(f"{folder}: {total} files are resampled, once", err=True)
            draw(done, total)

        progress = bar.stage("embedding")
        return embed_task(loaded, folder, out, progress, resampling=resampling, overwrite=overwrite)

    options = ProbeOptions(protocol, grid, grid_points, seeds, precision, device, overwrite)
    raise evaluate_each(folders, options, embed=embed, as_json=as_json)


def _chosen(folders: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """Return the folders that the names mean, at least one per name."""
    known = {folder: _names(folder) for folder in folders}
    for name in names:
        if not any(name in of_one for of_one in known.values()):
            raise InputError(
                f"no task {name!r}; there are {', '.join(folder.name for folder in folders)}"
            )
    return [folder for folder, of_one in known.items() if of_one & set(names)]


def _names(folder: Path) -> set[str]:
    """Return the names of a task; a broken one has its folder's name only."""
    from hear_aesthetics.evaluation.tasks.catalogue import published
    from hear_aesthetics.evaluation.tasks.task import load_task

    try:
        task = load_task(folder)
    except TaskError:
        return {folder.name}
    entry = published(task)
    return {folder.name, task.task_name} | ({entry.title} if entry else set())


def _load_all(tasks_dir: Path) -> list["Task"]:
    """Return the readable tasks of a folder, with a warning for each of the others."""
    from hear_aesthetics.evaluation.tasks.task import find_tasks, load_task

    found = []
    try:
        folders = find_tasks(tasks_dir)
    except TaskError as error:
        warning_line(error)
        folders = []
    for folder in folders:
        try:
            task = load_task(folder)
            for split in task.splits:
                task.split_labels(split)
            found.append(task)
        except TaskError as error:
            warning_line(error)
    return found


def _list(tasks: Sequence["Task"], as_json: bool) -> None:
    """Print the 19 tasks of the benchmark and where they are, then other tasks of the folder."""
    from hear_aesthetics.evaluation.tasks.catalogue import CATALOGUE, PUBLISHED_RATE, published

    rows = []
    for entry in CATALOGUE:
        names = " ".join(entry.task_names) + (f" ({entry.mode})" if entry.mode else "")
        here = [_place(task) for task in tasks if published(task) is entry]
        facts = (entry.seconds, entry.clips, entry.score, here)
        rows.append(_row(entry, entry.title, names, entry.folds, *facts))
    for task in tasks:
        if published(task) is None:
            length = f"{task.sample_duration:g}" if task.sample_duration else "any"
            clips = sum(len(task.split_labels(split)) for split in task.splits)
            facts = (length, clips, task.scores[0].name, [_place(task)])
            rows.append(_row(task, task.folder.name, task.task_name, len(task.runs), *facts))
    if as_json:
        write_json(rows)
        return
    cells = [[", ".join(v) if isinstance(v, list) else str(v) for v in r.values()] for r in rows]
    cells = [[cell or "-" for cell in line] for line in cells]
    print_table(LIST_COLUMNS, cells, left=LIST_COLUMNS)
    missing = sum(not row["here"] for row in rows)
    typer.echo(
        f"{missing} of the benchmark's {len(CATALOGUE)} tasks are not here: untar their published "
        f"archives ({PUBLISHED_RATE} Hz) into the folder; other rates are made once, when needed",
        err=True,
    )


def _row(
    task: "Task | PublishedTask", title: str, names: str, folds: int, *facts: Any
) -> dict[str, Any]:
    kind = f"{task.embedding_type}, {task.prediction_type}"
    splits = f"{folds}-fold" if folds > 1 else "train/valid/test"
    return dict(zip(LIST_COLUMNS, (title, names, kind, splits, *facts), strict=True))


def _place(task: "Task") -> str:
    rates = sorted((p.name for p in task.folder.iterdir() if p.name.isdecimal()), key=int)
    return f"{task.folder} ({', '.join(rates) or 'no audio'})"
