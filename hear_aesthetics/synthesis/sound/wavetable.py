"""Wavetable oscillators: single periods of a sound, read at its pitch.

A table holds one period of a sum of harmonics. Reading it costs one look-up per sample, however
many harmonics it has. A moving spectrum is a cross-fade between the tables of two states.
"""

import numpy as np

__all__ = [
    "CONTROL_RATE",
    "MAX_HARMONICS",
    "NYQUIST_SHARE",
    "TABLE_SIZE",
    "control_times",
    "frequency",
    "harmonic_table",
    "look_up",
    "morphing_tone",
    "to_audio_rate",
]

TABLE_SIZE = 4096  # a power of two: the index wraps by masking
MAX_HARMONICS = 128
NYQUIST_SHARE = 0.9  # no partial above this share of the Nyquist frequency
CONTROL_RATE = 200  # Hz, of pitch, amplitude and morph curves


def frequency(midi: float | np.ndarray) -> np.ndarray:
    """Return the frequency in Hz of a MIDI pitch in equal temperament."""
    return 440.0 * 2.0 ** ((np.asarray(midi) - 69.0) / 12.0)


def harmonic_table(amplitudes: np.ndarray) -> np.ndarray:
    """Return one period of each sum of harmonics, at unit RMS.

    Shape:
        - amplitudes: ``(..., harmonics)``, fundamental first; output: ``(..., TABLE_SIZE)`` float32
    """
    harmonics = amplitudes.shape[-1]
    number = np.arange(1, harmonics + 1)
    spectrum = np.zeros((*amplitudes.shape[:-1], TABLE_SIZE // 2 + 1), complex)
    # Schroeder's phases keep the crest low, so that no instrument is a train of clicks
    spectrum[..., 1 : harmonics + 1] = amplitudes * np.exp(-1j * np.pi * number**2 / harmonics)
    table = np.fft.irfft(spectrum, axis=-1)
    table /= np.sqrt(np.mean(table**2, axis=-1, keepdims=True)) + 1e-12
    return table.astype(np.float32)


def look_up(table: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Return the table at ``phase`` (periods, any real number)."""
    return table[(phase * TABLE_SIZE).astype(np.int64) & (TABLE_SIZE - 1)]


def control_times(samples: int, sample_rate: int) -> np.ndarray:
    """Return the times in seconds of the control curves that cover ``samples``."""
    return np.arange(samples * CONTROL_RATE // sample_rate + 2) / CONTROL_RATE


def to_audio_rate(curve: np.ndarray, samples: int, sample_rate: int) -> np.ndarray:
    """Return a control curve interpolated to one value per sample."""
    place = np.arange(samples) * (CONTROL_RATE / sample_rate)
    return np.interp(place, np.arange(len(curve)), curve)


def morphing_tone(
    pitch: np.ndarray, morph: np.ndarray, tables: np.ndarray, samples: int, sample_rate: int
) -> np.ndarray:
    """Return a tone, float32 at unit RMS, that follows a pitch curve through spectral states.

    ``pitch`` (MIDI) and ``morph`` are curves at ``CONTROL_RATE``; a morph of 2.25 is a quarter of
    the way from state 2 to state 3 of the ``tables``, ``(states, TABLE_SIZE)``.
    """
    hertz = to_audio_rate(frequency(pitch), samples, sample_rate)
    phase = np.cumsum(hertz / sample_rate)
    column = (phase * TABLE_SIZE).astype(np.int64) & (TABLE_SIZE - 1)
    position = to_audio_rate(morph, samples, sample_rate)
    last = len(tables) - 1
    state = np.minimum(position.astype(np.int64), last)
    share = (position - state).astype(np.float32)
    flat = tables.reshape(-1)
    here = flat[state * TABLE_SIZE + column]
    there = flat[np.minimum(state + 1, last) * TABLE_SIZE + column]
    return here + share * (there - here)
