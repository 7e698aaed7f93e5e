"""The built documentation: links lead somewhere, and a browser asks no other host for anything.

``make docs`` builds it and runs these tests, in an environment without the project's packages.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from urllib.parse import unquote, urlsplit

import pytest

pytestmark = pytest.mark.docs

PATIENCE = 90_000  # ms: other work may share the processor
SITE = Path(__file__).parents[2] / "site"
PAGES = sorted(
    path.relative_to(SITE).as_posix()
    for path in SITE.rglob("*.html")
    if path.name != "404.html"  # whose links are those of a server's root
)


@dataclass
class Page(HTMLParser):
    """What a page links to, loads, and can be linked to at."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.names |= {values[key] or "" for key in ("id", "name") if key in values}
        for key in ("href", "src"):
            if values.get(key):
                (self.links if tag == "a" else self.loads).append(values[key] or "")


@cache
def read(place: str) -> Page:
    page = Page()
    page.feed((SITE / place).read_text(encoding="utf-8"))
    return page


def test_the_site_is_there() -> None:
    assert "index.html" in PAGES, "run mkdocs build"


@pytest.mark.parametrize("place", PAGES)
def test_its_links_lead_to_pages_and_headings(place: str) -> None:
    lost = []
    page = read(place)
    for link in (*page.links, *page.loads):
        parts = urlsplit(link)
        if parts.scheme or parts.netloc:
            continue
        target = SITE / place if not parts.path else (SITE / place).parent / unquote(parts.path)
        if target.is_dir():
            target = target / "index.html"
        if not target.is_file():
            lost.append(link)
        elif parts.fragment and target.suffix == ".html":
            names = read(target.resolve().relative_to(SITE).as_posix()).names
            lost += [link] if unquote(parts.fragment) not in names else []
    assert lost == []


@pytest.mark.parametrize("place", PAGES)
def test_it_loads_nothing_from_elsewhere(place: str) -> None:
    assert [load for load in read(place).loads if urlsplit(load).netloc] == []


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Address of a server of the site."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    """A real Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=which("chromium"), args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@pytest.mark.parametrize(("opened", "width"), [("from the disk", 1280), ("from a server", 400)])
def test_a_browser_asks_no_other_host(browser, address: str, opened: str, width: int) -> None:
    """Nor does a page scroll sideways, on a phone neither."""
    base = SITE.as_uri() if opened == "from the disk" else address
    asked: set[str] = set()
    faults: list[str] = []
    wide = []
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.on("request", lambda request: asked.add(request.url))
    page.on("pageerror", lambda error: faults.append(str(error)))
    for place in PAGES:
        page.goto(f"{base}/{place}", timeout=PATIENCE)
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(place)
    page.close()
    assert [url for url in asked if not url.startswith((base, "data:", "blob:"))] == []
    assert faults == []
    assert wide == []


@pytest.mark.parametrize("opened", ["from the disk", "from a server"])
def test_words_are_found(browser, address: str, opened: str) -> None:
    base = SITE.as_uri() if opened == "from the disk" else address
    page = browser.new_page()
    page.goto(f"{base}/index.html")
    page.locator("input[name=query]").first.click()
    page.keyboard.type("calibration", delay=20)
    page.locator(".md-search-result__item a").first.wait_for(timeout=PATIENCE)
    assert "calibrat" in page.locator(".md-search-result__item").first.inner_text().lower()
    page.close()
