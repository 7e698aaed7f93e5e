"""``hear-aesthetics embed``: embeddings of files, each in a file of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from hear_aesthetics.commands.cluster import RayOption, join_cluster
from hear_aesthetics.commands.console import Report, warn_if_untrained, write_json
from hear_aesthetics.commands.options import (
    DeviceOption,
    InputsArgument,
    JsonOption,
    MaxMinutesOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
    ShardOption,
)
from hear_aesthetics.corpus.rows import safe_key
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.lazy import uncollected
from hear_aesthetics.spec import MAX_MINUTES

if TYPE_CHECKING:
    from hear_aesthetics.corpus.keys import Shard
    from hear_aesthetics.distributed.cluster import Cluster
    from hear_aesthetics.engine.inference import Result
    from hear_aesthetics.engine.inputs import Input, Inputs
    from hear_aesthetics.model import HearModel

    Compute = Callable[[Sequence[Input]], Iterator[tuple[int, Result[Input]]]]

__all__ = ["embed"]

Kind = Literal["scene", "timestamps", "features"]
Format = Literal["npz", "npy", "parquet"]


def embed(
    ctx: typer.Context,
    inputs: InputsArgument,
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    model: ModelOption = "mini",
    kind: Annotated[
        Kind,
        typer.Option(
            help="scene: one embedding per file; timestamps: one per 40 ms; features: the fused "
            "encoder features, one per 40 ms."
        ),
    ] = "scene",
    out_format: Annotated[
        Format,
        typer.Option(
            "--format",
            help="npz: with times and what made it; npy: features as EAR_HEAR extracts them, and "
            "their list OUT.txt; parquet: many to a file, for `merge`.",
        ),
    ] = "npz",
    layer: Annotated[
        str | None,
        typer.Option(
            help="Layer of the hidden states; several, such as 2,4, are joined.",
            show_default="the model's own",
        ),
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
    shard: ShardOption = None,
    ray: RayOption = None,
    overwrite: OverwriteOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write the embeddings of audio files, each to OUT under its own path, or many to a file.

    The same command goes on after an interruption. Exit codes: 0 all good, 1 nothing worked,
    2 wrong usage, 3 some files failed.
    """
    with uncollected():
        from hear_aesthetics.corpus.keys import Shard
        from hear_aesthetics.engine.embedding_files import origin
        from hear_aesthetics.engine.inputs import collect_inputs
        from hear_aesthetics.engine.npy_files import check_list, list_path
        from hear_aesthetics.features.fusion import parse_layer
        from hear_aesthetics.model import load_model

    if scales is not None:
        raise InputError(f"--scales is named --views now: write --views {scales}")
    listing = list_path(out) if out_format == "npy" else None
    if listing:
        if kind != "features":
            raise InputError("--format npy holds features; add --kind features")
        if shard:
            raise InputError("--format npy writes one list; --shard goes with npz or parquet")
        check_list(listing)
    part = Shard.parse(shard) if shard else None
    found = collect_inputs(inputs, unique=out_format == "parquet" or part is not None)
    options: dict[str, Any] = {
        **{"model_file_path": model, "precision": precision},
        **{"sources": sources.split(","), "views": views.split(",")},
        **{"layer": None if layer is None else parse_layer(layer), "pooling": pooling},
    }
    cluster = join_cluster(ctx, ray, device) if ray else None
    loaded = load_model(**options, device=cluster.device_here if cluster else device)
    made = origin(loaded, kind)
    warn_if_untrained(loaded.provenance())
    _make_writable(out)
    run = _Run(loaded, kind, found, out, overwrite, _compute_by(loaded, kind, max_minutes))
    if cluster:
        run = run._replace(compute=_compute_on(cluster, loaded, options, kind, max_minutes))
    made_now = (
        _to_shards(run, part) if out_format == "parquet" else _to_files(run, out_format, part)
    )
    report, kept, seconds = made_now
    if kept:
        typer.echo(f"{kept} of them were there already; --overwrite makes them again", err=True)
    if as_json:
        summary = {"made": report.worked - kept, "kept": kept, "failed": report.failed}
        audio = {"out": str(out), "audio_seconds": seconds, "errors": report.errors}
        write_json(summary | audio | made)
    raise typer.Exit(report.exit_code)


class _Run(NamedTuple):
    """A run of the command."""

    model: "HearModel"
    kind: str
    found: "Inputs"
    out: Path
    overwrite: bool
    compute: "Compute"


def _compute_by(model: "HearModel", kind: str, max_minutes: float) -> "Compute":
    """Return what embeds inputs in this process, in their order."""
    from hear_aesthetics.engine.embedding_files import embed as embed_files

    return lambda inputs: enumerate(embed_files(inputs, model, kind, max_minutes=max_minutes))


