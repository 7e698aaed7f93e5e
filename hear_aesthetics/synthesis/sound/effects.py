"""Effects on a mix: room, tone, level, and sounds added to it.

Level and brightness of a song must say nothing about its qualities. ``equalize`` therefore brings
two measures of brightness, the mean spectral centroid and the rate of zero crossings, to targets
that are drawn without looking at the song, by a smooth filter with two parameters; ``normalize``
does the same for the level. Both measures are of the band below 12 kHz, whatever the sample rate:
it is what encoders at 24 kHz hear.
"""

from typing import NamedTuple

import numpy as np
from scipy import fft
from scipy.signal import oaconvolve

__all__ = [
    "Brightness",
    "add_sound",
    "brightness",
    "equalize",
    "impulse_response",
    "normalize",
    "reverb",
    "rms_db",
    "tilt",
]

KNEE, CEILING = 0.7, 0.98  # of full scale: peaks are rounded off between these
FRAME = 2048  # samples, of the brightness measurement
BAND_HZ = 12_000  # upper edge of the measured band
MAX_FRAMES = 256
QUIET_DB = -50.0  # frames below this, relative to the loudest, are left out
SILENT_HZ = 1.0  # brightness of silence
TAPS = 1023
REFERENCE_HZ = 1000.0
LOG_RANGE = (-3.5, 3.5)  # octaves from the reference in which the filter has a slope
SLOPE_LIMIT, CURVE_LIMIT = 9.0, 3.0  # dB per octave, dB per octave squared
SOLVER_STEPS, PROBE, DAMPING = 8, 0.03, 0.02
CLOSE_ENOUGH = 1e-5  # squared log ratios: 0.3 per cent


class Brightness(NamedTuple):
    """Mean spectral centroid in Hz and zero crossings per second."""

    centroid_hz: float
    crossing_rate: float


def add_sound(target: np.ndarray, start: int, sound: np.ndarray) -> None:
    """Add a sound in place from sample ``start`` on, cut where the target begins and ends."""
    skip = max(0, -start)
    first = start + skip
    sound = sound[skip : skip + max(0, len(target) - first)]
    target[first : first + len(sound)] += sound


