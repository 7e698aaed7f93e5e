"""Loaders of decoding processes, which start quickly: nothing here imports PyTorch."""

from typing import Any

import numpy as np

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.audio.measured import MeasuredAudio, measure_audio

__all__ = ["load_measured", "load_mono"]


def load_measured(item: Any, **options: Any) -> MeasuredAudio:
    """Return the measured audio of a file or span; options as :func:`measure_audio`."""
    return measure_audio(item.path, start=item.start, end=item.end, **options)


def load_mono(item: Any, sample_rate: int, max_minutes: float) -> np.ndarray:
    """Return the waveform of a file or span, ``(samples,)`` float32."""
    span = item.path, sample_rate
    return load_audio(*span, start=item.start, end=item.end, max_minutes=max_minutes)
