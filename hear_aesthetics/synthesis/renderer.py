"""Turns a score into samples: notes from a per-song cache, layers, room, level."""

import numpy as np

from hear_aesthetics.synthesis import effects
from hear_aesthetics.synthesis.drums import DRUMS, render_drum
from hear_aesthetics.synthesis.instruments import INSTRUMENTS, Timbre, render_note, vary
from hear_aesthetics.synthesis.qualities import stream
from hear_aesthetics.synthesis.score import Note, Score

__all__ = ["render"]

LEVELS = {"lead": 0.5, "chords": 0.22, "bass": 0.4, "pad": 0.16, "arpeggio": 0.2, "drums": 0.35}
SHORTEST_BUCKET = 0.25  # seconds; durations are rounded up to this times a power of two


class _NoteBank:
    """Renders each (instrument, pitch, duration bucket) of a song once."""

    def __init__(self, seed: int, sample_rate: int) -> None:
        self._rng = stream(seed, "timbres")
        self._sample_rate = sample_rate
        self._timbres: dict[str, Timbre] = {
            name: vary(timbre, self._rng) for name, timbre in INSTRUMENTS.items()
        }
        self._notes: dict[tuple[str, float, float], np.ndarray] = {}

    def _cached(self, instrument: str, pitch: float, bucket: float) -> np.ndarray:
        key = (instrument, pitch, bucket)
        if key not in self._notes:
            self._notes[key] = (
                render_drum(instrument, 1.0, self._sample_rate, self._rng)
                if instrument in DRUMS
                else render_note(
                    self._timbres[instrument], pitch, bucket, 1.0, self._sample_rate, self._rng
                )
            )
        return self._notes[key]

    def play(self, note: Note) -> np.ndarray:
        """Returns the samples of a note, cut to its length with the instrument's release."""
        if note.instrument in DRUMS:
            return note.velocity * self._cached(note.instrument, 0.0, 0.0)
        timbre = self._timbres[note.instrument]
        octaves = max(0.0, np.ceil(np.log2(note.seconds / SHORTEST_BUCKET)))
        samples = self._cached(note.instrument, note.pitch, SHORTEST_BUCKET * 2.0**octaves)
        end = round((note.seconds + timbre.release) * self._sample_rate)
        played = note.velocity * samples[:end]
        fade = min(len(played), round(timbre.release * self._sample_rate))
        played[len(played) - fade :] *= np.linspace(1.0, 0.0, fade, dtype=np.float32)
        return played


def render(score: Score, sample_rate: int = 24_000) -> np.ndarray:
    """Renders a score.

    The same score gives the same samples; no global random state is read or changed.

    Shape:
        - output: ``(round(score.seconds * sample_rate),)`` float32 in [-1, 1]
    """
    samples = round(score.seconds * sample_rate)
    mix = np.zeros(samples, np.float32)
    bank = _NoteBank(score.seed, sample_rate)
    for note in score.notes:
        start = round(note.onset * sample_rate)
        played = bank.play(note)[: max(0, samples - start)]
        mix[start : start + len(played)] += np.float32(LEVELS[note.layer]) * played
    production = score.production
    room = stream(score.seed, "room")
    mix = effects.reverb(mix, production.reverb_seconds, production.wet, sample_rate, room)
    return effects.normalise(mix, production.rms_db)