def impulse_response(seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Return a room's response: noise that decays by 60 dB in ``seconds``, at unit energy."""
    time = np.arange(max(1, round(seconds * sample_rate))) / sample_rate
    response = rng.standard_normal(len(time)) * np.exp(-np.log(1000) * time / seconds)
    # air and walls absorb treble: an average of neighbours is cheap and close enough
    response[1:] = 0.5 * (response[1:] + response[:-1])
    return (response / np.sqrt(np.sum(response**2))).astype(np.float32)


def reverb(
    waveform: np.ndarray,
    seconds: float = 1.0,
    wet: float = 0.2,
    sample_rate: int = 24_000,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return the waveform ``(samples,)`` in a room; the length stays, the tail is cut.

    The room decays by 60 dB in ``seconds``; ``wet`` is the share of its sound, 0 to 1. Without an
    ``rng`` it is always the same room.
    """
    response = impulse_response(seconds, sample_rate, rng or np.random.default_rng(0))
    room = oaconvolve(waveform.astype(np.float32), response)[: len(waveform)]
    return ((1.0 - wet) * waveform + wet * room).astype(np.float32)


def rms_db(waveform: np.ndarray) -> float:
    """Return the level in dB re full scale; -120 for silence."""
    return float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-12))


def normalize(waveform: np.ndarray, target_db: float) -> np.ndarray:
    """Return the waveform at RMS level ``target_db``, peaks rounded off below full scale."""
    scaled = waveform * np.float32(10 ** ((target_db - rms_db(waveform)) / 20))
    peaks = np.abs(scaled) > KNEE
    excess = np.abs(scaled[peaks]) - KNEE
    room = CEILING - KNEE
    scaled[peaks] = np.sign(scaled[peaks]) * (KNEE + room * np.tanh(excess / room))
    return scaled.astype(np.float32)


def _band(sample_rate: int) -> np.ndarray:
    """Return the frequencies, in Hz, of the bins of a frame that are in the band."""
    hertz = fft.rfftfreq(FRAME, 1 / sample_rate)
    return hertz[hertz <= BAND_HZ]


def _spectra(waveform: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return spectra, in the band, of frames spread over the waveform, without silent ones."""
    padded = np.pad(waveform, (0, max(0, FRAME - len(waveform))))
    count = min(MAX_FRAMES, max(1, len(padded) // FRAME))
    starts = np.linspace(0, len(padded) - FRAME, count).astype(int)
    frames = padded[starts[:, None] + np.arange(FRAME)] * np.hanning(FRAME).astype(np.float32)
    power = np.sum(frames**2, axis=1)
    spectra = fft.rfft(frames[power >= power.max() * 10 ** (QUIET_DB / 10)], axis=1)
    return spectra[:, : len(_band(sample_rate))]


def _measure(spectra: np.ndarray, gain: np.ndarray, sample_rate: int) -> Brightness:
    filtered = spectra * gain
    magnitude = np.abs(filtered)
    hertz = _band(sample_rate)
    centroid = magnitude @ hertz / (magnitude.sum(axis=1) + 1e-9)
    samples = 2 * (len(hertz) - 1)  # of the frame at the rate that holds just the band
    # only the middle half: towards its ends the window makes the sign of rounding errors count
    middle = fft.irfft(filtered, samples, axis=1)[:, samples // 4 : -samples // 4]
    crossings = np.mean(np.signbit(middle[:, 1:]) != np.signbit(middle[:, :-1]))
    return Brightness(float(centroid.mean()), float(crossings * sample_rate * samples / FRAME))


def brightness(waveform: np.ndarray, sample_rate: int = 24_000) -> Brightness:
    """Return the mean spectral centroid and the zero-crossing rate of the frames that sound."""
    spectra = _spectra(waveform, sample_rate)
    return _measure(spectra, np.ones(spectra.shape[1]), sample_rate)


def _curve(slope: float, bend: float, hertz: np.ndarray) -> np.ndarray:
    """Return a gain of ``slope`` dB per octave plus ``bend`` dB per octave squared around 1 kHz."""
    octaves = np.clip(np.log2(np.maximum(hertz, 1.0) / REFERENCE_HZ), *LOG_RANGE)
    return 10 ** ((slope * octaves + bend * octaves**2) / 20)


def _apply(waveform: np.ndarray, slope: float, bend: float, sample_rate: int) -> np.ndarray:
    gain = _curve(slope, bend, fft.rfftfreq(TAPS + 1, 1 / sample_rate))
    taps = np.roll(fft.irfft(gain), TAPS // 2)[:TAPS] * np.hanning(TAPS + 2)[1:-1]
    return oaconvolve(waveform, taps.astype(np.float32), mode="same").astype(np.float32)


def tilt(waveform: np.ndarray, db_per_octave: float, sample_rate: int = 24_000) -> np.ndarray:
    """Return the waveform with its spectrum tilted around 1 kHz, without delay."""
    return _apply(waveform, db_per_octave, 0.0, sample_rate)


def equalize(waveform: np.ndarray, target: Brightness, sample_rate: int = 24_000) -> np.ndarray:
    """Return the waveform filtered so that its brightness comes close to the target.

    Levenberg-Marquardt steps on (log centroid, log crossing rate) find slope and bend of the
    filter; both are limited, so an extreme target is approached and not met.
    """
    spectra = _spectra(waveform, sample_rate)
    hertz = _band(sample_rate)
    limits = np.array([SLOPE_LIMIT, CURVE_LIMIT])

    def residual(point: np.ndarray) -> np.ndarray:
        slope, bend = point * limits
        measured = _measure(spectra, _curve(slope, bend, hertz), sample_rate)
        return np.log(np.maximum(measured, SILENT_HZ)) - np.log(target)

    point = np.zeros(2)  # slope and bend as shares of their limits
    now, damping = residual(point), DAMPING
    for _ in range(SOLVER_STEPS):
        columns = [(residual(point + step) - now) / PROBE for step in PROBE * np.eye(2)]
        jacobian = np.stack(columns, axis=1)
        normal = jacobian.T @ jacobian + damping * np.eye(2)
        trial = np.clip(point - np.linalg.solve(normal, jacobian.T @ now), -1.0, 1.0)
        after = residual(trial)
        if after @ after < now @ now:
            point, now, damping = trial, after, damping / 4
        else:
            damping *= 8
        if now @ now < CLOSE_ENOUGH:
            break
    slope, bend = point * limits
    return _apply(waveform, float(slope), float(bend), sample_rate)
