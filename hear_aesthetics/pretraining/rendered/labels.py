"""What the renderer knows of a clip, frame by frame."""

from dataclasses import dataclass

import numpy as np

FRAME_SECONDS = 0.04  # MuQ/MusicFM frames: 25 per second
LOWEST_PITCH, PITCHES = 21, 88  # MIDI
PRESETS = 128  # General MIDI programs
LOWEST_DRUM, DRUMS = 35, 47  # General MIDI percussion keys
CHORDS = 12 * 5  # root * 5 + quality (maj, min, dim, aug/other, dominant 7)
KEYS = 24  # tonic * 2 + minor
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
        drums: ``(frames, 47)`` bool, onsets.
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
