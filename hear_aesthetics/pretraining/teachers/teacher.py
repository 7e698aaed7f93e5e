"""What a teacher is, and those that are known by name."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.teachers.speech_embedding import SpeechEmbedding

__all__ = ["TEACHERS", "Teacher", "load_teacher"]


class Teacher(Protocol):
    """Pretrained model of other authors, with a licence that lets weights be made from it.

    Attributes:
        name: Its name in options and model cards.
        licence: Licence of its weights.
        rate: Sampling rate of its input in Hz.
        dim: Width of an embedding.
        sha256: Hash of its weights.
        of_speech: Whether it is asked about clips of speech alone.
    """

    name: str
    licence: str
    rate: int
    dim: int
    sha256: str
    of_speech: bool

    def embed(self, waveforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return embeddings and the times that they are about.

        Shape:
            - waveforms: ``(batch, samples)`` float32 in [-1, 1] at ``rate``
            - embeddings: ``(batch, frames, dim)`` float32; no frame where the audio is too short
            - centres, in seconds and equally far apart: ``(frames,)``
        """
        ...


TEACHERS: dict[str, Callable[[], Any]] = {SpeechEmbedding.name: SpeechEmbedding}


def load_teacher(name: str) -> Teacher:
    """Return a teacher.

    Raises:
        InputError: If there is none of that name, or its packages are missing.
    """
    if name not in TEACHERS:
        raise InputError(f"unknown teacher {name!r}; choose {' or '.join(TEACHERS)}")
    teacher: Teacher = TEACHERS[name]()
    return teacher
