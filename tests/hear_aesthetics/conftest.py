"""Audio files made on the spot, good and broken, and a Hugging Face hub on this machine."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hear_aesthetics.checkpoints import CHECKPOINTS, Checkpoint, RemoteFile, hub

WriteTone = Callable[..., Path]
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


# Audio files


def tone(seconds: float, sample_rate: int, frequency: float = 440.0) -> np.ndarray:
    """A sine of amplitude 0.5, float32."""
    times = np.arange(round(seconds * sample_rate)) / sample_rate
    return (0.5 * np.sin(2 * np.pi * frequency * times)).astype(np.float32)


@pytest.fixture(scope="session")
def write_tone() -> WriteTone:
    """Writes a tone; the extension picks the format, channel c plays its harmonic c + 1."""

    def write(
        path: Path,
        seconds: float = 1.0,
        sample_rate: int = 24_000,
        channels: int = 1,
        frequency: float = 440.0,
        **options: str,
    ) -> Path:
        waves = [tone(seconds, sample_rate, frequency * (c + 1)) / (c + 1) for c in range(channels)]
        samples = np.stack(waves, axis=1)
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".opus":
            options = {"format": "OGG", "subtype": "OPUS", **options}
        # In pieces: libsndfile's Vorbis encoder overflows its stack on long writes.
        with soundfile.SoundFile(path, "w", sample_rate, channels, **options) as file:
            for begin in range(0, len(samples), 8192):
                file.write(samples[begin : begin + 8192])
        return path

    return write


@pytest.fixture
def broken_audio_folder(tmp_path: Path, write_tone: WriteTone) -> Path:
    """A folder with 12 files of audio extensions, each broken in its own way and none usable."""
    folder = tmp_path / "broken"
    good = write_tone(tmp_path / "good.wav").read_bytes()
    flac = write_tone(tmp_path / "good.flac").read_bytes()
    write_tone(folder / "too_short.wav", seconds=0.02)
    write_tone(folder / "no_samples.wav", seconds=0)
    for name, value in {"nan.wav": np.nan, "infinite.wav": np.inf}.items():
        samples = tone(1, 24_000)
        samples[12_000] = value
        soundfile.write(folder / name, samples, 24_000, subtype="FLOAT")
    contents = {
        "empty.wav": b"",
        "text.wav": b"this is no audio\n" * 100,
        "web_page.mp3": b"<!DOCTYPE html><html><body>404 not found</body></html>",
        "zeros.mp3": bytes(20_000),
        "random.ogg": np.random.default_rng(0).bytes(20_000),
        "cut_header.wav": good[:20],
        "cut.flac": flac[: len(flac) // 2],
        "no_index.m4a": b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom\0\0\x20\0mdat" + good[: 0x2000 - 8],
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    assert len(list(folder.iterdir())) == 12
    return folder
