"""Composes songs."""

import numpy as np

from hear_aesthetics.synthesis.qualities import Generator, Qualities, stream
from hear_aesthetics.synthesis.score import (
    ChordSpan,
    KeySpan,
    Note,
    Performance,
    Production,
    Score,
    Section,
    Tempo,
)
from hear_aesthetics.synthesis.theory import (
    Key,
    diatonic_chord,
    nearest_pitch,
    progression,
    voice_lead,
)

__all__ = ["compose", "demo_song"]


def compose(
    seed: int,
    seconds: float = 90.0,
    qualities: Qualities | None = None,
    generator: Generator | None = None,
) -> Score:
    """Composes a song of the form A B A."""
    rng = stream(seed, "song")
    key = Key(int(rng.integers(12)), str(rng.choice(["major", "minor"])))
    bars = max(6, round(seconds / 60 * rng.uniform(80, 130) / 4))
    bar_seconds = (seconds - 0.5) / bars
    beat = bar_seconds / 4
    third = bars // 3
    edges = (0, third, 2 * third, bars)
    names = ("A", "B", "A")
    chords_of = {name: progression(stream(seed, f"chords {name}"), 4) for name in "AB"}
    notes: list[Note] = []
    spans = []
    voicing: tuple[int, ...] = ()
    for name, first, last in zip(names, edges[:-1], edges[1:], strict=True):
        motif = stream(seed, f"motif {name}").integers(-2, 3, 8)
        full = name == "B"
        for bar in range(first, last):
            start = bar * bar_seconds
            chord = diatonic_chord(key, chords_of[name][(bar - first) % 4])
            spans.append(ChordSpan(start, start + bar_seconds, chord))
            voicing = voice_lead(chord, voicing, 52, 70)
            notes += [
                Note(start, bar_seconds, p, 0.7, "string pad", "pad") for p in voicing if full
            ]
            for step in range(8):
                pitch = voicing[(0, 1, 2, 1)[step % 4]]
                instrument = "piano" if full else "guitar"
                notes.append(Note(start + step * beat / 2, beat, pitch, 0.7, instrument, "chords"))
            root = 36 + (chord.root - 36) % 12
            for step in (0, 2):
                notes.append(
                    Note(start + step * beat, 1.8 * beat, root, 0.8, "bass guitar", "bass")
                )
            degree = 4 if full else 0
            for step in range(0, 8, 2 if full else 1):
                degree = int(np.clip(degree + motif[step], -1, 9))
                pitch = key.pitch(degree)
                if step % 4 == 0:
                    pitch = nearest_pitch(pitch, chord.pitch_classes)
                length = beat * (0.9 if full else 0.45)
                lead = "violin" if full else "flute"
                notes.append(Note(start + step * beat / 2, length, pitch, 0.8, lead, "lead"))
            if full:
                notes += [Note(start + s * beat, 0.2, 0, 0.9, "kick", "drums") for s in (0, 2)]
                notes += [Note(start + s * beat, 0.2, 0, 0.8, "snare", "drums") for s in (1, 3)]
                notes += [
                    Note(start + s * beat / 2, 0.1, 0, 0.6, "closed hat", "drums") for s in range(8)
                ]
    sections = tuple(
        Section(name, first * bar_seconds, last * bar_seconds)
        for name, first, last in zip(names, edges[:-1], edges[1:], strict=True)
    )
    return Score(
        seed,
        seconds,
        "pop",
        4,
        qualities or Qualities(),
        tuple(sorted(notes, key=lambda n: n.onset)),
        sections,
        (KeySpan(0.0, seconds, key),),
        tuple(spans),
        (Tempo(0.0, 60 / beat),),
        Performance(),
        Production(),
    )


def demo_song(seconds: float = 30.0, seed: int = 0, sample_rate: int = 48_000) -> np.ndarray:
    """Returns a short song with clear sections A B A, ``(samples,)`` float32."""
    from hear_aesthetics.synthesis.renderer import render

    return render(compose(seed, seconds), sample_rate)
