"""Renderer of single notes: per note a bright wavetable that gives way to a dark one.

A sounding string or tube loses its high partials first. Two single-period tables with different
spectral slopes, cross-faded by an exponential, render this at the cost of two look-ups per sample.
Bars and bells have inharmonic partials and are summed one by one.
"""

import numpy as np

from hear_aesthetics.synthesis.sound.timbres import INSTRUMENTS, Timbre
from hear_aesthetics.synthesis.sound.wavetable import (
    MAX_HARMONICS,
    NYQUIST_SHARE,
    frequency,
    harmonic_table,
    look_up,
)

__all__ = ["envelope", "render_note"]

VIBRATO_HZ, VIBRATO_GROWTH = 5.3, 0.5  # rate, and seconds until it is full
PLUCK_SECONDS = 0.02  # time constant of the noise of a pluck or stroke
NOISE_GAIN, PARTIAL_GAIN = 2.0, 1.4
DECAY_SEMITONES = 24.0  # pitch distance over which the decay time halves


def _amplitudes(timbre: Timbre, slope: float, hertz: float, sample_rate: int) -> np.ndarray:
    highest = NYQUIST_SHARE * sample_rate / 2
    number = np.arange(1, max(1, min(MAX_HARMONICS, int(highest / hertz))) + 1)
    amplitude = number**-slope
    amplitude[1::2] *= timbre.even
    for centre, gain_db, width in timbre.body:
        octaves = np.log2(number * hertz / centre) / width
        amplitude *= 10 ** (gain_db / 20 * np.exp(-(octaves**2)))
    return amplitude


def _harmonic_tone(
    timbre: Timbre, hertz: float, time: np.ndarray, velocity: float, sample_rate: int
) -> np.ndarray:
    softness = 0.5 * (1.0 - velocity)  # played softly, an instrument is darker
    bright, dark = (
        harmonic_table(_amplitudes(timbre, slope + softness, hertz, sample_rate))
        for slope in (timbre.bright, timbre.dark)
    )
    phase = hertz * time
    if timbre.vibrato_cents:
        # a vibrato sin(w t) of relative depth d shifts the phase by -f d cos(w t) / w
        depth = timbre.vibrato_cents / 1200 * np.log(2) * np.minimum(time / VIBRATO_GROWTH, 1.0)
        angular = 2 * np.pi * VIBRATO_HZ
        phase = phase - hertz * depth / angular * np.cos(angular * time)
    weight = np.exp(-time / timbre.brightness_seconds)
    settled = look_up(dark, phase)
    return settled + weight * (look_up(bright, phase) - settled)


def _inharmonic_tone(
    timbre: Timbre, hertz: float, time: np.ndarray, velocity: float, sample_rate: int
) -> np.ndarray:
    tone = np.zeros_like(time)
    for index, ratio in enumerate(timbre.partials):
        if hertz * ratio < NYQUIST_SHARE * sample_rate / 2:
            amplitude = PARTIAL_GAIN * velocity**index * ratio**-timbre.bright
            damping = np.exp(-time * (ratio - 1.0) / (4.0 * timbre.brightness_seconds))
            tone += amplitude * damping * np.sin(2 * np.pi * hertz * ratio * time)
    return tone


def envelope(timbre: Timbre, midi: float, seconds: float, time: np.ndarray) -> np.ndarray:
    """Return the amplitude over time: rise, decay (faster for high notes) and release."""
    level = 1.0 - np.exp(-4.0 * time / timbre.attack)
    if timbre.decay is not None:
        level *= np.exp(-time / (timbre.decay * 2.0 ** ((60.0 - midi) / DECAY_SEMITONES)))
    fade = np.clip(1.0 - (time - seconds) / timbre.release, 0.0, 1.0)
    return level * fade**2


def render_note(
    instrument: str | Timbre,
    midi: float,
    seconds: float,
    velocity: float = 0.8,
    sample_rate: int = 24_000,
    rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Render one note with its release.

    Args:
        instrument: A name in ``INSTRUMENTS`` or a timbre.
        midi: Pitch; any, also outside the usual range of the instrument.
        seconds: Time from the attack to the release.
        velocity: In [0, 1]: louder is brighter.
        sample_rate: In Hz.
        rng: Source of the noise of breath, bow and pluck; default: the same for every call.

    Shape:
        - output: ``(round((seconds + release) * sample_rate),)`` float32

    Raises:
        ValueError: If the instrument is unknown; the message lists the known ones.
    """
    if isinstance(instrument, str) and instrument not in INSTRUMENTS:
        known = ", ".join(INSTRUMENTS)
        raise ValueError(f"unknown instrument {instrument!r}; choose one of: {known}")
    timbre = INSTRUMENTS[instrument] if isinstance(instrument, str) else instrument
    rng = rng or np.random.default_rng(0)
    time = np.arange(round((seconds + timbre.release) * sample_rate)) / sample_rate
    tone_of = _inharmonic_tone if timbre.partials else _harmonic_tone
    tone = tone_of(timbre, float(frequency(midi)), time, velocity, sample_rate)
    if timbre.noise:
        burst = np.exp(-time / PLUCK_SECONDS) if timbre.decay is not None else 1.0
        hiss = rng.standard_normal(len(time), np.float32)
        tone = tone + NOISE_GAIN * timbre.noise * burst * hiss
    return (velocity * envelope(timbre, midi, seconds, time) * tone).astype(np.float32)
