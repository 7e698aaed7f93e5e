"""Embeddings on many machines: of files through a cluster, and of batches of any pipeline."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from hear_aesthetics.distributed.batches import (
    BatchAudio,
    audio_of,
    object_column,
    other_columns,
    outcome,
)
from hear_aesthetics.distributed.loading import load_mono
from hear_aesthetics.distributed.work import Compute, LoadedItem, check_same
from hear_aesthetics.engine.embedding_files import embed, sample_rate_of
from hear_aesthetics.engine.inference import Result
from hear_aesthetics.model import HearModel, load_model
from hear_aesthetics.spec import MAX_MINUTES

__all__ = ["EmbedWork", "Embedder"]


@dataclass(frozen=True)
class EmbedWork:
    """Embeddings of files; a :class:`hear_aesthetics.distributed.work.Work`.

    Attributes:
        model: Options of ``load_model``, names and paths.
        kind: See :func:`hear_aesthetics.engine.embedding_files.embed`.
        fingerprint: That the model must have everywhere.
        max_minutes: Longest file; a longer one is an error.
    """

    model: dict[str, Any]
    kind: str
    fingerprint: dict[str, Any]
    max_minutes: float = MAX_MINUTES

    @property
    def load(self) -> partial[np.ndarray]:
        """What loads the waveform of a file."""
        rate = sample_rate_of(self.kind)
        return partial(load_mono, sample_rate=rate, max_minutes=self.max_minutes)

    def open(self, device: str) -> Compute:
        """Load the model."""
        model = load_model(**self.model, device=device)
        check_same(self.fingerprint, model.fingerprint(self.kind))
        return partial(self._compute, model)

    def _compute(self, model: HearModel, items: Sequence[LoadedItem]) -> Iterator[Result[Any]]:
        for result in embed(items, model, self.kind, load=LoadedItem.take):
            if result.error is None:  # without the rest of its batch, which would travel along
                output = {name: tensor.clone() for name, tensor in result.output.items()}
                result = replace(result, output=output)
            yield result


class Embedder:
    """Callable class that embeds batches, for ``map_batches`` of Ray Data and the like.

    ``dataset.map_batches(Embedder, fn_constructor_kwargs={"model": "mini"}, ...)``

    Columns in are those of :mod:`hear_aesthetics.distributed.batches`. Columns out are all others
    as they are, ``embedding``, float32, ``(dim,)`` of a scene and ``(frames, dim)`` otherwise, for
    these ``timestamps_ms`` ``(frames,)``, and ``duration`` (s), ``status`` and ``error``: a row
    that cannot be embedded says why, and has no embedding.

    Args:
        model: Name or directory of the model.
        kind: ``"scene"``, ``"timestamps"`` or ``"features"``.
        max_minutes: Longest audio; a longer row is an error.
        **options: Further options of :func:`hear_aesthetics.load_model`.

    Raises:
        ValueError: If there is no such kind or model.
    """

    def __init__(
        self,
        model: str = "mini",
        kind: str = "scene",
        *,
        max_minutes: float = MAX_MINUTES,
        **options: Any,
    ) -> None:
        self.model, self.kind = load_model(model, **options), kind
        self._rate, self._max_minutes = sample_rate_of(kind), max_minutes

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns of a batch with its embeddings.

        Raises:
            InputError: If no column holds audio.
        """
        results = list(embed(audio_of(batch), self.model, self.kind, load=self._load))
        names = ("embedding",) if self.kind == "scene" else ("embedding", "timestamps_ms")
        arrays = {
            name: object_column([None if r.error else r.output[name].numpy() for r in results])
            for name in names
        }
        return {**other_columns(batch), **arrays, **outcome(results)}

    def _load(self, clip: BatchAudio) -> np.ndarray:
        return load_mono(clip.checked(), self._rate, self._max_minutes)
