"""Worker processes for work that holds the interpreter lock: rendering, some audio effects.

They are spawned, so that they inherit no threads. They end with their parent, even when that is
killed, and leave an interrupt from the keyboard to it.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import TypeVar

from hear_aesthetics.errors import HearAestheticsError

__all__ = ["default_workers", "in_processes", "usable_cores", "worker_pool"]

Item = TypeVar("Item")
Made = TypeVar("Made")
MAX_WORKERS = 8


def usable_cores() -> int:
    """Return the number of cores; a container or ``taskset`` may leave fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers() -> int:
    """Return half of the cores, at most eight: the others compute, or wait for the disk."""
    return max(1, min(usable_cores() // 2, MAX_WORKERS))


@contextmanager
def worker_pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Open a pool of processes; when the block ends, work that has not begun is given up.

    Raises:
        HearAestheticsError: If a worker process was killed.
    """
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_end_with_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise HearAestheticsError(
            "a worker process was killed, perhaps for want of memory; run the same command with "
            "fewer --workers: it goes on"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def in_processes(
    function: Callable[[Item], Made], items: Iterable[Item], workers: int
) -> Iterator[tuple[Item, Made]]:
    """Yield each item with its result, in the order in which they are done.

    Args:
        function: Function of a module that the workers can import.
        items: Its arguments, one each; arguments and results are pickled.
        workers: Number of processes.

    Raises:
        Exception: Whatever the function raises; work that has not begun is given up.
        HearAestheticsError: If a worker process was killed.
    """
    with worker_pool(workers) as pool:
        futures = {pool.submit(function, item): item for item in items}
        for future in as_completed(futures):
            yield futures.pop(future), future.result()


def _end_with_parent() -> None:
    """Let a worker end when its parent does, instead of waiting for work for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
