"""Pitched instruments: one wavetable pair per note, a bright one that gives way to a dark one.

A sounding string or tube loses its high partials first. Two single-period tables with different
spectral slopes, cross-faded by an exponential, render this at the cost of two look-ups per sample.
Bars and bells have inharmonic partials and are summed one by one.
"""

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["INSTRUMENTS", "Timbre", "frequency", "harmonic_table", "look_up", "render_note", "vary"]

TABLE_SIZE = 4096  # a power of two: the index wraps by masking
MAX_HARMONICS = 64
NYQUIST_SHARE = 0.9  # no partial above this share of the Nyquist frequency


@dataclass(frozen=True)
class Timbre:
    """What makes an instrument.

    Attributes:
        name: For readers, as in "a song with ``nylon guitar``".
        family: plucked, struck, blown, bowed, pad or bass.
        bright: Spectral slope at the attack, exponent of the harmonic number.
        dark: Slope that the sound decays to.
        brightness_seconds: Time constant of that decay.
        even: Amplitude of the even harmonics (a stopped tube has nearly none).
        attack: Rise time in seconds.
        decay: Time constant of the amplitude at middle C; None for sustained tones.
        release: Fade after the end of the note, in seconds.
        vibrato_cents: Peak vibrato.
        noise: Level of the breath, bow or pluck noise.
        partials: Frequency ratios of inharmonic partials; empty for harmonic sounds.
        body: Resonances of the body as (Hz, gain dB, width in octaves).
        low: Lowest playable MIDI pitch.
        high: Highest playable MIDI pitch.
    """

    name: str
    family: str
    bright: float
    dark: float
    brightness_seconds: float = 0.4
    even: float = 1.0
    attack: float = 0.005
    decay: float | None = None
    release: float = 0.08
    vibrato_cents: float = 0.0
    noise: float = 0.0
    partials: tuple[float, ...] = ()
    body: tuple[tuple[float, float, float], ...] = ()
    low: int = 36
    high: int = 96


INSTRUMENTS = {
    "guitar": Timbre(
        "nylon guitar",
        "plucked",
        1.1,
        2.4,
        0.25,
        0.8,
        0.003,
        0.9,
        0.08,
        noise=0.08,
        body=((110, 5, 0.6), (220, 4, 0.5)),
        low=40,
        high=84,
    ),
    "harp": Timbre(
        "harp", "plucked", 1.4, 2.6, 0.4, 1.0, 0.003, 1.4, 0.3, noise=0.04, low=36, high=96
    ),
    "banjo": Timbre(
        "banjo",
        "plucked",
        0.7,
        1.6,
        0.15,
        1.0,
        0.002,
        0.35,
        0.05,
        noise=0.1,
        body=((700, 6, 0.8),),
        low=48,
        high=88,
    ),
    "piano": Timbre(
        "piano", "struck", 1.2, 2.2, 0.5, 1.0, 0.004, 1.6, 0.12, noise=0.03, low=28, high=100
    ),
    "electric piano": Timbre(
        "electric piano", "struck", 1.6, 3.2, 0.3, 0.5, 0.004, 1.2, 0.1, low=36, high=96
    ),
    "marimba": Timbre(
        "marimba",
        "struck",
        1.5,
        3.0,
        0.05,
        1.0,
        0.002,
        0.35,
        0.2,
        noise=0.06,
        partials=(1.0, 3.93, 9.2),
        low=45,
        high=96,
    ),
    "bell": Timbre(
        "glockenspiel",
        "struck",
        0.8,
        2.0,
        0.3,
        1.0,
        0.002,
        1.1,
        0.5,
        partials=(1.0, 2.76, 5.4, 8.9),
        low=60,
        high=108,
    ),
    "flute": Timbre(
        "flute", "blown", 2.2, 2.4, 0.3, 0.7, 0.06, None, 0.08, 18, 0.06, low=60, high=96
    ),
    "clarinet": Timbre(
        "clarinet", "blown", 1.2, 1.4, 0.3, 0.12, 0.04, None, 0.06, 6, 0.02, low=50, high=91
    ),
    "brass": Timbre(
        "brass",
        "blown",
        1.5,
        0.9,
        0.12,
        1.0,
        0.05,
        None,
        0.08,
        8,
        0.01,
        body=((1200, 5, 1.0),),
        low=40,
        high=84,
    ),
    "violin": Timbre(
        "violin",
        "bowed",
        1.0,
        1.1,
        0.4,
        1.0,
        0.08,
        None,
        0.12,
        22,
        0.03,
        body=((290, 4, 0.4), (470, 4, 0.4), (2500, 6, 0.8)),
        low=55,
        high=96,
    ),
    "cello": Timbre(
        "cello",
        "bowed",
        1.1,
        1.2,
        0.4,
        1.0,
        0.09,
        None,
        0.15,
        16,
        0.03,
        body=((180, 4, 0.5), (2000, 4, 0.8)),
        low=36,
        high=76,
    ),
    "string pad": Timbre(
        "strings", "pad", 1.5, 1.3, 0.8, 1.0, 0.25, None, 0.4, 8, 0.02, low=40, high=88
    ),
    "warm pad": Timbre(
        "synthesizer pad", "pad", 2.4, 1.8, 1.2, 1.0, 0.35, None, 0.5, 5, low=40, high=88
    ),
    "organ": Timbre("organ", "pad", 1.3, 1.3, 1.0, 1.0, 0.02, None, 0.06, 6, low=36, high=96),
    "bass guitar": Timbre(
        "bass guitar", "bass", 1.3, 2.6, 0.3, 0.9, 0.005, 0.9, 0.06, noise=0.03, low=26, high=60
    ),
    "double bass": Timbre(
        "double bass", "bass", 1.8, 3.0, 0.2, 1.0, 0.01, 0.6, 0.08, noise=0.06, low=26, high=60
    ),
    "synth bass": Timbre(
        "synth bass", "bass", 0.9, 1.8, 0.12, 1.0, 0.004, None, 0.04, low=26, high=60
    ),
}


