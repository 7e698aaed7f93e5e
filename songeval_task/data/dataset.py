"""The SongEval folder: songs, their ratings, and the problems of this copy of it.

Layout: ``mp3/*.mp3`` and ``metadata.jsonl``, one row per song: ``file_name`` and ``annotation``, a
list of raters, each a dictionary of numbers. A song's label is the mean over its raters, dimension
by dimension. ``system`` (optional) names the generator that made the song; ``ratings`` (optional)
is ``"simulated"`` where no person rated it.

Nothing is repaired in silence: every row that cannot be used becomes a :class:`Problem` with its
place and remedy, and the songs that can be used remain.
"""

import codecs
import json
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from hear_aesthetics.errors import InputError
from songeval_task.dimensions import DIMENSIONS

__all__ = [
    *("METADATA", "RATINGS_KEY", "SIMULATED", "Problem", "Song", "SongEval", "read_songeval"),
    "song_name",
]

RATINGS_KEY, SIMULATED = "ratings", "simulated"  # of rows, prepared sets and heads
METADATA = "metadata.jsonl"
AUDIO_FOLDER = "mp3"
NO_TEXT = {"Cc", "Cs"}  # control characters and unpaired surrogates
MAX_NAME_CHARS = 60  # that a message shows of a name that is no file name


@dataclass(frozen=True)
class Song:
    """One rated song.

    Attributes:
        name: Path relative to the data set's folder, such as ``"mp3/12.mp3"``; the song's id.
        labels: Mean rating per dimension, in the order of ``DIMENSIONS``.
        raters: How many listeners rated it.
        system: The generator that made it; empty where that is not known.
        ratings: Ratings of each rater, in the order of ``DIMENSIONS``; empty where only their means
            are known. Raters are anonymous: the first of one song need not be that of another.
    """

    name: str
    labels: tuple[float, ...]
    raters: int
    system: str = ""
    ratings: tuple[tuple[float, ...], ...] = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Problem:
    """Something in the data set that cannot be used.

    Attributes:
        kind: Category: ``"unrated"``, ``"missing audio"``, ``"bad row"``, ``"no row"`` ...
        message: One line: place, fault and remedy.
    """

    kind: str
    message: str


@dataclass(frozen=True)
class SongEval:
    """Contents of a SongEval folder.

    Attributes:
        root: The folder.
        songs: Songs that can be used, in the order of the metadata.
        problems: Problems of the others, in the order found.
        simulated: Whether a row says that its ratings are simulated.
    """

    root: Path
    songs: tuple[Song, ...]
    problems: tuple[Problem, ...]
    simulated: bool = False


def read_songeval(root: str | Path) -> SongEval:
    """Return the songs of a SongEval folder and everything that is wrong with it.

    Raises:
        InputError: If the folder or its ``metadata.jsonl`` is missing, or no song can be used.
    """
    root = Path(root)
    metadata = root / METADATA
    if not metadata.is_file():
        raise InputError(f"{metadata}: not there; a SongEval folder has mp3/ and {METADATA}")
    songs: dict[str, Song] = {}
    problems: list[Problem] = []
    seen: set[str] = set()
    simulated = False
    for place, row in _rows(metadata, problems):
        simulated |= row.get(RATINGS_KEY) == SIMULATED
        found = _song(place, row, root)
        name = song_name(row.get("file_name")) or place
        if name in songs or (name in seen and isinstance(found, Problem)):
            problems.append(Problem("duplicate id", f"{place}: {name} again; keep one row of it"))
            continue
        if name in seen:
            message = f"{place}: {name} again; this row is used, those before it cannot be"
            problems.append(Problem("duplicate id", message))
        seen.add(name)
        if isinstance(found, Song):
            songs[name] = found
        else:
            problems.append(found)
    for path in sorted((root / AUDIO_FOLDER).glob("*.mp3")):
        if (name := path.relative_to(root).as_posix()) not in seen:
            problems.append(Problem("no row", f"{name}: no row in {METADATA}; it is left out"))
    if not songs:
        first = f"; first: {problems[0].message}" if problems else ""
        raise InputError(f"{metadata}: no usable song in it{first}")
    return SongEval(root, tuple(songs.values()), tuple(problems), simulated)


def _rows(metadata: Path, problems: list[Problem]) -> Iterator[tuple[str, dict[str, Any]]]:
    with metadata.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"{METADATA}:{number}"
            if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) and number == 1:
                raise InputError(f"{metadata}: is UTF-16; save it as UTF-8")
            if not line.strip():
                continue
            fault = "not a JSON object; correct the row"
            try:
                row = json.loads(line.decode("utf-8-sig"))
            except UnicodeDecodeError:
                row, fault = None, "not UTF-8; save the file as UTF-8"
            except (ValueError, RecursionError) as error:
                row, fault = None, f"not JSON ({error}); correct the row"
            if isinstance(row, dict):
                yield place, row
            else:
                problems.append(Problem("bad row", f"{place}: {fault}"))


def _song(place: str, row: Mapping[str, Any], root: Path) -> Song | Problem:
    name, system = song_name(row.get("file_name")), str(row.get("system") or "")
    if not name:
        return Problem("bad row", f"{place}: no file_name; name the song's file")
    if any(unicodedata.category(character) in NO_TEXT for character in name + system):
        shown = ascii(name)[:MAX_NAME_CHARS]
        return Problem("bad row", f"{place}: {shown} or its system is no text; correct it")
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return Problem("bad row", f"{place}: {name} leads out of the folder; use mp3/<file>")
    annotation = row.get("annotation") or []
    if not annotation:
        return Problem("unrated", f"{place}: {name} has no annotation; it is left out")
    try:
        ratings = _ratings(annotation)
    except ValueError as error:
        return Problem("bad rating", f"{place}: {name}: {error}")
    try:
        found = (root / name).is_file()
    except OSError as error:
        shown = f"{name[:MAX_NAME_CHARS]}..."
        return Problem("bad row", f"{place}: {shown}: {error.strerror}; correct file_name")
    if not found:
        return Problem("missing audio", f"{place}: {name} is not there; copy it or drop its row")
    labels = tuple(sum(column) / len(ratings) for column in zip(*ratings, strict=True))
    return Song(name, labels, len(ratings), system, ratings=ratings)


def song_name(name: Any) -> str:
    """Return a song's id in one spelling, ``mp3/1.mp3`` for ``./mp3/1.mp3``; empty for no text."""
    return PurePosixPath(name.strip()).as_posix() if isinstance(name, str) and name.strip() else ""


def _ratings(annotation: Any) -> tuple[tuple[float, ...], ...]:
    """Return the ratings; raise ValueError with the rater and dimension that do not fit."""
    if not isinstance(annotation, list):
        raise ValueError("annotation is no list of raters; correct the row")
    ratings = []
    for number, rater in enumerate(annotation, start=1):
        values = []
        for dimension in DIMENSIONS:
            value = rater.get(dimension.name) if isinstance(rater, dict) else None
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"rater {number} has no number for {dimension.name}; drop it")
            if not dimension.low <= value <= dimension.high:  # nor is NaN; integers may be huge
                scale = f"{dimension.low:g} to {dimension.high:g}"
                shown = f"{value:g}" if abs(value) < sys.float_info.max else "a number"
                raise ValueError(f"rater {number}: {dimension.name} {shown} is outside {scale}")
            values.append(float(value))
        ratings.append(tuple(values))
    return tuple(ratings)
