"""``songeval features``: what the encoders make of every song, computed once and stored."""

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hear_aesthetics.commands.console import Report, warning_line
from hear_aesthetics.commands.probing import Overwrite

if TYPE_CHECKING:
    from hear_aesthetics.features.fusion import HiddenState
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
    model: Annotated[str, typer.Option(help="large, mini, or a model directory.")] = "large",
    copies: Annotated[
        int | None,
        typer.Option(min=0, help="Augmented copies of each training song.", show_default="0"),
    ] = None,
    protocol: Annotated[
        Protocol, typer.Option(help="published: of the copies only the last, as released.")
    ] = Protocol.all,
    seed: Annotated[int, typer.Option(help="Of the augmentation.")] = 0,
    augmented: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Take the copies that `songeval augment` wrote."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that make copies.", show_default="a half of the cores"),
    ] = None,
    states: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...|none",
            help="Hidden states to store too, such as muq_06,muq_12; default: MuQ's middle one "
            "(muq_06 of large), which the SongEval baseline reads.",
        ),
    ] = None,
    dtype: Annotated[Dtype, typer.Option(help="Of the stored numbers.")] = Dtype.float16,
    precision: Annotated[
        str, typer.Option(help="Of the computation: auto, float32 or bfloat16.")
    ] = "auto",
    device: Annotated[
        str | None, typer.Option(help="Such as cpu or cuda:0.", show_default="a GPU if any")
    ] = None,
    overwrite: Overwrite = False,
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
    loaded, wanted = _load(model, states, precision, device)
    with one_line_when_full(out):
        made = fingerprint(loaded, wanted, dtype)
        store = FeatureStore.create(out, made, loaded.provenance(), overwrite=overwrite)
        remove_leftovers(out)
        missing = todo(jobs, store)
        check_free(out, bytes_needed(missing, loaded, wanted, dtype))
        options = {"states": wanted, "dtype": dtype, "workers": workers or default_workers()}
        report = _extract(jobs, missing, store, loaded, options)
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
) -> tuple["HearModel", list["HiddenState"]]:
    """Return the model and the hidden states that it is to give."""
    from hear_aesthetics.commands.embed import warn_if_untrained
    from hear_aesthetics.features.fusion import HiddenState
    from hear_aesthetics.model import load_model
    from songeval_task.features.extraction import middle_state

    names = [] if states in (None, "none") else [name for name in str(states).split(",") if name]
    wanted = [HiddenState.parse(name) for name in names]
    loaded = load_model(model, precision=precision, device=device, states=wanted)
    loaded.fused.check_states(wanted)
    warn_if_untrained(loaded)
    return loaded, [middle_state(loaded)] if states is None else wanted


def _extract(
    jobs: list["Job"],
    missing: list["Job"],
    store: "FeatureStore",
    loaded: "HearModel",
    options: dict[str, Any],
) -> Report:
    """Make what is missing, then the index of what was asked for."""
    from songeval_task.features.extraction import done, extract

    started, seconds = time.monotonic(), 0.0
    with Report(len(jobs), "stored") as report:
        report.done(len(jobs) - len(missing))
        for outcome in extract(missing, store, loaded, **options):
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
