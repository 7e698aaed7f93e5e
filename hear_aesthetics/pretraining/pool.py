"""The pool: training audio rendered or decoded once, then read clip by clip from disk.

``pool.npy`` holds the clips, 16 bit at 24 kHz, memory-mapped when read; ``pool.json``, written
last, says what made them. The last clips are held out: no encoder trains on them.
"""

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.atomic import atomic_file, write_text
from hear_aesthetics.audio import load_audio
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.fingerprint import check
from hear_aesthetics.inputs import collect_inputs
from hear_aesthetics.pretraining.config import CLIP_SECONDS
from hear_aesthetics.pretraining.material import render_clip
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["Pool", "folder_pool", "synthetic_pool"]

CLIPS, ABOUT = "pool.npy", "pool.json"
FORMAT = 1  # raised when the same settings begin to give other audio
HELD_OUT_SHARE = 0.05
FULL_SCALE = 32767
SHORTEST_SHARE = 0.25  # of a clip: a shorter rest of a file is left out

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pool:
    """Clips of equal length.

    Attributes:
        clips: ``(clips, samples)`` int16 at 24 kHz.
        about: What made them.
    """

    clips: np.ndarray
    about: dict[str, Any]

    @property
    def held_out(self) -> int:
        """How many clips, the last ones, are kept from training; at least one."""
        return max(1, round(HELD_OUT_SHARE * len(self.clips)))

    def crop(self, clip: int, first: int, samples: int) -> np.ndarray:
        """Part of a clip, ``(samples,)`` float32 in [-1, 1]."""
        return self.clips[clip, first : first + samples].astype(np.float32) / FULL_SCALE


def synthetic_pool(
    folder: Path,
    seed: int,
    clips: int,
    progress: Progress | None = None,
    *,
    overwrite: bool = False,
) -> Pool:
    """The rendered pool of a folder; made if it is not there, or damaged.

    Args:
        folder: Holds the two files.
        seed: Of the audio.
        clips: Number of clips of 8 s, at least 2.
        progress: Called with the clips done and the clips in all.
        overwrite: Replace a pool that was made with other settings.

    Raises:
        InputError: If there are fewer than two clips, or a pool made with other settings.
    """
    _check_size(clips)
    about = {"format": FORMAT, "audio": "synthetic", "seed": seed, "clips": clips}
    found = _open(folder, about, overwrite=overwrite)
    if found:
        return found

    def rendered() -> Iterator[np.ndarray]:
        for index in range(clips):
            yield render_clip(seed, index, CLIP_SECONDS)
            if progress:
                progress(index + 1, clips)

    return _write(folder, about, rendered())


def folder_pool(
    folder: Path,
    audio: Path,
    seed: int,
    clips: int,
    progress: Progress | None = None,
    *,
    overwrite: bool = False,
) -> Pool:
    """The pool of a user's recordings: their files in random order, cut into clips of 8 s.

    Held-out clips are the last ones, so they come from other files but for one that may be cut
    through. A file that cannot be read is left out, with a warning.

    Args:
        folder: Holds the two files.
        audio: Folder of audio files, searched through.
        seed: Of the order.
        clips: Most clips taken.
        progress: Called with the clips done and the most there may be.
        overwrite: Replace a pool of other recordings, or made with other settings.

    Raises:
        InputError: If there are fewer than two clips of audio, or a pool made otherwise.
    """
    _check_size(clips)
    paths = [item.path for item in collect_inputs([str(audio)]).inputs]
    names = [f"{path} {path.stat().st_size}" for path in paths]
    about = {"format": FORMAT, "audio": names, "seed": seed, "clips": clips}
    found = _open(folder, about, overwrite=overwrite)
    if found:
        return found
    order = np.random.default_rng(seed).permutation(len(paths))
    cut: list[np.ndarray] = []
    for index in order:
        cut += [_stored(clip) for clip in _decoded(paths[index])]
        if progress:
            progress(min(len(cut), clips), clips)
        if len(cut) >= clips:
            break
    if len(cut) < 2:
        raise InputError(f"{audio}: {len(cut)} clips of audio; give at least two files of 2 s")
    return _write(folder, about, iter(cut[:clips]))


def _check_size(clips: int) -> None:
    if clips < 2:
        raise InputError(f"a pool of {clips} clips; ask for at least 2: one is held out")


def _decoded(path: Path) -> Iterator[np.ndarray]:
    """A file in clips of the pool's length, the last one padded."""
    samples = round(CLIP_SECONDS * SAMPLE_RATE)
    try:
        waveform = load_audio(path)
    except AudioError as error:
        logger.warning("%s; left out", error)
        return
    for first in range(0, len(waveform), samples):
        clip = waveform[first : first + samples]
        if len(clip) >= SHORTEST_SHARE * samples:
            yield np.pad(clip, (0, samples - len(clip)))


def _stored(clip: np.ndarray) -> np.ndarray:
    if clip.dtype == np.int16:
        return clip
    return np.rint(np.clip(clip, -1.0, 1.0) * FULL_SCALE).astype(np.int16)


def _open(folder: Path, about: dict[str, Any], *, overwrite: bool = False) -> Pool | None:
    """Return the pool that is there; None if there is none, or it is damaged."""
    try:
        known = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        clips = np.load(folder / CLIPS, mmap_mode="r")
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict) or (overwrite and known != about):
        return None
    check(folder, known, about)
    return Pool(clips, about)


def _write(folder: Path, about: dict[str, Any], clips: Iterator[np.ndarray]) -> Pool:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).unlink(missing_ok=True)
    with atomic_file(folder / CLIPS) as file:
        shape = (0, round(CLIP_SECONDS * SAMPLE_RATE))
        count = 0
        _write_header(file, shape)
        for clip in clips:
            file.write(_stored(clip).tobytes())
            count += 1
        file.seek(0)
        _write_header(file, (count, shape[1]))
    write_text(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    pool = _open(folder, about)
    assert pool is not None, "a pool that was just written can be read"
    return pool


def _write_header(file: Any, shape: tuple[int, int]) -> None:
    """Both headers have one length: numpy leaves room for an axis that grows."""
    header = {"descr": "<i2", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
