"""Records of a composed song: notes, form, keys, chords, performance and production.

Times are seconds from the start of the song, pitches MIDI note numbers (69 = A4 = 440 Hz, fractions
allowed), velocities in [0, 1], levels in dB. A composition is immutable: two equal ones render to
equal samples.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from hear_aesthetics.synthesis.composition.qualities import Qualities
from hear_aesthetics.synthesis.composition.theory import Chord, Key

__all__ = [
    "Composition",
    "Note",
    "Performance",
    "Production",
    "Recording",
    "Section",
    "Span",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Note:
    """One note or drum hit.

    ``layer`` is the role it plays (lead, chords, bass, ...); equal syllables are sung alike.
    """

    onset: float
    seconds: float
    pitch: float
    velocity: float
    instrument: str
    layer: str
    syllable: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """A stretch of the form; sections with equal names share their material."""

    name: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Span(Generic[T]):
    """A key, chord, tempo or recording in force from ``start`` to ``end``."""

    start: float
    end: float
    value: T


@dataclass(frozen=True, slots=True)
class Recording:
    """Tone (dB per octave around 1 kHz) and level of a stretch relative to the rest of the song."""

    tilt_db: float = 0.0
    level_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Performance:
    """Expression of the lead.

    Attributes:
        vibrato_cents: Peak deviation of the delayed vibrato.
        glide_seconds: Time in which the pitch slides into each note.
        breath: Level of the breaths before phrases and of the air in the tone, 0 to 1.
        dynamics: Depth of the swell within notes and phrases, 0 to 1.
        drift_cents: Slow random wandering of the pitch.
        buzz: Share of a static sawtooth in the timbre, 0 (alive) to 1 (robot).
        metal: Depth of the ring modulation of a bad voice synthesizer, 0 to 1.
        clicks: Level of the clicks where its notes are joined, 0 to 1.
    """

    vibrato_cents: float = 30.0
    glide_seconds: float = 0.06
    breath: float = 0.6
    dynamics: float = 0.6
    drift_cents: float = 6.0
    buzz: float = 0.0
    metal: float = 0.0
    clicks: float = 0.0


@dataclass(frozen=True, slots=True)
class Production:
    """Settings of the mix.

    Attributes:
        reverb_seconds: Time in which the room decays by 60 dB.
        wet: Share of the reverberated signal, 0 to 1.
        noise_db: Level of the noise bed relative to the music.
        lead_db: Level of the lead relative to its normal place in the mix.
        rms_db: Target level of the whole song, dB re full scale.
        centroid_hz: Target of the mean spectral centroid.
        crossing_rate: Target of the zero crossings per second.
    """

    reverb_seconds: float = 1.0
    wet: float = 0.12
    noise_db: float = -60.0
    lead_db: float = 0.0
    rms_db: float = -20.0
    centroid_hz: float = 1800.0
    crossing_rate: float = 1600.0


@dataclass(frozen=True)
class Composition:
    """A complete song.

    Attributes:
        seed: Seed of the composer; the renderer derives its own random streams from it.
        seconds: Exact length of the rendered audio.
        style: Name of the style (genre).
        beats_per_bar: 3 or 4 quarter notes.
        notes: All notes and drum hits, by onset.
        tempi: In quarter notes per minute.
        takes: Recordings in force.
    """

    seed: int
    seconds: float
    style: str
    beats_per_bar: int
    qualities: Qualities
    notes: tuple[Note, ...]
    sections: tuple[Section, ...]
    keys: tuple[Span[Key], ...]
    chords: tuple[Span[Chord], ...]
    tempi: tuple[Span[float], ...]
    takes: tuple[Span[Recording], ...]
    performance: Performance
    production: Production

    def layer(self, name: str) -> tuple[Note, ...]:
        """Return the notes of one layer, by onset."""
        return tuple(note for note in self.notes if note.layer == name)
