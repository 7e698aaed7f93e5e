"""A queue on the bundled model, and clients of the application over it."""

import base64
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from songeval_task.service.app import create_app
from songeval_task.service.decoding.pool import DecoderPool, Upload
from songeval_task.service.job_queue import JobQueue
from songeval_task.service.settings import ServiceSettings

MAX_SECONDS = 60.0


@pytest.fixture(scope="session")
def decoder() -> Iterator[DecoderPool]:
    """Two decoding workers."""
    with DecoderPool(2, max_bytes=2_000_000, max_seconds=MAX_SECONDS) as pool:
        yield pool


@pytest.fixture(scope="session")
def jobs(demo_scorer, decoder) -> Iterator[JobQueue]:
    """A queue of eight places."""
    with JobQueue(demo_scorer, decoder, capacity=8) as queue:
        yield queue


@pytest.fixture
def open_client(jobs) -> Callable[..., TestClient]:
    """Opens a client of an application with these settings."""

    def client(local: bool = True, host: str = "127.0.0.1:7860", **settings: Any) -> TestClient:
        chosen = ServiceSettings(max_file_mb=2, max_seconds=MAX_SECONDS, queue=8, **settings)
        app = create_app(jobs, chosen, local=local)
        return TestClient(app, base_url=f"http://{host}", raise_server_exceptions=False)

    return client


@pytest.fixture
def client(open_client) -> TestClient:
    """A client on the same machine, without a token."""
    return open_client()


@pytest.fixture
def upload() -> Iterator[Callable[..., Upload]]:
    """Opens a file, or content, as it is handed in by a client."""
    with ExitStack() as stack:

        def open_upload(content: Path | bytes, name: str = "clip.wav") -> Upload:
            file = stack.enter_context(TemporaryFile())
            file.write(content if isinstance(content, bytes) else content.read_bytes())
            file.flush()
            return Upload(file, name)

        yield open_upload


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Process and address of a server with the bundled model, whose temporary files are there."""
    program = [sys.executable, "-m", "hear_aesthetics", "serve", "--model", "mini", "--port", "0"]
    process = subprocess.Popen(
        [*program, *options],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"},
    )
    try:
        assert process.stderr
        lines = []
        for line in process.stderr:
            lines.append(line)
            if found := re.search(r"serving at (http://\S+)", line):
                break
        else:
            raise AssertionError("".join(lines))
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def in_base64(samples: np.ndarray) -> str:
    """Samples as the requests hold them."""
    return base64.b64encode(samples.astype("<f4").tobytes()).decode()


def arrays_of(npz: bytes) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file."""
    with np.load(BytesIO(npz), allow_pickle=False) as file:
        return dict(file)
