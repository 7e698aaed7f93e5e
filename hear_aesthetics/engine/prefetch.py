"""Prefetcher that loads the next files on threads while its reader is busy with the present ones.

Decoding and resampling release the interpreter lock, so that they cost the encoder nothing but a
core. What is loaded and not yet taken is bounded in samples, not in files: a folder of two-hour
recordings needs no more memory than one of clips, but for one file per thread.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

__all__ = ["Loaded", "Prefetcher"]

Item = TypeVar("Item")
CLOSING_SECONDS = 2.0  # a file that takes longer to decode is left to its daemon thread


@dataclass
class Loaded(Generic[Item]):
    """An item with its waveform ``(samples,)`` or what else was loaded, or the error instead."""

    item: Item
    waveform: Any = None
    error: Exception | None = None
    done: bool = False

    @property
    def samples(self) -> int:
        """Length of the waveform, 0 without one."""
        return 0 if self.waveform is None else len(self.waveform)


class Prefetcher(Generic[Item]):
    """Iterator over items with their waveforms, in order, loaded ahead; a context manager.

    Iterating raises whatever iterating over ``items``, perhaps an endless stream, raised.

    ``load`` is called on so many threads, the workers, and returns a waveform or anything with a
    length; what it raises becomes ``Loaded.error``. No further file is begun while
    ``ahead_samples`` are loaded and not taken.
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
        self._queue: deque[Loaded[Item]] = deque()  # begun and not taken, in order
        self._ended = False
        self._failure: Exception | None = None
        self._change = threading.Condition()
        self._threads = [
            threading.Thread(target=self._work, name=f"prefetch-{index}", daemon=True)
            for index in range(workers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._ended = True
            self._change.notify_all()
        for thread in self._threads:
            thread.join(CLOSING_SECONDS)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Loaded[Item]:
        with self._change:
            self._change.wait_for(lambda: self._queue[0].done if self._queue else self._ended)
            if self._queue:
                self._change.notify_all()
                return self._queue.popleft()
        raise self._failure or StopIteration

    def values(self) -> Iterator[Any]:
        """Yield what was loaded, in order; raise what went wrong with an item."""
        for loaded in self:
            if loaded.error is not None:
                raise loaded.error
            yield loaded.waveform

    def _work(self) -> None:
        while (loaded := self._begin()) is not None:
            try:
                loaded.waveform = self._load(loaded.item)
            except Exception as error:  # noqa: BLE001 - one bad file must not end the others
                loaded.error = error
            with self._change:
                loaded.done = True
                self._change.notify_all()

    def _begin(self) -> Loaded[Item] | None:
        """Take the next item, once there is room for it; None when all have begun."""
        with self._change:
            self._change.wait_for(
                lambda: self._ended or sum(i.samples for i in self._queue) < self._ahead_samples
            )
            if self._ended:
                return None
            try:
                self._queue.append(Loaded(next(self._items)))
            except Exception as error:  # noqa: BLE001 - raised to the reader
                self._failure = error  # StopIteration too
                self._ended = True
                self._change.notify_all()
                return None
            return self._queue[-1]
