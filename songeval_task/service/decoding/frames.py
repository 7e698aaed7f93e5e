"""Frames between the server and a decoding worker: JSON headers, samples, file descriptors.

A frame is the length of its header, four bytes big endian, the header, and as many bytes of float32
samples as the header says. A request carries the descriptor of the audio file.
"""

import json
import socket
import struct
from typing import Any

import numpy as np

__all__ = ["receive_header", "receive_request", "receive_samples", "send_header", "send_request"]

LENGTH = struct.Struct(">I")
MAX_HEADER_BYTES = 1 << 20


def send_request(channel: socket.socket, header: dict[str, Any], descriptor: int) -> None:
    """Send a header with a file descriptor, which the receiver gets a copy of."""
    data = _packed(header)
    sent = socket.send_fds(channel, [data], [descriptor])
    channel.sendall(data[sent:])


def receive_request(channel: socket.socket) -> tuple[dict[str, Any], int]:
    """Return a header and the descriptor that came with it.

    Raises:
        EOFError: If the sender has gone.
    """
    data, descriptors, _, _ = socket.recv_fds(channel, LENGTH.size, maxfds=1)
    if not data:
        raise EOFError("the server has gone")
    data += _receive(channel, LENGTH.size - len(data))
    return _header(channel, data), descriptors[0]


def send_header(channel: socket.socket, header: dict[str, Any]) -> None:
    """Send a header."""
    channel.sendall(_packed(header))


def receive_header(channel: socket.socket) -> dict[str, Any]:
    """Return a header.

    Raises:
        EOFError: If the sender has gone.
    """
    return _header(channel, _receive(channel, LENGTH.size))


def receive_samples(channel: socket.socket, count: int) -> np.ndarray:
    """Return so many float32 samples.

    Raises:
        EOFError: If the sender has gone.
    """
    samples = np.empty(count, dtype=np.float32)
    _fill(channel, samples.data.cast("B"))
    return samples


def _packed(header: dict[str, Any]) -> bytes:
    data = json.dumps(header).encode()
    return LENGTH.pack(len(data)) + data


def _header(channel: socket.socket, length: bytes) -> dict[str, Any]:
    (size,) = LENGTH.unpack(length)
    if size > MAX_HEADER_BYTES:
        raise EOFError(f"a header of {size} bytes is none of ours")
    header: dict[str, Any] = json.loads(_receive(channel, size))
    return header


def _receive(channel: socket.socket, count: int) -> bytes:
    data = bytearray(count)
    _fill(channel, memoryview(data))
    return bytes(data)


def _fill(channel: socket.socket, view: memoryview) -> None:
    while view:
        count = channel.recv_into(view)
        if not count:
            raise EOFError("the other process has gone")
        view = view[count:]