def frequency(midi: float | np.ndarray) -> float | np.ndarray:
    """Returns the frequency in Hz of a MIDI pitch in equal temperament."""
    return 440.0 * 2.0 ** ((midi - 69.0) / 12.0)


def vary(timbre: Timbre, rng: np.random.Generator) -> Timbre:
    """Returns the same instrument by another maker: slopes, noise and decay change a little."""
    factor = np.exp(rng.normal(0.0, 0.12, 5))
    return replace(
        timbre,
        bright=timbre.bright * factor[0],
        dark=timbre.dark * factor[1],
        brightness_seconds=timbre.brightness_seconds * factor[2],
        decay=None if timbre.decay is None else timbre.decay * factor[3],
        noise=timbre.noise * factor[4],
    )


def harmonic_table(amplitudes: np.ndarray) -> np.ndarray:
    """Returns one period of each sum of harmonics, at unit RMS.

    Args:
        amplitudes: ``(..., harmonics)``; the first is the fundamental.

    Shape:
        - output: ``(..., TABLE_SIZE)`` float32
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
    """Returns the table at ``phase`` (periods, any real number)."""
    return table[(phase * TABLE_SIZE).astype(np.int64) & (TABLE_SIZE - 1)]


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
        rate, depth = 5.3, timbre.vibrato_cents / 1200 * np.log(2)
        growth = np.minimum(time / 0.5, 1.0)
        phase = phase - hertz * depth / (2 * np.pi * rate) * growth * np.cos(
            2 * np.pi * rate * time
        )
    weight = np.exp(-time / timbre.brightness_seconds)
    return look_up(dark, phase) + weight * (look_up(bright, phase) - look_up(dark, phase))


def _inharmonic_tone(
    timbre: Timbre, hertz: float, time: np.ndarray, velocity: float, sample_rate: int
) -> np.ndarray:
    tone = np.zeros_like(time)
    for index, ratio in enumerate(timbre.partials):
        if hertz * ratio < NYQUIST_SHARE * sample_rate / 2:
            amplitude = velocity**index * ratio**-timbre.bright
            damping = np.exp(-time * (ratio - 1.0) / (4.0 * timbre.brightness_seconds))
            tone += 1.4 * amplitude * damping * np.sin(2 * np.pi * hertz * ratio * time)
    return tone


def envelope(timbre: Timbre, midi: float, seconds: float, time: np.ndarray) -> np.ndarray:
    """Returns the amplitude over time: rise, decay (faster for high notes) and release."""
    level = 1.0 - np.exp(-4.0 * time / timbre.attack)
    if timbre.decay is not None:
        level *= np.exp(-time / (timbre.decay * 2.0 ** ((60.0 - midi) / 24.0)))
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
    """Renders one note with its release.

    Args:
        instrument: A name in ``INSTRUMENTS`` or a timbre.
        midi: Pitch; any, also outside the usual range of the instrument.
        seconds: Time from the attack to the release.
        velocity: In [0, 1]: louder is brighter.
        sample_rate: In Hz.
        rng: For the noise of breath, bow and pluck; without one it is the same for every call.

    Shape:
        - output: ``(round((seconds + release) * sample_rate),)`` float32

    Raises:
        ValueError: If the instrument is unknown; the message lists the known ones.
    """
    timbre = find_timbre(instrument)
    rng = rng or np.random.default_rng(0)
    time = np.arange(round((seconds + timbre.release) * sample_rate)) / sample_rate
    tone_of = _inharmonic_tone if timbre.partials else _harmonic_tone
    tone = tone_of(timbre, float(frequency(midi)), time, velocity, sample_rate)
    if timbre.noise:
        burst = np.exp(-time / 0.02) if timbre.decay is not None else 1.0
        tone = tone + 2.0 * timbre.noise * burst * rng.standard_normal(len(time), np.float32)
    return (velocity * envelope(timbre, midi, seconds, time) * tone).astype(np.float32)


def find_timbre(instrument: str | Timbre) -> Timbre:
    """Returns the timbre of a name, or the timbre itself."""
    if isinstance(instrument, Timbre):
        return instrument
    if instrument not in INSTRUMENTS:
        known = ", ".join(INSTRUMENTS)
        raise ValueError(f"unknown instrument {instrument!r}; choose one of: {known}")
    return INSTRUMENTS[instrument]
