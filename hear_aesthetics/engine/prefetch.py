"""Loads the next files on threads while the reader is busy with the present ones.

Decoding and resampling release the interpreter lock, so that they cost the encoder nothing but a
core. What is loaded and not yet taken is bounded in samples, not in files: a folder of two-hour
recordings needs no more memory than one of clips, but for one file per thread.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

__all__ = ["Loaded", "ReadAhead"]

Item = TypeVar("Item")
CLOSING_SECONDS = 2.0  # a file that takes longer to decode is left to its daemon thread


@dataclass
class Loaded(Generic[Item]):
    """An item with its waveform ``(samples,)`` or what else was loaded, or what went wrong."""

    item: Item
    waveform: Any = None
    error: Exception | None = None

    @property
    def samples(self) -> int:
        """Length of the waveform, 0 without one."""
        return 0 if self.waveform is None else len(self.waveform)


class ReadAhead(Generic[Item]):
    """Items with their waveforms, in order, loaded ahead of :meth:`take`; a context manager.

    Args:
        items: Whatever ``load`` takes; may be an endless stream.
        load: Item to waveform, or to anything with a length, called on the threads; what it raises
            becomes ``Loaded.error``.
        ahead_samples: No further file is begun while this much is loaded and not taken.
        workers: Threads.
    """

    def __init__(
        self,
        items: Iterable[Item],
        load: Callable[[Item], Sized],
        *,
        ahead_samples: int,
        workers: int = 1,
    ) -> None:
        self._items = iter(items)
        self._load = load
        self._ahead_samples = ahead_samples
        self._queue: deque[_Slot[Item]] = deque()  # begun and not taken, in order
        self._ended = False
        self._failure: BaseException | None = None
        self._change = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"read-ahead-{index}", daemon=True)
            for index in range(workers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._change:
            self._ended = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join(CLOSING_SECONDS)

    def take(self) -> Loaded[Item] | None:
        """The next item, waiting for it if need be; ``None`` after the last one.

        Raises:
            Exception: Whatever iterating over the items raised.
        """
        with self._change:
            self._change.wait_for(lambda: self._queue[0].done if self._queue else self._ended)
            if self._queue:
                loaded = self._queue.popleft().loaded
                self._change.notify_all()
                return loaded
        if self._failure is not None:
            raise self._failure
        return None

    def values(self) -> Iterator[Any]:
        """What was loaded, in order; raises what went wrong with an item."""
        while (loaded := self.take()) is not None:
            if loaded.error is not None:
                raise loaded.error
            yield loaded.waveform

    def _work(self) -> None:
        while (slot := self._begin()) is not None:
            loaded = slot.loaded
            try:
                loaded.waveform = self._load(loaded.item)
            except Exception as error:  # noqa: BLE001 - one bad file must not end the others
                loaded.error = error
            with self._change:
                slot.done = True
                self._change.notify_all()

    def _begin(self) -> "_Slot[Item] | None":
        """A slot for the next item, once there is room for it; ``None`` when all have begun."""
        with self._change:
            self._change.wait_for(lambda: self._ended or self._room())
            if self._ended:
                return None
            try:
                slot = _Slot(Loaded(next(self._items)))
            except StopIteration:
                self._end()
                return None
            except Exception as error:  # noqa: BLE001 - raised to the reader by take()
                self._failure = error
                self._end()
                return None
            self._queue.append(slot)
            return slot

    def _room(self) -> bool:
        return sum(slot.loaded.samples for slot in self._queue if slot.done) < self._ahead_samples

    def _end(self) -> None:
        self._ended = True
        self._change.notify_all()


@dataclass
class _Slot(Generic[Item]):
    loaded: Loaded[Item]
    done: bool = False