def _compute_on(
    cluster: "Cluster", model: "HearModel", options: dict[str, Any], kind: str, max_minutes: float
) -> "Compute":
    """Return what embeds inputs on a cluster, as they come."""
    from hear_aesthetics.distributed.embedder import EmbedWork
    from hear_aesthetics.distributed.pipeline import run_on_ray

    work = EmbedWork(options, kind, model.fingerprint(kind), max_minutes)
    model.to("cpu")  # GPUs are for the nodes
    return lambda inputs: run_on_ray(cluster, inputs, work)


def _to_files(run: _Run, out_format: Format, part: "Shard | None") -> tuple[Report, int, float]:
    """Write a file for each input; return the report, how many were there, and seconds of audio."""
    from hear_aesthetics.engine.embedding_files import origin
    from hear_aesthetics.engine.inputs import part_of
    from hear_aesthetics.engine.npy_files import list_path, write_list

    found = part_of(run.found, part) if part else run.found
    made = origin(run.model, run.kind)
    places = {item: _place(run.out, item, out_format) for item in found.inputs}
    done, refused = _look(places, made, overwrite=run.overwrite)
    if len(refused) == len(found.inputs) > 0:
        raise next(iter(refused.values()))
    todo = [item for item in places if item not in done and item not in refused]
    kept = len(done)
    with Report(len(found), "embedded") as report:
        for bad in [*(bad.message for bad in found.errors), *refused.values()]:
            report.fail(bad)
        report.done(kept)
        results = (result for _, result in run.compute(todo))
        written = _write(results, places, made, report)
        if out_format == "npy":
            done |= written.keys()
            rows = [(i.path, path) for i, path in places.items() if i in done]
            write_list(list_path(run.out), rows)
    return report, kept, sum(written.values())


def _to_shards(run: _Run, part: "Shard | None") -> tuple[Report, int, float]:
    """Write the files of a shard; return the report, how many rows were there, and seconds."""
    from hear_aesthetics.corpus.keys import Shard
    from hear_aesthetics.engine.embedding_shards import embed_shard, open_embedding_shard
    from hear_aesthetics.engine.inputs import keys_of

    of_model = run.model, run.kind, run.found
    seconds = 0.0
    with open_embedding_shard(
        run.out, part or Shard(1, 1), *of_model, overwrite=run.overwrite
    ) as writer:
        plan = writer.plan(keys_of(run.found.inputs), run.found.inputs)
        with Report(plan.rows, "embedded") as report:
            report.done(plan.kept)
            for row in embed_shard(run.compute, run.kind, run.found, writer, plan):
                report.fail(row["error"]) if row["error"] else report.done()
                seconds += 0.0 if row["error"] else row["duration"]
    return report, plan.kept, seconds


def _look(
    places: dict["Input", Path], made: dict[str, Any], *, overwrite: bool
) -> tuple[set["Input"], dict["Input", InputError]]:
    """Return the inputs whose files are there already, and those whose files cannot be made."""
    from hear_aesthetics.engine.embedding_files import is_done
    from hear_aesthetics.engine.npy_files import check_listed

    done, refused = set(), {}
    owners: dict[Path, Input] = {}
    for item, path in places.items():
        try:
            if (owner := owners.setdefault(path, item)) is not item:
                raise InputError(f"{item.path}: would share {path} with {owner.path}; rename one")
            if path.suffix == ".npy":
                check_listed(item.path, path)
            if not overwrite and is_done(path, made, item):
                done.add(item)
        except InputError as error:
            refused[item] = error
    return done, refused


def _write(
    results: Iterable["Result[Input]"],
    places: dict["Input", Path],
    made: dict[str, Any],
    report: Report,
) -> dict["Input", float]:
    """Write the embeddings that were made; return the seconds of audio in each."""
    from hear_aesthetics.engine.embedding_files import save

    written = {}
    for result in results:
        if result.error:
            report.fail(result.error)
            continue
        path = places[result.item]
        try:
            save(path, result, made)
        except AudioError as error:
            report.fail(error)
        except OSError as error:
            reason = f"{path} cannot be written ({error.strerror}); rename the file"
            report.fail(f"{result.item.path}: {reason}")
        else:
            report.done()
            written[result.item] = result.seconds
    return written


def _make_writable(out: Path) -> None:
    """Make the folder, and refuse one that takes no files before the first song is encoded."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise InputError(f"{out}: takes no files ({error.strerror}); take another --out") from error


def _place(out: Path, item: "Input", out_format: Format) -> Path:
    """Return the file of an input; ``.npy`` stands in place of the extension, as released."""
    key = safe_key(item.key)  # those of a corpus may be anything
    is_whole = item.start is None and item.end is None
    if out_format == "npy" and is_whole:
        return (out / key).with_suffix(".npy")
    return out / f"{key}.{out_format}"
