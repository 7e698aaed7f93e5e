"""Vowels and resonances of voices and solo instruments, and their spectra at a pitch."""

from dataclasses import dataclass, replace

import numpy as np

from hear_aesthetics.synthesis.sound.wavetable import (
    MAX_HARMONICS,
    NYQUIST_SHARE,
    frequency,
    harmonic_table,
)

__all__ = ["LEADS", "VOWELS", "LeadTimbre", "another_singer", "spectral_states"]

# Centre frequencies of the first four formants of an adult male voice, in Hz
VOWELS = {
    "a": (730, 1090, 2440, 3400),
    "e": (530, 1840, 2480, 3500),
    "i": (270, 2290, 3010, 3600),
    "o": (570, 840, 2410, 3300),
    "u": (300, 870, 2240, 3300),
}
FORMANT_GAINS = (1.0, 0.6, 0.35, 0.2)
FORMANT_WIDTHS = (90.0, 120.0, 180.0, 260.0)  # Hz
FLOOR = 0.03  # of the envelope between formants
EFFORT_SLOPE = 0.5  # by which the softest tone is steeper than the loudest


@dataclass(frozen=True)
class LeadTimbre:
    """A singing voice or solo instrument.

    Attributes:
        name: For readers.
        spectra: Sets of four resonances (Hz) between which the tone moves; a voice's vowels.
        slope: Source slope, exponent of the harmonic number.
        scale: Factor of all resonances: a shorter vocal tract has higher formants.
        depth: Strength of the resonances, 0 to 1.
        air: Level of the noise in the tone.
        sings: Whether it has syllables (vowel changes and consonants).
        octave: Of the tonic in its melodies; 5 starts at C4.
    """

    name: str
    spectra: tuple[tuple[int, ...], ...]
    slope: float
    scale: float = 1.0
    depth: float = 1.0
    air: float = 0.0
    sings: bool = False
    octave: int = 5


_VOWELS = tuple(VOWELS.values())
LEADS = {
    "female voice": LeadTimbre("female voice", _VOWELS, 0.9, scale=1.17, air=0.03, sings=True),
    "male voice": LeadTimbre("male voice", _VOWELS, 0.8, air=0.03, sings=True, octave=4),
    "solo violin": LeadTimbre("violin", ((460, 1100, 2600, 3800),), 0.9, depth=0.7, air=0.02),
    "solo flute": LeadTimbre("flute", ((700, 1400, 2400, 4000),), 2.0, depth=0.3, air=0.08),
    "solo saxophone": LeadTimbre(
        "saxophone", ((550, 1250, 2300, 3500),), 0.9, depth=0.8, air=0.04, octave=4
    ),
}


def another_singer(timbre: LeadTimbre, rng: np.random.Generator) -> LeadTimbre:
    """Return the same kind of lead with a slightly longer or shorter tract and another source."""
    scale, slope = np.exp(rng.normal(0.0, (0.05, 0.1))).tolist()
    return replace(timbre, scale=timbre.scale * scale, slope=timbre.slope * slope)


def spectral_states(
    timbre: LeadTimbre,
    pitches: np.ndarray,
    resonances: np.ndarray,
    effort: np.ndarray,
    buzz: float,
    sample_rate: int,
) -> np.ndarray:
    """Return one wavetable per state: the resonances sampled at the harmonics of the pitch.

    ``resonances`` are in Hz before scaling. Effort, in [0, 1], flattens the spectrum; ``buzz`` is
    the share of a sawtooth without resonances.

    Shape:
        - pitches (MIDI) and effort: ``(states,)``; resonances: ``(states, 4)``
    """
    number = np.arange(1, MAX_HARMONICS + 1)
    hertz = frequency(pitches)[:, None] * number  # (states, harmonics)
    centres = timbre.scale * resonances[:, None, :]
    half_widths = timbre.scale * np.array(FORMANT_WIDTHS) / 2
    peaks = np.array(FORMANT_GAINS) / (1.0 + ((hertz[:, :, None] - centres) / half_widths) ** 2)
    shape = (1.0 - timbre.depth) + timbre.depth * (FLOOR + peaks.sum(axis=-1))
    alive = shape * number ** -(timbre.slope + EFFORT_SLOPE * (1.0 - effort[:, None]))
    alive /= np.linalg.norm(alive, axis=-1, keepdims=True)
    saw = (1.0 / number) / np.linalg.norm(1.0 / number)
    amplitudes = (1.0 - buzz) * alive + buzz * saw
    return harmonic_table(np.where(hertz < NYQUIST_SHARE * sample_rate / 2, amplitudes, 0.0))
