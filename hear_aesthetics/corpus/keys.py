"""Keys of many rows as digests of 16 bytes: a million take 16 MB, and are compared as arrays."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np

from hear_aesthetics.errors import InputError

__all__ = ["Shard", "check_unique", "digests"]

DIGEST_BYTES = 16


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a corpus; a row's key decides which part it is in."""

    index: int  # from 1
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Return the shard of a text such as ``"2/3"``.

        Raises:
            InputError: If it is none.
        """
        index, _, count = text.partition("/")
        if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
            raise InputError(f"--shard {text}: write the number of the shard and of all, as 1/3")
        return cls(int(index), int(count))

    def owns(self, keys: np.ndarray) -> np.ndarray:
        """Return which keys, given by their digests, are in this shard."""
        numbers = keys.view("<u8").reshape(-1, DIGEST_BYTES // 8)[:, 0]
        return numbers % np.uint64(self.count) == self.index - 1


def digests(texts: Iterable[str]) -> np.ndarray:
    """Return the digest of each text: ``(n,)`` of ``S16``."""
    data = array("B")
    for text in texts:
        data.frombytes(
            blake2b(text.encode("utf-8", "surrogateescape"), digest_size=DIGEST_BYTES).digest()
        )
    return np.array(memoryview(data)).view(f"S{DIGEST_BYTES}")


def check_unique(keys: Iterable[str], inputs: Sequence[Any]) -> None:
    """Check that no two rows have one key.

    Args:
        keys: Key of each row.
        inputs: The rows, each with its ``path``, ``source`` and ``key``.

    Raises:
        InputError: If two have; names both.
    """
    found = digests(keys)
    order = np.argsort(found, kind="stable")
    twice = np.flatnonzero(found[order[1:]] == found[order[:-1]])
    if len(twice):
        one, other = (inputs[int(order[twice[0] + step])] for step in (0, 1))
        more = f" ({len(twice)} such rows)" if len(twice) > 1 else ""
        raise InputError(
            f"{other.path} ({other.source}) and {one.path} ({one.source}) have one key, "
            f"{one.key!r}{more}; keys name the results: make them unique"
        )
