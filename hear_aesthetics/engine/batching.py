"""The stretch of a list of files in which clips of equal length find each other.

Times and lengths decide what goes together, never which thread was first: the same list makes the
same batches.
"""

import logging
from collections import deque
from collections.abc import Iterator
from itertools import dropwhile
from typing import Any, Generic, Protocol, TypeVar

import torch

from hear_aesthetics.engine.prefetch import Loaded, ReadAhead
from hear_aesthetics.errors import AudioError, HearAestheticsError

__all__ = ["Job", "Window", "forget_frames"]

Item = TypeVar("Item")
ErrorT = TypeVar("ErrorT", bound=BaseException)
WINDOW_ITEMS = 512  # held at most, however short

logger = logging.getLogger(__name__)


class Batch(Protocol):
    """What a job has to know of the batch it is computed in."""

    done: bool


class Job(Generic[Item]):
    """An item on its way through the model.

    Attributes:
        item: As the caller gave it.
        waveform: ``(samples,)`` until the model has it; None if it could not be loaded.
        samples: Length of the waveform.
        seconds: The same in time.
        output: What the model made of it.
        batch: What it was computed in.
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
    def waiting(self) -> bool:
        """Whether the model has not seen it yet."""
        return self.batch is None and self.error is None

    @property
    def ready(self) -> bool:
        """Whether its outcome is known."""
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

    def launched(self, batch: Batch) -> None:
        """The model has the waveform; the outcome is known when the batch is done."""
        self.batch, self.waveform = batch, None


class Window(Generic[Item]):
    """The loaded stretch of the list in which clips of equal length may find each other."""

    def __init__(self, source: ReadAhead[Item], sample_rate: int) -> None:
        self.source = source
        self._sample_rate = sample_rate
        self._jobs: deque[Job[Item]] = deque()  # not handed over yet, in order

    def fill(self, samples: int) -> bool:
        """Reach ``samples`` beyond the first waiting job; False when all is handed over."""
        reach = sum(job.samples for job in dropwhile(lambda job: not job.waiting, self._jobs))
        while reach < samples and len(self._jobs) < WINDOW_ITEMS:
            loaded = self.source.take()
            if loaded is None:
                break
            self._jobs.append(Job(loaded, self._sample_rate))
            reach += self._jobs[-1].samples
        return bool(self._jobs)

    def choose(self, samples: int) -> list[Job[Item]]:
        """The first waiting job and others of its length, ``samples`` in all."""
        waiting = [job for job in self._jobs if job.waiting]
        if not waiting:
            return []
        length = waiting[0].samples
        return [job for job in waiting if job.samples == length][: samples // length or 1]

    def ready(self) -> Iterator[Job[Item]]:
        """Hand over, in order, the jobs whose outcome is known."""
        while self._jobs and self._jobs[0].ready:
            yield self._jobs.popleft()


def _explain(name: Any, seconds: float, error: Exception) -> AudioError:
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error):
        what = f"{seconds / 60:.1f} min of audio need" if seconds else "loading it needs"
        return AudioError(
            f"{name}: {what} more memory than there is; take spans of it, or another device"
        )
    text = " ".join(f"{type(error).__name__}: {error}".split())
    return AudioError(f"{name}: {text}; this was not expected, please report it")


def forget_frames(error: ErrorT) -> ErrorT:
    """The error without its traceback, which would keep waveforms and activations alive."""
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error
