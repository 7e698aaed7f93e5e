"""From a SongEval folder to a prepared one: faults found, splits drawn, nothing leaking.

Songs whose audio is the same, byte for byte, are kept on one side: a copy of a reported song is
left out of training, and copies among the others train together.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import InputError
from hear_aesthetics.text_files import read_table
from songeval_task.data.dataset import Problem, Song, SongEval, song_name
from songeval_task.data.inspection import AudioFacts, same_audio
from songeval_task.data.prepared import Prepared, PreparedSong, write_prepared
from songeval_task.data.splits import default_test_songs, read_ids, split_songs, spread_sample

__all__ = ["Choices", "made_by", "prepare", "read_systems", "split"]

NAME_COLUMNS = ("name", "file_name")


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How the songs are split.

    Attributes:
        validation_ids: File or URL of the songs that are reported; None draws them.
        test_songs: How many to draw; None is ``default_test_songs``.
        inner_fraction: Of the other songs, to select a model.
        seed: Of what is drawn.
        systems: Song name -> the generator that made it, over what the metadata say.
        overwrite: Replace another table that is there.
    """

    validation_ids: str | None = None
    test_songs: int | None = None
    inner_fraction: float = 0.1
    seed: int = 0
    systems: Mapping[str, str] | None = None
    overwrite: bool = False


def prepare(
    data: SongEval, facts: Iterable[AudioFacts], out: Path, choices: Choices, origin: str = "local"
) -> tuple[Prepared, list[Problem]]:
    """Write the table of songs and splits.

    Args:
        data: From ``read_songeval``.
        facts: From ``inspect_audio``, of its songs.
        out: Folder to write to.
        choices: How to split.
        origin: Where the data came from.

    Returns:
        What was written, and everything that was left out.

    Raises:
        InputError: If the splits cannot be made: names the list or the number.
    """
    known = {fact.name: fact for fact in facts}
    problems = list(data.problems)
    problems += [Problem("unreadable audio", f.error) for f in known.values() if f.error]
    systems = choices.systems or {}
    songs = [
        replace(song, system=systems.get(song.name, song.system))
        for song in data.songs
        if not known[song.name].error
    ]
    splits = split(songs, choices)
    groups = same_audio({song.name: known[song.name].sha256 for song in songs})
    problems += _keep_together(groups, splits)
    table = [
        _prepared(song, splits[song.name], known[song.name])
        for song in songs
        if song.name in splits
    ]
    how = made_by(choices, origin)
    made = write_prepared(out, data.root, table, problems, how, overwrite=choices.overwrite)
    return made, problems


def split(
    songs: Sequence[Song], choices: Choices, test_names: Iterable[str] | None = None
) -> dict[str, str]:
    """Song name -> split.

    Args:
        songs: All of them.
        choices: How to split.
        test_names: The songs that are reported, over what the choices say of them.

    Raises:
        InputError: If the splits cannot be made.
    """
    if test_names is None and choices.validation_ids is not None:
        test_names = read_ids(choices.validation_ids)
    if test_names is None:
        wanted = choices.test_songs
        count = default_test_songs(len(songs)) if wanted is None else wanted
        test_names = spread_sample(songs, count, choices.seed)
    return split_songs(songs, test_names, fraction=choices.inner_fraction, seed=choices.seed)


def made_by(choices: Choices, origin: str) -> dict[str, Any]:
    """How a table was made, for its description."""
    return {
        "origin": origin,
        "seed": choices.seed,
        "inner_fraction": choices.inner_fraction,
        "validation_ids": choices.validation_ids,
    }


def read_systems(path: Path) -> dict[str, str]:
    """Song name -> system, of a table with the columns ``name`` (or ``file_name``) and ``system``.

    Raises:
        InputError: If the file cannot be read, lacks a column, or gives a song two systems.
    """
    columns, rows = read_table(path)
    name = next((column for column in NAME_COLUMNS if column in columns), None)
    if name is None or "system" not in columns or not rows:
        raise InputError(f"{path}: needs the columns name and system, and at least one row")
    systems: dict[str, str] = {}
    for _, row in rows:
        song, system = song_name(row[name]), row["system"]
        if systems.setdefault(song, system) != system:
            raise InputError(f"{path}: {song} has two systems; keep one row of it")
    return systems


def _keep_together(groups: Sequence[Sequence[str]], splits: dict[str, str]) -> list[Problem]:
    """Settle in ``splits`` where songs of equal audio belong, and say so."""
    problems = []
    for group in groups:
        tested = [name for name in group if splits[name] == "test"]
        first, *others = tested or group
        for name in others:
            text = f"{name}: the same audio as {first}; drop a row, or leave both"
            problems.append(Problem("duplicate audio", text))
        for name in sorted(set(group) - {first, *others}):
            del splits[name]
            text = f"{name}: the same audio as test song {first}; it is left out"
            problems.append(Problem("audio of a test song", text))
        if not tested:
            splits.update(dict.fromkeys(group, "train"))
    return problems


def _prepared(song: Song, split: str, fact: AudioFacts) -> PreparedSong:
    whole: dict[str, Any] = vars(song)
    return PreparedSong(**whole, split=split, sha256=fact.sha256, seconds=fact.seconds)
