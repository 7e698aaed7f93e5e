"""Faults of audio that make its scores doubtful, measured from the samples.

Each is said as it was measured: "nothing above 3.1 kHz" is true of a telephone and of a solo bass.
Audio is measured in chunks of a second, of which a few sums are kept, so that the result depends on
no division into blocks, and hours of audio need little more memory than seconds.
"""

import math
from copy import deepcopy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hear_aesthetics.audio.bandwidth import FLOOR, BandwidthMeter
from hear_aesthetics.audio.loudness import CHANNEL_WEIGHTS
from hear_aesthetics.audio.repetition import LOOP_LIMITS, RepetitionFinder

__all__ = ["FAULT_LIMITS", "FaultMeter", "find_faults"]

STEPS_PER_SECOND = 100
SILENT_PEAK, SILENT_RMS = -60.0, -70.0  # dBFS; the second is also the gate of loudness
DEAD_PEAK = -80.0  # dBFS, of a channel beside one that is not silent
DIGITAL_SILENCE = 2.0**-15  # one step of 16 bits: what stays below it is no sound
SILENT_SHARE = 0.5
CLIPPED_SHARE = 0.01
LOUD_PEAK = -1.5  # dBFS; what was clipped may have been lowered by 1 dB since
SAME = 1.5 * 2.0**-15  # in 16 bits, +1 is one step less than -1
# An offset below 1 % of full scale takes no headroom worth a word. Slow cycles that a short clip
# cuts, and loud music, have a mean of some per cent of their RMS.
OFFSET, OFFSET_OF_RMS = 0.01, 0.05
NARROW = 4_000.0  # Hz
SHORT = 10.0  # seconds
FAULT_LIMITS = {  # for fingerprints
    "silence_dbfs": [SILENT_PEAK, SILENT_RMS, DEAD_PEAK],
    "silent_share": SILENT_SHARE,
    "clipped": [CLIPPED_SHARE, LOUD_PEAK],
    "offset": [OFFSET, OFFSET_OF_RMS],
    "bandwidth": [NARROW, FLOOR],
    "short_seconds": SHORT,
    "loop": LOOP_LIMITS,
}


