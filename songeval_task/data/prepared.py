"""Prepared data set: the table of songs and splits that every later command reads.

``PREPARED/songs.csv`` has one row per song: name, mean rating per dimension, number of raters,
system, split, sha256 and length of its audio. ``ratings.csv`` has one row per song and rater, where
these are known. ``problems.csv`` names what was left out and why. ``dataset.json`` says where the
audio is, how the splits were made, and the hashes of both tables; it is written last, so that a
folder that has it is complete.
"""

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import csv_text, write_text
from hear_aesthetics.fingerprint import check
from hear_aesthetics.text_files import read_json
from hear_aesthetics.version import __version__
from songeval_task.data.dataset import Problem, Song
from songeval_task.data.splits import SPLITS, current_split
from songeval_task.dimensions import DIMENSIONS, Track

__all__ = ["Prepared", "PreparedSong", "read_prepared", "write_prepared"]

TABLE, RATINGS = "songs.csv", "ratings.csv"
PROBLEMS, ABOUT = "problems.csv", "dataset.json"
LABELS = tuple(dimension.name for dimension in DIMENSIONS)
COLUMNS = ("name", *LABELS, "raters", "system", "split", "sha256", "seconds")
RATINGS_HASH = "ratings_sha256"
RATING_COLUMNS = ("name", "rater", *LABELS)
REMEDY = "run `songeval prepare`"


@dataclass(frozen=True)
class PreparedSong(Song):
    """A rated song with its place in the splits.

    Attributes:
        split: One of ``SPLITS``.
        sha256: Of its audio file.
        seconds: Length of its audio.
    """

    split: str = ""
    sha256: str = ""
    seconds: float = 0.0

    @classmethod
    def of(cls, song: Song, split: str, sha256: str, seconds: float) -> "PreparedSong":
        """Return a song with its split and the facts about its audio."""
        known = song.name, song.labels, song.raters, song.system
        return cls(*known, split, sha256, seconds, ratings=song.ratings)

    def labels_of(self, track: Track) -> tuple[float, ...]:
        """Return the mean ratings of a track's dimensions, in its order."""
        rated = dict(zip(LABELS, self.labels, strict=True))
        return tuple(rated[name] for name in track.names)


@dataclass(frozen=True)
class Prepared:
    """A prepared data set.

    Attributes:
        folder: Where its table is.
        root: Where its audio is.
        songs: In the order of the metadata.
        about: Contents of ``dataset.json``: counts, seed, origin, hash of the table.
    """

    folder: Path
    root: Path
    songs: tuple[PreparedSong, ...]
    about: Mapping[str, Any]

    def path(self, song: Song) -> Path:
        """Return the song's audio file."""
        return self.root / song.name

    def split(self, name: str) -> list[PreparedSong]:
        """Return the songs of a split."""
        return [song for song in self.songs if song.split == name]


def write_prepared(
    folder: Path,
    root: Path,
    songs: Sequence[PreparedSong],
    problems: Sequence[Problem],
    choices: Mapping[str, Any],
    *,
    overwrite: bool = False,
) -> Prepared:
    """Write the files, each whole, ``dataset.json`` last.

    Args:
        folder: Made if need be.
        root: Folder of the audio.
        songs: Songs that can be used.
        problems: Problems of the others.
        choices: How the splits were made and where the data came from.
        overwrite: Replace another table.

    Raises:
        InputError: If the folder holds another table.
    """
    table = csv_text([COLUMNS, *map(_row, songs)])
    ratings = [row for song in songs for row in _rating_rows(song)]
    rated = csv_text([RATING_COLUMNS, *ratings])
    splits = Counter(song.split for song in songs)
    about = {
        "root": str(root.resolve()),
        "songs": {split: splits[split] for split in SPLITS},
        "hours": round(sum(song.seconds for song in songs) / 3600, 3),
        "systems": len({song.system for song in songs if song.system}),
        "problems": dict(Counter(problem.kind for problem in problems)),
        **choices,
        "table_sha256": _sha256(table),
        **({RATINGS_HASH: _sha256(rated)} if ratings else {}),
        "version": __version__,
    }
    if (folder / ABOUT).is_file() and not overwrite:
        made = {**choices, "table_sha256": about["table_sha256"]}
        known = read_json(folder / ABOUT)
        if known.get("table_sha256") != made["table_sha256"]:
            check(folder, {key: known.get(key) for key in made}, made)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).unlink(missing_ok=True)
    write_text(folder / TABLE, table)
    (folder / RATINGS).unlink(missing_ok=True)
    if ratings:
        write_text(folder / RATINGS, rated)
    write_text(folder / PROBLEMS, csv_text([("kind", "message"), *map(astuple, problems)]))
    write_text(folder / ABOUT, json.dumps(about, indent=1))
    return Prepared(folder, root, tuple(songs), about)


def read_prepared(folder: str | Path, *, need_audio: bool = True) -> Prepared:
    """Return the data set that ``songeval prepare`` wrote.

    Args:
        folder: Folder of the data set.
        need_audio: False where the features alone are used, which may be on another machine.

    Raises:
        InputError: If it is incomplete or was changed since, or the audio has moved.
    """
    folder = Path(folder)
    path, record = folder / TABLE, folder / ABOUT
    try:
        about = json.loads(record.read_text(encoding="utf-8"))
        table = path.read_text(encoding="utf-8")
        root, expected = Path(about["root"]), about["table_sha256"]
        rated = (folder / RATINGS).read_text(encoding="utf-8") if RATINGS_HASH in about else ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{record}: not a prepared data set ({error}); {REMEDY}") from error
    made = about.get(RATINGS_HASH, _sha256(""))
    for name, text, known in ((TABLE, table, expected), (RATINGS, rated, made)):
        if _sha256(text) != known:
            raise InputError(f"{folder / name}: changed since it was made; {REMEDY}")
    if need_audio and not root.is_dir():
        raise InputError(f"{root}: the audio is no longer there; {REMEDY} again")
    try:
        ratings = _ratings(rated)
        songs = tuple(_song(row, ratings) for row in csv.DictReader(StringIO(table)))
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        kind = type(error).__name__
        raise InputError(f"{path}: damaged ({kind}: {error}); {REMEDY}") from error
    return Prepared(folder, root, songs, about)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _row(song: PreparedSong) -> tuple[Any, ...]:
    seconds = repr(round(song.seconds, 3))
    facts = song.raters, song.system, song.split, song.sha256, seconds
    return (song.name, *map(repr, song.labels), *facts)


def _rating_rows(song: Song) -> list[tuple[Any, ...]]:
    return [(song.name, n, *map(repr, rated)) for n, rated in enumerate(song.ratings, start=1)]


def _ratings(text: str) -> dict[str, list[tuple[float, ...]]]:
    """Return the ratings of each song, in the order of its raters."""
    found: dict[str, list[tuple[float, ...]]] = {}
    for row in csv.DictReader(StringIO(text)):
        found.setdefault(row["name"], []).append(tuple(float(row[label]) for label in LABELS))
    return found


def _song(
    row: Mapping[str, str], ratings: Mapping[str, Sequence[tuple[float, ...]]]
) -> PreparedSong:
    if Path(row["name"]).is_absolute() or ".." in Path(row["name"]).parts:
        raise ValueError(f"{row['name']} leads out of the folder")
    return PreparedSong(
        name=row["name"],
        labels=tuple(float(row[label]) for label in LABELS),
        raters=int(row["raters"]),
        system=row["system"],
        split=current_split(row["split"]),
        sha256=row["sha256"],
        seconds=float(row["seconds"]),
        ratings=tuple(ratings.get(row["name"], ())),
    )
