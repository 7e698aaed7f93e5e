"""Synthetic data set in SongEval's exact layout: songs that the program composes itself.

Each song has five latent qualities between 1 and 5, drawn under the bias of the system that is said
to have made it, and audible in it (:mod:`hear_aesthetics.synthesis`). Four listeners of a pool rate
it: the latent quality, plus how severe the listener is, plus noise, rounded to whole points. It is
a test and demo set: what a model learns from it says nothing about music that people make.

Everything about a song follows from the seed and the song's number. A file that is there is whole,
so a run that was interrupted goes on; ``metadata.jsonl`` comes last.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.engine.workers import in_processes
from hear_aesthetics.errors import InputError
from hear_aesthetics.files import write_text
from hear_aesthetics.spec import API_SAMPLE_RATE
from hear_aesthetics.synthesis import (
    QUALITIES,
    Generator,
    Qualities,
    compose,
    make_generators,
    render,
    sample_qualities,
)
from hear_aesthetics.synthesis.composition.composer import MIN_SECONDS
from hear_aesthetics.synthesis.composition.qualities import stream
from songeval_task.data.dataset import RATINGS_KEY, SIMULATED

__all__ = ["SongSetConfig", "SyntheticSong", "finish_set", "plan", "ratings", "render_songs"]

SAMPLE_RATE = API_SAMPLE_RATE  # Hz, as SongEval's files
MIN_SYSTEMS = 8
LISTENERS = 16  # in the pool
LISTENERS_PER_SONG = 4
SEVERITY = 0.25  # standard deviation between listeners, in points
INATTENTION = 0.5  # standard deviation of one rating, in points
LOWEST, HIGHEST = 1.0, 5.0

README = """# Synthetic songs

{songs} songs composed and rendered by hear-aesthetics (`songeval synthesize --seed {seed}`), in the
layout of SongEval. This is a test and demo set: ratings are simulated, and what a model learns from
them says nothing about music that people make.
"""


@dataclass(frozen=True)
class SongSetConfig:
    """Configuration of a synthetic set, which decides everything in it.

    Attributes:
        songs: Number of songs.
        seed: Random seed.
        shortest: Least duration of a song, seconds.
        longest: Greatest duration, seconds.
        systems: Number of generators that are said to have made the songs.

    Raises:
        InputError: If there are no songs, too few systems, or no such durations.
    """

    songs: int = 400
    seed: int = 0
    shortest: float = 60.0
    longest: float = 180.0
    systems: int = 10

    def __post_init__(self) -> None:
        if self.songs < 1:
            raise InputError(f"{self.songs} songs were asked for; ask for at least one")
        if not MIN_SECONDS <= self.shortest <= self.longest:
            raise InputError(
                f"songs of {self.shortest:g} to {self.longest:g} s cannot be made; take at least "
                f"{MIN_SECONDS:g} s, the shorter first"
            )
        if self.systems < MIN_SYSTEMS:
            raise InputError(f"{self.systems} systems are too few to compare; take {MIN_SYSTEMS}")


@dataclass(frozen=True)
class SyntheticSong:
    """One song before it is rendered.

    Attributes:
        name: Path in the set.
        seed: Random seed of the composition.
        seconds: Duration.
        system: Generator that is said to have made it.
        qualities: Latent qualities.
    """

    name: str
    seed: int
    seconds: float
    system: Generator
    qualities: Qualities


def plan(config: SongSetConfig) -> list[SyntheticSong]:
    """Return the songs of a set; a larger set with the same seed begins with the same songs."""
    systems = make_generators(config.systems, config.seed)
    songs = []
    for number in range(1, config.songs + 1):
        seed = int(np.random.SeedSequence([config.seed, number]).generate_state(1)[0])
        system = systems[number % config.systems]
        seconds = stream(seed, "duration").uniform(config.shortest, config.longest)
        qualities = sample_qualities(stream(seed, "qualities"), system)
        songs.append(SyntheticSong(f"mp3/{number}.mp3", seed, round(seconds, 2), system, qualities))
    return songs


def ratings(song: SyntheticSong, seed: int) -> list[dict[str, float]]:
    """Return the ratings of a song by four listeners of the pool, in whole points.

    Args:
        song: The song.
        seed: Random seed of the set, which decides who is in the pool.
    """
    severity = stream(seed, "listeners").normal(0.0, SEVERITY, (LISTENERS, len(QUALITIES)))
    rng = stream(song.seed, "ratings")
    chosen = rng.choice(LISTENERS, LISTENERS_PER_SONG, replace=False)
    noise = rng.normal(0.0, INATTENTION, (LISTENERS_PER_SONG, len(QUALITIES)))
    heard = song.qualities.as_array() + severity[chosen] + noise
    points = np.clip(np.rint(heard), LOWEST, HIGHEST)
    names = [name.capitalize() for name in QUALITIES]
    return [dict(zip(names, map(float, row), strict=True)) for row in points]


def render_songs(
    songs: Sequence[SyntheticSong], out: Path, workers: int
) -> Iterator[SyntheticSong]:
    """Render the songs that are not there yet, in worker processes; yield each as it is done.

    Args:
        songs: From :func:`plan`.
        out: Folder of the set.
        workers: Number of processes.

    Raises:
        OSError: If a song cannot be written.
        HearAestheticsError: If a worker process was killed.
    """
    todo = [song for song in songs if not (out / song.name).is_file()]
    for song, _ in in_processes(partial(_render, out), todo, workers):
        yield song


def finish_set(out: Path, config: SongSetConfig, songs: Sequence[SyntheticSong]) -> None:
    """Write the ratings, once every song is there."""
    rows = []
    for song in songs:
        rated = {"file_name": song.name, "annotation": ratings(song, config.seed)}
        rows.append({**rated, "system": song.system.name, RATINGS_KEY: SIMULATED})
    write_text(out / "README.md", README.format(songs=config.songs, seed=config.seed))
    write_text(out / "metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))


def _render(out: Path, song: SyntheticSong) -> None:
    score = compose(song.seed, song.seconds, song.qualities, song.system)
    write_audio(out / song.name, render(score, SAMPLE_RATE), SAMPLE_RATE)
