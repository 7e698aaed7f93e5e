"""Embeddings of a teacher of every clip of a pool, computed once and kept beside the pool.

``teachers/NAME.npy`` holds the rows of all clips, one after the other; ``NAME.json``, written last,
says of which pool and teacher they are, where each clip begins, and when its rows are.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.audio.loading import resample
from hear_aesthetics.engine.progress import ProgressCallback, no_progress
from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file, write_text
from hear_aesthetics.fingerprint import digest
from hear_aesthetics.pretraining.supervised.pool import LabelledPool
from hear_aesthetics.pretraining.teachers.teacher import Teacher, load_teacher
from hear_aesthetics.spec import SAMPLE_RATE

__all__ = ["TeacherEmbeddings"]

FOLDER = "teachers"
LEAST_STD = 1e-3  # so that a dimension that never changes is not divided by 0


@dataclass(frozen=True)
class TeacherEmbeddings:
    """Embeddings of a teacher, standardized by their own mean and deviation.

    Attributes:
        rows: ``(rows of all clips, dim)`` float16, memory-mapped.
        about: Teacher, licence and hash; the times ``first + i * step`` in seconds of a clip's
            rows; mean and deviation of every dimension, and their mean absolute value so
            standardized.
        starts: First row of every clip, and the end of the last.
    """

    rows: np.ndarray
    about: dict[str, Any]
    starts: np.ndarray

    @classmethod
    def open(
        cls, folder: Path, name: str, pool: LabelledPool, progress: ProgressCallback = no_progress
    ) -> "TeacherEmbeddings":
        """Read the embeddings beside a pool; make them where they are missing or of another pool.

        Args:
            folder: Folder of the pool.
            name: Teacher.
            pool: Its clips.
            progress: Called with the clips done and their number.

        Raises:
            InputError: If there is no such teacher, or its packages are missing.
        """
        rows, about = folder / FOLDER / f"{name}.npy", folder / FOLDER / f"{name}.json"
        made_of = digest(pool.about)
        try:
            known = json.loads(about.read_text(encoding="utf-8"))
            if known["pool"] == made_of:
                return cls(np.load(rows, mmap_mode="r"), known, np.array(known["starts"]))
        except (OSError, ValueError, KeyError):
            pass
        rows.parent.mkdir(parents=True, exist_ok=True)
        teacher = load_teacher(name)
        found = _embed(teacher, pool, progress)
        about.unlink(missing_ok=True)
        with atomic_file(rows) as file:
            np.save(file, found.pop("rows"))
        facts = {"teacher": name, "licence": teacher.licence, "sha256": teacher.sha256}
        write_text(about, json.dumps({**facts, "pool": made_of, **found}) + "\n")
        return cls.open(folder, name, pool)

    @property
    def facts(self) -> dict[str, str]:
        """What decides the embeddings of an audio, and their licence."""
        return {key: self.about[key] for key in ("licence", "sha256")}

    @property
    def dim(self) -> int:
        """Width of an embedding."""
        return self.rows.shape[1]

    def at(self, clip: int, times: np.ndarray) -> np.ndarray:
        """Return the embeddings at some times of a clip, in between interpolated.

        Shape:
            - times: ``(T,)`` seconds
            - output: ``(T, dim)`` float32; NaN before the first and after the last embedding
        """
        rows = self.rows[self.starts[clip] : self.starts[clip + 1]].astype(np.float32)
        place = (times - self.about["first"]) / self.about["step"]
        out = np.full((len(times), self.dim), np.nan, np.float32)
        inside = (place >= 0) & (place <= len(rows) - 1)
        if inside.any():
            before = np.floor(place[inside]).astype(int)
            share = (place[inside] - before)[:, None].astype(np.float32)
            after = np.minimum(before + 1, len(rows) - 1)
            out[inside] = (1 - share) * rows[before] + share * rows[after]
        mean, std = (np.array(self.about[key], np.float32) for key in ("mean", "std"))
        return (out - mean) / std


def _embed(teacher: Teacher, pool: LabelledPool, progress: ProgressCallback) -> dict[str, Any]:
    """Return the rows of all clips, and what is known of them."""
    rows: list[np.ndarray] = []
    starts, first, step = [0], 0.0, 1.0
    for index, (embeddings, centres) in enumerate(_clip_by_clip(teacher, pool)):
        rows.append(embeddings.astype(np.float16))
        starts.append(starts[-1] + len(embeddings))
        if len(centres) > 1:
            first, step = float(centres[0]), float(centres[1] - centres[0])
        progress(index + 1, len(pool))
    every = np.concatenate(rows)
    if not len(every):
        raise InputError(f"every clip of the pool is too short for the teacher {teacher.name}")
    mean = every.mean(axis=0, dtype=np.float64).tolist()
    std = every.std(axis=0, dtype=np.float64).clip(min=LEAST_STD).tolist()
    absolute = float(np.abs((every - np.float32(mean)) / np.float32(std)).mean(dtype=np.float64))
    times = {"starts": starts, "first": first, "step": step}
    return {"rows": every, **times, "mean": mean, "std": std, "mean_absolute": absolute}


def _clip_by_clip(teacher: Teacher, pool: LabelledPool) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for index in range(len(pool)):
        clip = pool.clip(index)
        waveform = resample(clip.samples, SAMPLE_RATE, teacher.rate)
        if teacher.of_speech and not clip.labels.has_speech:
            waveform = waveform[:0]
        embeddings, centres = teacher.embed(waveform[None])
        yield embeddings[0], centres
