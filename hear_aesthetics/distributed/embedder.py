"""Embeddings on many machines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.distributed.work import Compute, LoadedItem, check_same
from hear_aesthetics.engine.embedding_files import embed, sample_rate_of
from hear_aesthetics.engine.inference import Result
from hear_aesthetics.engine.inputs import Input
from hear_aesthetics.model import HearModel, load_model
from hear_aesthetics.spec import MAX_MINUTES

__all__ = ["EmbedWork"]


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

    def load(self, item: Input) -> np.ndarray:
        """Return the waveform of a file."""
        return load_audio(
            item.path,
            sample_rate_of(self.kind),
            start=item.start,
            end=item.end,
            max_minutes=self.max_minutes,
        )

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
