"""Harmony, bar by bar; musicality acts here.

Each section has a loop of four chords, so a section that returns brings its harmony back. At full
musicality the loop follows harmonic function, the voices move as little as they can and the song
ends on the tonic. At low musicality chords are drawn at random, foreign notes a semitone beside
their own join them, they jump in parallel, and the ending is left open. The flaws belong to the
loop: they return with it, so that bad harmony is not heard as missing repetition.
"""

import numpy as np

from hear_aesthetics.synthesis.composition.form import Bar
from hear_aesthetics.synthesis.composition.qualities import even_draws, stream
from hear_aesthetics.synthesis.composition.theory import (
    OCTAVE,
    Chord,
    diatonic_chord,
    progression,
    random_chord,
    voice_lead,
)

__all__ = ["harmonize", "voice_chords"]

LOOP = 4  # chords, one per bar
RANDOM_CHORD, FOREIGN_NOTES, PARALLEL_LEAP = 0.85, 0.9, 0.8  # shares at the lowest musicality
REGISTER_SPAN = 17  # semitones between the lowest and the highest voice


def harmonize(
    seed: int, bars: tuple[Bar, ...], musicality: float, chord_size: int = 3
) -> tuple[Chord, ...]:
    """Return the chord of each bar."""
    flaw = 1.0 - musicality
    degrees, strangers, random, foreign = {}, {}, {}, {}
    for letter in sorted({bar.section for bar in bars}):
        rng = stream(seed, f"harmony {letter}")
        degrees[letter] = progression(rng, LOOP)
        random[letter], foreign[letter] = even_draws(rng, LOOP), even_draws(rng, LOOP)
        strangers[letter] = [random_chord(rng) for _ in range(LOOP)]

    chords = []
    for bar in bars:
        place = bar.position % LOOP
        ending = bar.last and musicality > stream(seed, "ending").random()
        chord = diatonic_chord(bar.key, 0 if ending else degrees[bar.section][place], chord_size)
        if not ending and random[bar.section][place] < RANDOM_CHORD * flaw:
            chord = tuple((cls + bar.key.tonic) % OCTAVE for cls in strangers[bar.section][place])
        if not ending and foreign[bar.section][place] < FOREIGN_NOTES * flaw:
            clashes = {(cls + 1) % OCTAVE for cls in chord[:2]} - set(chord)
            chord = (*chord, *sorted(clashes))
        chords.append(chord)
    return tuple(chords)


def voice_chords(
    seed: int, chords: tuple[Chord, ...], musicality: float, low: int
) -> tuple[tuple[int, ...], ...]:
    """Return the pitches of each chord, ascending, in a register from the pitch ``low`` up."""
    rng = stream(seed, "voicing")
    leaps = even_draws(rng, len(chords)) < PARALLEL_LEAP * (1.0 - musicality)
    shifts = rng.choice([-9, -7, 7, 9], len(chords))
    high = low + REGISTER_SPAN
    voicings: list[tuple[int, ...]] = []
    for chord, leap, shift in zip(chords, leaps, shifts, strict=True):
        previous: tuple[int, ...] = voicings[-1] if voicings else ()
        if leap and previous:
            # aim every voice at the same leap: parallel motion instead of the shortest way
            previous = tuple(np.clip(np.array(previous) + shift, low, high).tolist())
        voicings.append(voice_lead(chord, previous, low, high))
    return tuple(voicings)
