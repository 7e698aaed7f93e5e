"""Splits of the songs: ``train``, ``valid`` (selects a model) and ``test`` (is reported).

The official validation songs are ``test`` here. ``valid`` is a stratified sample of the others;
nothing is ever selected on the songs that are reported.
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

__all__ = ["SPLITS", "current_split", "read_ids", "split_songs", "stratified_sample"]

SPLITS = ("train", "valid", "test")
TIMEOUT_SECONDS = 30


def read_ids(source: str | Path) -> list[str]:
    """Return the song names of a list, one ``mp3/N.mp3`` per line, from a file or a URL.

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


def current_split(name: str) -> str:
    """Return ``valid`` for the ``inner`` of files of earlier versions."""
    return "valid" if name == "inner" else name


def stratified_sample(songs: Sequence[Song], wanted: int, seed: int) -> set[str]:
    """Return the names of ``wanted`` songs, stratified by mean score.

    Songs are sorted by their mean score and cut into as many strata of neighbours as songs are
    wanted; one song of each is drawn.

    Raises:
        InputError: If that leaves no song in the sample, or none outside it.
    """
    if not 0 < wanted < len(songs):
        raise InputError(
            f"{wanted} of {len(songs)} songs cannot be held out: a part would be empty; take "
            "another number or fraction, or more songs"
        )
    ranked = sorted(songs, key=lambda song: (sum(song.labels), song.name))
    strata = np.array_split(np.arange(len(ranked)), wanted)
    generator = np.random.default_rng(seed)
    return {ranked[generator.choice(stratum)].name for stratum in strata}


def split_songs(
    songs: Sequence[Song], test_names: Iterable[str], *, fraction: float = 0.1, seed: int = 0
) -> dict[str, str]:
    """Return the split of each song, by name; of a ``fraction`` of 0, none is ``valid``.

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
    valid = stratified_sample(rest, round(len(rest) * fraction), seed) if fraction else set()
    return {
        song.name: "test" if song.name in test else "valid" if song.name in valid else "train"
        for song in songs
    }