class FaultMeter:
    """Meter of faults for audio in blocks, whose rate and channels may change."""

    def __init__(self) -> None:
        self._kind: tuple[int, int] | None = None
        self._filled = 0  # frames of the chunk that is being filled
        self._seconds = 0.0
        self._steps = self._silent_steps = 0  # of 10 ms
        self._channels: list[_Channel] = []
        self._highest = 0.0
        self._peaks: list[_Peaks] = []  # of the chunks where something may be clipped
        self._bandwidth = BandwidthMeter(NARROW)
        self._repetition: RepetitionFinder | None = None

    def push(self, block: np.ndarray, sample_rate: int) -> None:
        """Measure the next samples, ``(frames, channels)`` in [-1, 1], at a rate in Hz."""
        if self._kind != (kind := (sample_rate, block.shape[1])):
            self._begin(*kind)
        while len(block):
            part = block[: self._chunk.shape[1] - self._filled]
            self._chunk[:, self._filled : self._filled + len(part)] = part.T
            self._filled += len(part)
            block = block[len(part) :]
            if self._filled == self._chunk.shape[1]:
                self._measure(self._chunk, sample_rate)
                self._filled = 0

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong with the audio so far, in words; of most music nothing."""
        if self._kind is None:
            return ()
        # The rest is too short for repetition, whose resampler cannot be copied.
        whole = deepcopy(self, {id(self._repetition): self._repetition})
        whole._measure_rest()
        return tuple(whole._words())

    def _begin(self, sample_rate: int, channels: int) -> None:
        is_first = self._kind is None
        if not is_first:
            self._measure_rest()
        self._kind = (sample_rate, channels)
        self._step = round(sample_rate / STEPS_PER_SECOND)  # samples
        self._chunk = np.zeros((channels, STEPS_PER_SECOND * self._step), dtype=np.float32)
        self._filled = 0
        # Unequal weights, so that channels of opposite sign do not cancel.
        self._mix = 1 / np.arange(1, channels + 1, dtype=np.float32)
        # Parts of unequal kinds, joined, are no loop.
        self._repetition = RepetitionFinder(sample_rate) if is_first else None

    def _measure_rest(self) -> None:
        """Measure what fills no chunk."""
        if self._filled and self._kind is not None:
            self._measure(self._chunk[:, : self._filled], self._kind[0])

    def _measure(self, chunk: np.ndarray, sample_rate: int) -> None:
        """Measure a chunk, ``(channels, frames)``."""
        frames = chunk.shape[1]
        starts = np.arange(0, frames, self._step)
        lows = np.minimum.reduceat(chunk, starts, axis=1)
        highs = np.maximum.reduceat(chunk, starts, axis=1)
        self._channels += [_Channel() for _ in chunk[len(self._channels) :]]
        for channel, samples, low, high in zip(self._channels, chunk, lows, highs, strict=False):
            channel.add(samples, float(low.min()), float(high.max()))
        peaks = np.maximum(highs, -lows).max(axis=0)
        self._seconds += frames / sample_rate
        self._steps += len(peaks)
        self._silent_steps += int((peaks < DIGITAL_SILENCE).sum())
        self._highest = max(self._highest, highest := float(peaks.max()))
        if _dbfs(highest) >= LOUD_PEAK:
            self._peaks.append(_count_peaks(chunk, peaks, self._step))
        is_searching = self._repetition is not None and self._repetition.searching
        if not (is_searching or self._bandwidth.searching):
            return
        mono = self._mix @ chunk
        self._bandwidth.push(mono, sample_rate)
        if self._repetition is not None and frames == self._chunk.shape[1]:
            self._repetition.push(mono)

    def _words(self) -> list[str]:
        """Return the faults of what was measured."""
        channels = self._channels
        peak = _dbfs(max(channel.peak for channel in channels))
        rms = _dbfs(max(channel.rms for channel in channels))
        found = []
        if is_silent := peak < SILENT_PEAK or rms < SILENT_RMS:
            found.append(f"silence (peak {peak:.1f}, RMS {rms:.1f} dBFS)")
        elif self._silent_steps > SILENT_SHARE * self._steps:
            found.append(f"digital silence in {self._silent_steps / self._steps:.0%} of it")
        if (clipped := self._clipped_share()) > CLIPPED_SHARE:
            found.append(f"clipping ({clipped:.1%} of the samples)")
        offset = max((c.mean for c in channels if c.has_offset), key=abs, default=0.0)
        if offset:
            found.append(f"DC offset ({offset:+.3f} of full scale)")
        if not is_silent:
            weights = CHANNEL_WEIGHTS.get(len(channels), (1.0,) * len(channels))
            dead = [
                str(number)
                for number, (channel, weight) in enumerate(zip(channels, weights, strict=True), 1)
                if weight and _dbfs(channel.peak) < DEAD_PEAK
            ]
            if dead:
                found.append(f"no sound in channel {', '.join(dead)} of {len(channels)}")
            bandwidth = self._bandwidth.bandwidth()
            if bandwidth is not None and bandwidth <= NARROW:
                found.append(f"nothing above {bandwidth / 1000:.1f} kHz")
            period = self._repetition.period() if self._repetition else None
            if period is not None:
                found.append(f"a loop of {period:.2f} s")
        if round(self._seconds, 3) < SHORT:
            found.append(f"shorter than {SHORT:g} s ({min(self._seconds, SHORT - 0.1):.1f} s)")
        return found

    def _clipped_share(self) -> float:
        """Return the share of the samples that are clipped, over all channels."""
        clipped = sum(
            peaks.clipped if peaks.highest >= self._highest - SAME else peaks.over
            for peaks in self._peaks
        )
        return clipped / sum(channel.frames for channel in self._channels)


def find_faults(samples: np.ndarray, sample_rate: int) -> tuple[str, ...]:
    """Return what is wrong with audio, in words; of most music nothing.

    Args:
        samples: Floats in [-1, 1].
        sample_rate: Hz.

    Shape:
        - samples: ``(frames, channels)``
    """
    meter = FaultMeter()
    meter.push(samples, sample_rate)
    return meter.faults()


@dataclass
class _Channel:
    """Sums over one channel."""

    frames: int = 0
    low: float = math.inf
    high: float = -math.inf
    total: float = 0.0
    squares: float = 0.0

    def add(self, samples: np.ndarray, low: float, high: float) -> None:
        self.frames += len(samples)
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.total += float(samples.sum())
        self.squares += float(samples @ samples)

    @property
    def mean(self) -> float:
        return self.total / self.frames

    @property
    def rms(self) -> float:
        """RMS without the offset."""
        return math.sqrt(max(self.squares / self.frames - self.mean**2, 0.0))

    @property
    def peak(self) -> float:
        """Half of peak to peak, which no offset raises."""
        return (self.high - self.low) / 2

    @property
    def has_offset(self) -> bool:
        return abs(self.mean) > max(OFFSET, OFFSET_OF_RMS * self.rms)


class _Peaks(NamedTuple):
    """Peaks of a chunk: the highest, and how many samples are clipped if no chunk has higher."""

    highest: float
    clipped: int
    over: int  # clipped in any case: at full scale or beyond


def _count_peaks(chunk: np.ndarray, peaks: np.ndarray, step: int) -> _Peaks:
    """Count samples at full scale, and neighbours at the highest peak, near full scale."""
    highest = float(peaks.max())
    level = highest - SAME
    whole = chunk.shape[1] // step
    loud = np.flatnonzero(peaks[:whole] >= min(level, 1.0))
    size = np.abs(chunk[:, : whole * step].reshape(len(chunk), whole, step)[:, loud])
    at_top, is_over = size >= level, size >= 1.0
    pairs = at_top[..., 1:] & at_top[..., :-1]
    is_clipped = is_over.copy()
    is_clipped[..., 1:] |= pairs
    is_clipped[..., :-1] |= pairs
    return _Peaks(highest, int(is_clipped.sum()), int(is_over.sum()))


def _dbfs(level: float) -> float:
    return 20 * math.log10(level) if level > 0 else -math.inf
