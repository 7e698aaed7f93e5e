"""Embeddings of many files, and the ``.npz`` files that hold them.

A file holds three arrays: ``embedding``, float32, ``(dim,)`` for a scene and ``(frames, dim)``
otherwise; ``timestamps_ms``, float32, ``(frames,)``, empty for a scene; and ``meta``, a JSON text
that says what was embedded and what made the numbers. It needs no pickle to be read::

    with np.load("song.mp3.npz") as file:
        file["embedding"], json.loads(str(file["meta"]))
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.atomic import atomic_file
from hear_aesthetics.engine import Result, run
from hear_aesthetics.errors import InputError
from hear_aesthetics.model import HearModel, get_scene_embeddings, get_timestamp_embeddings
from hear_aesthetics.spec import API_SAMPLE_RATE, FRAME_MS, SAMPLE_RATE

__all__ = [
    "DECISIVE",
    "KINDS",
    "Embedding",
    "embed",
    "is_done",
    "origin",
    "read_embedding",
    "read_meta",
    "sample_rate_of",
    "save",
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


# What the numbers depend on. Where the weights came from and the package's version may change.
DECISIVE = (
    "kind",
    "sources",
    "scales",
    "segment_seconds",
    "track_limit_seconds",
    "layer",
    "pooling",
    "precision",
    "weights_sha256",
)


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


def origin(model: HearModel, kind: str) -> dict[str, Any]:
    """What all files of a run share: the part of their ``meta`` that says what made the numbers."""
    return {"kind": kind, "sample_rate": sample_rate_of(kind), "model": model.provenance()}


def is_done(path: Path, made: Mapping[str, Any]) -> bool:
    """Whether ``path`` already holds an embedding of this origin; what is no embedding is not done.

    Raises:
        InputError: If it holds an embedding of another origin; says what differs.
    """
    if not path.is_file():
        return False
    try:
        meta = read_meta(path)
    except InputError:
        return False
    there, here = _flat(meta), _flat(made)
    for key in DECISIVE:
        if there.get(key) != here[key]:
            raise InputError(
                f"{path}: made with {key} {there.get(key)}, now it is {here[key]}; "
                "choose another folder, or overwrite it"
            )
    return True


def write_embedding(
    path: Path, embedding: np.ndarray, timestamps_ms: np.ndarray, meta: Mapping[str, Any]
) -> None:
    """Write an embedding file, whole or not at all; its folder is made if need be.

    Raises:
        OSError: If it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = np.array(json.dumps(meta, indent=1))
    with atomic_file(path) as file:
        np.savez(file, embedding=embedding, timestamps_ms=timestamps_ms, meta=text)


def save(path: Path, result: Result[Any], made: Mapping[str, Any]) -> None:
    """Write the result of a file or span, with its ``path``, ``start``, ``end`` and ``duration``.

    Args:
        path: The embedding file.
        result: From :func:`embed`, without error.
        made: From :func:`origin`.

    Raises:
        OSError: If it cannot be written.
    """
    item, output = result.item, result.output
    span = {"path": str(item.path), "start": item.start, "end": item.end}
    meta = {**span, "duration": result.seconds, **made}
    write_embedding(path, output["embedding"].numpy(), output["timestamps_ms"].numpy(), meta)


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


def _flat(meta: Mapping[str, Any]) -> dict[str, Any]:
    model = meta.get("model")
    return {**meta, **model} if isinstance(model, dict) else dict(meta)
