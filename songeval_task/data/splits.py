"""Which songs train, select and test a model.

The official validation songs are what is reported (``test`` here). A model is selected on an inner
split of the others, drawn so that both parts have the same spread of scores; nothing is ever
selected on the songs that are reported.
"""

import urllib.request
from collections import Counter
from collections.abc import Iterable, Sequence
from http.client import HTTPException
from pathlib import Path

import numpy as np

from hear_aesthetics.errors import InputError
from hear_aesthetics.text_files import decode_text, read_text
from songeval_task.data.dataset import Song, song_name

__all__ = ["SPLITS", "default_test_songs", "read_ids", "split_songs", "spread_sample"]

SPLITS = ("train", "inner", "test")
OFFICIAL_TEST_SONGS = 200
TIMEOUT_SECONDS = 30


def read_ids(source: str | Path) -> list[str]:
    """Song names of a list, one ``mp3/N.mp3`` per line, from a file or a URL.

    Raises:
        InputError: If the list cannot be read, is empty, or names a song twice.
    """
    try:
        if str(source).startswith(("http://", "https://")):
            with urllib.request.urlopen(str(source), timeout=TIMEOUT_SECONDS) as reply:
                text = decode_text(reply.read(), source)
        else:
            text = read_text(source)
    except (OSError, HTTPException) as error:
        raise InputError(f"{source}: the list of song names cannot be read ({error})") from error
    names = [song_name(line) for line in text.split("\n") if line.strip()]
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if not names or twice:
        wrong = f"names {', '.join(twice[:3])} twice" if twice else "is empty"
        raise InputError(f"{source}: the list of song names {wrong}; one mp3/N.mp3 per line")
    return names


def spread_sample(songs: Sequence[Song], wanted: int, seed: int) -> set[str]:
    """Names of ``wanted`` songs whose mean scores are spread like those of all ``songs``.

    Songs are sorted by their mean score and cut into as many runs of neighbours as songs are
    wanted; one song of each run is drawn.

    Raises:
        InputError: If that leaves no song in the sample, or none outside it.
    """
    if not 0 < wanted < len(songs):
        raise InputError(
            f"{wanted} of {len(songs)} songs cannot be held out: a part would be empty; take "
            "another number or fraction, or more songs"
        )
    ranked = sorted(songs, key=lambda song: (sum(song.labels), song.name))
    runs = np.array_split(np.arange(len(ranked)), wanted)
    generator = np.random.default_rng(seed)
    return {ranked[generator.choice(run)].name for run in runs}


def default_test_songs(songs: int) -> int:
    """How many songs are reported where no official list says which: 200, at most a quarter."""
    return min(OFFICIAL_TEST_SONGS, songs // 4)


def split_songs(
    songs: Sequence[Song], test_names: Iterable[str], *, fraction: float = 0.1, seed: int = 0
) -> dict[str, str]:
    """Song name -> ``"train"``, ``"inner"`` or ``"test"``.

    Raises:
        InputError: If a test song is not in the data set, or a part would be empty.
    """
    test = set(test_names)
    unknown = sorted(test - {song.name for song in songs})
    if unknown:
        raise InputError(
            f"{len(unknown)} validation songs are not among the rated ones, such as {unknown[0]}; "
            "complete the data set or the list"
        )
    rest = [song for song in songs if song.name not in test]
    inner = spread_sample(rest, round(len(rest) * fraction), seed)
    return {
        song.name: "test" if song.name in test else "inner" if song.name in inner else "train"
        for song in songs
    }
