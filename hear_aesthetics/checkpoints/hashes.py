"""sha256 of weight files, and what else of them takes long, computed once and remembered.

Hashes are remembered by path, size and modification time, other facts by the hashes. The memory are
small JSON files in this project's cache folder; losing them costs computing again.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hear_aesthetics.errors import StorageError
from hear_aesthetics.files import write_text

__all__ = ["cache_home", "remembered", "weight_hash"]

HASHES = "hashes"


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
    known = _recall(HASHES).get(str(path))
    if isinstance(known, list) and known[:2] == state:
        return str(known[2])
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    _keep(HASHES, str(path), [*state, digest])
    return digest


def remembered(kind: str, key: str, compute: Callable[[], str]) -> str:
    """Return what ``compute`` returns, which is asked once for a key.

    Args:
        kind: What is remembered; the name of its file.
        key: Everything that decides it, such as the hashes of files.
        compute: Finds it out.
    """
    known = _recall(kind).get(key)
    if not isinstance(known, str):
        known = compute()
        _keep(kind, key, known)
    return known


def _keep(kind: str, key: str, value: Any) -> None:
    # Read again just before writing, and renamed into place: processes side by side lose at most
    # an entry, never the file. A cache that cannot be written is no reason to fail.
    with contextlib.suppress(OSError, StorageError):
        cache_home().mkdir(parents=True, exist_ok=True)
        memory = _recall(kind) | {key: value}
        write_text(cache_home() / f"{kind}.json", json.dumps(memory, indent=1))


def _recall(kind: str) -> dict[str, Any]:
    try:
        memory = json.loads((cache_home() / f"{kind}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}
