"""Lookahead buffer that batches clips of equal length.

Times and lengths decide what goes together, never which thread was first: the same list makes the
same batches.
"""

import logging
from collections import deque
from collections.abc import Iterator
from itertools import dropwhile
from typing import Any, Generic, Protocol, TypeVar

import torch

from hear_aesthetics.engine.prefetch import Loaded, Prefetcher
from hear_aesthetics.errors import AudioError, HearAestheticsError

__all__ = ["LookaheadBuffer", "PendingItem", "forget_frames"]

Item = TypeVar("Item")
ErrorT = TypeVar("ErrorT", bound=BaseException)
LOOKAHEAD_ITEMS = 512  # held at most, however short

logger = logging.getLogger(__name__)


class Batch(Protocol):
    """Batch that an item is computed in; ``done`` once its outputs are there."""

    done: bool


class PendingItem(Generic[Item]):
    """Item between its loading and its result.

    Attributes:
        item: The item as the caller gave it.
        waveform: ``(samples,)`` until it is in a batch; None if it could not be loaded.
        samples: Length of the waveform.
        seconds: The same in time.
        output: The item's part of the model's output.
        batch: The batch that it is computed in.
        error: Why there is no output.
    """

    def __init__(self, loaded: Loaded[Item], sample_rate: int) -> None:
        self.item = loaded.item
        self.waveform = loaded.waveform
        self.samples = loaded.samples
        self.seconds = loaded.samples / sample_rate
        self.output: Any = None
        self.batch: Batch | None = None
        self.error: HearAestheticsError | None = None
        if loaded.error is not None:
            self.fail(loaded.error)

    @property
    def waits(self) -> bool:
        """Whether it is in no batch yet."""
        return self.batch is None and self.error is None

    @property
    def finished(self) -> bool:
        """Whether its result is known."""
        return self.error is not None or (self.batch is not None and self.batch.done)

    def fail(self, error: Exception) -> None:
        """Keep the error as one line, without the variables that its traceback keeps alive.

        Raises:
            ImportError: If that is the error: a package is missing, and the item is not to blame.
        """
        if isinstance(error, ImportError):
            raise error
        if not isinstance(error, HearAestheticsError):
            logger.debug("%s failed", self.item, exc_info=error)
            error = _explain(getattr(self.item, "path", self.item), self.seconds, error)
        self.output, self.error = None, forget_frames(error)

    def launch(self, batch: Batch) -> None:
        """Put it into a batch, which has its waveform now."""
        self.batch, self.waveform = batch, None


class LookaheadBuffer(Generic[Item]):
    """Loaded stretch of a list, in which clips of equal length are batched.

    Args:
        source: Loads the items; entered by the caller.
        sample_rate: Of the waveforms, Hz.
    """

    def __init__(self, source: Prefetcher[Item], sample_rate: int) -> None:
        self.source = source
        self._sample_rate = sample_rate
        self._items: deque[PendingItem[Item]] = deque()  # without a result yet, in order

    def fill(self, samples: int) -> bool:
        """Reach ``samples`` beyond the first waiting item; False when all have left."""
        waiting = dropwhile(lambda item: not item.waits, self._items)
        reach = sum(item.samples for item in waiting)
        while reach < samples and len(self._items) < LOOKAHEAD_ITEMS:
            loaded = next(self.source, None)
            if loaded is None:
                break
            self._items.append(PendingItem(loaded, self._sample_rate))
            reach += loaded.samples
        return bool(self._items)

    def next_batch(self, samples: int) -> list[PendingItem[Item]]:
        """Return the first waiting item and others of its length, ``samples`` in all."""
        waiting = [item for item in self._items if item.waits]
        alike = [item for item in waiting if item.samples == waiting[0].samples]
        return alike[: samples // alike[0].samples or 1] if alike else []

    def pop_finished(self) -> Iterator[PendingItem[Item]]:
        """Remove and yield, in order, the items whose results are known."""
        while self._items and self._items[0].finished:
            yield self._items.popleft()


def _explain(name: Any, seconds: float, error: Exception) -> AudioError:
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        what = f"{seconds / 60:.1f} min of audio need" if seconds else "loading it needs"
        return AudioError(
            f"{name}: {what} more memory than there is; take spans of it, or another device"
        )
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return AudioError(f"{name}: {text}; this was not expected, please report it")


def forget_frames(error: ErrorT) -> ErrorT:
    """Return the error without its traceback, which would keep waveforms and activations alive."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
