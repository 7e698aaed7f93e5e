"""``hear-aesthetics embed``: embeddings of files, each in an ``.npz`` of its own."""

import errno
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hear_aesthetics.commands.console import Report, warning_line, write_json
from hear_aesthetics.errors import AudioError, InputError

if TYPE_CHECKING:
    from hear_aesthetics.engine.inference import Result
    from hear_aesthetics.engine.inputs import Input
    from hear_aesthetics.model import HearModel

__all__ = ["embed", "warn_if_untrained"]

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # what no later file would survive


class Kind(StrEnum):
    """What is written for each file."""

    scene = "scene"
    timestamps = "timestamps"
    features = "features"


def embed(
    inputs: Annotated[
        list[str],
        typer.Argument(help="Files, folders, globs, .txt or .jsonl lists, - for standard input."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the .npz files.")],
    model: Annotated[str, typer.Option(help="mini, large, or a model directory.")] = "mini",
    kind: Annotated[
        Kind,
        typer.Option(
            metavar="KIND",
            help="scene: one embedding per file; timestamps: one per 40 ms; features: the fused.",
        ),
    ] = Kind.scene,
    layer: Annotated[
        int | None, typer.Option(help="Hidden state.", show_default="the model's own")
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(help="Frames to scene: mean or mean+std.", show_default="the model's own"),
    ] = None,
    sources: Annotated[str, typer.Option(help="Encoders, in this order.")] = "musicfm,muq",
    views: Annotated[str, typer.Option(help="Views, in this order.")] = "segment,track",
    scales: Annotated[str | None, typer.Option(hidden=True)] = None,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    device: Annotated[
        str | None, typer.Option(help="Such as cpu or cuda:0.", show_default="a GPU if any")
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite/--resume", help="Make again, or keep, what is there already."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary as JSON.")] = False,
) -> None:
    """Write the embeddings of audio files, each to an .npz under its own path and extension."""
    from hear_aesthetics.engine.embedding_files import is_done, origin
    from hear_aesthetics.engine.inputs import collect_inputs
    from hear_aesthetics.model import load_model

    found = collect_inputs(inputs)
    loaded = load_model(
        model,
        sources=sources.split(","),
        views=views.split(","),
        scales=scales,
        layer=layer,
        pooling=pooling,
        precision=precision,
        device=device,
    )
    made = origin(loaded, kind)
    warn_if_untrained(loaded)
    _make_writable(out)
    todo, refused = [], []
    for item in found.inputs:
        try:
            if overwrite or not is_done(_place(out, item), made, item):
                todo.append(item)
        except InputError as error:
            refused.append(error)
    if len(refused) == len(found.inputs) > 0:
        raise refused[0]
    kept = len(found.inputs) - len(todo) - len(refused)
    with Report(len(found.inputs) + len(found.errors), "embedded") as report:
        for bad in [*(bad.message for bad in found.errors), *refused]:
            report.fail(bad)
        report.done(kept)
        seconds = _embed(todo, loaded, kind, out, made, report)
    if kept:
        typer.echo(f"{kept} of them were there already; --overwrite makes them again", err=True)
    if as_json:
        summary = {"made": report.worked - kept, "kept": kept, "failed": report.failed}
        audio = {"out": str(out), "audio_seconds": seconds, "errors": report.errors}
        write_json(summary | audio | made)
    raise typer.Exit(report.exit_code)


def warn_if_untrained(model: "HearModel") -> None:
    """Say on stderr that a model knows nothing yet."""
    if model.config.status == "untrained":
        warning_line(f"model {model.name} is untrained: its embeddings hold nothing learned")


def _embed(
    todo: Iterable["Input"],
    model: "HearModel",
    kind: Kind,
    out: Path,
    made: dict[str, Any],
    report: Report,
) -> float:
    """Write what can be made; the seconds of audio in it."""
    from hear_aesthetics.engine.embedding_files import embed as embed_files

    seconds = 0.0
    for result in embed_files(todo, model, kind):
        problem = result.error or _save(_place(out, result.item), result, made)
        if problem:
            report.fail(problem)
        else:
            report.done()
            seconds += result.seconds
    return seconds


def _save(path: Path, result: "Result[Input]", made: dict[str, Any]) -> str | None:
    """Write an embedding file, or say why it cannot be written."""
    from hear_aesthetics.engine.embedding_files import save

    try:
        save(path, result, made)
    except AudioError as error:
        return str(error)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        return f"{result.item.path}: {path} cannot be written ({error.strerror}); rename the file"
    return None


def _make_writable(out: Path) -> None:
    """Make the folder, and refuse one that takes no files before the first song is encoded."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InputError(f"{out}: takes no files ({error.strerror}); take another --out") from error


def _place(out: Path, item: "Input") -> Path:
    return out / f"{item.key}.npz"
