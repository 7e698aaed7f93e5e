"""Room on a disk, checked before a long run."""

import shutil
from pathlib import Path

from hear_aesthetics.checkpoints.hub import describe_size
from hear_aesthetics.errors import StorageError

__all__ = ["check_free"]


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
