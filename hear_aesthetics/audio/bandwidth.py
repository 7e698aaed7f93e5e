"""Bandwidth of audio: the frequency above which its mean spectrum holds nothing."""

from functools import lru_cache

import numpy as np
from scipy import fft

__all__ = ["FLOOR", "BandwidthMeter"]

BAND = 100.0  # Hz
FLOOR = 1e-6  # 60 dB under the mean of the spectrum
WIDE, WIDE_CHUNKS = 1e-4, 5  # seconds of 40 dB under it that settle that audio is wide
QUIET = 1e-5  # mean square of a second that settles nothing: what is wide may be its noise
WINDOW_SECONDS = 0.05  # at most


class BandwidthMeter:
    """Meter of the bandwidth of mono audio, whose rate may change.

    Args:
        limit: Hz; what is clearly wider is measured no more.
    """

    def __init__(self, limit: float) -> None:
        self._first = round(limit / BAND)  # band above the limit
        self._powers = np.zeros(0)  # of the bands
        self._wide_chunks = 0

    @property
    def searching(self) -> bool:
        """Whether more audio can change what is known."""
        return self._wide_chunks < WIDE_CHUNKS

    def push(self, chunk: np.ndarray, sample_rate: int) -> None:
        """Measure the next second, ``(samples,)``, at a rate in Hz."""
        size = 1 << int(np.log2(WINDOW_SECONDS * sample_rate))
        frames = chunk[: len(chunk) // size * size].reshape(-1, size)
        if not self.searching or not len(frames):
            return
        window = _window(size)
        bins = np.square(np.abs(fft.rfft(frames * window, axis=1)[:, :-1])).sum(axis=0)
        bins /= size * sample_rate  # seconds times mean square, at any rate
        band_of = np.arange(size // 2) * sample_rate / size // BAND
        powers = np.bincount(band_of.astype(int), bins)
        is_wide = bool((powers[self._first :] > WIDE * powers.mean()).any())
        self._wide_chunks += is_wide and float(chunk @ chunk) > QUIET * len(chunk)
        wider = max(len(powers), len(self._powers))
        self._powers = _padded(self._powers, wider) + _padded(powers, wider)

    def bandwidth(self) -> float | None:
        """Return the bandwidth in Hz; None for silence, and where it is clearly over the limit."""
        if not self.searching or not self._powers.any():
            return None
        return BAND * float(1 + np.flatnonzero(self._powers > FLOOR * self._powers.mean())[-1])


@lru_cache(maxsize=4)
def _window(size: int) -> np.ndarray:
    """Return a window whose leakage is below what is looked for."""
    from scipy.signal.windows import blackmanharris  # slow to import

    return blackmanharris(size, sym=False).astype(np.float32)


def _padded(powers: np.ndarray, length: int) -> np.ndarray:
    return np.pad(powers, (0, length - len(powers)))
