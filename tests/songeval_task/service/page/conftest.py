"""A server with the page, and a real Chromium in front of it that records what it asks for.

``make page`` runs these tests in an environment with Gradio and Playwright; elsewhere they are
skipped, except with ``PAGE=required``.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from hear_aesthetics.audio.saving import write_audio
from hear_aesthetics.synthesis import Qualities, compose, render
from tests.songeval_task.service.conftest import serving

PATIENCE = 90_000  # ms: other work may share the processor
NEEDS = ("gradio", "playwright", "axe_playwright_python")
RATE = 24_000
SONGS = {
    "<img src=x onerror=alert(1)>.flac": ("pop", Qualities()),
    "jazz.wav": ("jazz", Qualities(musicality=1.5)),
    "folk.ogg": ("folk", Qualities(clarity=1.5)),
}


def missing() -> str | None:
    """What these tests lack here."""
    absent = [name for name in NEEDS if find_spec(name) is None]
    if shutil.which("chromium") is None:
        absent.append("chromium")
    return f"the page's tests need {', '.join(absent)}: `make page`" if absent else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = missing()
    for item in items:
        if item.get_closest_marker("page") and reason and os.environ.get("PAGE") != "required":
            item.add_marker(pytest.mark.skip(reason=reason))


@dataclass
class Server:
    """A server of the page.

    Attributes:
        url: Its address.
        process: Its process.
        folder: Where it puts temporary files.
    """

    url: str
    process: subprocess.Popen[str]
    folder: Path


@dataclass
class Visitor:
    """A page in a browser, and what it did.

    Attributes:
        page: Playwright's page.
        hosts: Of all requests.
        faults: Errors and warnings of the console, and failed requests.
    """

    page: Any
    hosts: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def drop(self, files: list[Any], until: str) -> None:
        """Hand in files, and wait for a text in the drop zone."""
        self.page.set_input_files("#ha-files", files)
        self.status(until)

    def status(self, text: str) -> None:
        """Wait for a text in the drop zone."""
        self.page.locator(".ha-drop output").filter(has_text=re.compile(text)).wait_for()

    def tab(self, name: str) -> None:
        """Open a tab."""
        self.page.get_by_role("tab", name=name).click()

    def column(self, name: str) -> list[str]:
        """Cells of a column of the table, from the top."""
        heads = [h.strip(" ▲▼") for h in self.page.locator(".ha-table thead th").all_inner_texts()]
        rows = self.page.locator(".ha-table tbody tr").all()
        return [row.locator("th, td").nth(heads.index(name)).inner_text() for row in rows]


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """A server with the bundled model."""
    folder = tmp_path_factory.mktemp("server")
    with serving(folder) as (process, url):
        urlopen(url).close()  # waits until the page is there, or fails
        yield Server(url, process, folder)


@pytest.fixture(scope="session")
def songs(tmp_path_factory) -> list[Path]:
    """Three composed songs, one of them with markup for a name."""
    folder = tmp_path_factory.mktemp("songs")
    paths = [folder / name for name in SONGS]
    for seed, (path, (style, qualities)) in enumerate(zip(paths, SONGS.values(), strict=True)):
        write_audio(path, render(compose(seed, 33.0, qualities, style=style), RATE), RATE)
    return paths


@pytest.fixture(scope="session")
def broken(tmp_path_factory) -> Path:
    """A file that is no audio."""
    path = tmp_path_factory.mktemp("broken") / "broken.mp3"
    path.write_bytes(b"this is no audio at all" * 100)
    return path


@pytest.fixture(scope="session")
def visit(server) -> Iterator[Callable[..., Visitor]]:
    """Opens the page in a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, ExitStack() as stack:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        stack.callback(browser.close)

        def open_page(width: int = 1280, url: str = server.url, **options: Any) -> Visitor:
            page = browser.new_page(viewport={"width": width, "height": 900}, **options)
            page.set_default_timeout(PATIENCE)
            visitor = Visitor(page)

            def asked(request: Any) -> None:
                if not request.url.startswith(("blob:", "data:")):
                    visitor.hosts.add(urlsplit(request.url).netloc)

            def said(message: Any) -> None:
                if message.type in ("error", "warning"):
                    visitor.faults.append(message.text)

            page.on("request", asked)
            page.on("console", said)
            page.on("dialog", lambda dialog: visitor.faults.append(dialog.message))
            page.on("pageerror", lambda error: visitor.faults.append(str(error)))
            page.goto(url)
            page.locator(".ha-drop").wait_for()
            return visitor

        yield open_page
