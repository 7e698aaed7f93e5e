"""Stamps of a task's audio files: digests that tell whether the audio is still the same."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import TaskError
from hear_aesthetics.fingerprint import digest, file_stamp

__all__ = ["CONTENT", "STAMP", "file_sha256", "stamp_audio"]

CONTENT, STAMP = "audio", "audio_stamp"  # keys of the digests of contents, and of sizes and times


def stamp_audio(folder: Path, names: Iterable[str], known: Mapping[str, Any]) -> dict[str, str]:
    """Return digests of the contents of audio files, and of their sizes and times.

    Contents are read only if sizes or times are not those of the known stamp: a folder that was
    copied has other times and the same contents.

    Args:
        folder: Folder of audio at one rate.
        names: Paths of the files below it.
        known: Earlier stamp, or an empty mapping.

    Raises:
        TaskError: If a file is missing.
    """
    files = {name: folder / name for name in names}
    try:
        stamp = digest({name: file_stamp(path) for name, path in files.items()})
        if known.get(STAMP) == stamp:
            return {CONTENT: known[CONTENT], STAMP: stamp}
        contents = digest({name: file_sha256(path) for name, path in files.items()})
    except FileNotFoundError as error:
        reason = "missing; restore it from the task's archive"
        raise TaskError(f"{error.filename}: {reason}") from error
    return {CONTENT: contents, STAMP: stamp}


def file_sha256(path: Path) -> str:
    """Return the hash of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
