"""What the renderer knows of a clip, frame by frame."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

FRAME_SECONDS = 0.04  # MuQ/MusicFM frames: 25 per second
LOWEST_PITCH, PITCHES = 21, 88  # MIDI
PRESETS = 128  # General MIDI programs
LOWEST_DRUM, DRUMS = 35, 47  # General MIDI percussion keys
CHORDS = 12 * 5  # root * 5 + quality (maj, min, dim, aug/other, dominant 7)
KEYS = 24  # tonic * 2 + minor
HIT_SECONDS = 0.12  # for which a percussion hit is labelled
NONE = -1  # no class here: the loss leaves the frame out
# Labels of which a frame may hold several, and their classes.
BINARY = {"pitches": PITCHES, "onsets": PITCHES, "presets": PRESETS, "drums": DRUMS}


@dataclass(frozen=True)
class Labels:
    """What the renderer knows of a clip; frame i is centred at (i + 0.5) * FRAME_SECONDS.

    Attributes:
        pitches: ``(frames, 88)`` bool, sounding.
        onsets: ``(frames, 88)`` bool.
        presets: ``(frames, 128)`` bool, sounding.
        drums: ``(frames, 47)`` bool, the first 120 ms of a hit.
        key: ``(frames,)`` int16, NONE where unknown.
        chord: As ``key``.
        phoneme: As ``key``.
        tempo: ``(frames,)`` float32 in beats per minute, NaN where there is none.
        has_music: Whether the labels of music apply; of noise they are all False.
        has_speech: Whether those of speech apply.
    """

    pitches: np.ndarray
    onsets: np.ndarray
    presets: np.ndarray
    drums: np.ndarray
    key: np.ndarray
    chord: np.ndarray
    phoneme: np.ndarray
    tempo: np.ndarray
    has_music: bool
    has_speech: bool


@dataclass(frozen=True)
class LabelledClip:
    """Clip and its labels.

    Attributes:
        samples: ``(n,)`` float32 at 24 kHz.
        labels: Of every frame.
        source: Where it comes from, for statistics.
    """

    samples: np.ndarray
    labels: Labels
    source: str


class LabelSheet:
    """Labels of a clip that are filled in as it is played; nothing sounds at first.

    Args:
        seconds: Length of the clip.
    """

    def __init__(self, seconds: float) -> None:
        self.frames = round(seconds / FRAME_SECONDS)
        self._binary = {name: np.zeros((self.frames, n), bool) for name, n in BINARY.items()}
        self._classes = {
            name: np.full(self.frames, NONE, np.int16) for name in ("key", "chord", "phoneme")
        }
        self._tempo = np.full(self.frames, np.nan, np.float32)

    def add_note(self, onset: float, seconds: float, pitch: int, program: int) -> None:
        """Add a note of a MIDI pitch, in seconds, by a General MIDI program.

        A pitch beyond the piano's is not labelled, its program is.
        """
        rows = self._rows(onset, onset + seconds)
        self._binary["presets"][rows, program] = True
        if LOWEST_PITCH <= pitch < LOWEST_PITCH + PITCHES:
            self._binary["pitches"][rows, pitch - LOWEST_PITCH] = True
            self._binary["onsets"][rows.start : rows.start + 1, pitch - LOWEST_PITCH] = True

    def add_hit(self, onset: float, drum: int) -> None:
        """Add a hit of a General MIDI percussion key."""
        if LOWEST_DRUM <= drum < LOWEST_DRUM + DRUMS:
            self._binary["drums"][self._rows(onset, onset + HIT_SECONDS), drum - LOWEST_DRUM] = True

    def set_class(self, name: str, start: float, end: float, value: float) -> None:
        """Set the ``key``, ``chord``, ``phoneme`` or ``tempo`` of a stretch."""
        row: Any = self._tempo if name == "tempo" else self._classes[name]
        row[self._rows(start, end)] = value

    def labels(self, *, has_music: bool, has_speech: bool = False) -> Labels:
        """Return the labels."""
        return Labels(
            **self._binary,
            **self._classes,
            tempo=self._tempo,
            has_music=has_music,
            has_speech=has_speech,
        )

    def _rows(self, start: float, end: float) -> slice:
        """Return the frames whose centres lie in a stretch, at least the one that it begins in."""
        first = max(0, math.ceil(start / FRAME_SECONDS - 0.5))
        last = max(first + 1, math.ceil(end / FRAME_SECONDS - 0.5))
        return slice(min(first, self.frames), min(last, self.frames))


def chord_class(root: int, intervals: set[int]) -> int:
    """Return the class of a chord of a root, 0 to 11, and semitones above it."""
    if {4, 7, 10} <= intervals:
        return root * 5 + 4
    triads = ({4, 7}, {3, 7}, {3, 6})
    return root * 5 + next((i for i, triad in enumerate(triads) if triad <= intervals), 3)
