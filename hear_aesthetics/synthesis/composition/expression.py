"""Expressive performance of the lead; naturalness acts here.

At full naturalness phrases arch and breathe, onsets float a little around the beat, the pitch
glides and trembles. There are two ways to be unnatural, and a seed always fails in the same one:
*robotic* (on the grid, one loudness, no vibrato, no breath, a static buzz) or *erratic* (timing,
loudness and pitch jump without reason, again without breath). Both sound made by a machine: a
metallic ring, and clicks where one note is joined to the next.
"""

import numpy as np

from hear_aesthetics.synthesis.composition.form import BARS_PER_UNIT, SongPlan
from hear_aesthetics.synthesis.composition.melody import LeadNote
from hear_aesthetics.synthesis.composition.qualities import even_draws, stream
from hear_aesthetics.synthesis.composition.records import Note, Performance

__all__ = ["perform", "performance_of"]

FLOAT_SECONDS = 0.012  # standard deviation of a musician's onsets around the beat
ERRATIC_SECONDS, ERRATIC_SEMITONES, ERRATIC_VELOCITY = 0.07, 0.45, 0.2
VELOCITY, ARCH, MEAN_ARCH = 0.78, 0.2, 0.6  # mean velocity; depth and mean of a phrase's arch
VELOCITY_RANGE = (0.35, 1.0)
SHORTEST = 0.06  # seconds
FLOAT_MEMORY = 0.8  # a musician who is late stays late for a while
GAP = 0.93  # share of a note's length that sounds when sung


def is_erratic(seed: int) -> bool:
    """Return True if an unnatural performance with this seed is erratic, False if robotic."""
    return bool(stream(seed, "failure").random() < 0.5)


def performance_of(seed: int, naturalness: float) -> Performance:
    """Return the expression of the lead."""
    stiff = 1.0 - naturalness
    return Performance(
        vibrato_cents=38.0 * naturalness,
        glide_seconds=0.004 + 0.07 * naturalness,
        breath=naturalness,
        dynamics=0.7 * naturalness,
        drift_cents=7.0 * naturalness + (45.0 * stiff if is_erratic(seed) else 0.0),
        buzz=stiff,
        metal=stiff,
        clicks=stiff,
    )


def _floating(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return a musician's onset deviations in seconds: a slow random walk around the beat."""
    steps = rng.normal(0.0, FLOAT_SECONDS * np.sqrt(1.0 - FLOAT_MEMORY**2), count)
    deviation = np.zeros(count)
    for index in range(1, count):
        deviation[index] = FLOAT_MEMORY * deviation[index - 1] + steps[index]
    return deviation


def _ends(
    plan: SongPlan, notes: tuple[LeadNote, ...], grid: np.ndarray, breathes: np.ndarray
) -> np.ndarray:
    """Return when notes end on the grid; a phrase without breath is held into the next one."""
    written = [plan.beat_time(n.unit, n.beat + n.length, swung=False) for n in notes]
    following = np.append(grid[1:], plan.bars[-1].end)
    held = np.array([note.ends_phrase for note in notes]) & ~breathes
    return np.where(held, following, written)


def perform(plan: SongPlan, notes: tuple[LeadNote, ...]) -> tuple[Note, ...]:
    """Return the notes of the lead in seconds, with phrasing."""
    naturalness, count = plan.qualities.degree("naturalness"), len(notes)
    stiff = 1.0 - naturalness
    rng = stream(plan.seed, "performance")
    floating = naturalness * _floating(rng, count)
    jumps = rng.normal(0.0, stiff if is_erratic(plan.seed) else 0.0, (3, count))
    breathes = even_draws(rng, count) < naturalness
    place = np.array([note.beat for note in notes]) / (BARS_PER_UNIT * plan.style.beats)
    arch = np.sin(np.pi * np.clip(place + 0.15, 0.0, 1.0))
    velocity = VELOCITY + naturalness * ARCH * (arch - MEAN_ARCH)
    velocity = np.clip(velocity + ERRATIC_VELOCITY * jumps[1], *VELOCITY_RANGE)
    grid = np.array([plan.beat_time(note.unit, note.beat) for note in notes])
    onsets = np.maximum(grid + floating + ERRATIC_SECONDS * jumps[0], 0.0)
    onsets = np.maximum.accumulate(onsets)  # in order, whatever the deviations from the grid
    seconds = _ends(plan, notes, grid, breathes) - grid
    seconds = np.maximum(SHORTEST, seconds * (1.0 - (1.0 - GAP) * naturalness))
    return tuple(
        Note(
            onset=float(onsets[index]),
            seconds=float(seconds[index]),
            pitch=float(note.pitch + ERRATIC_SEMITONES * jumps[2, index]),
            velocity=float(velocity[index]),
            instrument=plan.bars[note.unit * BARS_PER_UNIT].band.lead,
            layer="lead",
            syllable=note.syllable,
        )
        for index, note in enumerate(notes)
    )
