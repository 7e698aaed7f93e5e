"""Room, level and tone of a whole mix."""

import numpy as np
from scipy.signal import oaconvolve

__all__ = ["impulse_response", "normalise", "reverb", "rms_db"]

CEILING = 0.98  # of full scale


def impulse_response(seconds: float, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """Returns a room's response: noise that decays by 60 dB in ``seconds``, at unit energy."""
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    response = rng.standard_normal(len(time), np.float32) * np.exp(-np.log(1000) * time / seconds)
    # air and walls absorb treble: a one-pole average that deepens is cheap and close enough
    response[1:] = 0.5 * (response[1:] + response[:-1])
    return (response / np.sqrt(np.sum(response**2))).astype(np.float32)


def reverb(
    waveform: np.ndarray,
    seconds: float = 1.0,
    wet: float = 0.2,
    sample_rate: int = 24_000,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Returns the waveform in a room; the length stays, the tail is cut.

    Args:
        waveform: ``(samples,)``.
        seconds: Time in which the room decays by 60 dB.
        wet: Share of the room's sound, 0 to 1.
        sample_rate: In Hz.
        rng: Chooses the room; without one it is always the same.
    """
    response = impulse_response(seconds, sample_rate, rng or np.random.default_rng(0))
    room = oaconvolve(waveform.astype(np.float32), response)[: len(waveform)]
    return ((1.0 - wet) * waveform + wet * room).astype(np.float32)


def rms_db(waveform: np.ndarray) -> float:
    """Returns the level in dB re full scale; -120 for silence."""
    return float(10 * np.log10(np.mean(np.square(waveform, dtype=np.float64)) + 1e-12))


def normalise(waveform: np.ndarray, target_db: float) -> np.ndarray:
    """Returns the waveform at RMS level ``target_db``, peaks rounded off below full scale."""
    scaled = waveform * np.float32(10 ** ((target_db - rms_db(waveform)) / 20))
    peaks = np.abs(scaled) > 0.7
    excess = np.abs(scaled[peaks]) - 0.7
    scaled[peaks] = np.sign(scaled[peaks]) * (
        0.7 + (CEILING - 0.7) * np.tanh(excess / (CEILING - 0.7))
    )
    return scaled.astype(np.float32)
