"""Files that are no files of their own: members of a container, objects of a store."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hear_aesthetics.fingerprint import file_stamp

__all__ = ["AnyPath", "StoredBytes", "StoredFile", "as_path", "stamp_of"]


class StoredFile(os.PathLike[str]):
    """File in a container or an object store, which is read whole.

    Its text names it in messages and rows: ``songs.tar/a/b.wav``, ``s3://bucket/b.wav``.
    """

    __slots__ = ()

    def __fspath__(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoredFile) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def parent(self) -> str:
        """Text before the last slash."""
        return str(self).rpartition("/")[0]

    @property
    def name(self) -> str:
        """Text behind the last slash."""
        return str(self).rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """Extension of the name, with its dot."""
        return Path(self.name).suffix

    def read(self) -> bytes:
        """Return the contents.

        Raises:
            AudioError: If they cannot be read.
        """
        raise NotImplementedError

    def stamp(self) -> Mapping[str, Any]:
        """Return cheap evidence that it is still the same; empty if there is none."""
        raise NotImplementedError


class StoredBytes(StoredFile):
    """Contents that were read already, under the name of where they came from."""

    __slots__ = ("_content", "_name")

    def __init__(self, name: str, content: bytes) -> None:
        self._name, self._content = name, content

    def __str__(self) -> str:
        return self._name

    def read(self) -> bytes:
        """Return the contents."""
        return self._content

    def stamp(self) -> Mapping[str, Any]:
        """Return their number."""
        return {"bytes": len(self._content)}


AnyPath = Path | StoredFile


def as_path(path: str | os.PathLike[str]) -> AnyPath:
    """Return what can be opened: a stored file as it is, anything else as a path."""
    return path if isinstance(path, StoredFile) else Path(path)


def stamp_of(path: str | os.PathLike[str]) -> Mapping[str, Any]:
    """Return evidence that a file is still the same: see :func:`file_stamp`.

    Raises:
        OSError: If it is to be a file on this machine, and there is none.
    """
    return path.stamp() if isinstance(path, StoredFile) else file_stamp(path)
