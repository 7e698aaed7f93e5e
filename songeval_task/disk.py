"""Disks that are too small: found before a long run where possible, said in one line otherwise."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hear_aesthetics.checkpoints.hub import describe_size
from hear_aesthetics.errors import StorageError

__all__ = ["check_free", "one_line_when_full"]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}


@contextmanager
def one_line_when_full(folder: Path) -> Iterator[None]:
    """Turns the error of a disk that takes nothing more into one that says how to go on.

    Raises:
        StorageError: If the disk is full, its quota is, or it is read-only.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageError(
            f"{folder}: cannot take more ({error.strerror}); what is there is whole: make room and "
            "run the same command again, it goes on"
        ) from error


def check_free(folder: Path, needed: int) -> None:
    """Compare what is to be written with what there is room for.

    Args:
        folder: Which exists.
        needed: Bytes.

    Raises:
        StorageError: If there is not room.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{folder}: needs {describe_size(needed)}, {describe_size(free)} are free; make room "
            "or choose another disk"
        )
