"""Writing of audio files, whole or not at all, in any format that libsndfile writes."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from hear_aesthetics.files import atomic_file

__all__ = ["encode_audio", "write_audio"]

BLOCK_FRAMES = 1 << 13  # libsndfile's encoders for MP3 and Vorbis fail on very long writes


def write_audio(
    path: Path, waveform: np.ndarray, sample_rate: int, *, subtype: str | None = None
) -> None:
    """Write a waveform in the format that the file's name says; its folder is made if need be.

    The file is encoded in memory first, so that a disk without room for it keeps nothing of it.
    Samples beyond [-1, 1] are clipped where the format holds integers.

    Args:
        path: Such as ``song.mp3`` or ``song.flac``.
        waveform: Float samples.
        sample_rate: Hz.
        subtype: Of the samples, such as ``"PCM_16"``; by default that of the format.

    Shape:
        - waveform: ``(samples,)`` or ``(samples, channels)``

    Raises:
        OSError: If the file cannot be written.
        ValueError: If the name says no format that can be written.
    """
    kind = path.suffix.lstrip(".").upper()
    if kind not in soundfile.available_formats():
        raise ValueError(f"{path}: {path.suffix or 'no suffix'} names no audio format; try .flac")
    encoded = encode_audio(waveform, sample_rate, format=kind, subtype=subtype)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as target:
        target.write(encoded)


def encode_audio(waveform: np.ndarray, sample_rate: int, **options: Any) -> bytes:
    """Return what an audio file of a waveform holds.

    Args:
        waveform: Float samples, ``(samples,)`` or ``(samples, channels)``.
        sample_rate: Hz.
        **options: ``format``, ``subtype`` and whatever else ``soundfile.SoundFile`` takes.

    Raises:
        soundfile.LibsndfileError: If the format does not take the rate or the channels.
    """
    channels = 1 if waveform.ndim == 1 else waveform.shape[1]
    encoded = BytesIO()
    with soundfile.SoundFile(encoded, "w", sample_rate, channels, **options) as file:
        for first in range(0, len(waveform), BLOCK_FRAMES):
            file.write(waveform[first : first + BLOCK_FRAMES])
    return encoded.getvalue()
