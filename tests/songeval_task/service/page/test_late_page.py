"""What reaches Gradio: only what the page asks for, in bodies within limits; and old uploads go."""

import asyncio
import os

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from songeval_task.service.page import late_page
from songeval_task.service.page.late_page import LatePage, remove_old

MAX_MB = 2.0
UPLOAD, JOIN = "/gradio_api/upload", "/gradio_api/queue/join"


@pytest.fixture
def uploads(tmp_path):
    """Folder of uploads."""
    folder = tmp_path / "uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def client(jobs, monkeypatch, uploads):
    """A client of a page that tells how much it was sent, in place of Gradio's."""

    async def length(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    def build(self):
        self._folder = uploads
        return Starlette(routes=[Route("/{path:path}", length, methods=["GET", "POST"])])

    monkeypatch.setattr(LatePage, "_build", build)
    page = LatePage(jobs, max_file_mb=MAX_MB)
    app = Starlette(lifespan=page.lifespan)
    app.state.ending = asyncio.Event()
    app.mount("/", page)
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file/etc/passwd",
        "/gradio_api/proxy=http://127.0.0.1:1",
        "/gradio_api/process_recording",
        "/gradio_api/run/score",
        "/gradio_api/deep_link",
        "/gradio_api/dev/reload",
        "/monitoring",
        "/assets/../gradio_api/info",
        "/elsewhere",
    ],
)
def test_what_the_page_does_not_ask_for_is_not_there(client, path) -> None:
    for answer in (client.get(path), client.post(path)):
        assert answer.status_code == 404
        assert answer.json() == {"error": "there is no such page"}


@pytest.mark.parametrize(
    "path", ["/", "/config", "/theme.css", "/assets/index-1.js", "/gradio_api/heartbeat/a1"]
)
def test_what_the_page_asks_for_is_answered(client, path) -> None:
    assert client.get(path).text == "0"


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize(("path", "limit"), [(UPLOAD, 2_000_000), (JOIN, 1_000_000)])
def test_bodies_have_a_limit(client, path, limit, declared) -> None:
    def body(size: int):
        return b"x" * size if declared else iter([b"x" * (size - 1), b"x"])

    assert client.post(path, content=body(limit)).text == str(limit)
    answer = client.post(path, content=body(limit + 1))
    assert answer.status_code == 413
    assert answer.json()["error"].startswith(f"more than {limit / 1e6:g} MB in one request")


def test_uploads_that_fill_the_disk_are_refused_until_they_are_old(
    client, uploads, monkeypatch
) -> None:
    monkeypatch.setattr(late_page, "UPLOADS", 2)
    for name in "abc":
        (uploads / name).write_bytes(b"x" * 2_000_000)
    assert client.post(UPLOAD, content=b"x").status_code == 503
    assert client.post(JOIN, content=b"x").status_code == 200
    os.utime(uploads / "a", (0, 0))
    assert client.post(UPLOAD, content=b"x").status_code == 200
    assert not (uploads / "a").exists()


def test_only_old_files_are_removed(tmp_path) -> None:
    old, new = tmp_path / "1" / "old", tmp_path / "2" / "new"
    for path in (old, new):
        path.parent.mkdir()
        path.write_bytes(b"four")
    os.utime(old, (0, 0))
    assert remove_old(tmp_path) == 4
    assert new.exists()
    assert not old.exists()
