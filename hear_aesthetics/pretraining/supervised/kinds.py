"""Kinds of labels by name, and how many classes each has."""

import numpy as np

from hear_aesthetics.pretraining.rendered.labels import BINARY, CHORDS, KEYS, NONE

__all__ = ["BINARY", "CLASSES", "LABELS", "SPEECH", "tempo_classes"]

TEMPI, SLOWEST, FASTEST = 32, 40.0, 240.0  # classes equally far apart in log beats per minute
# A frame may hold several classes of BINARY, and holds one of these.
CLASSES = {"key": KEYS, "chord": CHORDS, "tempo": TEMPI}
SPEECH = ("phoneme",)  # its classes are the pool's
LABELS = (*BINARY, *CLASSES, *SPEECH)


def tempo_classes(tempo: np.ndarray) -> np.ndarray:
    """Return the class of every tempo in beats per minute, NONE where it is NaN, int64."""
    known = np.isfinite(tempo)
    octaves = np.log(np.where(known, tempo, SLOWEST) / SLOWEST) / np.log(FASTEST / SLOWEST)
    nearest = np.rint(octaves * (TEMPI - 1)).clip(0, TEMPI - 1)
    return np.where(known, nearest, NONE).astype(np.int64)
