"""The server as a process: ready, under load, with workers that are killed, at its end."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

from hear_aesthetics.audio.saving import encode_audio
from hear_aesthetics.errors import InputError
from songeval_task.service import server as module
from songeval_task.service.settings import ServiceSettings
from tests.songeval_task.service.conftest import serving

pytestmark = pytest.mark.slow
FORM = {"content-type": "multipart/form-data; boundary=x"}


class Server(NamedTuple):
    """A server that runs."""

    process: subprocess.Popen
    url: str

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        found = urlsplit(self.url)
        return found.hostname, found.port

    def ask(self, method: str, path: str, *content: Any) -> tuple[int, Any, dict[str, str]]:
        connection = http.client.HTTPConnection(*self.address, timeout=300)
        connection.request(method, path, *content)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(body), dict(answer.getheaders())
        except ValueError:
            return answer.status, body, dict(answer.getheaders())

    def score(self, content: bytes, name: str = "a.wav") -> tuple[int, Any, dict[str, str]]:
        return self.ask("POST", "/v1/score", form(content, name), FORM)

    @property
    def taken(self) -> float:
        """Places that are taken."""
        text = self.ask("GET", "/metrics")[1].decode()
        return float(re.search(r"^hear_aesthetics_queue_taken (\S+)", text, re.MULTILINE)[1])

    @property
    def decoders(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()


def form(content: bytes, name: str = "a.wav", **fields: str) -> bytes:
    part = "--x\r\ncontent-disposition: form-data; name="
    head = "".join(f'{part}"{key}"\r\n\r\n{value}\r\n' for key, value in fields.items())
    head += f'{part}"files"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n"


def noise(seconds: float, seed: int = 0) -> bytes:
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * 24_000))
    return encode_audio(samples.astype("f4"), 24_000, format="WAV", subtype="PCM_16")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where the server puts temporary files."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(folder) -> Iterator[Server]:
    """A server that lives as long as these tests."""
    with serving(folder, "--no-page") as started:
        yield Server(*started)


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """Call all at the same time; their results."""
    results: list[Any] = [None] * len(works)

    def call(index: int) -> None:
        results[index] = works[index]()

    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def test_many_clients_get_their_own_rows_and_one_loses_its_file_with_its_decoder(
    server, demo_scorer, tmp_path
) -> None:
    clips = [noise(1 + 0.5 * (i % 4), seed=i) for i in range(8)]
    rights = []
    for index, clip in enumerate(clips):
        (tmp_path / f"{index}.wav").write_bytes(clip)
        rights.append(demo_scorer.score(tmp_path / f"{index}.wav"))
    rows: list[tuple[int, Any]] = []

    def send(client: int) -> None:
        for index in range(client % 8, client % 8 + 4):
            status, content, _ = server.score(clips[index % 8], f"{index % 8}.wav")
            rows.append((status, content["rows"][0]))

    killed: list[int] = []

    def kill() -> None:
        while len(rows) < 20:
            time.sleep(0.01)
        killed.append(server.decoders[0].pid)
        os.kill(killed[0], signal.SIGKILL)

    at_once([*(lambda client=client: send(client) for client in range(16)), kill])
    assert killed
    assert len(rows) == 64
    failed = [row for status, row in rows if status != 200]
    assert len(failed) <= 1  # none, if it had nothing to do just then
    assert all("the decoder died of it" in row["error"] for row in failed)
    for status, row in rows:
        if status == 200:
            right = rights[int(Path(row["path"]).stem)]
            found = {column: row[column] for column in right.values}
            assert found == pytest.approx(right.values, abs=1e-4)
    assert len(server.decoders) == 2
    assert server.score(clips[0])[0] == 200


def test_a_client_that_leaves_frees_its_place(server) -> None:
    connection = http.client.HTTPConnection(*server.address)
    connection.request("POST", "/v1/score", form(noise(300)), FORM)
    while server.taken == 0:
        time.sleep(0.01)
    connection.close()
    for _ in range(500):
        if server.taken == 0:
            return
        time.sleep(0.01)
    pytest.fail("the place was not freed")


def test_nothing_is_kept(server, folder) -> None:
    assert server.score(noise(60))[0] == 200
    assert server.score(b"junk" * 1_000_000)[0] == 422
    assert [path for path in folder.rglob("*") if not path.is_dir()] == []
    opened = [file.path for file in psutil.Process(server.process.pid).open_files()]
    assert [path for path in opened if str(folder) in path] == []


def test_it_ends_when_what_runs_is_answered(server, folder) -> None:
    answers: list[int] = []

    def ask() -> None:
        answers.append(server.score(noise(30))[0])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    while server.taken < 3:
        time.sleep(0.01)
    decoders = server.decoders
    server.process.send_signal(signal.SIGTERM)
    for thread in threads:
        thread.join()
    assert answers == [200, 200, 200]
    assert server.process.wait(60) == 0
    assert not any(decoder.is_running() for decoder in decoders)
    with pytest.raises(OSError, match="refused"):
        server.ask("GET", "/healthz")
    assert server.process.stderr
    assert server.process.stderr.read() == ""
    assert list(folder.iterdir()) == []


def test_it_waits_for_no_client_that_does_not_send_or_read(folder) -> None:
    with serving(folder, "--no-page") as started:
        server = Server(*started)
        song = form(noise(300), kind="timestamps", format="npz")
        head = "POST /v1/embed HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content-type}\r\n"
        head = head.format(**FORM) + f"content-length: {len(song)}\r\n\r\n"
        with (
            socket.create_connection(server.address, timeout=60) as reads_not,
            socket.create_connection(server.address, timeout=60) as sends_not,
        ):
            reads_not.sendall(head.encode() + song)
            assert reads_not.recv(12) == b"HTTP/1.1 200"
            sends_not.sendall(head.encode())
            while server.taken < 1:
                time.sleep(0.01)
            server.process.send_signal(signal.SIGTERM)
            assert sends_not.recv(12) == b"HTTP/1.1 503"
            assert server.process.wait(60) == 0


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(InputError, match=rf"--port {port}: .*in use.*; take another port"):
            ServiceSettings(port=port).listen()
    with pytest.raises(InputError, match="--host nowhere"):
        ServiceSettings(host="nowhere.invalid").listen()


def test_a_connection_without_a_request_is_closed(jobs, monkeypatch) -> None:
    import asyncio

    import uvicorn

    from songeval_task.service.app import create_app

    monkeypatch.setattr(module, "HEAD_SECONDS", 0.3)
    config = module.config_of(create_app(jobs, ServiceSettings()))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server._serve([listener])))
    thread.start()
    try:
        for sent in (b"", b"GET /healthz HTTP/1.1\r\nhost: local"):
            with socket.create_connection(listener.getsockname(), timeout=10) as connection:
                connection.sendall(sent)
                assert connection.recv(1000) == b""
        with socket.create_connection(listener.getsockname(), timeout=10) as connection:
            for _ in range(2):  # one that asks stays open
                connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
                answer = b""
                while b"ok" not in answer:
                    answer += connection.recv(10_000)
                assert b"200 OK" in answer
                time.sleep(0.5)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
