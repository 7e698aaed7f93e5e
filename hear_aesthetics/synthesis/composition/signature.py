"""The hook's own instrument: where a motif returns, it is doubled; memorability is heard here too.

A listener knows a hook by its sound as much as by its notes. Each song has one instrument that
plays nothing but its hooks, above the lead, so a song that wanders never brings it.
"""

from hear_aesthetics.synthesis.composition.form import BARS_PER_UNIT, Bar, beat_time
from hear_aesthetics.synthesis.composition.melody import LeadNote
from hear_aesthetics.synthesis.composition.qualities import stream
from hear_aesthetics.synthesis.composition.records import Note
from hear_aesthetics.synthesis.composition.theory import OCTAVE

__all__ = ["SIGNATURES", "double_hook"]

SIGNATURES = ("whistle", "bell")
LOWEST = 84  # pitch above which the doubling lies
VELOCITY = 0.8
HUMAN_SECONDS = 0.004  # onsets scatter by this


def double_hook(
    seed: int, line: tuple[LeadNote, ...], bars: tuple[Bar, ...], beats: int, swing: float
) -> tuple[Note, ...]:
    """Returns the notes that double the hooks of a lead.

    Args:
        seed: Seed of the song; chooses the instrument.
        line: The lead as it was composed.
        bars: The plan.
        beats: Quarter notes per bar.
        swing: Delay of the off-beat eighths in beats.
    """
    rng = stream(seed, "signature")
    instrument = SIGNATURES[int(rng.integers(len(SIGNATURES)))]
    late = rng.normal(0.0, HUMAN_SECONDS, len(bars) // BARS_PER_UNIT)
    notes = []
    for note in line:
        if not note.hook:
            continue
        start = beat_time(bars, note.unit, note.beat, beats, swing) + late[note.unit]
        end = beat_time(bars, note.unit, note.beat + note.length, beats, swing)
        octaves = max(0, -(-(LOWEST - note.pitch) // OCTAVE))
        pitch = float(note.pitch + OCTAVE * octaves)
        notes.append(
            Note(
                max(0.0, float(start)), max(0.05, end - start), pitch, VELOCITY, instrument, "hook"
            )
        )
    return tuple(notes)
