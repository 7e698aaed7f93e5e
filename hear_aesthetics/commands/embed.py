"""``hear-aesthetics embed``: embeddings of files, each in its own ``.npz``."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hear_aesthetics.commands.console import Report, warn_if_untrained, write_json
from hear_aesthetics.commands.options import (
    DeviceOption,
    InputsArgument,
    JsonOption,
    MaxMinutesOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
)
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.spec import MAX_MINUTES

if TYPE_CHECKING:
    from hear_aesthetics.engine.inference import Result
    from hear_aesthetics.engine.inputs import Input

__all__ = ["embed"]

Kind = Literal["scene", "timestamps", "features"]


def embed(
    inputs: InputsArgument,
    out: Annotated[Path, typer.Option(help="Folder for the .npz files.")],
    model: ModelOption = "mini",
    kind: Annotated[
        Kind,
        typer.Option(
            help="scene: one embedding per file; timestamps: one per 40 ms; features: the fused "
            "encoder features, one per 40 ms."
        ),
    ] = "scene",
    layer: Annotated[
        int | None, typer.Option(help="Layer of the hidden states.", show_default="the model's own")
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(help="Pooling to a scene: mean or mean+std.", show_default="the model's own"),
    ] = None,
    sources: Annotated[str, typer.Option(help="Encoders to join, in order.")] = "musicfm,muq",
    views: Annotated[str, typer.Option(help="Views to join, in order.")] = "segment,track",
    scales: Annotated[str | None, typer.Option(hidden=True)] = None,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    max_minutes: MaxMinutesOption = MAX_MINUTES,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the embeddings of audio files, each to OUT under its own path, as .npz.

    The same command goes on after an interruption. Exit codes: 0 all good, 1 nothing worked,
    2 wrong usage, 3 some files failed.
    """
    from hear_aesthetics.engine.embedding_files import embed as embed_files
    from hear_aesthetics.engine.embedding_files import is_done, origin
    from hear_aesthetics.engine.inputs import collect_inputs
    from hear_aesthetics.model import load_model

    if scales is not None:
        raise InputError(f"--scales is named --views now: write --views {scales}")
    found = collect_inputs(inputs)
    loaded = load_model(
        model,
        sources=sources.split(","),
        views=views.split(","),
        layer=layer,
        pooling=pooling,
        precision=precision,
        device=device,
    )
    made = origin(loaded, kind)
    warn_if_untrained(loaded.provenance())
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
    with Report(len(found), "embedded") as report:
        for bad in [*(bad.message for bad in found.errors), *refused]:
            report.fail(bad)
        report.done(kept)
        results = embed_files(todo, loaded, kind, max_minutes=max_minutes)
        seconds = _write(results, out, made, report)
    if kept:
        typer.echo(f"{kept} of them were there already; --overwrite makes them again", err=True)
    if as_json:
        summary = {"made": report.worked - kept, "kept": kept, "failed": report.failed}
        audio = {"out": str(out), "audio_seconds": seconds, "errors": report.errors}
        write_json(summary | audio | made)
    raise typer.Exit(report.exit_code)


def _write(
    results: Iterable["Result[Input]"], out: Path, made: dict[str, Any], report: Report
) -> float:
    """Write the embeddings that were made; return the seconds of audio in them."""
    from hear_aesthetics.engine.embedding_files import save

    seconds = 0.0
    for result in results:
        if result.error:
            report.fail(result.error)
            continue
        path = _place(out, result.item)
        try:
            save(path, result, made)
        except AudioError as error:
            report.fail(error)
        except OSError as error:
            reason = f"{path} cannot be written ({error.strerror}); rename the file"
            report.fail(f"{result.item.path}: {reason}")
        else:
            report.done()
            seconds += result.seconds
    return seconds


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
