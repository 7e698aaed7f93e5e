"""Batches of clips with what is known of every frame of the encoder.

Labels of frame i are about the time ``(i + 0.5) * 40`` ms of a clip, while the encoder's frame i is
centred at ``40 * i`` ms of what it hears. So the audio begins half a frame after the labels: the
encoder learns to describe what its frame is centred at, and needs no delay later.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.pretraining.data.augmentation import change_recording
from hear_aesthetics.pretraining.rendered.labels import (
    FRAME_SECONDS,
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
        augment: Change level, bandwidth and noise floor, which no label is about.
    """
    last = len(pool) - pool.held_out
    clips = range(last, len(pool)) if held_out else range(last)
    rows = []
    for _ in range(batch):
        index = clips[int(rng.integers(len(clips)))]
        rows.append(_part(pool.clip(index), index, teachers, rng, samples, augment))
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
    first = int(rng.integers(max(1, known - frames + 1)))
    begin = first * FRAME_HOP + HALF_FRAME
    waveform = clip.samples[begin : begin + samples]
    waveform = np.pad(waveform, (0, samples - len(waveform))).astype(np.float32)
    if augment:
        waveform = change_recording(waveform, rng)
    times = (first + np.arange(frames) + 0.5) * FRAME_SECONDS
    embeddings = {name: teacher.at(index, times) for name, teacher in teachers.items()}
    labels = _labels(clip.labels, slice(first, first + frames), frames)
    return waveform, labels, clip.labels.has_music, clip.labels.has_speech, embeddings


def _labels(labels: Labels, part: slice, frames: int) -> dict[str, np.ndarray]:
    """Return the labels of some frames; those after the clip's end hold nothing."""
    found: dict[str, np.ndarray] = {}
    for name in BINARY:
        values = getattr(labels, name)[part]
        found[name] = np.pad(values, ((0, frames - len(values)), (0, 0)))
    for name in (*CLASSES, *SPEECH):
        values = getattr(labels, name)[part]
        values = tempo_classes(values) if name == "tempo" else values.astype(np.int64)
        found[name] = np.pad(values, (0, frames - len(values)), constant_values=NONE)
    return found
