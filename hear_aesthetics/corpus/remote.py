"""Object stores and other places with a URL, through fsspec: ``s3://``, ``gs://``, ``hf://``.

Endpoints and credentials are those of the file system's package, from its environment variables and
configuration files; ``file://`` is an ordinary path.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from hear_aesthetics.corpus.stored import StoredFile, stamp_of
from hear_aesthetics.errors import AudioError, HearAestheticsError, InputError

__all__ = ["RemoteFile", "is_url", "listing", "local_or_url", "open_source", "stamp_of_source"]

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
LOCAL = "file://"
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs"}
MARKS = ("ETag", "etag", "blob_id", "md5Hash", "mtime", "LastModified", "last_modified", "created")
REMEDY = "check the name, the network and the credentials"


def is_url(text: str) -> bool:
    """Return whether a text is a URL rather than a path."""
    return bool(URL.match(text))


def local_or_url(text: str) -> str:
    """Return the path of a ``file://`` URL, and any other text as it is."""
    return text.removeprefix(LOCAL)


class RemoteFile(StoredFile):
    """File behind a URL.

    Args:
        url: Where it is.
        known: What a listing says of it, size and version; empty if it was never listed.
    """

    __slots__ = ("_known", "_url")

    def __init__(self, url: str, known: Mapping[str, Any] | None = None) -> None:
        self._url, self._known = url, known or {}

    def __str__(self) -> str:
        return self._url

    def read(self) -> bytes:
        """Return the contents."""
        with one_line(self._url, AudioError):
            system, path = _system(self._url)
            content: bytes = system.cat_file(path)
        return content

    def read_span(self, start: int, end: int) -> bytes:
        """Return the bytes from ``start`` to before ``end``.

        Raises:
            AudioError: If they cannot be read.
        """
        with one_line(self._url, AudioError):
            system, path = _system(self._url)
            content: bytes = system.cat_file(path, start=start, end=end)
        return content

    def stamp(self) -> Mapping[str, Any]:
        """Return its size and version as they were listed."""
        return self._known


def listing(url: str) -> Iterator[RemoteFile]:
    """Yield the files of a URL, sorted: a file, those below a folder, or those of a glob.

    Raises:
        InputError: If there is nothing, it cannot be read, or a package is missing.
    """
    with one_line(url, InputError):
        system, path = _system(url)
        if any(sign in path for sign in "*?["):
            found = system.glob(path, detail=True)
        elif system.isdir(path):
            found = system.find(path, detail=True)
        else:
            found = {path: system.info(path)}
    for name, info in sorted(found.items()):
        if info.get("type") != "directory":
            yield RemoteFile(system.unstrip_protocol(name), _version(info))


def open_source(source: Path | RemoteFile, **options: Any) -> BinaryIO:
    """Open a container for reading, on disk or behind a URL.

    Args:
        source: The container.
        **options: Of the remote file system's ``open``.

    Raises:
        OSError: If a file on disk cannot be opened.
        InputError: If a remote one cannot.
    """
    if isinstance(source, Path):
        return source.open("rb")
    with one_line(str(source), InputError):
        system, path = _system(str(source))
        file: BinaryIO = system.open(path, "rb", **options)
        return file


def stamp_of_source(source: Path | RemoteFile) -> Mapping[str, Any]:
    """Return evidence that a container is still the same; empty if there is none."""
    try:
        return stamp_of(source)
    except OSError:
        return {}


@contextmanager
def one_line(url: str, kind: type[HearAestheticsError]) -> Iterator[None]:
    """Turn whatever a file system raises into one line that names the URL.

    Raises:
        HearAestheticsError: Of class ``kind``.
    """
    try:
        yield
    except HearAestheticsError:
        raise
    except ImportError as error:
        scheme = url.partition(":")[0].lower()
        package = PACKAGES.get(scheme, "the fsspec package of this kind of URL")
        raise kind(f"{url}: needs {package}, which is not installed; pip install {package}") from (
            error
        )
    except FileNotFoundError as error:
        raise kind(f"{url}: no such file or folder; check the name") from error
    except Exception as error:  # every file system raises its own
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise kind(f"{url}: cannot be read ({reason}); {REMEDY}") from error


def _system(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it; fsspec keeps one system of each kind."""
    from fsspec.core import url_to_fs

    system, path = url_to_fs(url)
    return system, path


def _version(info: Mapping[str, Any]) -> dict[str, Any]:
    mark = next((str(info[name]) for name in MARKS if info.get(name)), None)
    return {"bytes": info.get("size"), "version": mark}
