"""Lookahead buffer that batches clips of equal length.

Times and lengths decide what goes together, never which thread was first: the same list makes the
same batches.
"""

import logging
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any, Generic, TypeVar

import torch

from hear_aesthetics.engine.prefetch import Prefetcher
from hear_aesthetics.errors import AudioError, HearAestheticsError

__all__ = ["LookaheadBuffer", "PendingItem", "forget_frames"]

Item = TypeVar("Item")
ErrorT = TypeVar("ErrorT", bound=BaseException)
LOOKAHEAD_ITEMS = 512  # held at most, however short

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class PendingItem(Generic[Item]):
    """Item between its loading and its result.

    The waveform, ``(samples,)``, or the waveforms by format are there until they are computed; None
    if they could not be loaded. An item is ``waiting`` until it is part of a batch, and ``done`` as
    soon as output or error are final.
    """

    item: Item
    waveform: Any
    samples: int  # of the first waveform
    lengths: tuple[int, ...]  # of all
    seconds: float
    waiting: bool = True
    output: Any = None
    error: HearAestheticsError | None = None
    done: bool = False

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
        self.waiting, self.done = False, True


class LookaheadBuffer(Generic[Item]):
    """Loaded stretch of a list, in which clips of equal length are batched.

    The caller enters the ``source``; the sample rate of its waveforms is in Hz.
    """

    def __init__(self, source: Prefetcher[Item], sample_rate: int) -> None:
        self.source = source
        self._sample_rate = sample_rate
        self._items: deque[PendingItem[Item]] = deque()  # without a result yet, in order

    def fill(self, samples: int) -> bool:
        """Reach ``samples`` beyond the first waiting item; False when all have left."""
        waiting = dropwhile(lambda item: not item.waiting, self._items)
        reach = sum(item.samples for item in waiting)
        while reach < samples and len(self._items) < LOOKAHEAD_ITEMS:
            loaded = next(self.source, None)
            if loaded is None:
                break
            seconds = loaded.samples / self._sample_rate
            lengths = getattr(loaded.waveform, "lengths", (loaded.samples,))
            item = PendingItem(loaded.item, loaded.waveform, loaded.samples, lengths, seconds)
            if loaded.error is not None:
                item.fail(loaded.error)
            self._items.append(item)
            reach += loaded.samples
        return bool(self._items)

    def batches(self, samples: int) -> int:
        """Return how many batches of ``samples`` the loaded stretch makes, at least."""
        total = sum(item.samples for item in self._items)
        return min(len(self._items), -(-total // samples))

    def next_batch(self, samples: int) -> list[PendingItem[Item]]:
        """Return the first waiting item and others of its lengths, ``samples`` in all."""
        waiting = [item for item in self._items if item.waiting]
        alike = [item for item in waiting if item.lengths == waiting[0].lengths]
        batch = alike[: samples // alike[0].samples or 1] if alike else []
        for item in batch:
            item.waiting = False
        return batch

    def pop_done(self) -> Iterator[PendingItem[Item]]:
        """Remove and yield, in order, the items whose results are known."""
        while self._items and self._items[0].done:
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
