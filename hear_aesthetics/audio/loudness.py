"""Integrated loudness by ITU-R BS.1770-4, of all channels at the file's own rate, in LUFS.

The standard weighs and adds the channels, so a mono mix would read up to 6 LU low; what is measured
here is what loudness meters show. Only the energies of 100 ms steps are kept: hours of audio need
no more memory than seconds.
"""

import math

import numpy as np
import soxr

__all__ = ["LoudnessMeter", "gain_to"]

STEP_SECONDS = 0.1
STEPS_PER_BLOCK = 4  # gating blocks of 400 ms that overlap by three quarters
OFFSET_DB = -0.691  # makes a full-scale 997 Hz sine in one channel read -3.01
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
SURROUND = 1.41
# Hz; below the first, the shelf of the weighting has no room under half the rate.
LOWEST_RATE, RAISED_RATE = 8_000, 24_000
# Channel count -> weights in the usual order; the low-frequency channel of 5.1 does not count.
CHANNEL_WEIGHTS = {
    4: (1.0, 1.0, SURROUND, SURROUND),
    5: (1.0, 1.0, 1.0, SURROUND, SURROUND),
    6: (1.0, 1.0, 1.0, 0.0, SURROUND, SURROUND),
}


class LoudnessMeter:
    """Loudness meter for audio in blocks, whose rate and channels may change."""

    def __init__(self) -> None:
        self._kind: tuple[int, int] | None = None
        self._energies: list[np.ndarray] = []

    def _begin(self, sample_rate: int, channels: int) -> None:
        self._raised = None
        if sample_rate < LOWEST_RATE:
            self._raised = soxr.ResampleStream(sample_rate, RAISED_RATE, channels)
            sample_rate = RAISED_RATE
        self._filters = k_weighting(sample_rate)
        self._state = np.zeros((len(self._filters), 2, channels))
        self._weights = np.array(CHANNEL_WEIGHTS.get(channels, (1.0,) * channels))
        self._step = round(STEP_SECONDS * sample_rate)  # samples
        self._rest = np.zeros(0)  # weighted squares that do not fill a step yet

    def push(self, block: np.ndarray, sample_rate: int) -> None:
        """Measure the next samples, ``(frames, channels)``, at a rate in Hz."""
        from scipy.signal import sosfilt  # slow to import

        if self._kind != (kind := (sample_rate, block.shape[1])):
            self._kind = kind
            self._begin(*kind)
        if self._raised is not None:
            block = self._raised.resample_chunk(np.ascontiguousarray(block, dtype=np.float32))
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
        """Return the integrated loudness in LUFS so far; None for silence or less than 400 ms."""
        steps = np.concatenate([np.zeros(0), *self._energies])
        if len(steps) < STEPS_PER_BLOCK:
            return None
        blocks = np.convolve(steps, np.full(STEPS_PER_BLOCK, 1 / STEPS_PER_BLOCK), mode="valid")
        blocks = blocks[blocks >= _energy(ABSOLUTE_GATE_LUFS)]
        if not len(blocks):
            return None
        gate = _energy(_lufs(blocks.mean()) + RELATIVE_GATE_LU)
        return _lufs(blocks[blocks > gate].mean())


def k_weighting(sample_rate: int) -> np.ndarray:
    """Return the two filters of the standard as second-order sections, ``(2, 6)``.

    The standard tabulates them for 48 kHz; these analogue prototypes give its table there and the
    same curve at other rates.
    """
    shelf, shelf_q, gain = 1681.974450955533, 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    high_pass, high_pass_q = 38.13547087602444, 0.5003270373238773  # Hz, quality
    middle = gain**0.4996667741545416
    k = math.tan(math.pi * shelf / sample_rate)
    a0 = 1 + k / shelf_q + k * k
    first = [
        (gain + middle * k / shelf_q + k * k) / a0,
        2 * (k * k - gain) / a0,
        (gain - middle * k / shelf_q + k * k) / a0,
        1.0,
        2 * (k * k - 1) / a0,
        (1 - k / shelf_q + k * k) / a0,
    ]
    k = math.tan(math.pi * high_pass / sample_rate)
    a0 = 1 + k / high_pass_q + k * k
    second = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / high_pass_q + k * k) / a0]
    return np.array([first, second])


def gain_to(target: float, loudness: float | None) -> float:
    """Return the factor that brings audio of ``loudness`` to ``target`` LUFS; 1 for silence.

    >>> round(gain_to(-14.0, -20.0), 3)
    1.995
    """
    return 1.0 if loudness is None else 10 ** ((target - loudness) / 20)


def _lufs(energy: float) -> float:
    return OFFSET_DB + 10 * math.log10(energy)


def _energy(lufs: float) -> float:
    return float(10 ** ((lufs - OFFSET_DB) / 10))
