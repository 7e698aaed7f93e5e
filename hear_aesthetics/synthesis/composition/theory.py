"""Scales, chords, progressions and voice leading, as integers.

Pitch classes count semitones from C (0 to 11), degrees count scale steps from the tonic (0 = tonic,
7 = tonic an octave higher, negative below), pitches are MIDI note numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from hear_aesthetics.synthesis.composition.qualities import pick

__all__ = [
    "MODES",
    "PITCH_NAMES",
    "Chord",
    "Key",
    "diatonic_chord",
    "nearest_pitch",
    "progression",
    "random_chord",
    "voice_lead",
]

OCTAVE = 12
DOMINANT = 4  # degree

Chord = tuple[int, ...]  # pitch classes, root first

PITCH_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
}
CHORD_SHAPES = ((0, 4, 7), (0, 3, 7), (0, 3, 6), (0, 4, 8), (0, 1, 6), (0, 5, 6), (0, 2, 3))

# Where a degree's chord leads in functional harmony: subdominants to dominants, these to the tonic
SUCCESSORS = {
    0: (3, 4, 5, 1, 2),
    1: (4, 4, 6),
    2: (5, 3),
    3: (4, 0, 1, 4),
    4: (0, 0, 5, 3),
    5: (3, 1, 4),
    6: (0, 2),
}


@dataclass(frozen=True, slots=True)
class Key:
    """A tonic (pitch class) and a mode."""

    tonic: int
    mode: str

    @property
    def name(self) -> str:
        """For readers: ``"Eb minor"``."""
        return f"{PITCH_NAMES[self.tonic]} {self.mode}"

    @property
    def pitch_classes(self) -> frozenset[int]:
        """The seven pitch classes of the scale."""
        return frozenset((self.tonic + step) % OCTAVE for step in MODES[self.mode])

    def pitch(self, degree: int, octave: int = 5) -> int:
        """Return the MIDI pitch of a degree; degree 0 of octave 5 is the tonic at or above C4."""
        octaves, step = divmod(degree, 7)
        return self.tonic + MODES[self.mode][step] + OCTAVE * (octave + octaves)


def diatonic_chord(key: Key, degree: int, size: int = 3) -> Chord:
    """Return the chord of stacked thirds on a degree; ``size`` 3 is a triad, 4 a seventh chord."""
    return tuple(key.pitch(degree + 2 * third) % OCTAVE for third in range(size))


def random_chord(rng: np.random.Generator) -> Chord:
    """Return a chord on any of the twelve roots, consonant or not, related to nothing."""
    root, shape = int(rng.integers(OCTAVE)), pick(rng, CHORD_SHAPES)
    return tuple((root + step) % OCTAVE for step in shape)


def progression(rng: np.random.Generator, length: int) -> tuple[int, ...]:
    """Return ``length`` degrees that move by harmonic function from the tonic to the dominant."""
    degrees = [0]
    while len(degrees) < length:
        degrees.append(int(rng.choice(SUCCESSORS[degrees[-1]])))
    return (*degrees[:-1], DOMINANT)


def nearest_pitch(pitch: float, pitch_classes: Sequence[int] | frozenset[int]) -> int:
    """Return the MIDI pitch of one of the classes nearest to ``pitch``, the lower on a tie."""
    candidates = (cls + OCTAVE * round((pitch - cls) / OCTAVE) for cls in sorted(pitch_classes))
    return min(candidates, key=lambda candidate: (abs(candidate - pitch), candidate))


def voice_lead(chord: Chord, previous: Sequence[int], low: int, high: int) -> tuple[int, ...]:
    """Return the voicing within [low, high] that moves least from ``previous``.

    One pitch per pitch class, ascending. Without a previous voicing, the one nearest to the middle
    of the register.
    """
    register = range(low, high + 1)
    choices = [[pitch for pitch in register if pitch % OCTAVE == cls] for cls in chord]
    middle = (low + high) / 2

    def cost(ordered: Sequence[int]) -> float:
        spread = max(0, ordered[-1] - ordered[0] - OCTAVE)
        anchor = previous if len(previous) == len(ordered) else [middle] * len(ordered)
        return sum(abs(a - b) for a, b in zip(ordered, anchor, strict=True)) + spread

    return min((tuple(sorted(voicing)) for voicing in product(*choices)), key=cost)
