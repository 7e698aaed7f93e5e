"""Resampling by a windowed sinc, with the numbers of torchaudio's ``functional.resample``.

Models that were trained and measured with it need it: its filter is far softer than soxr's (lowpass
width 6, rolloff 0.99, Hann window), so that audio above the new Nyquist frequency is still heard.

A polyphase filter computes it in time proportional to the result, at any pair of rates and block by
block. As there, the filter is designed in float32, and samples are equal to 4e-7 of full scale; one
designed in float64 would move those of 44.1 kHz by 7e-6, of 11.025 kHz by 4e-5.
"""

import math
from functools import lru_cache

import numpy as np

__all__ = ["SincResampler", "sinc_length", "sinc_resample"]

WIDTH = 6  # zero crossings on each side
ROLLOFF = 0.99  # of the lower Nyquist frequency


class SincResampler:
    """Stream of mono samples to another rate; the samples are those of the whole at once.

    Args:
        orig: Rate of the input in Hz.
        new: Rate of the output in Hz.
    """

    def __init__(self, orig: int, new: int) -> None:
        divisor = math.gcd(orig, new)
        self._down, self._up = orig // divisor, new // divisor
        self._kept = np.zeros(0, dtype=np.float32)  # input that outputs to come still need
        self._kept_from = 0  # index of its first sample, a multiple of `_down`
        self.samples_in = 0
        self.samples_out = 0

    def push(self, mono: np.ndarray) -> np.ndarray:
        """Return the outputs that depend on no later input, ``(samples,)`` float32."""
        self.samples_in += mono.size
        if self._down == self._up:
            self.samples_out += mono.size
            return mono
        self._kept = np.concatenate([self._kept, mono])
        whole = (self.samples_in - self._reach) * self._up // self._down
        return self._release(whole)

    def finish(self) -> np.ndarray:
        """Return the tail, which reaches :func:`sinc_length`; beyond the end are zeros."""
        if self._down == self._up:
            return np.zeros(0, dtype=np.float32)
        return self._release(sinc_length(self.samples_in, self._down, self._up))

    @property
    def _reach(self) -> int:
        """Input samples on each side of its time that decide an output."""
        return math.ceil(WIDTH * self._down / (min(self._down, self._up) * ROLLOFF))

    def _release(self, stop: int) -> np.ndarray:
        """Return the outputs before ``stop``; forget the input that no later one needs."""
        if stop <= self.samples_out or not self._kept.size:
            return np.zeros(0, dtype=np.float32)
        from scipy.signal import upfirdn  # slow to import, and needed by few

        taps, centre = _taps(self._down, self._up)
        offset = centre - self._kept_from // self._down * self._up
        first, last = self.samples_out + offset, stop + offset
        outputs = upfirdn(taps, self._kept, self._up, self._down)[first:last]
        outputs = np.pad(outputs, (0, last - first - outputs.size))
        self.samples_out = stop
        needed = stop * self._down // self._up - self._reach
        begin = max(self._kept_from, needed // self._down * self._down)
        self._kept = self._kept[begin - self._kept_from :]
        self._kept_from = begin
        return outputs


def sinc_resample(waveform: np.ndarray, orig: int, new: int) -> np.ndarray:
    """Return a waveform at another rate.

    Shape:
        - waveform: ``(..., samples)`` float32
        - output: ``(..., sinc_length(samples, orig, new))`` float32
    """
    waveform = np.asarray(waveform, dtype=np.float32)
    if orig == new:
        return waveform
    rows = waveform.reshape(-1, waveform.shape[-1])
    resampled = []
    for row in rows:
        stream = SincResampler(orig, new)
        resampled.append(np.concatenate([stream.push(row), stream.finish()]))
    return np.stack(resampled).reshape(*waveform.shape[:-1], -1)


def sinc_length(samples: int, orig: int, new: int) -> int:
    """Return the samples that audio has at another rate, by torchaudio's rule.

    It is the ceiling of the quotient rounded to float32, which of minutes of audio is a whole
    number: there torchaudio has a sample less than the exact ceiling, or a few less or more.
    """
    divisor = math.gcd(orig, new)
    return math.ceil(np.float32(new // divisor * samples / (orig // divisor)))


@lru_cache(maxsize=8)
def _taps(down: int, up: int) -> tuple[np.ndarray, int]:
    """Return the filter at ``up`` times the input's rate, and the output at its centre.

    The tap of input i for output n is that of ``j = i * up - n * down``, ``0 <= n < up``. Zeros
    before the filter make its centre the time of an output.
    """
    base = min(down, up) * ROLLOFF
    half = math.ceil(WIDTH * down * up / base)
    j = np.arange(half, -half - 1, -1)
    n = -j * pow(down, -1, up) % up
    i = (j + n * down) // up
    t = (-n.astype(np.float32) / np.float32(up) + i.astype(np.float32) / np.float32(down)) * base
    t = t.clip(-WIDTH, WIDTH)
    window = np.cos(t * math.pi / WIDTH / 2) ** 2
    t *= math.pi
    sinc = np.divide(np.sin(t), t, out=np.ones_like(t), where=t != 0)
    lead = -half % down
    return np.pad(sinc * window * (base / down), (lead, 0)), (half + lead) // down
