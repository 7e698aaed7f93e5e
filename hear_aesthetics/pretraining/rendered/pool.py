"""Pool of clips with labels on disk.

``pool.json`` says what is there; ``chunk-0000.npy`` and so on hold a row for each of
``clips_per_chunk`` clips of one length: ``samples`` int16 at 24 kHz, the labels by their names with
what is bool packed to bits along the classes, and ``source``. Rows are read as mapped memory.
"""

import json
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.errors import InputError
from hear_aesthetics.files import atomic_file
from hear_aesthetics.pretraining.rendered.labels import BINARY, LabelledClip, Labels

__all__ = ["ABOUT", "RenderedPool", "chunk_path", "write_chunk"]

ABOUT = "pool.json"
FULL_SCALE = 32767
LABELS = tuple(field.name for field in fields(Labels))


class RenderedPool:
    """Clips with labels of a folder.

    Args:
        folder: Folder of the pool.

    Attributes:
        about: Content of ``pool.json``.
        phonemes: Number of phonemes that labels tell apart.
        held_out: Number of clips, the last ones, that no encoder trains on.

    Raises:
        InputError: If there is no such pool.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.about: dict[str, Any] = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            self.phonemes, self.held_out, self._clips, self._per_chunk = (
                int(self.about[key]) for key in ("phonemes", "held_out", "clips", "clips_per_chunk")
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{folder}: no pool with labels ({type(error).__name__}: {error}); render one"
            ) from error
        self._chunk = cache(self._read_chunk)

    def __len__(self) -> int:
        return self._clips

    def clip(self, index: int) -> LabelledClip:
        """Return a clip."""
        row = self._chunk(index // self._per_chunk)[index % self._per_chunk]
        labels: dict[str, Any] = {name: np.array(row[name]) for name in LABELS}
        for name, classes in BINARY.items():
            labels[name] = np.unpackbits(labels[name], axis=-1, count=classes).astype(bool)
        for name in ("has_music", "has_speech"):
            labels[name] = bool(labels[name])
        samples = row["samples"].astype(np.float32) / FULL_SCALE
        return LabelledClip(samples, Labels(**labels), str(row["source"]))

    def _read_chunk(self, number: int) -> np.ndarray:
        path = chunk_path(self.folder, number)
        try:
            rows: np.ndarray = np.load(path, mmap_mode="r")
            if len(rows) != self._per_chunk or not {"samples", *LABELS} <= {
                *(rows.dtype.names or ())
            }:
                raise ValueError("other rows than its pool says")
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path}: {error}; render the pool again") from error
        return rows


def chunk_path(folder: Path, number: int) -> Path:
    """Return the file of a chunk."""
    return folder / f"chunk-{number:04d}.npy"


def write_chunk(folder: Path, number: int, clips: Sequence[LabelledClip]) -> None:
    """Write the clips of a chunk, of one length; the file is there when it is whole."""
    columns = {
        "samples": [np.rint(clip.samples.clip(-1, 1) * FULL_SCALE) for clip in clips],
        "source": [clip.source for clip in clips],
    }
    for name in LABELS:
        values = [getattr(clip.labels, name) for clip in clips]
        columns[name] = [np.packbits(v, -1) for v in values] if name in BINARY else values
    arrays = {name: np.array(values) for name, values in columns.items()}
    arrays["samples"] = arrays["samples"].astype(np.int16)
    kinds = [(name, array.dtype, array.shape[1:]) for name, array in arrays.items()]
    rows = np.zeros(len(clips), kinds)
    for name, array in arrays.items():
        rows[name] = array
    with atomic_file(chunk_path(folder, number)) as file:
        np.save(file, rows)
