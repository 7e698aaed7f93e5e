"""sha256 of weight files, computed once and remembered by path, size and modification time.

The memory is one small JSON file in this project's cache folder; losing it costs one more hashing.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

from hear_aesthetics.errors import StorageError
from hear_aesthetics.files import write_text

__all__ = ["cache_home", "weight_hash"]

MEMORY = "hashes.json"


def cache_home() -> Path:
    """Return the folder of what can be recomputed: ``$XDG_CACHE_HOME/hear-aesthetics``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hear-aesthetics"


def weight_hash(path: str | Path) -> str:
    """Return the sha256 of a file, 64 hexadecimal digits; it is read when size or time changed.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    path = Path(path).resolve()
    stat = path.stat()
    state = [stat.st_size, stat.st_mtime_ns]
    remembered = _recall().get(str(path))
    if isinstance(remembered, list) and remembered[:2] == state:
        return str(remembered[2])
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    # Read again just before writing, and renamed into place: processes side by side lose at most
    # an entry, never the file. A cache that cannot be written is no reason to fail.
    with contextlib.suppress(OSError, StorageError):
        cache_home().mkdir(parents=True, exist_ok=True)
        memory = _recall() | {str(path): [*state, digest]}
        write_text(cache_home() / MEMORY, json.dumps(memory, indent=1))
    return digest


def _recall() -> dict[str, list]:
    try:
        memory = json.loads((cache_home() / MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}
