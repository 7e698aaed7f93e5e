"""Reader of TensorFlow's checkpoints: a table of names (``.index``) beside raw tensors (``.data``).

The table is LevelDB's: blocks of keys that share prefixes; the last 48 bytes say where the block of
blocks is. A value is a protocol buffer of shape, offset and size (``BundleEntryProto``).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

__all__ = ["read_checkpoint"]

SHAPE, OFFSET, SIZE, DIMENSION, EXTENT = 2, 4, 5, 2, 1  # numbers of fields


def read_checkpoint(index: Path) -> dict[str, np.ndarray]:
    """Return the float32 tensors of a checkpoint of one shard, without those of its optimiser."""
    table = index.read_bytes()
    data = index.with_name(index.name.replace("index", "data-00000-of-00001")).read_bytes()
    _, at = _pair(table, len(table) - 48)
    found = {}
    for _, place in _entries(table, *_pair(table, at)[0]):
        for key, value in _entries(table, *_pair(place, 0)[0]):
            if key and not re.search(rb"Adam|beta\d_power", key):
                entry = dict(_fields(value))
                start = entry.get(OFFSET, 0)
                values = np.frombuffer(data[start : start + entry[SIZE]], np.float32)
                sizes = [dict(_fields(v))[EXTENT] for f, v in _fields(entry.get(SHAPE, b""))
                         if f == DIMENSION]  # fmt: skip
                found[key.decode()] = values.reshape(sizes)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value, shift, at = value | (data[at] & 127) << shift, shift + 7, at + 1
        if data[at - 1] < 128:
            return value, at


def _pair(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    first, at = _varint(data, at)
    second, at = _varint(data, at)
    return (first, second), at


def _entries(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    block, at, key = table[start : start + size], 0, b""
    restarts = int.from_bytes(block[-4:], "little")
    while at < size - 4 * (restarts + 1):
        (shared, rest), at = _pair(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + rest]
        yield key, block[at + rest : at + rest + length]
        at += rest + length


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        if tag & 7 == 5:  # 32 bits
            yield tag >> 3, data[at : at + 4]
            at += 4
        else:
            value, at = _varint(data, at)
            yield tag >> 3, data[at : at + value] if tag & 7 == 2 else value
            at += value if tag & 7 == 2 else 0
