"""``songeval features``: what the encoders make of every song, computed once and stored."""

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hear_aesthetics.commands.console import Report, warn_if_untrained, warning_line
from hear_aesthetics.commands.options import (
    DeviceOption,
    ModelOption,
    OverwriteOption,
    PrecisionOption,
    WorkersOption,
)

if TYPE_CHECKING:
    from hear_aesthetics.model import HearModel
    from songeval_task.features.extraction import Job
    from songeval_task.features.store import FeatureStore

__all__ = ["Protocol", "features", "warn_of_protocol"]


class Protocol(StrEnum):
    """Which versions of a training song are made."""

    all = "all"
    published = "published"


class Dtype(StrEnum):
    """How numbers are stored."""

    float16 = "float16"
    bfloat16 = "bfloat16"
    float32 = "float32"


def features(
    prepared: Annotated[Path, typer.Argument(help="Folder of `songeval prepare`.")],
    out: Annotated[Path, typer.Option(help="Folder of the feature store.")],
    model: ModelOption = "large",
    copies: Annotated[
        int | None,
        typer.Option(min=0, help="Augmented copies of each training song.", show_default="0"),
    ] = None,
    protocol: Annotated[
        Protocol, typer.Option(help="published: of the copies only the last, as released.")
    ] = Protocol.all,
    seed: Annotated[int, typer.Option(min=0, help="Of the augmentation.")] = 0,
    augmented: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Take the copies that `songeval augment` wrote."),
    ] = None,
    workers: WorkersOption = None,
    states: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...|none",
            help="Hidden states to store too, such as muq_06,muq_12; default: MuQ's middle one "
            "(muq_06 of large), which the SongEval baseline reads.",
        ),
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="Of the stored numbers.")] = Dtype.float16,
    precision: PrecisionOption = "auto",
    device: DeviceOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Compute and store the features of every song, and of augmented copies of those that train.

    The same command goes on after an interruption. Exit codes: 0 all good, 1 nothing worked,
    2 wrong usage, 3 some songs failed.
    """
    from hear_aesthetics.engine.workers import default_workers
    from hear_aesthetics.files import check_free, one_line_when_full, remove_leftovers
    from songeval_task.data.prepared import read_prepared
    from songeval_task.features.augmentation import COPIES
    from songeval_task.features.extraction import bytes_needed, fingerprint, plan, todo
    from songeval_task.features.store import FeatureStore

    if copies is None:
        copies = COPIES if augmented or protocol is Protocol.published else 0
    jobs = plan(read_prepared(prepared), copies, protocol, seed, augmented)
    warn_of_protocol(protocol)
    network, names = _load(model, states, precision, device)
    with one_line_when_full(out):
        made = fingerprint(network, names, dtype)
        store = FeatureStore.create(out, made, network.provenance(), overwrite=overwrite)
        remove_leftovers(out)
        missing = todo(jobs, store)
        check_free(out, bytes_needed(missing, network, names, dtype))
        options = {"states": names, "dtype": dtype, "workers": workers or default_workers()}
        report = _extract(jobs, missing, store, network, options)
    raise typer.Exit(report.exit_code)


def warn_of_protocol(protocol: Protocol) -> None:
    """Say what the published protocol does that nobody would expect."""
    if protocol is Protocol.published:
        warning_line(
            "protocol published: of the augmented copies only the last is made, because the "
            "released code trained on that one alone and never on the original; stretched copies "
            "keep the song's length and shifted ones wrap around"
        )


def _load(
    model: str, states: str | None, precision: str, device: str | None
) -> tuple["HearModel", list[str]]:
    """The model and the names of the states that it is to give."""
    from hear_aesthetics.model import load_model
    from hear_aesthetics.scorers import hidden_states
    from songeval_task.features.extraction import check_states, middle_state

    names = [] if states in (None, "none") else [name for name in str(states).split(",") if name]
    network = load_model(model, precision=precision, device=device, states=hidden_states(names))
    check_states(network, names)
    warn_if_untrained(network.provenance())
    return network, [middle_state(network)] if states is None else names


def _extract(
    jobs: list["Job"],
    missing: list["Job"],
    store: "FeatureStore",
    network: "HearModel",
    options: dict[str, Any],
) -> Report:
    """Make what is missing, then the index of what was asked for."""
    from songeval_task.features.extraction import done, extract

    started, seconds = time.monotonic(), 0.0
    with Report(len(jobs), "stored") as report:
        report.done(len(jobs) - len(missing))
        for outcome in extract(missing, store, network, **options):
            if outcome.error:
                report.fail(outcome.error)
            else:
                report.done()
                seconds += outcome.job.song.seconds
        store.write_index(done(jobs, store))
    took = time.monotonic() - started
    made = report.worked - (len(jobs) - len(missing))
    if made:
        typer.echo(
            f"{made} made in {took:.0f} s: {made / took:.2f} files/s, "
            f"{seconds / took:.0f} x real time",
            err=True,
        )
    return report
