"""Decoding process: loads one item after another, and is replaced when it dies or takes too long.

What decodes audio are C libraries, which may hang or crash on a damaged file; in a process of its
own that costs the file its row, and nothing else. Run as
``python -m hear_aesthetics.distributed.decoder DESCRIPTOR``, the socket to its parent, with which
it ends.
"""

import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection

from hear_aesthetics.distributed.work import LoadedItem, picklable
from hear_aesthetics.errors import AudioError, HearAestheticsError

__all__ = ["Decoder", "main"]

START_SECONDS = 300.0  # imports on a busy machine
PARENT_SECONDS = 1.0  # between looks at whether the parent is there


class Decoder:
    """Decoding process for the items of some work; used by one thread at a time.

    Args:
        load: The pickled ``Work.load``.
        seconds: Time for one item by the clock.
    """

    def __init__(self, load: bytes, seconds: float) -> None:
        self._load, self._seconds = load, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Connection | None = None

    def load(self, item: bytes) -> bytes:
        """Return the pickled :class:`LoadedItem` of a pickled item."""
        if self._process is None or self._process.poll() is not None:
            try:
                self._start()
            except HearAestheticsError as failure:
                return pickle.dumps(LoadedItem(pickle.loads(item), error=failure))
        assert self._channel is not None
        assert self._process is not None
        try:
            self._channel.send_bytes(item)
            if self._channel.poll(self._seconds):
                return self._channel.recv_bytes()
            error = f"loading it took longer than {self._seconds:g} s; convert it to wav or flac"
        except (EOFError, OSError):
            code = self._process.wait()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            error = (
                f"the decoder died of it ({how}); it is damaged or needs too much memory: "
                "convert it to wav or flac"
            )
        self.close()
        broken = pickle.loads(item)
        return pickle.dumps(LoadedItem(broken, error=AudioError(f"{broken.path}: {error}")))

    def close(self) -> None:
        """End the process."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._channel = None

    def _start(self) -> None:
        self.close()
        ours, theirs = socket.socketpair()
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                process_group=0,  # an interrupt from a terminal is for the command alone
                env={**os.environ, **one_thread, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
        self._channel = Connection(ours.detach())
        try:
            self._channel.send_bytes(self._load)
            if not self._channel.poll(START_SECONDS):
                raise TimeoutError
            self._channel.recv_bytes()
        except (EOFError, OSError) as error:
            self.close()
            raise HearAestheticsError(
                "the process that decodes audio does not start; run `hear-aesthetics doctor`"
            ) from error


def main(descriptor: int) -> None:
    """Load what the parent sends, until it has gone."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    collector = _Warnings()
    logging.getLogger().addHandler(collector)
    with Connection(descriptor) as channel, suppress(EOFError, ConnectionError):
        load = pickle.loads(channel.recv_bytes())
        channel.send_bytes(b"ready")
        while True:
            item = pickle.loads(channel.recv_bytes())
            collector.lines.clear()
            try:
                loaded = LoadedItem(item, load(item), None, tuple(collector.lines))
            except Exception as error:  # noqa: BLE001 - the next item is to be loaded
                loaded = LoadedItem(item, None, picklable(error), tuple(collector.lines))
            channel.send_bytes(pickle.dumps(loaded, protocol=pickle.HIGHEST_PROTOCOL))


class _Warnings(logging.Handler):
    """Warnings of one item."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def _end_with(parent: int) -> None:
    """End this process when its parent has gone, even while a file hangs."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]))
