"""``songeval prepare``: a copy of SongEval, or the released lists, checked and split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hear_aesthetics.commands.console import ExitCode, Report, warning_line, write_json
from hear_aesthetics.commands.options import JsonOption

if TYPE_CHECKING:
    from songeval_task.data.dataset import Problem
    from songeval_task.data.preparation import Choices
    from songeval_task.data.prepared import Prepared

__all__ = ["prepare"]

SHOWN = 10  # problems of one kind on the terminal
EXPECTED = {"unrated"}  # SongEval has such songs: they are counted, and nobody need do anything
LIST = ".pkl"  # ends the name of a released list
FEATURES, INTERCHANGE = "features", "interchange"  # folders of OUT


def prepare(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DIR|hub|train_set.pkl",
            help="A copy of SongEval, hub to download it, or a released list of features.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for songs.csv and dataset.json.")],
    validation_ids: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|URL",
            help="Songs to report on, one mp3/N.mp3 per line; or the released test_set.pkl.",
        ),
    ] = None,
    test_songs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of songs to draw without that list; 200 by default, at most a quarter.",
        ),
    ] = None,
    valid_fraction: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Share of the other songs that selects a head; 0: they all train, as released.",
        ),
    ] = 0.1,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the splits.")] = 0,
    systems: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Columns name, system: who made each song.")
    ] = None,
    export_interchange: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE", help="Also write OUT/interchange, as released, from these features."
        ),
    ] = None,
    as_json: JsonOption = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite/--resume", help="Replace splits made with other settings, or refuse."
        ),
    ] = False,
) -> None:
    """Check the songs and their ratings, and split them: train, valid (selects), test (reported).

    What cannot be used is named, and listed in OUT/problems.csv. From a released list, its features
    go to OUT/features. Exit codes: 0 all good, 1 nothing usable, 2 wrong usage, 3 something besides
    unrated songs was left out.
    """
    from hear_aesthetics.files import one_line_when_full
    from songeval_task.data.preparation import Choices, read_systems

    choices = Choices(
        validation_ids=validation_ids,
        test_songs=test_songs,
        valid_fraction=valid_fraction,
        seed=seed,
        systems=read_systems(systems) if systems else None,
        overwrite=overwrite,
    )
    with one_line_when_full(out):
        make = _from_lists if source.endswith(LIST) else _from_songs
        prepared, problems = make(source, out, choices)
        _warn(problems)
        if export_interchange:
            _export(prepared, export_interchange, out / INTERCHANGE)
    write_json(dict(prepared.about)) if as_json else _show(prepared, validation_ids)
    raise typer.Exit(
        ExitCode.PARTIAL if {problem.kind for problem in problems} - EXPECTED else ExitCode.OK
    )


def _from_songs(source: str, out: Path, choices: "Choices") -> tuple["Prepared", list["Problem"]]:
    from songeval_task.data.dataset import read_songeval
    from songeval_task.data.download import obtain
    from songeval_task.data.preparation import inspect_audio
    from songeval_task.data.preparation import prepare as write_splits

    folder, origin = obtain(source)
    data = read_songeval(folder)
    facts = []
    with Report(len(data.songs), "checked", "song") as report:
        for fact in inspect_audio(data.root, [song.name for song in data.songs]):
            facts.append(fact)
            report.done()
    return write_splits(data, facts, out, choices, origin)


def _from_lists(source: str, out: Path, choices: "Choices") -> tuple["Prepared", list["Problem"]]:
    from songeval_task.features.import_lists import import_arrays, read_lists, write_table

    ids = choices.validation_ids
    lists = read_lists(Path(source), Path(ids) if ids and ids.endswith(LIST) else None)
    entries = []
    with Report(len(lists.rows), "imported") as report:
        for entry in import_arrays(lists, out / FEATURES, overwrite=choices.overwrite):
            entries.append(entry)
            report.done()
    return write_table(lists, entries, out, choices), []


def _export(prepared: "Prepared", features: Path, out: Path) -> None:
    from hear_aesthetics.files import check_free
    from songeval_task.features.released_lists import export_bytes, export_interchange
    from songeval_task.features.store import FeatureStore

    store = FeatureStore(features)
    out.mkdir(parents=True, exist_ok=True)
    check_free(out, export_bytes(prepared, store))
    with Report(None, "exported") as report:
        for _ in export_interchange(prepared, store, out):
            report.done()


def _warn(problems: list["Problem"]) -> None:
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(problem.message)
    for kind, messages in kinds.items():
        for message in messages[:SHOWN]:
            warning_line(f"{kind}: {message}")
        if len(messages) > SHOWN:
            warning_line(f"{kind}: {len(messages) - SHOWN} more, see problems.csv")


def _show(prepared: "Prepared", validation_ids: str | None) -> None:
    about = prepared.about
    parts = ", ".join(f"{split} {count}" for split, count in about["songs"].items())
    systems = f", {about['systems']} systems" if about["systems"] else ""
    typer.echo(
        f"{prepared.folder}: {len(prepared.songs)} songs, {about['hours']:.1f} h{systems}; {parts}"
    )
    if validation_ids is None:
        typer.echo(
            "the test songs are a seeded sample, not the official list: figures on them compare "
            "with nothing published (--validation-ids)"
        )
