"""Pool of decoding workers: each request goes to one of them, and one that dies is replaced."""

import os
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Self

from hear_aesthetics.audio.measured import MeasuredAudio
from hear_aesthetics.audio.waveforms import Waveforms
from hear_aesthetics.engine.workers import usable_cores
from hear_aesthetics.errors import AudioError
from songeval_task.service.decoding.frames import (
    receive_header,
    receive_samples,
    send_request,
)

__all__ = ["DecoderPool", "Upload"]

START_SECONDS = 300.0
DECODE_SECONDS = 120.0  # of one file, by the clock
MEMORY = 1 << 30  # bytes for decoding, beyond those of the file and of its waveform
CORES_PER_WORKER, MIN_WORKERS, MAX_WORKERS = 4, 2, 8


@dataclass(frozen=True)
class Upload:
    """Audio file that was handed in.

    Attributes:
        file: The open file, with a descriptor; its place is no matter, and it needs none.
        name: What it is called in answers; never used as a path.
    """

    file: BinaryIO
    name: str


class DecoderPool:
    """Pool of worker processes; a context manager.

    Args:
        workers: Number of processes; by default one for four cores, and at least two.
        max_bytes: Largest file.
        max_seconds: Longest audio.
        timeout: Seconds by the clock after which the decoding of a file is ended.

    Raises:
        AudioError: On entering, if workers do not start.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        max_bytes: int = 200_000_000,
        max_seconds: float = 1200.0,
        timeout: float = DECODE_SECONDS,
    ) -> None:
        share = min(max(usable_cores() // CORES_PER_WORKER, MIN_WORKERS), MAX_WORKERS)
        self.workers = workers or share
        self.max_seconds = max_seconds
        waveform = round(max_seconds * 48_000) * 4
        memory = MEMORY + 3 * max_bytes + 4 * waveform
        self._all = [_Worker(memory, timeout) for _ in range(self.workers)]
        self._folder: TemporaryDirectory[str] | None = None  # of links to what is decoded just now
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Start the processes before the pool is entered; they end with the block."""
        try:
            self._start()
            yield
        finally:
            self.__exit__()

    def __enter__(self) -> Self:
        self._start()
        for worker in reversed(self._all):
            worker.wait_until_ready()
            self._idle.put(worker)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            worker.stop()
        if self._folder is not None:
            self._folder.cleanup()
        self._folder = None

    def _start(self) -> None:
        if self._folder is None:
            self._folder = TemporaryDirectory()
            for worker in self._all:
                worker.start(self._folder.name)

    @property
    def process_ids(self) -> list[int]:
        """Ids of the processes that are there now."""
        return [worker.process.pid for worker in self._all if worker.process]

    def decode(self, upload: Upload, options: Mapping[str, Any]) -> MeasuredAudio:
        """Decode a file in the next free worker; wait until there is one.

        Args:
            upload: The file.
            options: Of ``measure_audio``, as JSON values; ``max_minutes`` is the pool's own.

        Raises:
            AudioError: If the file cannot be decoded within the limits; calls it by its name.
        """
        options = {**options, "max_minutes": self.max_seconds / 60}
        request = {"name": upload.name, "options": options}
        worker = self._idle.get()
        try:
            return worker.decode(request, upload.file.fileno())
        finally:
            self._idle.put(worker)


class _Worker:
    """One worker process and the socket to it; used by one thread at a time."""

    def __init__(self, memory: int, timeout: float) -> None:
        self._memory, self._timeout, self._folder = memory, timeout, ""
        self.process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def start(self, folder: str) -> None:
        """Start the process, which may put links into a folder; it is not ready yet."""
        self._folder = folder
        self._channel, theirs = socket.socketpair()
        one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        program = [sys.executable, "-P", "-m", "songeval_task.service.decoding.worker"]
        with theirs:
            self.process = subprocess.Popen(
                [*program, str(theirs.fileno()), str(self._memory), folder],
                pass_fds=[theirs.fileno()],
                process_group=0,  # an interrupt from a terminal is for the server alone
                env={**os.environ, **one_thread},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def wait_until_ready(self) -> None:
        """Wait for the first sign of life."""
        assert self._channel
        self._channel.settimeout(START_SECONDS)
        try:
            receive_header(self._channel)
        except (EOFError, OSError) as error:
            raise AudioError(
                "the process that decodes audio does not start; run `hear-aesthetics doctor`"
            ) from error

    def stop(self) -> None:
        """End the process; a link that it could not remove goes too."""
        if self._channel:
            self._channel.close()
        if self.process:
            self.process.kill()
            self.process.wait()
            for link in Path(self._folder).glob(f"{self.process.pid}*"):
                link.unlink(missing_ok=True)
        self.process = self._channel = None

    def decode(self, request: dict[str, Any], descriptor: int) -> MeasuredAudio:
        """Send a request, and return its answer."""
        if self.process is None or self.process.poll() is not None:  # died since the last file
            self.stop()
            self.start(self._folder)
            self.wait_until_ready()
        assert self.process
        assert self._channel
        self._channel.settimeout(self._timeout)
        try:
            send_request(self._channel, request, descriptor)
            header = receive_header(self._channel)
            if "error" in header:
                raise AudioError(header["error"])
            lengths = header["lengths"].items()
            found = {name: receive_samples(self._channel, count) for name, count in lengths}
        except TimeoutError:
            self.stop()
            raise AudioError(
                f"{request['name']}: decoding took longer than {self._timeout:g} s; "
                "convert it to wav or flac"
            ) from None
        except (EOFError, OSError):
            code = self.process.wait()
            self.stop()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise AudioError(
                f"{request['name']}: the decoder died of it ({how}); it is damaged or needs too "
                "much memory: convert it to wav or flac"
            ) from None
        return MeasuredAudio(Waveforms(found), header["loudness_lufs"], tuple(header["faults"]))
