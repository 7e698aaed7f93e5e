"""Integrated loudness by ITU-R BS.1770-4, of all channels at the file's own rate, in LUFS.

The standard weighs and adds the channels, so a mono mix would read up to 6 LU low; what is measured
here is what loudness meters show. The file is decoded block by block and only the energies of 100
ms steps are kept: hours of audio need no more memory than seconds. The K-weighting filters are
pyloudnorm's.
"""

import math
from os import PathLike
from pathlib import Path

import numpy as np
from pyloudnorm.iirfilter import IIRfilter
from scipy.signal import sosfilt

from hear_aesthetics.decoding import open_decoder

__all__ = ["LoudnessMeter", "gain_to", "integrated_loudness"]

STEP_SECONDS = 0.1
STEPS_PER_BLOCK = 4  # gating blocks of 400 ms that overlap by three quarters
OFFSET_DB = -0.691  # makes a full-scale 997 Hz sine in one channel read -3.01
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
SURROUND = 1.41
# Channel count -> weights in the usual order; the low-frequency channel of 5.1 does not count.
CHANNEL_WEIGHTS = {
    4: (1.0, 1.0, SURROUND, SURROUND),
    5: (1.0, 1.0, 1.0, SURROUND, SURROUND),
    6: (1.0, 1.0, 1.0, 0.0, SURROUND, SURROUND),
}


class LoudnessMeter:
    """Measures audio that comes in blocks.

    Args:
        sample_rate: Hz.
        channels: How many each block has.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        shelf = IIRfilter(4.0, 1 / math.sqrt(2), 1500.0, sample_rate, "high_shelf")
        high_pass = IIRfilter(0.0, 0.5, 38.0, sample_rate, "high_pass")
        self._filters = np.stack([np.concatenate([f.b, f.a]) for f in (shelf, high_pass)])
        self._state = np.zeros((len(self._filters), 2, channels))
        self._weights = np.array(CHANNEL_WEIGHTS.get(channels, (1.0,) * channels))
        self._step = round(STEP_SECONDS * sample_rate)  # samples
        self._rest = np.zeros(0)  # weighted squares that do not fill a step yet
        self._energies: list[np.ndarray] = []

    def push(self, block: np.ndarray) -> None:
        """Measure the next samples, ``(frames, channels)``."""
        if not len(block):
            return
        filtered, self._state = sosfilt(
            self._filters, block.astype(np.float64), axis=0, zi=self._state
        )
        squares = np.concatenate([self._rest, np.square(filtered) @ self._weights])
        whole = len(squares) // self._step * self._step
        self._energies.append(squares[:whole].reshape(-1, self._step).mean(axis=1))
        self._rest = squares[whole:]

    def loudness(self) -> float | None:
        """Integrated loudness in LUFS so far; None for silence or less than 400 ms."""
        steps = np.concatenate([np.zeros(0), *self._energies])
        if len(steps) < STEPS_PER_BLOCK:
            return None
        blocks = np.convolve(steps, np.full(STEPS_PER_BLOCK, 1 / STEPS_PER_BLOCK), mode="valid")
        blocks = blocks[blocks >= _energy(ABSOLUTE_GATE_LUFS)]
        if not len(blocks):
            return None
        gate = _energy(_lufs(blocks.mean()) + RELATIVE_GATE_LU)
        return _lufs(blocks[blocks > gate].mean())


def integrated_loudness(
    path: str | PathLike[str], start: float | None = None, end: float | None = None
) -> float | None:
    """Loudness of a file, or of a span of it in seconds; None for silence or less than 400 ms.

    Raises:
        AudioError: If the file cannot be read.
    """
    with open_decoder(Path(path)) as decoder:
        rate = decoder.info.sample_rate
        first = 0 if start is None else round(start * rate)
        last = None if end is None else round(end * rate)
        meter = LoudnessMeter(rate, decoder.info.channels)
        for position, block in decoder.blocks_from(first):
            stop = None if last is None else max(last - position, 0)
            meter.push(block[max(first - position, 0) : stop])
            if last is not None and position + len(block) >= last:
                break
    return meter.loudness()


def gain_to(target: float, loudness: float | None) -> float:
    """The factor that brings audio of ``loudness`` to ``target`` LUFS; 1 for silence.

    >>> round(gain_to(-14.0, -20.0), 3)
    1.995
    """
    return 1.0 if loudness is None else 10 ** ((target - loudness) / 20)


def _lufs(energy: float) -> float:
    return OFFSET_DB + 10 * math.log10(energy)


def _energy(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET_DB) / 10))
