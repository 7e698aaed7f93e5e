"""Hash and length of every audio file of a data set."""

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hear_aesthetics.audio.loading import audio_info
from hear_aesthetics.engine.workers import usable_cores
from hear_aesthetics.errors import AudioError

__all__ = ["AudioFacts", "inspect_audio"]

MAX_THREADS = 8  # reading and hashing release the interpreter lock


@dataclass(frozen=True)
class AudioFacts:
    """Facts about an audio file.

    Attributes:
        name: The song's id.
        sha256: Of the file.
        seconds: Its length by its header; 0 if it cannot be read.
        error: Why it cannot be read; None if it can.
    """

    name: str
    sha256: str
    seconds: float
    error: str | None = None


def inspect_audio(root: Path, names: Sequence[str]) -> Iterator[AudioFacts]:
    """Yield the facts about each file, in order; nothing is decoded.

    Args:
        root: Folder of the data set.
        names: Paths of files in it.
    """
    with ThreadPoolExecutor(min(usable_cores(), MAX_THREADS)) as pool:
        yield from pool.map(lambda name: _inspect(root / name, name), names)


def _inspect(path: Path, name: str) -> AudioFacts:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return AudioFacts(name, digest, audio_info(path).duration or 0.0)
    except AudioError as error:
        return AudioFacts(name, digest, 0.0, str(error))
    except OSError as error:
        return AudioFacts(name, "", 0.0, f"{path}: cannot be read ({error.strerror})")
