"""Doubling of the hook: one instrument per song plays its hooks alone, above the lead.

Memorability acts here too: a listener knows a hook by its sound as much as by its notes.
"""

from hear_aesthetics.synthesis.composition.form import BARS_PER_UNIT, SongPlan
from hear_aesthetics.synthesis.composition.melody import LeadNote
from hear_aesthetics.synthesis.composition.qualities import pick, stream
from hear_aesthetics.synthesis.composition.records import Note
from hear_aesthetics.synthesis.composition.theory import OCTAVE

__all__ = ["SIGNATURES", "double_hook"]

SIGNATURES = ("whistle", "bell")
LOWEST = 84  # lowest pitch of the doubling
VELOCITY = 0.8
HUMAN_SECONDS = 0.004  # onsets scatter by this


def double_hook(plan: SongPlan, line: tuple[LeadNote, ...]) -> tuple[Note, ...]:
    """Return the notes that double the hooks of a lead as it was composed."""
    rng = stream(plan.seed, "signature")
    instrument = pick(rng, SIGNATURES)
    late = rng.normal(0.0, HUMAN_SECONDS, len(plan.bars) // BARS_PER_UNIT)
    notes = []
    for note in line:
        if not note.hook:
            continue
        start = plan.beat_time(note.unit, note.beat) + late[note.unit]
        seconds = max(0.05, plan.beat_time(note.unit, note.beat + note.length) - start)
        octaves = max(0, -(-(LOWEST - note.pitch) // OCTAVE))
        pitch = float(note.pitch + OCTAVE * octaves)
        notes.append(Note(max(0.0, float(start)), seconds, pitch, VELOCITY, instrument, "hook"))
    return tuple(notes)
