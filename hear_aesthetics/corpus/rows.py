"""Rows of a corpus, whatever container they come from."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from hear_aesthetics.corpus.remote import URL
from hear_aesthetics.corpus.stored import AnyPath

__all__ = ["CorpusRow", "Rows", "safe_key", "span_key"]


class CorpusRow(NamedTuple):
    """Row of a corpus: its audio, its key, and the part of the audio that is meant, in seconds."""

    path: AnyPath
    key: str
    start: float | None
    end: float | None
    prompt: str | None
    source: str  # container and row, for messages


class Rows(Protocol):
    """Rows of one container, made when they are asked for.

    Attributes:
        carried: Further columns -> their Arrow type, None where each value has its own.
        errors: What is wrong with rows that are left out, and with the container.
        suffixes: Extensions of the audio files that rows name, in lower case; none where the audio
            is in the container.
    """

    carried: Mapping[str, Any]
    errors: list[str]
    suffixes: set[str]

    def __len__(self) -> int: ...

    def key(self, index: int) -> str:
        """Return the key of a row."""

    def row(self, index: int) -> CorpusRow:
        """Return a row."""

    def fields(self, index: int) -> dict[str, Any]:
        """Return the further columns of a row."""


def safe_key(text: str) -> str:
    """Return the key of a path or URL: a relative path that leads nowhere else."""
    parts = (URL.sub("", text) if ":" in text else text).split("/")
    return "/".join([part for part in parts if part not in ("", ".", "..")])


def span_key(key: str, start: float | None, end: float | None) -> str:
    """Return the key of a span in seconds of what has a key."""
    if start is None and end is None:
        return key
    first, last = (f"{t or 0!r}".removesuffix(".0") for t in (start, end))
    return f"{key}/{first}-{'end' if end is None else last}"
