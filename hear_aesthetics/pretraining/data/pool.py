"""Pool of training audio, rendered or decoded once, then read clip by clip from disk.

``pool.npy`` holds the clips, 16 bit at 24 kHz, memory-mapped when read; ``pool.json``, written
last, holds their fingerprint. The last clips are held out: no encoder trains on them.
"""

import itertools
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.engine.inputs import collect_inputs
from hear_aesthetics.engine.progress import ProgressCallback, no_progress
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.files import atomic_file, write_text
from hear_aesthetics.fingerprint import check
from hear_aesthetics.pretraining.config import CLIP_SECONDS
from hear_aesthetics.pretraining.data.synthetic_clips import render_clip
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["Pool", "open_pool"]

CLIPS, ABOUT = "pool.npy", "pool.json"
FORMAT = 1  # raised when equal settings give other audio than before
HELD_OUT_SHARE = 0.05
FULL_SCALE = 32767
SHORTEST_SHARE = 0.25  # of a clip; a shorter rest of a file is left out

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pool:
    """Clips of equal length.

    Attributes:
        clips: ``(clips, samples)`` int16 at 24 kHz.
        about: Fingerprint: source, seed and number of clips.
    """

    clips: np.ndarray
    about: dict[str, Any]

    @property
    def held_out(self) -> int:
        """Number of clips, the last ones, that are held out; at least one."""
        return max(1, round(HELD_OUT_SHARE * len(self.clips)))

    def crop(self, clip: int, first: int, samples: int) -> np.ndarray:
        """Return a part of a clip, ``(samples,)`` float32 in [-1, 1]."""
        return self.clips[clip, first : first + samples].astype(np.float32) / FULL_SCALE


def open_pool(
    folder: Path,
    audio: Path | None,
    seed: int,
    clips: int,
    progress: ProgressCallback = no_progress,
    *,
    seconds: float = CLIP_SECONDS,
    overwrite: bool = False,
) -> Pool:
    """Open the pool of a folder; a missing or damaged one is made.

    Recordings are taken in random order and cut into clips. Held-out clips are the last
    ones, so they come from other files but for one that may be cut through. A file that cannot be
    read is left out, with a warning.

    Args:
        folder: Folder of the two files.
        audio: Folder of recordings, searched recursively; None renders audio.
        seed: Random seed of the rendered audio, or of the order of the recordings.
        clips: Maximum number of clips, at least 2.
        progress: Called with the clips done and their maximum number.
        seconds: Length of a clip.
        overwrite: Replace a pool of other audio or settings.

    Raises:
        InputError: If there are fewer than two clips, or the pool there has other settings.
    """
    if clips < 2:
        raise InputError(f"a pool of {clips} clips; ask for at least 2: one is held out")
    inputs = collect_inputs([str(audio)]).inputs if audio else []
    paths = [item.path for item in inputs if isinstance(item.path, Path)]
    if len(paths) < len(inputs):
        raise InputError(f"{audio}: a pool is made of audio files; unpack what is in containers")
    names = [f"{path} {path.stat().st_size}" for path in paths] if audio else "synthetic"
    about: dict[str, Any] = {"format": FORMAT, "audio": names, "seed": seed, "clips": clips}
    if seconds != CLIP_SECONDS:
        about["seconds"] = seconds
    if found := _open(folder, about, overwrite):
        return found
    samples = round(seconds * SAMPLE_RATE)
    rendered = (render_clip(seed, index, seconds) for index in itertools.count())
    made = _recorded(paths, seed, samples) if audio else rendered
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / CLIPS) as file:
        _write_header(file, 0, samples)
        count = 0
        for count, clip in enumerate(itertools.islice(made, clips), 1):
            file.write(np.rint(np.clip(clip, -1.0, 1.0) * FULL_SCALE).astype(np.int16).tobytes())
            progress(count, clips)
        if count < 2:
            shortest = SHORTEST_SHARE * seconds
            raise InputError(
                f"{audio}: {count} clips of audio; give at least two files of {shortest:g} s"
            )
        file.seek(0)
        _write_header(file, count, samples)
        (folder / ABOUT).unlink(missing_ok=True)
    write_text(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    return Pool(np.load(folder / CLIPS, mmap_mode="r"), about)


def _recorded(paths: Sequence[Path], seed: int, samples: int) -> Iterator[np.ndarray]:
    """Yield files in random order, in clips of a length, the last of a file padded."""
    for index in np.random.default_rng(seed).permutation(len(paths)):
        try:
            waveform = load_audio(paths[index])
        except AudioError as error:
            logger.warning("%s; left out", error)
            continue
        for first in range(0, len(waveform), samples):
            clip = waveform[first : first + samples]
            if len(clip) >= SHORTEST_SHARE * samples:
                yield np.pad(clip, (0, samples - len(clip)))


def _open(folder: Path, about: dict[str, Any], overwrite: bool) -> Pool | None:
    """Return the pool of a folder, None if there is none or it is damaged."""
    try:
        known = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        clips = np.load(folder / CLIPS, mmap_mode="r")
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(known, dict) or (overwrite and known != about):
        return None
    check(folder, known, about)
    return Pool(clips, about)


def _write_header(file: BinaryIO, clips: int, samples: int) -> None:
    """Write the header; its length does not depend on ``clips``: numpy leaves room for growth."""
    header = {"descr": "<i2", "fortran_order": False, "shape": (clips, samples)}
    np.lib.format.write_array_header_1_0(file, header)
