"""Embeddings of many files, and the ``.npz`` files that hold them.

A file holds three arrays: ``embedding``, float32, ``(dim,)`` for a scene and ``(frames, dim)``
otherwise; ``timestamps_ms``, float32, ``(frames,)``, empty for a scene; and ``meta``, a JSON text
that says what was embedded and what made the numbers. It needs no pickle to be read::

    with np.load("song.mp3.npz") as file:
        file["embedding"], json.loads(str(file["meta"]))
"""

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.engine import Result, run
from hear_aesthetics.errors import InputError
from hear_aesthetics.model import HearModel, get_scene_embeddings, get_timestamp_embeddings
from hear_aesthetics.spec import API_SAMPLE_RATE, FRAME_MS, SAMPLE_RATE

__all__ = [
    "KINDS",
    "Embedding",
    "embed",
    "read_embedding",
    "read_meta",
    "sample_rate_of",
    "write_embedding",
]

Item = TypeVar("Item")


class Embedding(NamedTuple):
    """What an embedding file holds.

    Attributes:
        embedding: ``(dim,)`` or ``(frames, dim)``, float32.
        timestamps_ms: ``(frames,)``, float32; empty for a scene.
        meta: What was embedded, and what made the numbers.
    """

    embedding: np.ndarray
    timestamps_ms: np.ndarray
    meta: dict[str, Any]


class _Kind(NamedTuple):
    sample_rate: int
    work: Callable[[HearModel, Tensor], dict[str, Tensor]]


def _scene(model: HearModel, audio: Tensor) -> dict[str, Tensor]:
    embedding = get_scene_embeddings(audio, model)
    return {"embedding": embedding, "timestamps_ms": embedding.new_empty(len(audio), 0)}


def _timestamps(model: HearModel, audio: Tensor) -> dict[str, Tensor]:
    embedding, timestamps = get_timestamp_embeddings(audio, model)
    return {"embedding": embedding, "timestamps_ms": timestamps}


def _features(model: HearModel, waveform: Tensor) -> dict[str, Tensor]:
    embedding = model.features(waveform)
    rows, frames, _ = embedding.shape
    timestamps = torch.arange(frames, device=embedding.device) * FRAME_MS
    return {"embedding": embedding, "timestamps_ms": timestamps.float().repeat(rows, 1)}


KINDS = {
    "scene": _Kind(API_SAMPLE_RATE, _scene),
    "timestamps": _Kind(API_SAMPLE_RATE, _timestamps),
    "features": _Kind(SAMPLE_RATE, _features),
}


def embed(
    items: Iterable[Item], model: HearModel, kind: str = "scene", **options: Any
) -> Iterator[Result[Item]]:
    """Embeddings of all items in their order; each output has ``embedding`` and ``timestamps_ms``.

    Args:
        items: Files or spans of files, as :func:`hear_aesthetics.engine.run` takes them.
        model: From ``load_model``.
        kind: ``"scene"`` and ``"timestamps"`` are HEAR's embeddings of the audio at 48 kHz,
            ``"features"`` the encoders' fused feature of the audio at 24 kHz.
        **options: Further options of the engine.

    Raises:
        ValueError: If there is no such kind.
    """
    rate = sample_rate_of(kind)
    return run(items, model, KINDS[kind].work, sample_rate=rate, **options)


def sample_rate_of(kind: str) -> int:
    """The rate in Hz of the audio that a kind of embedding is made from.

    Raises:
        ValueError: If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it takes {' or '.join(map(repr, KINDS))}")
    return KINDS[kind].sample_rate


def write_embedding(
    path: Path, embedding: np.ndarray, timestamps_ms: np.ndarray, meta: Mapping[str, Any]
) -> None:
    """Write an embedding file, whole or not at all; its folder is made if need be.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Apart from what other writers write at this moment; what a killed one leaves is never read.
    partial = path.with_name(f".{os.getpid()}-{threading.get_ident()}.partial")
    text = np.array(json.dumps(meta, indent=1))
    try:
        with partial.open("wb") as file:
            np.savez(file, embedding=embedding, timestamps_ms=timestamps_ms, meta=text)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read_embedding(path: Path) -> Embedding:
    """What an embedding file holds.

    Raises:
        InputError: If it is no embedding file.
    """
    with _arrays(path) as file:
        return Embedding(file["embedding"], file["timestamps_ms"], json.loads(str(file["meta"])))


def read_meta(path: Path) -> dict[str, Any]:
    """What an embedding file says of itself; the embedding is not read.

    Raises:
        InputError: If it is no embedding file.
    """
    with _arrays(path) as file:
        meta: dict[str, Any] = json.loads(str(file["meta"]))
        return meta


@contextmanager
def _arrays(path: Path) -> Iterator[Mapping[str, np.ndarray]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            yield file
    except (OSError, ValueError, TypeError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: not an embedding file ({error}); make it again") from error
