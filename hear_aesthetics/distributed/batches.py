"""Batches of other programs: columns in, audio of each row out.

The audio of a row is in the first of these columns that the batch has:

============= ======================================================================
``audio``     mappings with ``bytes`` or ``path``, as Hugging Face ``datasets`` writes
              without decoding, or with ``array`` and ``sampling_rate``; or bytes
``bytes``     contents of a file
``array``     samples, ``(samples,)`` or ``(samples, channels)``, floats in [-1, 1],
              at the rate in the column ``sampling_rate`` (Hz)
``path``      paths or URLs
============= ======================================================================

``start_time`` and ``end_time`` (seconds) and ``prompt`` mean what they mean in a list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hear_aesthetics.corpus.remote import RemoteFile, is_url, local_or_url
from hear_aesthetics.corpus.stored import StoredBytes
from hear_aesthetics.engine.inference import Result
from hear_aesthetics.errors import AudioError, InputError

__all__ = ["BatchAudio", "audio_of", "object_column", "other_columns", "outcome"]

SOURCES = ("audio", "bytes", "array", "path")
HEAVY = {"audio", "bytes", "array"}  # columns that do not come back
OK, ERROR = "ok", "error"


@dataclass(frozen=True)
class BatchAudio:
    """Audio of a row.

    Attributes:
        path: File, on disk, behind a URL or in memory; of samples their name.
        start: Beginning of the span in seconds; None: of the file.
        end: End of the span in seconds; None: of the file.
        prompt: Text, for scorers that read one.
        error: What is wrong with the row.
    """

    path: str | PathLike[str]
    start: float | None = None
    end: float | None = None
    prompt: str | None = None
    error: str | None = field(default=None, compare=False)

    def checked(self) -> "BatchAudio":
        """Return this audio.

        Raises:
            AudioError: If the row holds none.
        """
        if self.error is not None:
            raise AudioError(f"{self.path}: {self.error}")
        return self


def audio_of(batch: Mapping[str, Any]) -> list[BatchAudio]:
    """Return the audio of each row of a batch.

    Raises:
        InputError: If no column holds audio.
    """
    source = next((name for name in SOURCES if name in batch), None)
    if source is None:
        raise InputError(
            f"a batch has the columns {', '.join(batch) or 'none'}; one of {', '.join(SOURCES)} "
            "must hold the audio"
        )
    return [_row(batch, source, row) for row in range(len(batch[source]))]


def other_columns(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that do not hold audio."""
    return {name: values for name, values in batch.items() if name not in HEAVY}


def outcome(results: Sequence[Result[Any]]) -> dict[str, np.ndarray]:
    """Return the columns ``duration`` (s), ``status`` and ``error`` of results."""
    errors = [None if r.error is None else " ".join(str(r.error).split()) for r in results]
    seconds = [r.seconds if r.error is None else np.nan for r in results]
    return {
        "duration": np.array(seconds, dtype=np.float64),
        "status": np.array([OK if error is None else ERROR for error in errors], dtype=object),
        "error": np.array(errors, dtype=object),
    }


def object_column(values: Sequence[Any]) -> np.ndarray:
    """Return a column of arrays of any shapes, or of arrays and None."""
    column = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        column[row] = value
    return column


def _row(batch: Mapping[str, Any], source: str, row: int) -> BatchAudio:
    start, end = (_number(batch, name, row) for name in ("start_time", "end_time"))
    prompt = batch["prompt"][row] if "prompt" in batch else None
    name = str(batch["path"][row]) if "path" in batch else f"row {row}"
    try:
        path = _file(batch[source][row], name, batch, row)
    except InputError as error:
        return BatchAudio(name, start, end, prompt, str(error))
    return BatchAudio(path, start or None, end, prompt)


def _file(value: Any, name: str, batch: Mapping[str, Any], row: int) -> Any:
    """Return what can be decoded of a value."""
    rate = batch["sampling_rate"][row] if "sampling_rate" in batch else None
    if isinstance(value, Mapping):
        name = str(value.get("path") or name)
        rate = value.get("sampling_rate", rate)
        given = (value.get(key) for key in ("bytes", "array", "path"))
        value = next((one for one in given if one is not None), None)
    if isinstance(value, bytes | bytearray | memoryview):
        return StoredBytes(name, bytes(value))
    if isinstance(value, str | PathLike):
        text = local_or_url(str(value))
        return RemoteFile(text) if is_url(text) else Path(text)
    if value is None:
        raise InputError("no audio; remove the row")
    if rate is None:
        raise InputError("samples without sampling_rate; add the column")
    return StoredBytes(name, _wav(np.asarray(value, dtype=np.float32), int(rate)))


def _wav(samples: np.ndarray, rate: int) -> bytes:
    """Return a file of samples, which holds them as they are: the way of all audio is one."""
    from io import BytesIO

    import soundfile

    file = BytesIO()
    try:
        soundfile.write(file, samples, rate, format="WAV", subtype="FLOAT")
    except (ValueError, TypeError, soundfile.LibsndfileError) as error:
        raise InputError(
            f"samples of shape {samples.shape} at {rate} Hz are no audio ({error})"
        ) from error
    return file.getvalue()


def _number(batch: Mapping[str, Any], name: str, row: int) -> float | None:
    value = batch[name][row] if name in batch else None
    return None if value is None or np.isnan(value) else float(value)
