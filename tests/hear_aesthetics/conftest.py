"""A Hugging Face hub on this machine: a local HTTP server with the hub's paths and headers."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hear_aesthetics.checkpoints import CHECKPOINTS, Checkpoint, RemoteFile, hub

REPO = "someone/tiny"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """What the server holds and what was asked of it.

    Attributes:
        files: Content by file name, of the one repository and revision that exist.
        cut_after: Bytes after which the connection breaks, one entry per GET that shall break.
        requests: ``(method, file, Range header or None)``, in order.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)

    def downloads(self) -> list[tuple[str, str | None]]:
        return [(name, span) for method, name, span in self.requests if method == "GET"]


class _Server(ThreadingHTTPServer):
    state: FakeHub


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        repo, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, name = rest.partition("/")
        span = self.headers.get("Range")
        self.server.state.requests.append((self.command, name, span))
        if repo != REPO:
            self._refuse("RepoNotFound")
        elif revision not in {REVISION, "main"}:
            self._refuse("RevisionNotFound")
        elif name not in self.server.state.files:
            self._refuse("EntryNotFound")
        else:
            self._send(self.server.state.files[name], int(span[6:].rstrip("-")) if span else 0)

    def _refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, start: int) -> None:
        body = content[start:]
        self.send_response(206 if start else 200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body)))
        if start:
            last = len(content) - 1
            self.send_header("Content-Range", f"bytes {start}-{last}/{len(content)}")
        self.end_headers()
        if self.command == "GET":
            cuts = self.server.state.cut_after
            self.wfile.write(body[: cuts.pop(0) if cuts else len(body)])
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def offline_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without weights, caches or network: every folder is below ``tmp_path``."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "HEAR_AESTHETICS_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nobody listens
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", False)  # set if the tests run offline
    # Otherwise huggingface_hub asks the real hub for a list when it builds its user agent.
    monkeypatch.setattr(hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
    return tmp_path


@pytest.fixture
def fake_hub(offline_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that serves ``someone/tiny``: a 300 kB ``weights.bin`` and a ``config.json``."""
    weights = bytes(range(250)) * 1200
    state = FakeHub(files={"config.json": b'{"layers": 2}', "weights.bin": weights})
    server = _Server(("127.0.0.1", 0), _Handler)
    server.state = state
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("HF_ENDPOINT", state.url)
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tiny(fake_hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> Checkpoint:
    """A registered checkpoint whose files the fake hub serves intact."""
    files = tuple(
        RemoteFile(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in fake_hub.files.items()
    )
    record = Checkpoint(
        name="tiny",
        kind="encoder",
        description="a checkpoint for tests",
        files=files,
        repo=REPO,
        revision=REVISION,
        folder="muq",
        weights_licence="CC0-1.0",
        commercial=True,
    )
    monkeypatch.setitem(CHECKPOINTS, record.name, record)
    return record
