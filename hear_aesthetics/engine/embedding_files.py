"""Embeddings of many files, and the ``.npz`` files that hold them.

A file holds three arrays: ``embedding``, float32, ``(dim,)`` for a scene and ``(frames, dim)``
otherwise; ``timestamps_ms``, float32, ``(frames,)``, empty for a scene; and ``meta``, a JSON text
with the audio file, the span and what decided the numbers. It needs no pickle to be read::

    with np.load("song.mp3.npz") as file:
        file["embedding"], json.loads(str(file["meta"]))

Features may be written as ``.npy`` instead: :mod:`hear_aesthetics.engine.npy_files`.
"""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.audio.loading import LENGTH_RULE
from hear_aesthetics.corpus.stored import stamp_of
from hear_aesthetics.engine.inference import Result, run
from hear_aesthetics.engine.inputs import holds_features
from hear_aesthetics.engine.npy_files import read_record, write_features
from hear_aesthetics.errors import AudioError, InputError
from hear_aesthetics.files import atomic_file, one_line_when_full
from hear_aesthetics.fingerprint import FINGERPRINT, check
from hear_aesthetics.model import HearModel, get_scene_embeddings, get_timestamp_embeddings
from hear_aesthetics.spec import API_SAMPLE_RATE, FRAME_MS, SAMPLE_RATE

__all__ = [
    "KINDS",
    "Embedding",
    "embed",
    "is_done",
    "origin",
    "read_embedding",
    "read_meta",
    "sample_rate_of",
    "save",
    "write_arrays",
    "write_embedding",
]

Item = TypeVar("Item")
LOGGER = logging.getLogger(__name__)


class Embedding(NamedTuple):
    """Contents of an embedding file, whose arrays the module describes."""

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
    # One file at a time: which of them share a batch would decide the last bits.
    embedding = torch.cat([model.features(row) for row in waveform.split(1)])
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
    """Yield the embeddings of all items in order: ``embedding`` and ``timestamps_ms`` of each.

    Args:
        items: Files or spans of files, as :func:`hear_aesthetics.engine.inference.run` takes them.
        model: From ``load_model``.
        kind: ``"scene"`` and ``"timestamps"`` are HEAR's embeddings of the audio at 48 kHz,
            ``"features"`` the encoders' fused feature of the audio at 24 kHz.
        **options: Further options of the engine.

    Raises:
        ValueError: If there is no such kind.
    """
    rate = sample_rate_of(kind)
    options = {"batches_at_once": model.batches_at_once, **options}
    return run(items, model, KINDS[kind].work, sample_rate=rate, **options)


def sample_rate_of(kind: str) -> int:
    """Return the sample rate in Hz of the audio that a kind of embedding is made from.

    Raises:
        ValueError: If there is no such kind.
    """
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}; it takes {' or '.join(map(repr, KINDS))}")
    return KINDS[kind].sample_rate


def origin(model: HearModel, kind: str) -> dict[str, Any]:
    """Return the part of ``meta`` that all files of a run share: what made the numbers."""
    rate = sample_rate_of(kind)
    rule = LENGTH_RULE if rate == SAMPLE_RATE else {}
    return {
        "kind": kind,
        "sample_rate": rate,
        FINGERPRINT: {"kind": kind, **rule, **model.fingerprint(kind)},
        "model": model.provenance(),
    }


def is_done(path: Path, made: Mapping[str, Any], item: Any) -> bool:
    """Return True if ``path`` holds this item's embedding, made the same way: see :func:`origin`.

    An unreadable ``.npz`` file counts as missing. One of the same audio file that has changed since
    counts as missing too, with a line in the log.

    Raises:
        InputError: If it holds an embedding made otherwise, or of another audio file, or if no
            record says what a ``.npy`` file holds.
    """
    if not path.is_file():
        return False
    try:
        meta = read_record(path) if holds_features(path) else read_meta(path)
    except InputError:
        if holds_features(path):
            raise
        return False
    known = meta.get(FINGERPRINT)
    check(path, known if isinstance(known, dict) else {}, made[FINGERPRINT])
    now = _input_of(item)
    if meta.get("file") == now["file"]:
        return True
    check(path, {"path": meta.get("path")}, {"path": now["path"]})
    LOGGER.warning("%s: changed since it was embedded; made again", item.path)
    return False


def write_embedding(
    path: Path, embedding: np.ndarray, timestamps_ms: np.ndarray, meta: Mapping[str, Any]
) -> None:
    """Write an embedding file, whole or not at all; its folder is made if need be.

    Raises:
        OSError: If it cannot be written.
    """
    with one_line_when_full(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as file:
        write_arrays(file, Embedding(embedding, timestamps_ms, dict(meta)))


def write_arrays(file: BinaryIO, made: Embedding) -> None:
    """Write what an embedding file holds to an open one."""
    meta = np.array(json.dumps(made.meta, indent=1))
    np.savez(file, embedding=made.embedding, timestamps_ms=made.timestamps_ms, meta=meta)


def save(path: Path, result: Result[Any], made: Mapping[str, Any]) -> None:
    """Write a result of :func:`embed` without error, what made it, and which span it is of.

    Raises:
        AudioError: If the embedding is not finite.
        OSError: If it cannot be written.
    """
    item, output = result.item, result.output
    embedding = output["embedding"].numpy()
    if not np.isfinite(embedding).all():
        raise AudioError(f"{item.path}: its embedding holds what is not a number; not written")
    span = {"start": item.start, "end": item.end, "duration": result.seconds}
    meta = {**_input_of(item), **span, **made}
    if holds_features(path):
        write_features(path, embedding, meta)
    else:
        write_embedding(path, embedding, output["timestamps_ms"].numpy(), meta)


def read_embedding(path: Path) -> Embedding:
    """Read an embedding file.

    Raises:
        InputError: If it is no embedding file.
    """
    arrays, meta = _read(path, "embedding", "timestamps_ms")
    return Embedding(**arrays, meta=meta)


def read_meta(path: Path) -> dict[str, Any]:
    """Read the ``meta`` of an embedding file; the embedding is not read.

    Raises:
        InputError: If it is no embedding file.
    """
    return _read(path)[1]


def _read(path: Path, *names: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return arrays by name, and ``meta``."""
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            if not isinstance(meta, dict):
                raise TypeError("meta is no JSON object")
            return {name: file[name] for name in names}, meta
    except (OSError, ValueError, LookupError, TypeError, EOFError, RecursionError, BadZipFile) as e:
        raise InputError(f"{path}: not an embedding file ({e}); make it again") from e


def _input_of(item: Any) -> dict[str, Any]:
    """Return which audio file this is, and evidence that it is still the same."""
    return {"path": str(item.path), "file": dict(stamp_of(item.path))}
