"""Preparation of a SongEval folder: faults found, splits drawn, nothing leaking.

Songs whose audio is the same, byte for byte, are kept on one side: a copy of a reported song is
left out of training, and copies among the others train together.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hear_aesthetics.audio.loading import audio_info
from hear_aesthetics.engine.workers import usable_cores
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.text_files import read_table
from songeval_task.data.dataset import (
    RATINGS_KEY,
    SIMULATED,
    Problem,
    Song,
    SongEval,
    song_name,
)
from songeval_task.data.prepared import Prepared, PreparedSong, write_prepared
from songeval_task.data.splits import read_ids, split_songs, stratified_sample

__all__ = ["AudioFacts", "Choices", "inspect_audio", "prepare", "read_systems", "split"]

NAME_COLUMNS = ("name", "file_name")
OFFICIAL_TEST_SONGS = 200
MAX_THREADS = 8  # reading and hashing release the interpreter lock


@dataclass(frozen=True)
class AudioFacts:
    """Facts about an audio file.

    Attributes:
        name: The song's id.
        sha256: Of the file.
        seconds: Its length by its header; 0 if it cannot be read.
        error: Why it cannot be read; None if it can.
    """

    name: str
    sha256: str
    seconds: float
    error: str | None = None


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Choices of a preparation.

    Attributes:
        validation_ids: File or URL of the songs that are reported; None draws them.
        test_songs: Number of songs to draw; None: as many as officially, at most a quarter.
        valid_fraction: Share of the other songs that selects a model.
        seed: Random seed of the splits.
        systems: Song name -> the generator that made it, over what the metadata say.
        overwrite: Replace another table that is there.
    """

    validation_ids: str | None = None
    test_songs: int | None = None
    valid_fraction: float = 0.1
    seed: int = 0
    systems: Mapping[str, str] | None = None
    overwrite: bool = False

    def record(self, origin: str) -> dict[str, Any]:
        """Return what a prepared folder says of how it was made, from data of this origin."""
        names = ("seed", "valid_fraction", "validation_ids")
        return {"origin": origin, **{name: getattr(self, name) for name in names}}


def inspect_audio(root: Path, names: Sequence[str]) -> Iterator[AudioFacts]:
    """Yield the facts about each file, in order; nothing is decoded.

    Args:
        root: Folder of the data set.
        names: Paths of files in it.
    """
    with ThreadPoolExecutor(min(usable_cores(), MAX_THREADS)) as pool:
        yield from pool.map(lambda name: _inspect(root / name, name), names)


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
        The prepared songs, and the problems of all that was left out.

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
    same_audio: dict[str, list[str]] = {}
    for song in songs:
        same_audio.setdefault(known[song.name].sha256, []).append(song.name)
    problems += _keep_together([group for group in same_audio.values() if group[1:]], splits)
    table = []
    for song in songs:
        if song.name in splits:
            fact = known[song.name]
            table.append(PreparedSong.of(song, splits[song.name], fact.sha256, fact.seconds))
    how = choices.record(origin)
    if data.simulated:
        how[RATINGS_KEY] = SIMULATED
    made = write_prepared(out, data.root, table, problems, how, overwrite=choices.overwrite)
    return made, problems


def split(
    songs: Sequence[Song], choices: Choices, test_names: Iterable[str] | None = None
) -> dict[str, str]:
    """Return the split of each song, by name.

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
        count = min(OFFICIAL_TEST_SONGS, len(songs) // 4)
        if choices.test_songs is not None:
            count = choices.test_songs
        test_names = stratified_sample(songs, count, choices.seed)
    return split_songs(songs, test_names, fraction=choices.valid_fraction, seed=choices.seed)


def read_systems(path: Path) -> dict[str, str]:
    """Return song name -> system of a table with columns ``name`` or ``file_name``, and ``system``.

    Commas, semicolons or tabs part the columns.

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
    """Move songs of equal audio into one split of ``splits``; return a problem for each."""
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


def _inspect(path: Path, name: str) -> AudioFacts:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return AudioFacts(name, digest, audio_info(path).duration or 0.0)
    except AudioError as error:
        return AudioFacts(name, digest, 0.0, str(error))
    except OSError as error:
        return AudioFacts(name, "", 0.0, f"{path}: cannot be read ({error.strerror})")
