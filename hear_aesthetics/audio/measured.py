"""Measured audio: waveforms, and what was measured of the file while it was decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from hear_aesthetics.audio.faults import FaultMeter
from hear_aesthetics.audio.loading import load_waveforms
from hear_aesthetics.audio.loudness import LoudnessMeter, gain_to
from hear_aesthetics.audio.waveforms import WaveformFormat, Waveforms

__all__ = ["MeasuredAudio", "measure_audio"]


@dataclass(frozen=True)
class MeasuredAudio:
    """Waveforms of a clip, and measures of the clip as it is in the file.

    Attributes:
        waveforms: Mono, brought to the target loudness if there was one.
        loudness_lufs: Integrated loudness of all channels at the file's rate; None for silence and
            for less than 400 ms.
        faults: What is wrong with the audio, in words.
    """

    waveforms: Waveforms
    loudness_lufs: float | None = None
    faults: tuple[str, ...] = ()


def measure_audio(
    path: str | PathLike[str],
    formats: Sequence[str],
    *,
    target: float | None = None,
    measured: bool = True,
    **options: Any,
) -> MeasuredAudio:
    """Load a clip; loudness and faults are measured on the blocks as they are decoded.

    Args:
        path: Audio file.
        formats: Names of the formats of the waveforms.
        target: Loudness in LUFS that the waveforms are brought to, by gain alone.
        measured: Whether loudness and faults are measured; a target needs it.
        **options: Of :func:`hear_aesthetics.audio.loading.load_waveforms`.

    Raises:
        AudioError: If the file cannot be read, is too short or too long.
    """
    meter, fault_meter = LoudnessMeter(), FaultMeter()

    def measure(block: np.ndarray, sample_rate: int) -> None:
        meter.push(block, sample_rate)
        fault_meter.push(block, sample_rate)

    wanted = [WaveformFormat.parse(name) for name in formats]
    waveforms = load_waveforms(path, wanted, on_block=measure if measured else None, **options)
    loudness = meter.loudness()
    if target is not None:
        waveforms = waveforms * gain_to(target, loudness)
    return MeasuredAudio(waveforms, loudness, fault_meter.faults())
