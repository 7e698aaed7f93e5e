"""Atomic files, which are complete or absent; sizes in words; checks of free disk space."""

import csv
import errno
import fcntl
import io
import json
import math
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from hear_aesthetics.errors import StorageError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
CUT_SHORT = "requested and"  # of numpy, whose error of a full disk has no number
MAX_NAME_BYTES = 255  # of one name in the usual file systems
SUFFIX = ".partial"


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file for writing; it replaces ``path`` when the block ends without error.

    The process id in its name keeps two writers of one file apart; a lock tells what is still
    written from what a killed writer has left, whose id another process may have by now. A long
    name is cut, so that whatever ``path`` may be called works.

    Raises:
        StorageError: If the disk takes nothing more.
    """
    end = os.fsencode(f".{os.getpid()}{SUFFIX}")
    name = os.fsencode(f".{path.name}")
    if len(name) + len(end) > MAX_NAME_BYTES:
        end = f".{zlib.crc32(name):08x}".encode() + end  # long names that begin alike differ
        name = name[: MAX_NAME_BYTES - len(end)].decode(errors="ignore").encode()
    temporary = path.with_name(os.fsdecode(name + end))
    with one_line_when_full(path):
        try:
            with temporary.open("wb") as file:
                with suppress(OSError):  # some file systems have no locks
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield file
                file.flush()
                temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a whole text file, or nothing; names that are not UTF-8 become escapes."""
    with atomic_file(path) as file:
        file.write(text.encode(errors="backslashreplace"))


def json_text(value: Any, **options: Any) -> str:
    """Return a JSON document, by ``json.dumps``; numbers that are not finite are null."""
    return json.dumps(finite(value), indent=1, allow_nan=False, **options) + "\n"


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows, the header among them, as CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


@contextmanager
def one_line_when_full(path: Path) -> Iterator[None]:
    """Turn the error of a disk that takes nothing more into one that says how to go on.

    Raises:
        StorageError: If the disk is full, its quota or a limit is reached, or it is read-only.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL and CUT_SHORT not in str(error):
            raise
        raise StorageError(
            f"{path}: cannot take more ({error.strerror or error}); what is there is whole: make "
            "room and run the same command again, it goes on"
        ) from error


def remove_leftovers(folder: Path, *, recursive: bool = True) -> None:
    """Delete temporary files of killed writers in or below a folder; living ones keep theirs."""
    own = f".{os.getpid()}{SUFFIX}"
    for path in (folder.rglob if recursive else folder.glob)(f".*{SUFFIX}"):
        if path.name.endswith(own) or not _is_locked(path):
            path.unlink(missing_ok=True)


def describe_size(size: int | None) -> str:
    """Return a size in words: ``1.33 GB``, ``2.3 kB``; unknown for None."""
    if size is None:
        return "size unknown"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} B"


def check_free(folder: Path, needed: int) -> None:
    """Check that an existing folder has room for so many bytes.

    Raises:
        StorageError: If it does not.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{folder}: needs {describe_size(needed)}, {describe_size(free)} are free; make room "
            "or choose another disk"
        )


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def finite(value: Any) -> Any:
    """Return a JSON value whose numbers that are not finite are None."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
