"""``hear-aesthetics models``: published weights, their licences, and local copies."""

import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from hear_aesthetics.checkpoints import (
    CHECKPOINTS,
    Checkpoint,
    by_name,
    locate_checkpoint,
    locate_model,
    whereabouts,
)
from hear_aesthetics.commands.console import print_table, write_json
from hear_aesthetics.commands.options import JsonOption
from hear_aesthetics.files import describe_size

__all__ = ["app", "download", "info", "list_models"]

COMMERCIAL = {True: "yes", False: "no", None: "unknown"}
COLUMNS = ("name", "size", "licence", "commercial", "status", "here")

app = typer.Typer(help="List, describe and download published weights.")
Name = Annotated[str, typer.Argument(help="Name that `models list` shows.")]


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    """List the weights unless a subcommand is given."""
    if context.invoked_subcommand is None:
        list_models()


@app.command("list")
def list_models(as_json: JsonOption = False) -> None:
    """List all weights: size, licence, commercial use, and whether this machine has them."""
    rows = [_summary(record) for record in CHECKPOINTS.values()]
    if as_json:
        write_json(rows)
        return
    cells = [
        [
            row["name"],
            describe_size(row["size"]),
            row["weights_licence"].partition(" (")[0],  # `info` shows the remark
            COMMERCIAL[row["commercial"]],
            row["status"],
            row["problem"] or row["origin"] or "-",
        ]
        for row in rows
    ]
    print_table(COLUMNS, cells, left=COLUMNS)


@app.command()
def info(name: Name, as_json: JsonOption = False) -> None:
    """Show files, hashes, licences, provenance and fair evaluation of one set of weights."""
    record = _record(name)
    facts = asdict(record) | _summary(record)
    if as_json:
        write_json(facts)
        return
    for label, value in _lines(record, facts):
        typer.echo(f"{label:<18}{value}")


@app.command()
def download(
    name: Name,
    to: Annotated[
        Path | None,
        typer.Option(
            help="Folder to copy the files to as well, for HEAR_AESTHETICS_HOME elsewhere."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Download one set of weights, check sizes and hashes, and print its folder."""
    record = _record(name)
    if not (record.files or record.parts):
        typer.echo(f"{name} belongs to this package: there is nothing to download")
        return
    folders = _fetch(record)
    if to is not None:
        folders = {part: _lay_out(by_name(part), source, to) for part, source in folders.items()}
    if as_json:
        write_json({key: str(folder) for key, folder in folders.items()})
        return
    for key, folder in folders.items():
        typer.echo(f"{key}: {folder}")
    if to is not None:
        typer.echo(f"set HEAR_AESTHETICS_HOME={to.resolve()} to use them")


def _record(name: str) -> Checkpoint:
    try:
        return by_name(name)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _fetch(record: Checkpoint) -> dict[str, Path]:
    """Download a checkpoint; return its parts, or itself, by name with their folders."""
    if not record.parts:
        return {record.name: locate_checkpoint(record.name).folder}
    files = locate_model(record.name)  # all parts at once: an error names all that are missing
    return {part: files.encoders[by_name(part).folder].folder for part in record.parts}


def _summary(record: Checkpoint) -> dict[str, Any]:
    """Return one row of the list; a broken local copy is part of the row, not an error."""
    here = whereabouts(record)
    size = record.size
    if not record.files:  # bundled: its size is that on disk
        inside = [path for folder in here.folders for path in Path(folder).rglob("*")]
        size = size or sum(path.stat().st_size for path in inside if path.is_file()) or None
    return {
        "name": record.name,
        "kind": record.kind,
        "size": size,
        "weights_licence": record.weights_licence,
        "commercial": record.commercial,
        "status": record.status,
        **asdict(here),
    }


def _lines(record: Checkpoint, facts: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [
        ("name", record.name),
        ("kind", record.kind),
        ("description", record.description),
        ("status", record.status),
        ("parts", ", ".join(record.parts)),
        ("repository", record.repo or ""),
        ("revision", record.revision or ("unknown" if record.repo else "")),
        ("weights licence", record.weights_licence),
        ("code licence", record.code_licence),
        ("commercial use", COMMERCIAL[record.commercial]),
        ("fair to evaluate", record.fair),
        ("notes", record.notes),
        ("how to get it", record.instructions),
        ("url", record.url),
        ("citation", record.citation),
        ("size", describe_size(facts["size"])),
    ]
    for file in record.files:
        size = f"{file.size:,} bytes" if file.size else "size unknown"
        lines.append(("file", f"{file.name}, {size}, sha256 {file.sha256 or 'unknown'}"))
    here = ", ".join(facts["folders"]) or "nowhere"
    lines.append(("on this machine", facts["problem"] or here))
    return [(label, value) for label, value in lines if value]


def _lay_out(record: Checkpoint, source: Path, root: Path) -> Path:
    """Copy the files of a checkpoint to ``root/name``, without using the disk twice if it can."""
    folder = root / record.name
    folder.mkdir(parents=True, exist_ok=True)
    for file in record.files:
        partial = folder / f"{file.name}.partial"
        partial.unlink(missing_ok=True)
        try:
            os.link((source / file.name).resolve(), partial)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(source / file.name, partial)
        partial.replace(folder / file.name)
    return folder
