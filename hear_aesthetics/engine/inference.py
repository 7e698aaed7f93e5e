"""Inference over many files: load ahead, batch by length, compute, hand over in order.

While the model computes, threads decode and resample the next files. Clips of equal length, in
every format that they are loaded in, go through the model together where they lie near each other
in the list; nothing is ever padded, so that a result is the one the file gives alone. Which clips
share a batch follows from the list and the lengths, not from timing: two runs give the same bits.
What goes wrong with one file is that file's result.

Batches of small encoders are computed side by side on a processor, each by one thread: their many
small steps gain nothing from several. On a GPU the waveforms leave from pinned memory and the
results come back asynchronously; the loop waits for a batch only when the next one is already
queued behind it.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from hear_aesthetics.audio.loading import load_audio
from hear_aesthetics.audio.waveforms import Waveforms
from hear_aesthetics.engine.batching import LookaheadBuffer, PendingItem, forget_frames
from hear_aesthetics.engine.prefetch import Prefetcher
from hear_aesthetics.engine.workers import usable_cores
from hear_aesthetics.errors import HearAestheticsError
from hear_aesthetics.spec import MAX_MINUTES, SAMPLE_RATE

__all__ = ["Output", "Result", "run"]

Item = TypeVar("Item")
Output = Tensor | Mapping[str, Tensor]

CPU_BATCH_SECONDS = 30.0  # of audio in one batch: a processor is busy with a few,
GPU_BATCH_SECONDS = 240.0  # a GPU needs many
LOOKAHEAD_BATCHES = 4  # how far apart in the list, in batches, clips of one batch may lie
GPU_QUEUE = 1  # batches that compute while the next one is prepared
CPU_SHARE, GPU_SHARE, MAX_WORKERS = 4, 2, 8  # one loading thread per so many cores; at most 8

logger = logging.getLogger(__name__)


class Model(Protocol):
    """A model, of which the engine needs only the device."""

    @property
    def device(self) -> torch.device:
        """Device of the waveforms."""


@dataclass(frozen=True)
class Result(Generic[Item]):
    """Result of one item: an output or an error.

    Attributes:
        item: As it was given.
        seconds: Length of its audio; 0 if it could not be loaded.
        output: The item's part of what ``work`` returned, on the CPU and without the batch axis;
            None where there is an error.
        error: One line that names the file and the remedy.
    """

    item: Item
    seconds: float
    output: Any = None
    error: HearAestheticsError | None = None


def run(
    items: Iterable[Item],
    model: Model,
    work: Callable[[Any, Any], Output],
    *,
    sample_rate: int = SAMPLE_RATE,
    load: Callable[[Item], np.ndarray | Waveforms] | None = None,
    workers: int | None = None,
    batch_seconds: float | None = None,
    max_minutes: float = MAX_MINUTES,
    batches_at_once: int = 1,
) -> Iterator[Result[Item]]:
    """Yield the results of all items in their order, each once it and those before it are known.

    Args:
        items: Files or spans of files; anything that ``load`` takes. May be an endless stream.
        model: Handed to ``work``; the waveforms are moved to its device.
        work: ``(model, waveform (B, samples))`` -> a tensor, or tensors by name, whose first axis
            is the batch. Called without gradients. Where ``load`` returns several waveforms, it
            gets a dictionary of them by the name of their format.
        sample_rate: Of the waveforms, of several the first, Hz.
        load: Item -> float32 ``(samples,)``, or several waveforms, called on threads; by default
            ``load_audio`` with the item's path, start and end.
        workers: Threads that load; by default a quarter of the cores, half of them for a GPU.
        batch_seconds: Most audio in a batch of several items.
        max_minutes: Longest item that the default ``load`` takes; a longer one is an error.
        batches_at_once: Batches that a processor computes side by side, ``work`` on a thread for
            each and PyTorch with that thread alone; 1 gives a batch all of PyTorch's threads, as
            does a list that makes no more than one.

    Raises:
        Exception: What iterating over ``items`` raises; never what one item does.
    """
    on_gpu = model.device.type == "cuda"
    batch_seconds = batch_seconds or (GPU_BATCH_SECONDS if on_gpu else CPU_BATCH_SECONDS)
    batch_samples = max(1, round(batch_seconds * sample_rate))
    prefetcher = Prefetcher(
        items,
        load or partial(_load, sample_rate=sample_rate, max_minutes=max_minutes),
        ahead_samples=batch_samples,
        workers=workers or _default_workers(on_gpu),
    )
    buffer = LookaheadBuffer(prefetcher, sample_rate)
    computing: deque[tuple[Callable[[], object], list[PendingItem[Item]]]] = deque()
    with ExitStack() as stack:
        stack.enter_context(prefetcher)
        buffer.fill(LOOKAHEAD_BATCHES * batch_samples)
        threads = min(batches_at_once, buffer.batches(batch_samples))
        queue = GPU_QUEUE if on_gpu else threads if threads > 1 else 0
        pool = stack.enter_context(_single_threads(0 if on_gpu else queue))
        while buffer.fill(LOOKAHEAD_BATCHES * batch_samples):
            batch = buffer.next_batch(batch_samples)
            if batch:
                computing.append((_start(pool, model, work, batch), batch))
            while len(computing) > (queue if batch else 0):
                wait, computed = computing.popleft()
                wait()
                for item in computed:
                    item.done = True
            for item in buffer.pop_done():
                yield Result(item.item, item.seconds, item.output, item.error)


@contextmanager
def _single_threads(count: int) -> Iterator[ThreadPoolExecutor | None]:
    """Open a pool of threads that have one thread of PyTorch each; None for a count of 0."""
    if not count:
        yield None
        return
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)  # what was set last holds for all new threads


def _start(
    pool: ThreadPoolExecutor | None,
    model: Model,
    work: Callable[[Any, Any], Output],
    items: Sequence[PendingItem[Any]],
) -> Callable[[], object]:
    """Start to compute a batch; return what waits until its outputs are there."""
    if pool is not None:
        return pool.submit(_launch, model, work, items).result
    _launch(model, work, items)
    if model.device.type != "cuda":
        return lambda: None
    copied = torch.cuda.Event()
    copied.record(torch.cuda.current_stream(model.device))
    return copied.synchronize


def _launch(
    model: Model, work: Callable[[Any, Any], Output], items: Sequence[PendingItem[Any]]
) -> None:
    """Compute a batch; one that fails is computed again item by item, to blame the right one."""
    failure = _compute(model, work, items)
    if failure is not None and len(items) == 1:
        items[0].fail(failure)
    elif failure is not None:
        for item in items:
            _launch(model, work, [item])
    for item in items:
        item.waveform = None


@torch.no_grad()
def _compute(
    model: Model, work: Callable[[Any, Any], Output], items: Sequence[PendingItem[Any]]
) -> Exception | None:
    """Give each item its output, or return what went wrong."""
    try:
        loaded = [item.waveform for item in items]
        if isinstance(loaded[0], Waveforms):
            names = loaded[0].by_name
            batch = {n: _send(_batch([w.by_name[n] for w in loaded]), model.device) for n in names}
            output = work(model, batch)
        else:
            output = work(model, _send(_batch(loaded), model.device))
        for item, part in zip(items, _rows(output), strict=True):
            item.output = part
    except Exception as error:
        logger.debug("a batch of %d failed", len(items), exc_info=error)
        return forget_frames(error)
    return None


def _batch(waveforms: Sequence[np.ndarray]) -> Tensor:
    """Return waveforms of one length as ``(B, samples)``."""
    rows = [torch.from_numpy(waveform) for waveform in waveforms]
    return torch.stack(rows) if len(rows) > 1 else rows[0][None]


def _send(batch: Tensor, device: torch.device) -> Tensor:
    if device.type == "cuda":
        return batch.pin_memory().to(device, non_blocking=True)
    return batch.to(device)


def _rows(output: Output) -> Iterable[Any]:
    """Return the items' parts of an output, on the CPU, or from a GPU on their way there."""
    if isinstance(output, Tensor):
        return output.to("cpu", non_blocking=True).unbind()
    columns = [column.to("cpu", non_blocking=True).unbind() for column in output.values()]
    return [dict(zip(output, row, strict=True)) for row in zip(*columns, strict=True)]


def _load(item: Any, sample_rate: int, max_minutes: float) -> np.ndarray:
    return load_audio(
        item.path, sample_rate, start=item.start, end=item.end, max_minutes=max_minutes
    )


def _default_workers(on_gpu: bool) -> int:
    return min(max(1, usable_cores() // (GPU_SHARE if on_gpu else CPU_SHARE)), MAX_WORKERS)
