"""Page that loads after the service is ready: importing Gradio takes longer than all the rest.

Gradio answers much that this page does not ask for, such as files by their path, proxies and video
edited by FFmpeg. What the page asks for is let through, with bodies as limited as those of the
interface, and uploads that nobody took are removed.
"""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import Message, Receive, Scope, Send

from songeval_task.service.answers import error_answer
from songeval_task.service.bodies import LimitedReceive
from songeval_task.service.job_queue import JobQueue
from songeval_task.service.settings import MEGABYTE, RequestError

__all__ = ["LatePage", "remove_old"]

UPLOAD = "/gradio_api/upload"
ASKED_FOR = re.compile(
    rf"/|/config|/theme\.css|/favicon\.ico|/manifest\.json|/(assets|static)/.+|{UPLOAD}"
    r"|/gradio_api/(queue/(join|data)|component_server/?|heartbeat/\w+|startup-events|cancel|reset)"
)
OTHER_MB = 1.0  # of bodies that are no uploads
UPLOADS = 50  # of the largest size, that wait to be taken
KEPT_SECONDS = 600.0

logger = logging.getLogger(__name__)


class LatePage:
    """ASGI application that has requests wait until the page is there.

    Args:
        jobs: Queue of the service.
        max_file_mb: Largest upload in megabytes.
    """

    def __init__(self, jobs: JobQueue, *, max_file_mb: float) -> None:
        self._jobs, self._max_file_mb = jobs, max_file_mb
        self._loading: asyncio.Task[Starlette] | None = None
        self._page: Starlette | None = None
        self._folder: Path | None = None  # of uploads

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Load the page while the service begins to answer; end it with the service."""
        async with AsyncExitStack() as stack:
            self._loading = asyncio.create_task(self._load(stack))
            sweeping = asyncio.create_task(self._sweep())
            yield
            sweeping.cancel()
            self._loading.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on to the page."""
        assert self._loading is not None
        answer: Any
        if not ASKED_FOR.fullmatch(scope["path"]):
            answer = error_answer(404, "there is no such page")
            await answer(scope, receive, send)
            return
        try:
            page: Any = await asyncio.shield(self._loading)
        except Exception:  # noqa: BLE001 - it was logged, and the service goes on
            page = PlainTextResponse("The page did not load; the log of the service says why.", 500)
        try:
            await self._within_limits(page, scope, receive, send)
        except RequestError as error:
            answer = error_answer(error.status, error)
            await answer(scope, receive, send)

    async def _within_limits(self, page: Any, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the page answer.

        Raises:
            RequestError: If the body is too large or too slow, or too many uploads wait; nothing
                was answered yet.
        """
        is_upload = scope["path"] == UPLOAD
        if is_upload and self._folder is not None:
            waiting = await asyncio.to_thread(remove_old, self._folder)
            if waiting > UPLOADS * self._max_file_mb * MEGABYTE:
                raise RequestError(503, "too many uploads wait to be scored; try again later")
        limited = LimitedReceive(scope, receive, self._max_file_mb if is_upload else OTHER_MB)

        async def send_unless_refused(message: Message) -> None:
            if limited.refusal is None:
                await send(message)

        try:
            await page(scope, limited, send_unless_refused)
        except Exception:
            if limited.refusal is None:
                raise
        if limited.refusal is not None:
            raise limited.refusal

    def end_streams(self) -> None:
        """End the connections that open pages hold, for which the server would wait."""
        if self._page is not None:
            for route in self._page.routes:
                if isinstance(route, Mount):
                    gradio_app: Any = route.app
                    gradio_app.stop_event.set()

    async def _sweep(self) -> None:
        """Remove what is left of uploads; Gradio forgets those that broke off."""
        while True:
            await asyncio.sleep(KEPT_SECONDS)
            if self._folder is not None:
                await asyncio.to_thread(remove_old, self._folder)

    async def _load(self, stack: AsyncExitStack) -> Starlette:
        try:
            page = await asyncio.to_thread(self._build)
            await stack.enter_async_context(page.router.lifespan_context(page))
        except Exception as error:
            text = " ".join(f"{type(error).__name__}: {error}".split())
            logger.error("the page did not load (%s)", text, exc_info=error)
            raise
        self._page = page
        return page

    def _build(self) -> Starlette:
        from songeval_task.service.page.layout import UPLOAD_FOLDER, page_app

        self._folder = UPLOAD_FOLDER
        return page_app(self._jobs, max_file_mb=self._max_file_mb)


def remove_old(folder: Path, seconds: float = KEPT_SECONDS) -> int:
    """Remove files that nobody wrote to for so long; return the bytes that the others take."""
    waiting, now = 0, time.time()
    for path in folder.rglob("*"):
        with suppress(OSError):  # taken meanwhile
            if not path.is_file():
                continue
            found = path.stat()
            if now - found.st_mtime > seconds:
                path.unlink()
            else:
                waiting += found.st_size
    return waiting
