"""How the lead is performed; naturalness acts here.

At full naturalness phrases arch and breathe, onsets float a little around the beat, the pitch
glides and trembles. There are two ways to be unnatural, and a seed always fails in the same one:
*robotic* (on the grid, one loudness, no vibrato, no breath, a static buzz) or *erratic* (timing,
loudness and pitch jump without reason, again without breath).
"""

import numpy as np

from hear_aesthetics.synthesis.form import BARS_PER_UNIT, Bar
from hear_aesthetics.synthesis.melody import LeadNote
from hear_aesthetics.synthesis.qualities import stream
from hear_aesthetics.synthesis.score import Note, Performance

__all__ = ["beat_time", "perform", "performance_of"]

FLOAT_SECONDS = 0.012  # standard deviation of a musician's onsets around the beat
ERRATIC_SECONDS, ERRATIC_SEMITONES = 0.07, 0.45
FLOAT_MEMORY = 0.8  # a musician who is late stays late for a while
GAP = 0.93  # share of a note's length that sounds when sung


def is_erratic(seed: int) -> bool:
    """Tells how an unnatural performance with this seed fails: erratic or robotic."""
    return bool(stream(seed, "failure").random() < 0.5)


def performance_of(seed: int, naturalness: float) -> Performance:
    """Returns how the tone of the lead moves."""
    stiff = 1.0 - naturalness
    return Performance(
        vibrato_cents=38.0 * naturalness,
        glide_seconds=0.004 + 0.07 * naturalness,
        breath=naturalness,
        dynamics=0.7 * naturalness,
        drift_cents=7.0 * naturalness + (45.0 * stiff if is_erratic(seed) else 0.0),
        buzz=stiff,
    )


def beat_time(
    bars: tuple[Bar, ...], unit: int, beat: float, beats: int, swing: float = 0.0
) -> float:
    """Returns the time in seconds of a beat counted from the start of a unit."""
    if swing and beat % 1.0 == 0.5:
        beat += swing
    offset, inside = divmod(beat, beats)
    index = unit * BARS_PER_UNIT + int(offset)
    if index >= len(bars):
        return bars[-1].start + bars[-1].seconds
    return bars[index].start + bars[index].seconds * inside / beats


def _floating(rng: np.random.Generator, count: int) -> np.ndarray:
    """Onset deviations of a musician in seconds: a slow random walk around the beat."""
    steps = rng.normal(0.0, FLOAT_SECONDS * np.sqrt(1.0 - FLOAT_MEMORY**2), count)
    deviation = np.zeros(count)
    for index in range(1, count):
        deviation[index] = FLOAT_MEMORY * deviation[index - 1] + steps[index]
    return deviation


def _phrase_arch(notes: tuple[LeadNote, ...], beats: int) -> np.ndarray:
    place = np.array([note.beat for note in notes]) / (BARS_PER_UNIT * beats)
    return np.sin(np.pi * np.clip(place + 0.15, 0.0, 1.0))


def perform(
    seed: int,
    notes: tuple[LeadNote, ...],
    bars: tuple[Bar, ...],
    naturalness: float,
    beats: int,
    swing: float,
) -> tuple[Note, ...]:
    """Returns the notes of the lead in seconds, with phrasing."""
    stiff, count = 1.0 - naturalness, len(notes)
    erratic = is_erratic(seed)
    rng = stream(seed, "performance")
    floating = naturalness * _floating(rng, count)
    jumps = rng.normal(0.0, 1.0, (3, count)) * (stiff if erratic else 0.0)
    breathes = rng.random(count) < naturalness
    velocity = 0.78 + naturalness * 0.2 * (_phrase_arch(notes, beats) - 0.6)
    velocity = np.clip(velocity + 0.2 * jumps[1], 0.35, 1.0)

    grid = [beat_time(bars, note.unit, note.beat, beats, swing) for note in notes]
    onsets = np.maximum(np.array(grid) + floating + ERRATIC_SECONDS * jumps[0], 0.0)
    onsets = np.maximum.accumulate(onsets)
    performed = []
    for index, note in enumerate(notes):
        written = beat_time(bars, note.unit, note.beat + note.length, beats, swing)
        following = grid[index + 1] if index + 1 < count else bars[-1].start + bars[-1].seconds
        held = note.ends_phrase and not breathes[index]  # no rest, no breath: on to the next note
        end = following if held else written
        sounding = (end - grid[index]) * (1.0 - (1.0 - GAP) * naturalness)
        performed.append(
            Note(
                onset=float(onsets[index]),
                seconds=float(max(0.06, sounding)),
                pitch=float(note.pitch + ERRATIC_SEMITONES * jumps[2, index]),
                velocity=float(velocity[index]),
                instrument=bars[note.unit * BARS_PER_UNIT].band.lead,
                layer="lead",
            )
        )
    return tuple(performed)
