"""Timbres of the pitched instruments, as data."""

from dataclasses import dataclass, replace

import numpy as np

__all__ = ["INSTRUMENTS", "Timbre", "vary"]

VARIATION = 0.12  # standard deviation of the log of each varied parameter


@dataclass(frozen=True)
class Timbre:
    """Timbre of an instrument.

    Attributes:
        name: For readers, as in "a song with nylon guitar".
        low: Lowest pitch of the usual range, MIDI.
        high: Highest pitch of the usual range, MIDI.
        bright: Spectral slope at the attack, exponent of the harmonic number.
        dark: Final slope, to which the sound decays (or, with brass and pads, grows).
        brightness_seconds: Time constant of that change.
        even: Amplitude of the even harmonics (a stopped tube has nearly none).
        attack: Rise time in seconds.
        decay: Time constant of the amplitude at middle C; None for sustained tones.
        release: Fade after the end of the note, in seconds.
        vibrato_cents: Peak vibrato.
        noise: Level of the breath, bow or pluck noise.
        partials: Frequency ratios of inharmonic partials; empty for harmonic sounds.
        body: Resonances of the body as (Hz, gain in dB, width in octaves).
    """

    name: str
    low: int
    high: int
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


INSTRUMENTS = {
    # name, lowest and highest pitch, slope at the attack and in the end
    "guitar": Timbre("nylon guitar", 40, 84, 1.1, 2.4, brightness_seconds=0.25, even=0.8,
        attack=0.003, decay=0.9, noise=0.08, body=((110, 5, 0.6), (220, 4, 0.5))),
    "harp": Timbre("harp", 36, 96, 1.4, 2.6, attack=0.003, decay=1.4, release=0.3, noise=0.04),
    "banjo": Timbre("banjo", 48, 88, 0.7, 1.6, brightness_seconds=0.15, attack=0.002, decay=0.35,
        release=0.05, noise=0.1, body=((700, 6, 0.8),)),
    "piano": Timbre("piano", 28, 100, 1.2, 2.2, brightness_seconds=0.5, attack=0.004, decay=1.6,
        release=0.12, noise=0.03),
    "electric piano": Timbre("electric piano", 36, 96, 1.6, 3.2, brightness_seconds=0.3, even=0.5,
        attack=0.004, decay=1.2, release=0.1),
    "marimba": Timbre("marimba", 45, 96, 1.5, 3.0, brightness_seconds=0.05, attack=0.002,
        decay=0.35, release=0.2, noise=0.06, partials=(1.0, 3.93, 9.2)),
    "bell": Timbre("glockenspiel", 60, 108, 0.8, 2.0, brightness_seconds=0.3, attack=0.002,
        decay=1.1, release=0.5, partials=(1.0, 2.76, 5.4, 8.9)),
    "flute": Timbre("flute", 60, 96, 2.2, 2.4, brightness_seconds=0.3, even=0.7, attack=0.06,
        vibrato_cents=18, noise=0.06),
    "whistle": Timbre("whistle", 67, 108, 4.0, 4.0, attack=0.03, release=0.06, vibrato_cents=25,
        noise=0.02),
    "clarinet": Timbre("clarinet", 50, 91, 1.2, 1.4, brightness_seconds=0.3, even=0.12, attack=0.04,
        release=0.06, vibrato_cents=6, noise=0.02),
    "brass": Timbre("brass", 40, 84, 1.5, 0.9, brightness_seconds=0.12, attack=0.05,
        vibrato_cents=8, noise=0.01, body=((1200, 5, 1.0),)),
    "violin": Timbre("violin", 55, 96, 1.0, 1.1, attack=0.08, release=0.12, vibrato_cents=22,
        noise=0.03, body=((290, 4, 0.4), (470, 4, 0.4), (2500, 6, 0.8))),
    "cello": Timbre("cello", 36, 76, 1.1, 1.2, attack=0.09, release=0.15, vibrato_cents=16,
        noise=0.03, body=((180, 4, 0.5), (2000, 4, 0.8))),
    "string pad": Timbre("strings", 40, 88, 1.5, 1.3, brightness_seconds=0.8, attack=0.25,
        release=0.4, vibrato_cents=8, noise=0.02),
    "warm pad": Timbre("synthesizer pad", 40, 88, 2.4, 1.8, brightness_seconds=1.2, attack=0.35,
        release=0.5, vibrato_cents=5),
    "organ": Timbre("organ", 36, 96, 1.3, 1.3, attack=0.02, release=0.06, vibrato_cents=6),
    "bass guitar": Timbre("bass guitar", 26, 60, 1.3, 2.6, brightness_seconds=0.3, even=0.9,
        decay=0.9, release=0.06, noise=0.03),
    "double bass": Timbre("double bass", 26, 60, 1.8, 3.0, brightness_seconds=0.2, attack=0.01,
        decay=0.6, noise=0.06),
    "synth bass": Timbre("synth bass", 26, 60, 0.9, 1.8, brightness_seconds=0.12, attack=0.004,
        release=0.04),
}  # fmt: skip


def vary(timbre: Timbre, rng: np.random.Generator) -> Timbre:
    """Return the same instrument by another maker: slopes, noise and decay change a little."""
    bright, dark, change, decay, noise = np.exp(rng.normal(0.0, VARIATION, 5)).tolist()
    return replace(
        timbre,
        bright=timbre.bright * bright,
        dark=timbre.dark * dark,
        brightness_seconds=timbre.brightness_seconds * change,
        decay=None if timbre.decay is None else timbre.decay * decay,
        noise=timbre.noise * noise,
    )
