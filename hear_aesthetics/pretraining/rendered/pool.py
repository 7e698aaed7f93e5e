"""Pool of clips with labels on disk.

``pool.json`` says what is there; ``chunk-0000.npz`` and so on hold ``clips_per_chunk`` clips each,
of one length: ``samples`` ``(clips, n)`` int16 at 24 kHz, the labels by their names with what is
bool packed to bits along the classes, and ``source``.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.errors import InputError
from hear_aesthetics.pretraining.rendered.labels import BINARY, LabelledClip, Labels

__all__ = ["RenderedPool"]

ABOUT = "pool.json"
FULL_SCALE = 32767
PLAIN = ("key", "chord", "phoneme", "tempo")
OPEN_CHUNKS = 4


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
        self._chunk = lru_cache(OPEN_CHUNKS)(self._read_chunk)

    def __len__(self) -> int:
        return self._clips

    def clip(self, index: int) -> LabelledClip:
        """Return a clip."""
        chunk = self._chunk(index // self._per_chunk)
        row = {name: values[index % self._per_chunk] for name, values in chunk.items()}
        labels = {
            name: np.unpackbits(row[name], axis=-1, count=classes).astype(bool)
            for name, classes in BINARY.items()
        }
        labels |= {name: row[name] for name in PLAIN}
        known = Labels(
            **labels, has_music=bool(row["has_music"]), has_speech=bool(row["has_speech"])
        )
        samples = row["samples"].astype(np.float32) / FULL_SCALE
        return LabelledClip(samples, known, str(row["source"]))

    def _read_chunk(self, number: int) -> dict[str, np.ndarray]:
        path = self.folder / f"chunk-{number:04d}.npz"
        try:
            with np.load(path) as file:
                return dict(file)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: {error}; render the pool again") from error
