"""Formats of the waveforms that encoders and scorers hear, and the waveforms of one clip in them.

A format is a rate and a resampler, by its name in what a scorer reads: ``waveform_24000`` is mono
audio at 24 kHz through soxr's HQ filter, ``waveform_16000_sinc`` at 16 kHz through the windowed
sinc of torchaudio's defaults (:mod:`hear_aesthetics.audio.sinc`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from hear_aesthetics.audio.decoding import RATES
from hear_aesthetics.errors import InputError
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["ENCODER_FORMAT", "SINC", "SOXR", "WaveformFormat", "Waveforms"]

SOXR, SINC = "soxr", "sinc"
PREFIX = "waveform"
NAME = re.compile(rf"{PREFIX}_([1-9]\d{{0,8}})(?:_({SINC}))?", re.ASCII)


@dataclass(frozen=True)
class WaveformFormat:
    """Rate of a mono waveform in Hz, and the resampler that it went through.

    >>> WaveformFormat.parse("waveform_16000_sinc")
    WaveformFormat(rate=16000, resampler='sinc')
    """

    rate: int
    resampler: str = SOXR

    @staticmethod
    def names(name: str) -> bool:
        """Return whether a name means a waveform, be it right or wrong."""
        return name.partition("_")[0] == PREFIX

    @classmethod
    def parse(cls, name: str) -> Self:
        """Read the name of a format.

        Raises:
            InputError: If it is no name of a waveform, or of a rate that no audio has.
        """
        found = NAME.fullmatch(name)
        if found is None or int(found[1]) not in RATES:
            raise InputError(
                f"{name!r} is no waveform; write one such as '{ENCODER_FORMAT}' or "
                f"'waveform_16000_sinc', from {RATES[0]} to {RATES[-1]} Hz"
            )
        return cls(int(found[1]), found[2] or SOXR)

    def __str__(self) -> str:
        suffix = "" if self.resampler == SOXR else f"_{self.resampler}"
        return f"{PREFIX}_{self.rate}{suffix}"


ENCODER_FORMAT = WaveformFormat(SAMPLE_RATE)  # what MuQ and MusicFM hear


class Waveforms:
    """Waveforms of one stretch of audio by the name of their format.

    Attributes:
        by_name: ``(samples,)`` float32 each.
        lengths: Samples of each.
    """

    def __init__(self, by_name: Mapping[str, np.ndarray]) -> None:
        self.by_name = dict(by_name)
        self.lengths = tuple(len(waveform) for waveform in self.by_name.values())

    def __len__(self) -> int:
        """Return the samples of the first."""
        return self.lengths[0]

    def __mul__(self, gain: float) -> "Waveforms":
        """Return all of them louder or quieter."""
        return Waveforms({name: waveform * gain for name, waveform in self.by_name.items()})
