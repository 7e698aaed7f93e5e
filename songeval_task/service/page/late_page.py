"""Page that loads after the service is ready: importing Gradio takes longer than all the rest."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from songeval_task.service.job_queue import JobQueue

__all__ = ["LatePage"]

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

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """Load the page while the service begins to answer; end it with the service."""
        async with AsyncExitStack() as stack:
            self._loading = asyncio.create_task(self._load(stack))
            yield
            self._loading.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on to the page."""
        assert self._loading is not None
        try:
            page: Any = await asyncio.shield(self._loading)
        except Exception:  # noqa: BLE001 - it was logged, and the service goes on
            page = PlainTextResponse("The page did not load; the log of the service says why.", 500)
        await page(scope, receive, send)

    def end_streams(self) -> None:
        """End the connections that open pages hold, for which the server would wait."""
        if self._page is not None:
            for route in self._page.routes:
                if isinstance(route, Mount):
                    gradio_app: Any = route.app
                    gradio_app.stop_event.set()

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
        from songeval_task.service.page.layout import page_app

        return page_app(self._jobs, max_file_mb=self._max_file_mb)
