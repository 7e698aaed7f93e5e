"""Batches of clips with what is known of every frame of the encoder.

Labels of frame i are about the time ``(i + 0.5) * 40`` ms of a clip, while the encoder's frame i is
centred at ``40 * i`` ms of what it hears. So the audio begins half a frame after the labels: the
encoder learns to describe what its frame is centred at, and needs no delay later.

Clips are played faster or slower by whole semitones, and their labels with them: notes keep a
pitch of the piano, and what a teacher says of a time stays true of it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.pretraining.data.augmentation import (
    add_background,
    change_recording,
    through_codec,
)
from hear_aesthetics.pretraining.rendered.labels import (
    CHORDS,
    FRAME_SECONDS,
    KEYS,
    NONE,
    LabelledClip,
    Labels,
)
from hear_aesthetics.pretraining.supervised.kinds import BINARY, CLASSES, SPEECH, tempo_classes
from hear_aesthetics.pretraining.supervised.pool import LabelledPool
from hear_aesthetics.pretraining.teachers.cache import TeacherEmbeddings
from hear_aesthetics.spec import FRAME_HOP

__all__ = ["HALF_FRAME", "LabelledBatch", "draw_labelled"]

HALF_FRAME = FRAME_HOP // 2
SPEED_SHARE, SEMITONES = 0.6, 3  # clips at another speed, and by how much at most
BACKGROUND_SHARE = 0.3
PITCHED = ("pitches", "onsets")
PER_TONIC = {"key": KEYS // 12, "chord": CHORDS // 12}  # classes of one pitch class


@dataclass(frozen=True)
class LabelledBatch:
    """Clips of equal length.

    Attributes:
        waveform: ``(B, T * 960)`` float32 at 24 kHz.
        labels: By name ``(B, T, classes)`` bool, or ``(B, T)`` int64 with NONE.
        applies: By name ``(B,)`` bool: clips whose labels say something.
        embeddings: By teacher ``(B, T, dim)`` float32, NaN where it says nothing.
    """

    waveform: Tensor
    labels: dict[str, Tensor]
    applies: dict[str, Tensor]
    embeddings: dict[str, Tensor]

    def to(self, device: torch.device) -> "LabelledBatch":
        """Return the batch on a device."""
        moved = (
            {name: tensor.to(device) for name, tensor in part.items()}
            for part in (self.labels, self.applies, self.embeddings)
        )
        return LabelledBatch(self.waveform.to(device), *moved)


def draw_labelled(
    pool: LabelledPool,
    teachers: Mapping[str, TeacherEmbeddings],
    rng: np.random.Generator,
    batch: int,
    samples: int,
    *,
    held_out: bool = False,
    augment: bool = True,
) -> LabelledBatch:
    """Draw parts of the held-out clips, or of all others.

    Args:
        pool: Clips to draw from.
        teachers: Embeddings of the pool's clips.
        rng: Source of randomness.
        batch: Number of clips.
        samples: Length of a part, a multiple of 960; what a shorter clip lacks is silence.
        held_out: Draw from the held-out clips instead of the others.
        augment: Change speed, and labels with it; and level, bandwidth, noise floor, codec and
            background, which no label is about.
    """
    last = len(pool) - pool.held_out
    clips = range(last, len(pool)) if held_out else range(last)
    rows = []
    for _ in range(batch):
        index = clips[int(rng.integers(len(clips)))]
        clip = pool.clip(index)
        row = _part(clip, index, teachers, rng, samples, augment)
        if augment:
            background = None
            if rng.random() < BACKGROUND_SHARE:
                background = pool.clip(clips[int(rng.integers(len(clips)))])
            row = (_recorded(row[0], clip, background, rng), *row[1:])
        rows.append(row)
    waveforms, labels, music, speech, embeddings = zip(*rows, strict=True)
    names = labels[0]
    of_kind = {False: torch.tensor(music), True: torch.tensor(speech)}
    return LabelledBatch(
        torch.from_numpy(np.stack(waveforms)),
        {name: torch.from_numpy(np.stack([row[name] for row in labels])) for name in names},
        {name: of_kind[name in SPEECH] for name in names},
        {name: torch.from_numpy(np.stack([row[name] for row in embeddings])) for name in teachers},
    )


def _part(
    clip: LabelledClip,
    index: int,
    teachers: Mapping[str, TeacherEmbeddings],
    rng: np.random.Generator,
    samples: int,
    augment: bool,
) -> tuple[np.ndarray, dict[str, np.ndarray], bool, bool, dict[str, np.ndarray]]:
    frames, known = samples // FRAME_HOP, len(clip.labels.pitches)
    semitones = 0
    if augment and rng.random() < SPEED_SHARE:
        semitones = int(rng.integers(-SEMITONES, SEMITONES + 1))
    speed = _speed(semitones)
    first = int(rng.integers(max(1, known - math.ceil(frames * speed) + 1)))
    waveform = _played(clip.samples[first * FRAME_HOP + HALF_FRAME :], speed, samples)
    times = (first + 0.5 + speed * np.arange(frames)) * FRAME_SECONDS
    embeddings = {name: teacher.at(index, times) for name, teacher in teachers.items()}
    labels = _labels(clip.labels, first, frames, semitones)
    return waveform, labels, clip.labels.has_music, clip.labels.has_speech, embeddings


def _speed(semitones: int) -> float:
    """Return how much faster audio is that is played some semitones higher."""
    return float(2.0 ** (semitones / 12))


def _played(source: np.ndarray, speed: float, samples: int) -> np.ndarray:
    """Return some samples at another speed, then silence."""
    if speed != 1.0:
        at = np.arange(min(samples, int((len(source) - 1) / speed)))
        source = np.interp(at * speed, np.arange(len(source)), source)
    waveform = source[:samples].astype(np.float32)
    return np.pad(waveform, (0, samples - len(waveform)))


def _recorded(
    waveform: np.ndarray, clip: LabelledClip, other: LabelledClip | None, rng: np.random.Generator
) -> np.ndarray:
    """Return a recording of a waveform; the other clip is below it if no label is of that."""
    ours, its = clip.labels, other.labels if other else clip.labels
    apart = not (ours.has_music and its.has_music) and not (ours.has_speech and its.has_speech)
    if other and apart:
        waveform = add_background(waveform, _played(other.samples, 1.0, len(waveform)), rng)
    return through_codec(change_recording(waveform, rng), rng)


def _labels(labels: Labels, first: int, frames: int, semitones: int) -> dict[str, np.ndarray]:
    """Return the labels of some frames; those after the clip's end hold nothing."""
    speed = _speed(semitones)
    begins = first + np.floor(0.5 + speed * np.arange(frames + 1)).astype(int)
    begins, end = begins[:-1], min(begins[-1], len(labels.pitches))
    inside = begins < end
    found: dict[str, np.ndarray] = {}
    for name, classes in BINARY.items():
        values = np.zeros((frames, classes), bool)  # played faster, a frame holds more than one
        values[inside] = np.logical_or.reduceat(getattr(labels, name)[:end], begins[inside])
        found[name] = _shifted(values, semitones) if name in PITCHED else values
    for name in (*CLASSES, *SPEECH):
        values = getattr(labels, name)[begins[inside]]
        if name == "tempo":
            values = tempo_classes(values * np.float32(speed))
        elif name in PER_TONIC:
            classes = PER_TONIC[name]
            moved = (values + semitones * classes) % (12 * classes)
            values = np.where(values == NONE, NONE, moved)
        padded = np.full(frames, NONE, np.int64)
        padded[inside] = values
        found[name] = padded
    return found


def _shifted(values: np.ndarray, semitones: int) -> np.ndarray:
    """Return notes some semitones higher; those beyond the piano's are left out."""
    moved = np.roll(values, semitones, axis=1)
    if semitones > 0:
        moved[:, :semitones] = False
    elif semitones < 0:
        moved[:, semitones:] = False
    return moved
