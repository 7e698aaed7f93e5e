"""Repetition of a clip: whether all of it is a loop of a short period.

The first seconds say which periods are possible; in most music none is, and nothing more is
computed. A possible one is compared second by second to the end. Sound and repetition are compared
in three bands, so that a loud bass drum hides no melody that goes on, and the noise of a lossy
codec hides no loop. A steady sound (a tone, a held chord) resembles itself at many lags and is no
loop: within a period neither its level nor its spectrum changes.
"""

import math

import numpy as np
import soxr
from scipy import fft

__all__ = ["LOOP_LIMITS", "RepetitionFinder"]

SHORTEST, LONGEST = 0.1, 2.0  # seconds; what repeats more often is heard as a tone
BANDS = ((40.0, 300.0), (300.0, 1_500.0), (1_500.0, 5_000.0))  # Hz
SIMILARITY = 0.85  # in every band; less than MP3 at 32 kbit/s leaves of a loop of music
LOOP_LIMITS = {"periods": [SHORTEST, LONGEST], "similarity": SIMILARITY}  # for fingerprints
RATE = 12_000  # Hz
HEAD = 4 * RATE  # samples that say which periods are possible
SILENCE = 1e-3  # the clip begins where a sample is beyond it
CANDIDATES, POSSIBLE, APART = 5, 0.6, 0.005  # lags to look at, their least similarity, seconds
LEVEL_RATIO = 10 ** (1.5 / 10)  # a decaying note resembles itself, but is softer each time
NOTHING = 1e-4  # of the power of all bands, or of the last seconds: too little to be compared
FRAME, HOP = 0.1, 0.025  # seconds
STEADY_LEVELS, STEADY_SPECTRA = 2.0, 0.9  # greatest ratio of powers, least cosine of spectra


class RepetitionFinder:
    """Finder of the period of mono audio that comes in chunks of about a second.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._resampler = soxr.ResampleStream(sample_rate, RATE, 1)
        self._audio = np.zeros(0, dtype=np.float32)  # the last seconds, at RATE
        self._period: float | None = None  # samples
        self.searching = True  # False: whatever follows, the clip is no loop

    def push(self, chunk: np.ndarray) -> None:
        """Take the next samples, float32 ``(samples,)``."""
        if not len(self._audio):
            loud = np.abs(chunk) > SILENCE
            chunk = chunk[loud.argmax() if loud.any() else len(chunk) :]
        if not self.searching or not len(chunk):
            return
        new = self._resampler.resample_chunk(chunk)
        self._audio = np.concatenate([self._audio, new])
        if self._period is not None:
            self.searching = self._repeats(self._period, len(new))
        elif len(self._audio) >= HEAD:
            self._period = self._find()
            self.searching = self._period is not None
        if self._period is not None:
            self._audio = self._audio[-HEAD:]

    def period(self) -> float | None:
        """Return the period in seconds if all audio so far is a loop, else None."""
        if not self.searching:
            return None
        period = self._find() if self._period is None else self._period
        return None if period is None else period / RATE

    def _find(self) -> float | None:
        """Return the shortest period of the audio that is kept, in samples."""
        shortest, apart = round(SHORTEST * RATE), round(APART * RATE)
        longest = min(round(LONGEST * RATE), len(self._audio) // 2)
        if longest < shortest:
            return None
        alike = self._similarities(longest + 1)
        untried = alike.copy()
        untried[:shortest] = untried[longest + 1 :] = 0
        periods: list[float] = []
        while len(periods) < CANDIDATES and untried[lag := int(untried.argmax())] >= POSSIBLE:
            before, here, after = alike[lag - 1 : lag + 2]  # the peak may lie between samples
            curve = before - 2 * here + after
            periods.append(lag + (0.5 * (before - after) / curve if curve < 0 else 0.0))
            untried[max(lag - apart, 0) : lag + apart + 1] = 0
        for period in sorted(periods):
            if self._repeats(period, len(self._audio) - int(period) - 1):
                return None if self._is_steady(period) else period
        return None

    def _similarities(self, longest: int) -> np.ndarray:
        """Return how like itself audio is at each lag, 1 where equal, its bands equally loud."""
        audio = self._audio
        size = fft.next_fast_len(len(audio) + longest, real=True)
        spectrum = fft.rfft(audio, size)
        power = np.square(np.abs(spectrum))
        gains = np.zeros_like(power)
        for band in _bands(power, size):
            gains[band] = 1 / np.sqrt(power[band].sum())
        audio = fft.irfft(spectrum * gains, size)[: len(audio)]
        products = fft.irfft(np.square(np.abs(fft.rfft(audio, size))), size)[: longest + 1]
        energies = np.concatenate([[0.0], np.cumsum(np.square(audio, dtype=np.float64))])
        lags = np.arange(longest + 1)
        both = energies[len(audio) - lags] + energies[-1] - energies[lags]
        return np.divide(2 * products, both, out=np.zeros(longest + 1), where=both > 0)

    def _repeats(self, period: float, samples: int) -> bool:
        """Return whether each second of the last ``samples`` repeats what was a period before."""
        audio, lag, length = self._audio, int(period), min(samples, RATE)
        window = _hann(length).astype(np.float32)
        turn = np.exp(-2j * np.pi * (period - lag) / length * np.arange(length // 2 + 1))
        quiet = NOTHING * np.square(audio).mean() * length
        first, seconds = len(audio) - samples + length, math.ceil(samples / length)
        for end in np.linspace(first, len(audio), seconds).astype(int):
            sound, earlier = audio[end - length : end], audio[end - length - lag : end - lag]
            if max(sound @ sound, earlier @ earlier) <= quiet:
                continue
            here = fft.rfft(sound * window)
            there = fft.rfft(earlier * window) * turn
            powers = [np.square(np.abs(spectrum)) for spectrum in (here, there)]
            bands = _bands(powers[0] + powers[1], length)
            levels = [sum(float(power[band].sum()) for band in bands) for power in powers]
            if max(levels) > LEVEL_RATIO * min(levels):
                return False
            products = (here * there.conj()).real
            for band in bands:
                power = powers[0][band].sum() + powers[1][band].sum()
                if 2 * products[band].sum() < SIMILARITY * power:
                    return False
        return True

    def _is_steady(self, period: float) -> bool:
        """Return whether neither level nor spectrum changes within a period."""
        frame, hop = round(FRAME * RATE), round(HOP * RATE)
        part = self._audio[-(int(period) + frame) :]
        frames = np.lib.stride_tricks.sliding_window_view(part, frame)[::hop]
        spectra = np.abs(fft.rfft(frames * _hann(frame), axis=1))[:, 3:]  # no offset
        powers = np.square(spectra).sum(axis=1)
        if powers.max() > STEADY_LEVELS * powers.min():
            return False
        units = spectra / np.sqrt(powers)[:, None]
        return bool((units @ units.T).min() > STEADY_SPECTRA)


def _hann(size: int) -> np.ndarray:
    """Return a periodic window."""
    from scipy.signal.windows import hann  # slow to import

    return hann(size, sym=False)


def _bands(power: np.ndarray, size: int) -> list[slice]:
    """Return the bins of the bands that hold something, of a spectrum of ``size`` samples."""
    bands = [slice(*(round(edge * size / RATE) for edge in band)) for band in BANDS]
    sums = [power[band].sum() for band in bands]
    return [band for band, total in zip(bands, sums, strict=True) if total > NOTHING * sum(sums)]
