"""``songeval features``: encoder features of every song, computed once and stored."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hear_aesthetics.commands.cluster import RayOption, join_cluster
from hear_aesthetics.commands.console import Report, warn_if_untrained, warning_line
from hear_aesthetics.commands.options import (
    DeviceOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from hear_aesthetics.corpus.stored import AnyPath
    from hear_aesthetics.features.fusion import HiddenState
    from hear_aesthetics.model import HearModel

__all__ = ["VersionsOption", "features", "warn_if_published"]

VersionsOption = Annotated[
    Literal["all", "published"],
    typer.Option(
        help="Versions of each training song: all, or published, the last augmented one alone, "
        "made as the released code does."
    ),
]


def features(
    ctx: typer.Context,
    prepared: Annotated[Path, typer.Argument(help="Folder of `songeval prepare`.")],
    out: Annotated[Path, typer.Option(help="Folder of the feature store.")],
    model: ModelOption = "large",
    augmentations: Annotated[
        int | None,
        typer.Option(
            min=0, help="Number of augmented versions of each training song.", show_default="0"
        ),
    ] = None,
    versions: VersionsOption = "all",
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the augmentation.")] = 0,
    augmented: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of `songeval augment`, to take versions from."),
    ] = None,
    audio: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            help="Parquet or tar file, glob, folder or URL of the songs, by their names.",
            show_default="where they were prepared",
        ),
    ] = None,
    workers: WorkersOption = None,
    ray: RayOption = None,
    states: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...|none",
            help="Hidden states to store too, such as muq_06,muq_12; default: MuQ's middle one "
            "(muq_06 of large), which the SongEval baseline reads.",
        ),
    ] = None,
    dtype: Annotated[
        Literal["float16", "bfloat16", "float32"], typer.Option(help="Type of the stored numbers.")
    ] = "float16",
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Compute and store the features of every song, and of augmented versions of those that train.

    The same command goes on after an interruption. Exit codes: 0 all good, 1 nothing worked,
    2 wrong usage, 3 some songs failed.
    """
    from hear_aesthetics.engine.workers import default_workers
    from hear_aesthetics.files import check_free, one_line_when_full, remove_leftovers
    from songeval_task.data.prepared import read_prepared
    from songeval_task.features import extraction
    from songeval_task.features.augmentation import AUGMENTATIONS
    from songeval_task.features.augmented_files import plan_versions
    from songeval_task.features.store import FeatureStore

    if augmentations is None:
        augmentations = AUGMENTATIONS if augmented or versions == "published" else 0
    data = read_prepared(prepared, need_audio=audio is None)
    stored = _audio_by_name(audio) if audio else None
    planned = plan_versions(data, augmentations, versions, seed, augmented, stored)
    warn_if_published(versions)
    cluster = join_cluster(ctx, ray, device) if ray else None
    here = cluster.device_here if cluster else device
    loaded, wanted, loading = _load(model, states, precision, here)
    if cluster:
        loaded.to("cpu")  # GPUs are for the nodes
    with one_line_when_full(out):
        made = extraction.fingerprint(loaded, wanted, dtype)
        store = FeatureStore.create(out, made, loaded.provenance(), overwrite=overwrite)
        remove_leftovers(out)
        missing = extraction.todo(planned, store)
        check_free(out, extraction.bytes_needed(missing, loaded, wanted, dtype))
        started, seconds = time.monotonic(), 0.0
        with Report(len(planned), "stored") as report:
            report.done(len(planned) - len(missing))
            processes = workers or default_workers()
            where: dict[str, Any] = {"workers": processes, "cluster": cluster, "loading": loading}
            for version, error in extraction.extract(
                missing, store, loaded, states=wanted, dtype=dtype, **where
            ):
                report.fail(error) if error else report.done()
                seconds += 0.0 if error else version.song.seconds
            store.write_index(extraction.done(planned, store))
    took = time.monotonic() - started
    if count := len(missing) - report.failed:
        speed = f"{count / took:.2f} files/s, {seconds / took:.0f} x real time"
        typer.echo(f"{count} made in {took:.0f} s: {speed}", err=True)
    raise typer.Exit(report.exit_code)


def _audio_by_name(audio: str) -> dict[str, "AnyPath"]:
    """Return the audio of all songs by their keys.

    Raises:
        InputError: If it cannot be read, or two have one key.
    """
    from hear_aesthetics.engine.inputs import collect_inputs

    found = collect_inputs([audio], unique=True)
    for bad in found.errors:
        warning_line(bad.message)
    return {item.key: item.path for item in found.inputs}


def warn_if_published(versions: str) -> None:
    """Write a warning: the published versions are other than a user expects."""
    if versions == "published":
        warning_line(
            "versions published: of the augmented versions only the last is made, because the "
            "released code trained on that one alone and never on the original; stretched versions "
            "keep the song's length and shifted ones wrap around"
        )


def _load(
    model: str, states: str | None, precision: str, device: str | None
) -> tuple["HearModel", list["HiddenState"], dict[str, Any]]:
    """Return the model, the hidden states to store, and the options that loaded the model."""
    from hear_aesthetics.features.fusion import HiddenState
    from hear_aesthetics.model import load_model
    from songeval_task.features.extraction import middle_state

    names = [] if states in (None, "none") else [name for name in str(states).split(",") if name]
    wanted = [HiddenState.parse(name) for name in names]
    loading: dict[str, Any] = {"model_file_path": model, "precision": precision, "states": wanted}
    loaded = load_model(**loading, device=device)
    loaded.fused.check_states(wanted)
    warn_if_untrained(loaded.provenance())
    return loaded, [middle_state(loaded)] if states is None else wanted, loading
