import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants

from hear_aesthetics.errors import DataUnavailableError
from songeval_task.data.download import HUB, REPO, REVISION, obtain

FILES = {"metadata.jsonl": b'{"file_name": "mp3/0.mp3"}\n', "mp3/0.mp3": b"song" * 500}
OTHERS = {"assets/logo.png": b"picture", "README.md": b"text"}


@dataclass
class DataHub:
    """What the server was asked for, and which file it breaks off once."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)


class Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0]
        resolve, api = f"/datasets/{REPO}/resolve/{REVISION}/", f"/api/datasets/{REPO}/"
        self.server.hub.asked.append(path)
        if path.startswith(resolve):
            self._file(path.removeprefix(resolve))
        elif path == f"{api}revision/{REVISION}":
            names = [{"rfilename": name} for name in FILES | OTHERS]
            self._answer({"id": REPO, "sha": REVISION, "siblings": names})
        elif path.startswith(f"{api}tree/{REVISION}"):
            self._answer(
                [
                    {"type": "file", "path": name, "size": len(data), "oid": "0" * 40}
                    for name, data in (FILES | OTHERS).items()
                ]
            )
        else:
            self.send_error(404)

    def _answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _file(self, name):
        if name in self.server.hub.broken and self.command == "GET":
            self.send_error(500)
            return
        self.send_response(200)
        self.send_header("ETag", f'"{name.replace("/", "-")}"')
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Content-Length", str(len(FILES[name])))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(FILES[name])

    def log_message(self, *_):
        """Keep the test's output clean."""


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A machine with an empty cache whose hub is at a port where nobody listens."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the pauses before the hub's retries


@pytest.fixture
def data_hub(elsewhere, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.hub = DataHub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", server.hub.url)
    yield server.hub
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_folder_is_taken_as_it_is(tmp_path):
    assert obtain(str(tmp_path)) == (tmp_path, "local")
    assert obtain("~/songs")[0] == Path.home() / "songs"


def test_songs_and_ratings_are_downloaded_and_nothing_else(data_hub):
    source = folder, origin = obtain(HUB)
    found = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    assert {path.relative_to(folder).as_posix(): path.read_bytes() for path in found} == (FILES)
    assert origin == f"{REPO}@{REVISION}"
    asked = len(data_hub.asked)
    assert obtain(HUB) == source
    assert not any("resolve" in path for path in data_hub.asked[asked:])


def test_a_download_that_broke_off_is_taken_up_again(data_hub):
    data_hub.broken.add("mp3/0.mp3")
    with pytest.raises(DataUnavailableError, match=r"did not deliver|answered 500"):
        obtain(HUB)
    data_hub.broken.clear()
    asked = len(data_hub.asked)
    assert (obtain(HUB)[0] / "mp3/0.mp3").read_bytes() == FILES["mp3/0.mp3"]
    assert not any(path.endswith("metadata.jsonl") for path in data_hub.asked[asked:])


def test_out_of_reach_the_error_says_what_how_large_and_how_to_get_it(elsewhere):
    with pytest.raises(DataUnavailableError) as caught:
        obtain(HUB)
    message = str(caught.value)
    for part in (REPO, "11.1 GB", "CC BY-NC-SA 4.0", "127.0.0.1:9", "hf download"):
        assert part in message
    assert "\n" not in message


def test_offline_nothing_is_asked(elsewhere, data_hub, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DataUnavailableError, match="HF_HUB_OFFLINE is set"):
        obtain(HUB)
    assert data_hub.asked == []
