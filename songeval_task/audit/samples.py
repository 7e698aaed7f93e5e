"""Samples of a file, all channels at its own rate, before the pipeline takes their mean."""

from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from hear_aesthetics.audio.loading import load_waveforms, resample
from hear_aesthetics.audio.loudness import LoudnessMeter
from hear_aesthetics.audio.waveforms import ENCODER_FORMAT
from hear_aesthetics.errors import AudioError

__all__ = ["Audio", "at_rate", "decode", "loudness_of"]


class Audio(NamedTuple):
    """Samples ``(frames, channels)``, float32, and their rate in Hz."""

    samples: np.ndarray
    sample_rate: int


def decode(path: str | PathLike[str], **span: Any) -> Audio:
    """Return the samples of a file, not to be written to.

    Args:
        path: Audio file.
        **span: ``start``, ``end``, ``min_seconds`` and ``max_minutes`` of ``load_waveforms``.

    Raises:
        AudioError: As ``load_waveforms``, or if rate or channels change within the file.
    """
    blocks: list[np.ndarray] = []
    kinds: set[tuple[int, int]] = set()

    def keep(block: np.ndarray, sample_rate: int) -> None:
        blocks.append(block)
        kinds.add((sample_rate, block.shape[1]))

    load_waveforms(
        path, (ENCODER_FORMAT,), on_block=keep, **span
    )  # whose checks and errors are those of `score`
    if len(kinds) > 1:
        raise AudioError(f"{path}: rate or channels change within it; convert it to one wav first")
    samples = np.concatenate(blocks)
    samples.flags.writeable = False
    return Audio(samples, kinds.pop()[0])


def at_rate(audio: Audio, sample_rate: int) -> Audio:
    """Return audio at another rate, by the pipeline's own filter."""
    resampled = resample(audio.samples.T, audio.sample_rate, sample_rate)
    return Audio(np.ascontiguousarray(resampled.T), sample_rate)


def loudness_of(audio: Audio) -> float | None:
    """Return the integrated loudness in LUFS; None for silence or less than 400 ms."""
    meter = LoudnessMeter()
    meter.push(*audio)
    return meter.loudness()
