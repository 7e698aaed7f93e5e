"""Silence for C libraries that print to stderr while they decode."""

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

__all__ = ["quiet_libraries"]

_lock = threading.Lock()
_inside = 0  # threads in the block below


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Drop what C code prints to ``stderr`` until the block ends, in whatever thread.

    Only the C library's stream is exchanged. Python writes to the descriptor, which stays as it is:
    messages and progress bars of other threads are not touched. Where the C library keeps its
    stream elsewhere than glibc does, nothing is dropped.
    """
    global _inside
    streams = _streams()
    if streams is None:
        yield
        return
    place, usual, nowhere = streams
    with _lock:
        _inside += 1
        place.value = nowhere
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                place.value = usual


@cache
def _streams() -> tuple[ctypes.c_void_p, int, int] | None:
    """Return the variable ``stderr``, its value, and a stream to the null device."""
    try:
        library = ctypes.CDLL(None)
        place = ctypes.c_void_p.in_dll(library, "stderr")
        library.fopen.restype = ctypes.c_void_p
        nowhere = library.fopen(os.devnull.encode(), b"w")
    except (AttributeError, OSError, TypeError, ValueError):
        return None
    return (place, place.value, nowhere) if place.value and nowhere else None
